/** Blocks that are sent before they are asked for (lib/log/push.ts): how fast they come, and what must not come of them. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import Hypercore from 'hypercore'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { device, spaceOf, waitMs, whenPeer, whenSynced, whenText } from '../devices.ts'
import { allowPush, guardConflicts } from '../../lib/log/push.ts'
import { deadline, eventually } from '../events.ts'

const test = suite('push')

/** What the library itself does not use of a hypercore. */
interface Raw extends Hypercore {
  replicate(isInitiator: boolean): Duplex
}
interface RawPeer {
  readonly remoteAllowPush: boolean
  push(index: number): Promise<void>
}
const Raw = Hypercore as unknown as new (folder: string, key?: Uint8Array) => Raw

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
  guardConflicts(copy)
  let conflicts = 0
  copy.on('conflict', () => conflicts++)
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

test.run()
