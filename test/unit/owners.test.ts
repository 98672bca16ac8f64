/** A space with several owners, named by their introductions when it is made. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MemoryNetwork } from '../../adapters/memory.ts'
import type { Space } from '../../lib/index.ts'
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
import { deadline } from '../events.ts'

const test = suite('owners')

function roles(space: Space): string[] {
  return space.members().map(({ name, role }) => `${name} ${role}`)
}

function whenRole(space: Space, of: Device, role: string | null): Promise<void> {
  return until(
    (listener) => space.on('members', listener),
    () => (space.members().find(({ device: id }) => id === of.id)?.role ?? null) === role,
    `${of.name} is ${role ?? 'out'}`
  )
}

test('owners that are named come in by any invite, read and write, and have the power of owners', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  await using dave = await device('dave', network)
  const owners = [bob.skein.introduction, `  ${carol.skein.introduction}\n`]
  const space = await alice.skein.createSpace({ name: 'Notes', owners, recovery: true })
  const all = ['recovery key owner', 'alice owner', 'bob owner', 'carol owner']
  assert.equal(roles(space), all)
  const note = await space.open('ideas')
  note.doc.getText('body').insert(0, 'alice')
  await note.saved()

  // It gives bob no less than he has, and is used up by him.
  const link = await space.invite({ role: 'reader' })
  await deadline(bob.skein.join(link, { timeoutMs: waitMs }), waitMs, 'bob joins')
  assert.is(bob.space.role, 'owner')
  assert.not(bob.space.readOnly)
  assert.equal(await space.invites(), [])
  await rejects(carol.skein.join(link, { timeoutMs: waitMs }), 'INVITE_USED_UP')
  assert.is(await bob.skein.join(link), bob.space)
  const atBob = await bob.space.open('ideas')
  await whenText(atBob.doc, 'alice')
  atBob.doc.getText('body').insert(5, ' bob')
  await whenText(note.doc, 'alice bob')

  // Bob may let admins in, and carol; she is below him, and he is below alice.
  await joinAs(bob.space, carol, { role: 'writer' })
  assert.is(carol.space.role, 'owner')
  assert.is((await joinAs(bob.space, dave, { role: 'admin' })).role, 'admin')
  assert.equal(roles(carol.space), [...all, 'dave admin'])
  await rejects(carol.space.remove(bob.id), 'NOT_ALLOWED')
  await rejects(bob.space.remove(alice.id), 'NOT_ALLOWED')
  await rejects(dave.space.remove(carol.id), 'NOT_ALLOWED')
  await bob.space.remove(carol.id)
  await whenRole(space, carol, null)
  await whenRole(carol.space, carol, null)
  await alice.restart()
  await whenPeer(alice.space, bob)
  await alice.space.remove(bob.id)
  await whenRole(bob.space, bob, null)
  assert.equal(roles(alice.space), ['recovery key owner', 'alice owner', 'dave admin'])
  await whenRole(dave.space, bob, null)
})

test('without a recovery key, and where one comes in by a bundle; nobody takes the space back by an owner’s key', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', new MemoryNetwork())
  const owners = [bob.skein.introduction]
  const space = await alice.skein.createSpace({ name: 'Notes', owners })
  assert.is(space.recoveryKey, null)
  const note = await space.open('ideas')
  note.doc.getText('body').insert(0, 'alice')
  await note.saved()
  const pieces: Uint8Array[] = []
  for await (const piece of space.export({ for: bob.skein.introduction })) pieces.push(piece)
  const { space: atBob } = await bob.skein.import(
    (async function* () {
      yield* pieces
    })()
  )
  assert.is(atBob.role, 'owner')
  await whenText((await atBob.open('ideas')).doc, 'alice')
  // Founded once, also when it is opened again: bob is no founder, and alice is.
  await Promise.all([alice.restart(), bob.restart()])
  assert.equal(roles(bob.space), ['alice owner', 'bob owner'])
  for await (const { kind, author } of alice.space.history())
    if (kind === 'genesis') assert.is(author, 'alice')
})

test('what names no device, or one twice, is refused, and no space is made', async () => {
  await using alice = await device('alice')
  await using bob = await device('bob')
  const { introduction } = bob.skein
  for (const owners of [
    [''],
    ['skein-device:AAAA'],
    [introduction.slice(0, -1)],
    [introduction, introduction],
    [alice.skein.introduction]
  ])
    await rejects(alice.skein.createSpace({ name: 'Notes', owners }), 'INVITE_INVALID')
  assert.equal(alice.skein.spaces(), [])
})

test.run()
