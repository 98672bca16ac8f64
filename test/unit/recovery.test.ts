/** A space with a cold owner: taken back with its printed key by a new device, also from the owner who was robbed. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MemoryNetwork } from '../../adapters/memory.ts'
import type { Space } from '../../lib/index.ts'
import { deadline } from '../events.ts'
import {
  device,
  joinAs,
  rejects,
  until,
  waitMs,
  whenPeer,
  whenText,
  type Device
} from '../devices.ts'

const test = suite('recovery')

function whenRole(space: Space, of: Device, role: string | null): Promise<void> {
  return until(
    (listener) => space.on('members', listener),
    () => (space.members().find(({ device: id }) => id === of.id)?.role ?? null) === role,
    `${of.name} is ${role ?? 'out'}`
  )
}

test('with the printed key a new device takes the space back through a writer, reads it, and removes the owner', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using fresh = await device('new laptop', network)
  const space = await alice.skein.createSpace({ name: 'Notes', recovery: true })
  const key = space.recoveryKey!
  assert.match(key, /^skein-recovery:/)
  await joinAs(space, bob)
  const note = await space.open('ideas')
  note.doc.getText('body').insert(0, 'Hello')
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob holds it')
  // Stolen, and not online.
  await alice.skein.close()
  const taken = await deadline(fresh.skein.recover(key), waitMs, 'the space is taken back')
  assert.is(taken.role, 'admin')
  await whenText((await taken.open('ideas')).doc, 'Hello')
  await rejects(taken.remove(alice.id), 'NOT_ALLOWED')
  await taken.remove(alice.id, { recoveryKey: key })
  await whenRole(bob.space, alice, null)
  await fresh.restart()
  await whenRole(fresh.space, fresh, 'admin')
  assert.is(fresh.space.recoveryKey, null)
  await whenPeer(fresh.space, bob)
  const copy = await bob.space.open('ideas')
  copy.doc.getText('body').insert(5, ' again')
  await copy.saved()
  await whenText((await fresh.space.open('ideas')).doc, 'Hello again')
  await alice.start()
  await whenRole(alice.space, alice, null)
  assert.ok(alice.space.readOnly)
})

test('a recovery key that is mistyped, or of another space, does nothing', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await alice.skein.createSpace({ name: 'Notes', recovery: true })
  const other = await alice.skein.createSpace({ name: 'Other', recovery: true })
  const key = space.recoveryKey!
  await rejects(bob.skein.recover(key.slice(0, -2)), 'INVITE_INVALID')
  await rejects(bob.skein.recover(key.replace('skein-recovery:', 'skein:')), 'INVITE_INVALID')
  await rejects(space.remove(alice.id, { recoveryKey: other.recoveryKey! }), 'INVITE_INVALID')
  assert.is(space.members().length, 2)
  const plain = await alice.skein.createSpace({ name: 'Plain' })
  assert.is(plain.recoveryKey, null)
})

test.run()
