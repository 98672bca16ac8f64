/** A member who is given an invite to a higher role than its own, or to none higher. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { device, joinAs, rejects, spaceOf, until, waitMs, whenPeer, whenText } from '../devices.ts'
import { MemoryNetwork } from '../../adapters/memory.ts'

const test = suite('promotion')

test('a reader becomes a writer by an invite, and what it writes counts everywhere', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice, carol)
  const note = await space.open('ideas')
  note.doc.getText('body').insert(0, 'alice')
  const joined = await joinAs(space, bob, { role: 'reader' })
  const bobs = await joined.open('ideas')
  await whenText(bobs.doc, 'alice')
  assert.ok(bobs.readOnly)

  const again = await joinAs(space, bob, { role: 'writer' })
  assert.is(again, joined)
  assert.is(joined.role, 'writer')
  assert.not(bobs.readOnly)
  assert.is(bobs.doc.getText('body').toString(), 'alice')
  bobs.doc.getText('body').insert(5, ' and bob')
  await bobs.saved({ peers: 1 })
  const carols = await carol.space.open('ideas')
  for (const { doc } of [note, carols]) await whenText(doc, 'alice and bob')

  await bob.restart()
  assert.is(bob.space.role, 'writer')
  const later = await bob.space.open('ideas')
  later.doc.getText('body').insert(0, 'carol, ')
  for (const { doc } of [note, carols]) await whenText(doc, 'carol, alice and bob')
})

test('a writer becomes an admin by an invite, and may invite itself', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice, bob)
  await rejects(bob.space.invite(), 'NOT_ALLOWED')
  await joinAs(space, bob, { role: 'admin' })
  await joinAs(bob.space, carol)
  await until(
    (listener) => space.on('members', listener),
    () => space.members().some(({ device, role }) => device === carol.id && role === 'writer')
  )
  const names = space.members().map(({ name }) => name)
  assert.equal(names, ['alice', 'bob', 'carol'])
})

test('an invite to no higher role asks nobody, and is still there for another', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice, bob)
  const invite = await space.invite({ role: 'reader' })
  assert.is(await bob.skein.join(invite, { timeoutMs: waitMs }), bob.space)
  assert.is(bob.space.role, 'writer')
  const joined = await carol.skein.join(invite, { timeoutMs: waitMs })
  assert.is(joined.role, 'reader')
})

test('a member is refused a higher role as anyone would be', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice, bob)
  await whenPeer(bob.space, alice)
  const invite = await space.invite({ role: 'admin' })
  await carol.skein.join(invite, { timeoutMs: waitMs })
  await rejects(bob.skein.join(invite, { timeoutMs: waitMs }), 'INVITE_USED_UP')
  assert.is(bob.space.role, 'writer')
})

test.run()
