/** A link that was meant for bob is read by mallory on its way, and both use it: each in a process, over a private DHT. */
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Document, Space } from '../../lib/index.ts'
import { whenText, wordsIn } from '../devices.ts'
import type { RemoteDevice } from './remote-device.ts'
import { stage, whenMembers, write } from './story.ts'

const test = suite('a stolen link')

function isTold(joining: Promise<void>, code: string): Promise<void> {
  return joining.then(
    () => assert.unreachable(`it did not fail with ${code}`),
    (error: Error) => assert.match(error.message, `join: ${code}`)
  )
}

function names(space: Space): string[] {
  return space.members().map(({ name }) => name)
}

/** Alice sees who came by the link, removes her, and lets bob in by another. */
async function putRight(
  space: Space,
  note: Document,
  link: string,
  bob: RemoteDevice,
  mallory: RemoteDevice
): Promise<void> {
  await whenMembers(space, 2)
  assert.equal(names(space), ['alice', 'mallory'])
  const thief = await mallory.id()
  assert.is(space.members()[1]!.device, thief)
  assert.is(await bob.spaces(), 0)
  assert.equal(await space.invites(), [], 'the link lets nobody in any more')
  await space.remove(thief)
  assert.equal(
    space.formerMembers().map(({ name }) => name),
    ['mallory']
  )
  await mallory.when({ role: null })

  await isTold(bob.join(link), 'INVITE_USED_UP')
  await bob.join(await space.invite())
  await bob.when({ text: 'alice ', role: 'writer' })
  await bob.write('canary-bob ')
  await whenText(note.doc, 'alice canary-bob ')
  await write(note, 'canary-alice ')
  await bob.when({ text: 'alice canary-bob canary-alice ' })
  assert.equal(names(space), ['alice', 'bob'])
}

const canaries = ['canary-bob', 'canary-alice']

test('a thief who is first is seen, and removed; bob is told, and comes by another link; the thief learns no more', async () => {
  await using story = await stage()
  const space = await story.alice.createSpace({ name: 'Notes' })
  const note = await space.open('ideas')
  await write(note, 'alice ')
  const link = await space.invite()
  {
    await using bob = story.device('bob')
    await using mallory = story.device('mallory')
    await mallory.join(link)
    await mallory.when({ text: 'alice ', role: 'writer' })
    await isTold(bob.join(link), 'INVITE_USED_UP')
    await putRight(space, note, link, bob, mallory)
    // Connected, as the answer shows, while they write.
    await isTold(mallory.join(link), 'INVITE_USED_UP')
    const { text, entries } = await mallory.when({ role: null })
    assert.is(text, 'alice ')
    assert.is(entries, 1, 'she holds what was written before')
  }
  // And when she comes back.
  {
    await using mallory = story.device('mallory')
    await isTold(mallory.join(link), 'INVITE_USED_UP')
    const { text, entries, readOnly } = await mallory.when({ role: null })
    assert.is(text, 'alice ')
    assert.is(entries, 1)
    assert.ok(readOnly)
  }
  assert.equal(await wordsIn(join(story.folder, 'mallory'), canaries), [])
  assert.equal(await wordsIn(join(story.folder, 'bob'), canaries), canaries)
})

test('a thief who comes after bob gets nothing, and is told that the link is used up', async () => {
  await using story = await stage()
  const space = await story.alice.createSpace({ name: 'canary-space' })
  const note = await space.open('ideas')
  await write(note, 'canary-alice ')
  const link = await space.invite()
  {
    await using bob = story.device('bob')
    await bob.join(link)
    await bob.write('canary-bob ')
    await whenText(note.doc, 'canary-alice canary-bob ')
    await using mallory = story.device('mallory')
    await isTold(mallory.join(link), 'INVITE_USED_UP')
    assert.is(await mallory.spaces(), 0)
    // He may have lost the answer: it goes on letting him in.
    await bob.join(link)
    assert.equal(names(space), ['alice', 'bob'])
    await write(note, 'more')
    await bob.when({ text: 'canary-alice canary-bob more' })
    await isTold(mallory.join(link), 'INVITE_USED_UP')
    assert.is(await mallory.spaces(), 0)
  }
  const words = ['canary-space', ...canaries]
  assert.equal(await wordsIn(join(story.folder, 'mallory'), words), [])
  assert.equal(await wordsIn(join(story.folder, 'bob'), words), words)
})

test('of a thief and bob who race for a link one is let in, the other told; who came is seen, and put right', async () => {
  await using story = await stage()
  const space = await story.alice.createSpace({ name: 'Notes' })
  const note = await space.open('ideas')
  await write(note, 'alice ')
  const link = await space.invite()
  await using bob = story.device('bob')
  await using mallory = story.device('mallory')
  await Promise.all([bob.id(), mallory.id()])
  const [ofBob, ofMallory] = await Promise.allSettled([bob.join(link), mallory.join(link)])
  const isStolen = ofMallory.status === 'fulfilled'
  const lost = isStolen ? ofBob : ofMallory
  assert.ok(lost.status === 'rejected', 'one of them is let in')
  assert.match((lost.reason as Error).message, 'join: INVITE_USED_UP')
  if (isStolen) {
    await putRight(space, note, link, bob, mallory)
    const { text, entries } = await mallory.when({ role: null })
    assert.is(text, 'alice ')
    assert.is(entries, 1)
    return
  }
  assert.ok(ofBob.status === 'fulfilled', 'one of them is let in')
  assert.equal(names(space), ['alice', 'bob'])
  await bob.when({ text: 'alice ', role: 'writer' })
  assert.is(await mallory.spaces(), 0)
})

test.run()
