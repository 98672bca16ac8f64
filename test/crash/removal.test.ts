/** Removal as it happens to people, between real processes over a private DHT. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { whenText } from '../devices.ts'
import { stage, whenMembers, write } from './story.ts'

const test = suite('removal between processes')

test('bob joins by an invite and writes; he is removed while he is away, writes on, and comes back', async () => {
  await using story = await stage()
  const space = await story.alice.createSpace({ name: 'Notes' })
  const note = await space.open('ideas')
  await write(note, 'alice ')
  let id: string
  {
    await using bob = story.device('bob')
    id = await bob.id()
    await bob.join(await space.invite())
    await bob.when({ text: 'alice ', role: 'writer' })
    await bob.write('bob ')
    await whenText(note.doc, 'alice bob ')
  }
  await space.remove(id)
  await write(note, 'secret ')
  {
    // On the train.
    await using bob = story.device('bob', { isOffline: true })
    await bob.write('late ')
    await bob.when({ text: 'alice bob late ', role: 'writer' })
  }
  await using bob = story.device('bob')
  const { readOnly, excluded, text } = await bob.when({ role: null, text: 'alice bob ' })
  assert.ok(readOnly)
  assert.is(excluded, 1)
  assert.is(text, 'alice bob ')
  await bob.write('on and on').then(
    () => assert.unreachable('it was written'),
    (error: Error) => assert.match(error.message, /NOT_ALLOWED/)
  )
  await write(note, 'more')
  assert.is(note.doc.getText('body').toString(), 'alice bob secret more')
})

test('a second device of a person joins, and both are removed with the person', async () => {
  await using story = await stage()
  const space = await story.alice.createSpace({ name: 'Notes' })
  const note = await space.open('ideas')
  await using phone = story.device('phone', { person: 'bob' })
  await using laptop = story.device('laptop', { person: 'bob' })
  await phone.join(await space.invite())
  await laptop.join(await space.invite())
  await phone.write('by phone ')
  await whenText(note.doc, 'by phone ')
  await laptop.when({ text: 'by phone ' })
  await laptop.write('and laptop ')
  await whenText(note.doc, 'by phone and laptop ')
  assert.equal(
    space.members().map(({ person }) => person),
    ['alice', 'bob', 'bob']
  )
  await space.remove({ person: 'bob' })
  await whenMembers(space, 1)
  await Promise.all([phone.when({ role: null }), laptop.when({ role: null })])
  await write(note, 'alone')
  assert.is((await phone.when({ role: null })).text, 'by phone and laptop ')
})

test.run()
