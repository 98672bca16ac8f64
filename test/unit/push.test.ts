/** Blocks that are sent before they are asked for (lib/log/push.ts): how fast they come, and what must not come of them. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import Hypercore from 'hypercore'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { equalBytes, fromHex } from '../../lib/bytes.ts'
import { logKeyOf } from '../../lib/log/log.ts'
import {
  device,
  spaceOf,
  waitMs,
  whenPeer,
  whenSynced,
  whenText,
  type Device,
  type MuxChannel
} from '../devices.ts'
import {
  allowPush,
  awaitPushes,
  forgiveMisfits,
  guardConflicts,
  heedRequests,
  lookQuietly,
  pushBlocks,
  type Guesses
} from '../../lib/log/push.ts'
import { deadline, eventually } from '../events.ts'

const test = suite('push')

/** What the library itself does not use of a hypercore. */
interface Raw extends Hypercore {
  replicate(isInitiator: boolean): Duplex
  on(event: string, listener: (...args: never[]) => void): this
}
interface RawPeer {
  readonly remoteAllowPush: boolean
  readonly remoteLength: number
  push(index: number): Promise<void>
  _handleRequest(request: { upgrade: { start: number; length: number } }): Promise<void>
}
const Raw = Hypercore as unknown as new (folder: string, key?: Uint8Array) => Raw

// What bob sends to alice vanishes below: so what he gets of her, he cannot have asked for.

/** Resolves once `from` has heard that `to` takes pushes of what `author` writes. */
async function whenTakesPushes(from: Device, to: Device, author = from): Promise<void> {
  const key = logKeyOf({ space: fromHex(from.space.id), device: author.key, core: 'content/0' })
  const takesThem = ({ userData }: MuxChannel): boolean => {
    const peer = userData as { core?: { header: { key: Uint8Array } }; remoteAllowPush: boolean }
    return peer?.core !== undefined && equalBytes(peer.core.header.key, key) && peer.remoteAllowPush
  }
  const what = `${to.name} takes pushes`
  await eventually(() => from.channelsTo(to).some(takesThem), { deadlineMs: waitMs, what })
}

test('an edit comes without being asked for, after one way and not three', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const [note, copy] = [await space.open('ideas'), await bob.space.open('ideas')]
  note.doc.getText('body').insert(0, 'a')
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob is level')
  await whenTakesPushes(alice, bob)
  network.swallow(bob.key, alice.key)
  for (const text of ['ab', 'abc', 'abcd']) {
    note.doc.getText('body').insert(text.length - 1, text.at(-1)!)
    await whenText(copy.doc, text)
  }
})

test('what was missed while away is fetched, and then edits come unasked again', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const [note, copy] = [await space.open('ideas'), await bob.space.open('ideas')]
  note.doc.getText('body').insert(0, 'a')
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob is level')
  for (let round = 0; round < 3; round++) {
    network.partition([[alice.key], [bob.key]])
    await whenPeer(space, bob, false)
    await whenPeer(bob.space, alice, false)
    for (let i = 0; i < 5; i++) {
      note.doc.getText('body').insert(0, 'x')
      await note.saved()
    }
    network.heal()
    await whenText(copy.doc, note.doc.getText('body').toString())
    await deadline(note.saved({ peers: 1 }), waitMs, 'bob is level')
    await whenTakesPushes(alice, bob)
    network.swallow(bob.key, alice.key)
    note.doc.getText('body').insert(0, 'y')
    await whenText(copy.doc, note.doc.getText('body').toString())
    network.swallow(bob.key, alice.key, false)
  }
})

test('what was pushed is pushed on to who is not connected to its author', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice, bob, carol)
  const [note, copy] = [await space.open('ideas'), await carol.space.open('ideas')]
  await whenPeer(bob.space, carol)
  note.doc.getText('body').insert(0, 'a')
  await deadline(bob.space.saved({ peers: 2 }), waitMs, 'all hold the same')
  await whenText(copy.doc, 'a')
  await deadline(bob.space.saved({ peers: 2 }), waitMs, 'carol is level')
  await whenTakesPushes(bob, carol, alice)
  network.pause(alice.key, carol.key)
  network.swallow(carol.key, bob.key)
  note.doc.getText('body').insert(1, 'b')
  await whenText(copy.doc, 'ab')
})

// Crossing once

test('while pushes come nothing is fetched, and one that is lost is fetched after all', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-push-'))
  const written = new Raw(join(folder, 'alice'))
  await written.ready()
  const copy = new Raw(join(folder, 'bob'), written.key)
  await copy.ready()
  awaitPushes(copy)
  let sent = 0
  written.on('upload', () => sent++)
  const streams = [written.replicate(true), copy.replicate(false)] as const
  streams[0].pipe(streams[1]).pipe(streams[0])
  copy.download({ start: 0, end: -1 })
  await written.append(new Uint8Array(1))
  await eventually(() => copy.contiguousLength === 1)
  allowPush(copy, true)
  const peer = written.core.replicator.peers[0] as unknown as RawPeer
  await eventually(() => peer.remoteAllowPush)
  const append = async (): Promise<void> => {
    const { length } = await written.append(new Uint8Array(1))
    pushBlocks(written, length - 1, length)
  }
  // Which comes first, the push or the answer to a request, is open until a push has come.
  await eventually(async () => {
    await append()
    await eventually(() => copy.contiguousLength === written.length)
    return copy.core.replicator.pushOnly
  })
  await eventually(() => peer.remoteLength === written.length)
  const before = { sent, length: written.length }
  for (let i = 0; i < 20; i++) {
    await append()
    await eventually(() => copy.contiguousLength === written.length)
  }
  assert.is(sent - before.sent, written.length - before.length)
  // Announced, and not pushed.
  await written.append(new Uint8Array(1))
  await eventually(() => copy.peers[0]?.remoteLength === written.length)
  assert.is(copy.contiguousLength, written.length - 1)
  allowPush(copy, false)
  await eventually(() => copy.contiguousLength === written.length)
  for (const stream of streams) stream.destroy()
  await written.close()
  await copy.close()
  await rm(folder, { recursive: true })
})

test('an answer that does not fit, though no pushes are taken, is asked for again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-push-'))
  const written = new Raw(join(folder, 'alice'))
  await written.ready()
  const copy = new Raw(join(folder, 'bob'), written.key)
  await copy.ready()
  forgiveMisfits(copy)
  const streams = [written.replicate(true), copy.replicate(false)] as const
  streams[0].pipe(streams[1]).pipe(streams[0])
  copy.download({ start: 0, end: -1 })
  for (let i = 0; i < 3; i++) await written.append(new Uint8Array(1))
  await eventually(() => copy.contiguousLength === 3)
  let misfits = 0
  copy.on('verification-error', () => misfits++)
  // As if another peer had brought bob on meanwhile.
  const peer = written.core.replicator.peers[0] as unknown as RawPeer
  const handle = peer._handleRequest.bind(peer)
  peer._handleRequest = (request) => {
    peer._handleRequest = handle
    request.upgrade.start--
    request.upgrade.length++
    return handle(request)
  }
  await written.append(new Uint8Array(1))
  await eventually(() => copy.contiguousLength === 4)
  assert.is(misfits, 1)
  for (const stream of streams) stream.destroy()
  await written.close()
  await copy.close()
  await rm(folder, { recursive: true })
})

test('who got pushes and was away fetches what came meanwhile, also from another', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice, bob, carol)
  const [note, copy] = [await space.open('ideas'), await carol.space.open('ideas')]
  await whenPeer(bob.space, carol)
  for (const text of ['a', 'ab', 'abc', 'abcd']) {
    note.doc.getText('body').insert(text.length - 1, text.at(-1)!)
    await whenText(copy.doc, text)
  }
  await deadline(note.saved({ peers: 2 }), waitMs, 'both are level')
  // Carol reaches nobody.
  network.partition([[alice.key, bob.key], [carol.key]])
  await whenPeer(space, carol, false)
  await whenPeer(bob.space, carol, false)
  note.doc.getText('body').insert(4, 'e')
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob has it')
  network.heal()
  await whenText(copy.doc, 'abcde')
})

// After a reconnect

interface Copies {
  readonly written: Raw
  readonly copy: Raw
  /** Of the copy, as its author sees it. */
  readonly peer: RawPeer
}

/** A log of three blocks and a copy of it, connected anew. */
async function withCopies(use: (copies: Copies) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'skein-push-'))
  const written = new Raw(join(folder, 'alice'))
  await written.ready()
  const copy = new Raw(join(folder, 'bob'), written.key)
  await copy.ready()
  for (const core of [written, copy]) heedRequests(core)
  copy.download({ start: 0, end: -1 })
  const connect = (): Duplex[] => {
    const streams = [written.replicate(true), copy.replicate(false)] as const
    streams[0].pipe(streams[1]).pipe(streams[0])
    for (const stream of streams) stream.on('error', () => {})
    return [...streams]
  }
  const first = connect()
  await written.append([new Uint8Array(1), new Uint8Array(1), new Uint8Array(1)])
  await eventually(() => copy.contiguousLength === 3)
  for (const stream of first) stream.destroy()
  await eventually(() => written.peers.length + copy.peers.length === 0)
  const streams = connect()
  await eventually(() => [written, copy].every((core) => core.peers[0]?.remoteLength === 3))
  await use({ written, copy, peer: written.core.replicator.peers[0]! as unknown as RawPeer })
  for (const stream of streams) stream.destroy()
  await written.close()
  await copy.close()
  await rm(folder, { recursive: true })
}

test('what is asked for after a reconnect by a peer that allows pushes fits', async () => {
  await withCopies(async ({ written, copy, peer }) => {
    let misfits = 0
    copy.on('verification-error', () => misfits++)
    copy.core.replicator.setAllowPush(true)
    await eventually(() => peer.remoteAllowPush)
    await written.append(new Uint8Array(1))
    await eventually(() => copy.contiguousLength === 4)
    assert.is(misfits, 0)
  })
})

test('who has all there is gets the next block before its word that it takes pushes has come', async () => {
  await withCopies(async ({ written, copy, peer }) => {
    copy.core.replicator.allowPush = true // Without a word.
    copy.core.replicator.setPushOnly(true) // It asks for nothing.
    assert.is(peer.remoteAllowPush, false)
    await written.append(new Uint8Array(1))
    pushBlocks(written, 3, 4, new WeakMap())
    await eventually(() => copy.contiguousLength === 4)
  })
})

test('who turns out to take no pushes is soon sent none, and fetches', async () => {
  await withCopies(async ({ written, copy }) => {
    const guesses: Guesses = new WeakMap()
    let sent = 0
    written.on('upload', () => sent++)
    for (let length = 4; length <= 13; length++) {
      await written.append(new Uint8Array(1))
      pushBlocks(written, length - 1, length, guesses)
      await eventually(() => copy.contiguousLength === length)
      await eventually(() => written.peers[0]!.remoteLength === length)
    }
    assert.ok(sent > 10 && sent <= 14, `${sent} blocks were sent for 10`)
  })
})

// False forks

test('the first block of a log that comes from two sides at once is no conflict', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice, bob, carol)
  await whenPeer(bob.space, carol)
  for (const one of [alice, bob, carol]) await whenSynced(one.space)
  const note = await space.open('ideas')
  const copy = await carol.space.open('ideas')
  // Carol gets it from bob, and then once more from alice, who could not know.
  network.pause(alice.key, carol.key)
  note.doc.getText('body').insert(0, 'a')
  await whenText(copy.doc, 'a')
  network.resume(alice.key, carol.key)
  await deadline(note.saved({ peers: 2 }), waitMs, 'both hold it')
  note.doc.getText('body').insert(1, 'b')
  await whenText(copy.doc, 'ab')
})

test('a peer that pushes a log from its first block again freezes nothing', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-push-'))
  const written = new Raw(join(folder, 'alice'))
  await written.ready()
  const copy = new Raw(join(folder, 'bob'), written.key)
  await copy.ready()
  let conflicts = 0
  guardConflicts(copy, () => conflicts++)
  const streams = [written.replicate(true), copy.replicate(false)] as const
  streams[0].pipe(streams[1]).pipe(streams[0])
  await written.append(['one', 'two'].map((text) => new TextEncoder().encode(text)))
  copy.download({ start: 0, end: -1 })
  await eventually(() => copy.contiguousLength === 2)
  // As if alice did not know what bob has.
  const peer = written.core.replicator.peers[0] as unknown as RawPeer
  allowPush(copy, true)
  await eventually(() => peer.remoteAllowPush)
  Object.assign(peer, { remoteLength: 0, pushedLength: 0, remoteBitfield: { get: () => false } })
  await peer.push(1)
  await written.append([new TextEncoder().encode('three')])
  allowPush(copy, false)
  await eventually(() => copy.contiguousLength === 3)
  assert.is(conflicts, 0)
  for (const stream of streams) stream.destroy()
  await written.close()
  await copy.close()
  await rm(folder, { recursive: true })
})

test('a look for blocks that falls into the closing of the store fails nobody', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-push-'))
  const core = new Raw(folder)
  await core.ready()
  lookQuietly(core)
  await core.close()
  await core.core.replicator._resolveBlocksLocally()
  await rm(folder, { recursive: true })
})

test.run()
