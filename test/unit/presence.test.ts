/** Presence: whose it is, who may pass it on, and what a malicious member can do with it. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Awareness, encodeAwarenessUpdate } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { fromHex } from '../../lib/bytes.ts'
import { signKeysFrom } from '../../lib/crypto.ts'
import type { Document, Space, SpaceEvents } from '../../lib/index.ts'
import { keyIdOf } from '../../lib/log/entry.ts'
import { DocumentPresence } from '../../lib/sync/document-presence.ts'
import {
  openPresence,
  readPresence,
  sealPresence,
  type SealedPresence
} from '../../lib/sync/presence-message.ts'
import { PresenceRelay, type PresencePeer } from '../../lib/sync/presence-relay.ts'
import { PresenceSealer } from '../../lib/sync/presence-sealer.ts'
import { documentIdOf } from '../../lib/trust/keys.ts'
import { device, spaceOf, waitMs, whenPeer, type Device, type MuxChannel } from '../devices.ts'
import { eventually, once } from '../events.ts'

const test = suite('presence')

const namesIn = (document: Document): string[] =>
  [...document.awareness.getStates().values()].map(({ name }) => String(name)).sort()

const channelTo = (from: Device, to: Device): MuxChannel =>
  from.channelsTo(to).find(({ protocol }) => protocol === 'skein/space/1')!

const peerError = (space: Space): Promise<SpaceEvents['peer-error']> =>
  once<SpaceEvents['peer-error']>((tell) => space.on('peer-error', tell), waitMs, 'a peer error')

function updateOf(clientId: number, state: object, times = 1): Uint8Array {
  const doc = new Y.Doc()
  doc.clientID = clientId
  const awareness = new Awareness(doc)
  for (let i = 0; i < times; i++) awareness.setLocalState(state)
  const update = encodeAwarenessUpdate(awareness, [clientId])
  awareness.destroy()
  return update
}

/** What seals a device's presence, taken from it: a member has all that this needs. */
function sealerOf(at: Device, document: Document): PresenceSealer {
  const found: PresenceSealer[] = []
  const read = Reflect.get(PresenceSealer.prototype, 'seal') as PresenceSealer['seal']
  PresenceSealer.prototype.seal = function (presence) {
    found.push(this)
    return read.call(this, presence)
  }
  document.awareness.setLocalState({ name: at.name })
  PresenceSealer.prototype.seal = read
  return found[0]!
}

// Among honest devices

test('devices that are not connected see each other through one that both are connected to', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice, bob, carol)
  await Promise.all([whenPeer(bob.space, carol), whenPeer(space, carol)])
  for (const [from, to] of [
    [alice, carol],
    [carol, alice]
  ] as const) {
    network.swallow(from.key, to.key)
  }
  network.cut(alice.key, carol.key)
  await whenPeer(space, carol, false)
  const [atAlice, atBob] = [await space.open('ideas'), await bob.space.open('ideas')]
  atAlice.awareness.setLocalState({ name: 'alice' })
  await eventually(() => namesIn(atBob).includes('alice'), { deadlineMs: waitMs })
  // One who opens it later asks whom it can reach.
  const atCarol = await carol.space.open('ideas')
  await eventually(() => namesIn(atCarol).includes('alice'), { deadlineMs: waitMs })
  atCarol.awareness.setLocalState({ name: 'carol' })
  await eventually(() => namesIn(atAlice).includes('carol'), { deadlineMs: waitMs })
  atCarol.awareness.setLocalState(null)
  await eventually(() => !namesIn(atAlice).includes('carol'), { deadlineMs: waitMs })
  // Nobody reaches her any more, once she is gone from the one in between.
  await alice.skein.close()
  await eventually(() => !namesIn(atCarol).includes('alice'), { deadlineMs: waitMs })
})

test('a device may be present several times, and all of them go with it', () => {
  const doc = new Y.Doc()
  const presence = new DocumentPresence(doc, () => {})
  const sessionOf = (
    clientCounter: number
  ): { device: string; clientCounter: number; clientId: number } => ({
    device: 'bob',
    clientCounter,
    clientId: 100 + clientCounter
  })
  for (const counter of [0, 1, 2]) {
    presence.receive(sessionOf(counter), updateOf(100 + counter, { tab: counter }))
  }
  assert.is(presence.awareness.getStates().size, 4)
  assert.equal(presence.awareness.getStates().get(101), { tab: 1 })
  for (let counter = 3; counter < 500; counter++) {
    presence.receive(sessionOf(counter), updateOf(100 + counter, {}))
  }
  assert.is(presence.awareness.getStates().size, 1 + 64)
  presence.remove('bob')
  assert.is(presence.awareness.getStates().size, 1)
  presence.destroy()
})

test('a message goes once to each, and to nobody who has it from its author', () => {
  // A ring of five, in which each is connected to both its neighbours.
  const names = ['a', 'b', 'c', 'd', 'e']
  const got: string[] = []
  let sent = 0
  const peersOf = new Map<string, PresencePeer[]>()
  const relays = new Map<string, PresenceRelay>()
  for (const name of names) {
    const relay = new PresenceRelay({
      clock: { now: () => 0, after: () => () => {}, soon: (callback) => callback() },
      me: name,
      peers: () => peersOf.get(name)!,
      isPresent: () => true,
      read: (bytes) => JSON.parse(Buffer.from(bytes).toString()) as SealedPresence,
      onPresence: () => got.push(name),
      onGone: () => {}
    })
    relays.set(name, relay)
  }
  const link = (from: string, to: string): PresencePeer => ({
    device: to,
    sendPresence: (bytes) => {
      sent++
      relays.get(to)!.receive(
        peersOf.get(to)!.find((peer) => peer.device === from)!,
        bytes
      )
    },
    sendNear: (near) =>
      relays.get(to)!.nearChanged(
        peersOf.get(to)!.find((peer) => peer.device === from)!,
        near
      )
  })
  const connect = (pairs: readonly (readonly [string, string])[]): void => {
    for (const name of names) {
      peersOf.set(
        name,
        pairs.flatMap(([a, b]) => (a === name ? [link(a, b)] : b === name ? [link(b, a)] : []))
      )
    }
    for (const relay of relays.values()) relay.peersChanged()
  }
  const say = (number: number): void => {
    sent = got.length = 0
    const message = { device: 'a', clientCounter: 0, number }
    const bytes = Buffer.from(JSON.stringify(message))
    relays.get('a')!.send({ ...message, bytes })
  }
  connect(names.map((name, i) => [name, names[(i + 1) % names.length]!]))
  say(1)
  assert.equal([...got].sort(), ['b', 'c', 'd', 'e'])
  assert.ok(sent <= 6, `${sent} messages`)
  // Where all are connected, nothing is passed on.
  connect(names.flatMap((a, i) => names.slice(i + 1).map((b) => [a, b] as const)))
  say(2)
  assert.equal([...got].sort(), ['b', 'c', 'd', 'e'])
  assert.is(sent, 4)
})

// Malicious ones

const space = new Uint8Array(32).fill(1)
const key = new Uint8Array(32).fill(2)
const keys = signKeysFrom(new Uint8Array(32).fill(3))

function sealed(number = 1, update = updateOf(7, { name: 'bob' })): SealedPresence {
  const nonce = new Uint8Array(24).fill(number)
  const presence = { document: '0102030405060708', clientCounter: 5, update }
  return sealPresence(presence, { space, device: keys, key, number, nonce })
}

test('a message opens under its key alone, and every changed bit is noticed', () => {
  const message = sealed()
  const keyOf = (id: Uint8Array): Uint8Array | null =>
    Buffer.from(id).equals(Buffer.from(keyIdOf(key))) ? key : null
  const presence = openPresence(readPresence(message.bytes, space), space, keyOf)!
  assert.is(presence.document, '0102030405060708')
  assert.is(presence.clientCounter, 5)
  assert.is(
    openPresence(message, space, () => null),
    null
  )
  for (let i = 0; i < message.bytes.length; i++) {
    for (const bit of [1, 128]) {
      const changed = Uint8Array.from(message.bytes)
      changed[i]! ^= bit
      assert.throws(() => readPresence(changed, space), /not signed|Not a valid|left over|bytes/)
    }
  }
  for (let length = 0; length < message.bytes.length; length++) {
    assert.throws(() => readPresence(message.bytes.slice(0, length), space))
  }
  assert.throws(() => readPresence(message.bytes, new Uint8Array(32)), /not signed/)
  assert.throws(() => sealed(1, new Uint8Array(4097)), /at most 4096/)
  assert.throws(() => readPresence(new Uint8Array(5000), space), /5000 bytes/)
})

test('presence under the client id of another device is refused, and its author named', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using mallory = await device('mallory', network)
  const at = await spaceOf(alice, bob, mallory)
  await Promise.all([whenPeer(at, mallory), whenPeer(bob.space, mallory)])
  const note = await at.open('ideas')
  note.awareness.setLocalState({ name: 'alice' })
  const copy = await bob.space.open('ideas')
  const sealer = sealerOf(mallory, await mallory.space.open('ideas'))
  const document = Buffer.from(documentIdOf(fromHex(at.id), 'ideas'), 'hex').toString('hex')
  const update = updateOf(note.doc.clientID, { name: 'mallory as alice' }, 9)
  const forged = sealer.seal({ document, clientCounter: 0, update })!
  const refused = [peerError(at), peerError(bob.space)]
  for (const to of [alice, bob]) channelTo(mallory, to).messages[1]!.send(forged.bytes)
  for (const { device: author } of await Promise.all(refused)) assert.is(author, mallory.id)
  assert.equal(note.awareness.getLocalState(), { name: 'alice' })
  await eventually(() => namesIn(copy).includes('alice'), { deadlineMs: waitMs })
  assert.not(namesIn(copy).includes('mallory as alice'))
})

test('what was altered on the way is refused, and who passed it on is named', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using mallory = await device('mallory', network)
  const at = await spaceOf(alice, mallory)
  await at.open('ideas')
  const opened = await mallory.space.open('ideas')
  const sealer = sealerOf(mallory, opened)
  const document = documentIdOf(fromHex(at.id), 'ideas')
  const update = updateOf(opened.doc.clientID, { name: 'x' })
  const { bytes } = sealer.seal({ document, clientCounter: 0, update })!
  bytes[bytes.length - 1]! ^= 1
  const refused = once<SpaceEvents['peer-error']>(
    (tell) => alice.skein.on('peer-error', tell),
    waitMs,
    'the error'
  )
  channelTo(mallory, alice).messages[1]!.send(bytes)
  const { device: by, error } = await refused
  assert.is(by, mallory.id)
  assert.is(error.code, 'BAD_SEAL')
  // The connection ends, and is dialled again.
  await whenPeer(at, mallory)
})

test('a flood is cut off, an old message shows nothing, and too large a state is told of', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using mallory = await device('mallory', network)
  const at = await spaceOf(alice, mallory)
  const note = await at.open('ideas')
  const opened = await mallory.space.open('ideas')
  const sealer = sealerOf(mallory, opened)
  const document = documentIdOf(fromHex(at.id), 'ideas')
  const { clientID } = opened.doc
  let changes = 0
  note.awareness.on('update', () => changes++)
  const messages = Array.from({ length: 3_000 }, (_, i) =>
    sealer.seal({ document, clientCounter: 0, update: updateOf(clientID, { i }, 2 + (i % 3)) })
  )
  const startedAt = performance.now()
  const channel = channelTo(mallory, alice).messages[1]!
  for (const message of messages) channel.send(message!.bytes)
  // Behind them on the same wire.
  opened.doc.getText('body').insert(0, 'x')
  await eventually(() => note.doc.getText('body').length === 1, { deadlineMs: waitMs })
  const seconds = Math.ceil((performance.now() - startedAt) / 1000) + 1
  assert.ok(changes <= 50 * seconds, `${changes} changes in ${seconds} s`)
  const before = changes
  for (const message of messages.slice(0, 40)) channel.send(message!.bytes)
  opened.doc.getText('body').insert(0, 'y')
  await eventually(() => note.doc.getText('body').length === 2, { deadlineMs: waitMs })
  assert.is(changes, before)
  const told = once<{ error: { code: string } }>((tell) => note.on('error', tell), waitMs, 'it')
  note.awareness.setLocalState({ name: 'x'.repeat(5_000) })
  assert.is((await told).error.code, 'ENTRY_TOO_LARGE')
})

test.run()
