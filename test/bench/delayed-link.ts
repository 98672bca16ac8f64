/**
 * One keystroke's way over a link that delays 50 ms each way: Skein, and bare hypercore downloading live and pushed.
 * Then the same after the connection was cut and came back, with edits made on both sides in between.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Skein } from 'skein'
import { memory, MemoryNetwork } from 'skein/adapters/memory'
import { fromHex } from '../../lib/bytes.ts'
import { signKeysFrom } from '../../lib/crypto.ts'
import type { DeviceKeys } from '../../lib/transport.ts'
import { deadline, eventually } from '../events.ts'
import { BareLinks, SkeinLink, type Link } from './links.ts'
import { median, pause, scratch } from './measure.ts'

const delayMs = 50
const gapMs = 250
const warmUpGapMs = 20
const blockBytes = 137

export interface DelayedLinkResult {
  readonly delayMs: number
  /** Medians. */
  readonly skeinMs: number
  readonly liveMs: number
  readonly pushMs: number
  /** After a reconnect: the first edit as soon as both are in sync, and the median of those that follow. */
  readonly firstAgainMs: number
  readonly skeinAgainMs: number
  /** Both texts are equal at the end. */
  readonly agrees: boolean
}

export async function delayedLink(edits: number): Promise<DelayedLinkResult> {
  await using folder = await scratch()
  const network = new MemoryNetwork()
  const [alice, bob] = ['alice', 'bob'].map(
    (name) => new Skein({ storage: join(folder.path, name), transports: [memory(network)] })
  ) as [Skein, Skein]
  await alice.ready()
  const space = await alice.createSpace({ name: 'bench' })
  const ours = await space.open('live')
  const theirs = await (await bob.join(await space.invite())).open('live')
  const links = [new SkeinLink(ours), new SkeinLink(theirs)] as const
  const bare = await bareLinks(folder.path)
  // Everything has been exchanged once.
  await ways(links[0], links[1], 3, warmUpGapMs)
  await ways(links[1], links[0], 3, warmUpGapMs)
  await Promise.all([ours.whenSynced(), theirs.whenSynced()])
  for (const name of ['live', 'push'] as const)
    await ways(bare.alice[name], bare.bob[name], 3, warmUpGapMs)
  bare.bob.push.allowPush(true)

  for (const wires of [network, bare.network]) wires.setDelay(delayMs)
  await pause(gapMs)
  const skein = await ways(links[0], links[1], edits)
  const live = await ways(bare.alice.live, bare.bob.live, edits)
  const push = await ways(bare.alice.push, bare.bob.push, edits)

  network.partition([[fromHex(alice.id)], [fromHex(bob.id)]])
  await eventually(() => !ours.connected && !theirs.connected)
  for (const link of links) for (let i = 0; i < 3; i++) link.write()
  await Promise.all([ours.saved(), theirs.saved()])
  network.heal()
  await eventually(() => links.every((link) => link.arrivals === 3), { deadlineMs: 10_000 })
  await Promise.all([ours.whenSynced(), theirs.whenSynced()])
  for (const link of links) link.take()
  const [firstAgain] = await ways(links[0], links[1], 1)
  const again = await ways(links[0], links[1], edits)
  const agrees = ours.doc.getText('live').toString() === theirs.doc.getText('live').toString()

  await Promise.all([alice.close(), bob.close()])
  await bare.close()
  return {
    delayMs,
    skeinMs: median(skein),
    liveMs: median(live),
    pushMs: median(push),
    firstAgainMs: firstAgain!,
    skeinAgainMs: median(again),
    agrees
  }
}

/** How long each of some edits takes from one end to the other. */
async function ways(from: Link, to: Link, count: number, everyMs = gapMs): Promise<number[]> {
  for (let i = 0; i < count; i++) {
    from.write()
    if (i < count - 1) await pause(everyMs)
  }
  const arrived = eventually(() => to.arrivals === count, { deadlineMs: 10_000 })
  await deadline(arrived, 11_000, `${count} edits`)
  const { writtenAt } = from.take()
  const { arrivedAt } = to.take()
  return arrivedAt.map((at, i) => at - writtenAt[i]!)
}

async function bareLinks(folder: string) {
  const network = new MemoryNetwork()
  const keys = [signKeysFrom(randomBytes(32)), signKeysFrom(randomBytes(32))] as const
  const open = async (name: string, own: DeviceKeys, other: DeviceKeys) => {
    const links = await BareLinks.open(join(folder, `bare-${name}`), own, other.publicKey)
    links.blockBytes = blockBytes
    const transport = memory(network)
    transport.on('connection', ({ stream }) => links.replicate(stream))
    await transport.open(own)
    await transport.join(new Uint8Array(32))
    return { links, transport }
  }
  const alice = await open('alice', keys[0], keys[1])
  const bob = await open('bob', keys[1], keys[0])
  return {
    network,
    alice: alice.links,
    bob: bob.links,
    async close() {
      for (const { links, transport } of [alice, bob]) {
        await transport.close()
        await links.store.close()
      }
    }
  }
}
