/**
 * One keystroke's way from one process to another over a private DHT on loopback: through Skein (encoding, validation,
 * sealing, outbox, log; then log, opening, validation, document), and as a block of the same size through bare
 * hypercores in the same two processes. In blocks that take turns: one edit every 20 ms, and ping-pong.
 */
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { runDht } from 'skein/adapters/dht'
import { Child } from './child.ts'
import type { LinkName } from './links.ts'
import { nowMs, pause, scratch, spread, type Spread } from './measure.ts'

const names = ['skein', 'live', 'push'] as const
const gapMs = 20
const longestBlock = 25

export type ByLink = Record<LinkName, Spread>

export interface LatencyResult {
  /** What one keystroke takes in the log. */
  readonly blockBytes: number
  /** An edit every 20 ms. */
  readonly spaced: ByLink
  readonly pingPong: ByLink
  /** What Skein does beyond the others, on this disk and meanwhile: writing a block to a file, and `fdatasync`. */
  readonly disk: Spread
}

export async function latency(edits: number): Promise<LatencyResult> {
  const aBlock = Math.min(edits, longestBlock)
  await using folder = await scratch()
  const dht = await runDht()
  try {
    const { bootstrap } = dht
    await using alice = new Child()
    await using bob = new Child()
    const folders = [join(folder.path, 'alice'), join(folder.path, 'bob')] as const
    await alice.call('meet', { folder: folders[0], bootstrap })
    await bob.call('meet', { folder: folders[1], bootstrap })
    await alice.call('create')
    await bob.call('join', { invite: await alice.call('invite', { uses: 1 }) })
    const keys = [await alice.call('barePublicKey'), await bob.call('barePublicKey')] as const
    await alice.call('linkBare', { folder: folders[0], bootstrap, other: keys[1] })
    await bob.call('linkBare', { folder: folders[1], bootstrap, other: keys[0] })
    for (const child of [alice, bob]) await child.call('linkSkein')
    const blockBytes = await warmUp(alice, bob, aBlock)

    const spaced = empty()
    const pingPong = empty()
    const disk: number[] = []
    for (let done = 0; done < edits; done += aBlock) {
      disk.push(...(await syncs(join(folder.path, 'disk'), blockBytes, aBlock)))
      for (const link of names) {
        await alice.call('type', { link, count: aBlock, gapMs })
        await bob.call('arrivals', { link, count: aBlock })
        const [{ writtenAt }, { arrivedAt }] = [
          await alice.call('take', { link }),
          await bob.call('take', { link })
        ]
        spaced[link].push(...ways(writtenAt, arrivedAt))
      }
      for (const link of names) {
        await Promise.all([
          bob.call('pingPong', { link, count: aBlock, begins: false }),
          alice.call('pingPong', { link, count: aBlock, begins: true })
        ])
        const a = await alice.call('take', { link })
        const b = await bob.call('take', { link })
        pingPong[link].push(...ways(a.writtenAt, b.arrivedAt), ...ways(b.writtenAt, a.arrivedAt))
      }
    }
    return { blockBytes, spaced: spreads(spaced), pingPong: spreads(pingPong), disk: spread(disk) }
  } finally {
    await dht.close()
  }
}

/** Some edits on each link, both ways; gives the bare links blocks of the size that Skein's have. */
async function warmUp(alice: Child, bob: Child, count: number): Promise<number> {
  await type(alice, bob, 'skein', count)
  await alice.call('saved')
  const before = await alice.call('logBytes')
  await type(alice, bob, 'skein', 1)
  await alice.call('saved')
  const blockBytes = (await alice.call('logBytes')) - before
  await type(alice, bob, 'skein', count)
  await type(bob, alice, 'skein', count)
  for (const child of [alice, bob]) await child.call('setBlockBytes', { bytes: blockBytes })
  for (const link of ['live', 'push'] as const) {
    await type(alice, bob, link, count)
    await type(bob, alice, link, count)
  }
  for (const child of [alice, bob]) await child.call('allowPush')
  return blockBytes
}

async function syncs(path: string, bytes: number, count: number): Promise<number[]> {
  const file = await open(path, 'a')
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    const startedAt = nowMs()
    await file.write(new Uint8Array(bytes))
    await file.datasync()
    times.push(nowMs() - startedAt)
    await pause(gapMs)
  }
  await file.close()
  return times
}

async function type(from: Child, to: Child, link: LinkName, count: number): Promise<void> {
  await from.call('type', { link, count, gapMs })
  await to.call('arrivals', { link, count })
  for (const child of [from, to]) await child.call('take', { link })
}

function ways(writtenAt: readonly number[], arrivedAt: readonly number[]): number[] {
  if (writtenAt.length !== arrivedAt.length) {
    throw new RangeError(`${writtenAt.length} edits were written and ${arrivedAt.length} arrived`)
  }
  return arrivedAt.map((at, i) => at - writtenAt[i]!)
}

function empty(): Record<LinkName, number[]> {
  return { skein: [], live: [], push: [] }
}

function spreads(ways: Record<LinkName, number[]>): ByLink {
  return { skein: spread(ways.skein), live: spread(ways.live), push: spread(ways.push) }
}
