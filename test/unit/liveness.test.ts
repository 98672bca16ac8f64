/**
 * Whatever the order of what crosses, once nobody writes any more everyone has everything: over links of random delays
 * that are cut at random, through hubs, on disks of random slowness, from a seed. What begins a connection anew that seems
 * stuck is switched off here: nothing may need it.
 *
 * Environment: LIVENESS_SEEDS how many seeds (1) · LIVENESS_DEVICES of how many devices (6) · SEED one seed, again.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MerkleTree } from 'hypercore/lib/merkle-tree.js'
import { suite } from 'uvu'
import { memory, MemoryNetwork } from '../../adapters/memory.ts'
import { platform } from '../../adapters/node/platform.ts'
import { fromHex } from '../../lib/bytes.ts'
import { Skein, type Document } from '../../lib/index.ts'
import { seededRandom } from '../fixtures/concurrent-traces.ts'
import { waitMs } from '../devices.ts'
import { deadline, eventually } from '../events.ts'

const test = suite('liveness')
const seeds = Number(process.env['LIVENESS_SEEDS'] ?? 1)
const deviceCount = Number(process.env['LIVENESS_DEVICES'] ?? 6)
const onlySeed = process.env['SEED']
const hubCount = 2
const editsEach = 12
const longestDelayMs = 30
const slowestReadMs = 40

/** Without the looks for what is lacking, a second apart. */
const { clock } = platform
const patient: typeof clock = {
  now: () => clock.now(),
  soon: (callback) => clock.soon(callback),
  after: (ms, callback) => (ms === 1_000 ? () => {} : clock.after(ms, callback))
}

interface Link {
  readonly network: MemoryNetwork
  readonly ends: readonly [number, number]
}

async function converges(seed: number): Promise<void> {
  const random = seededRandom(seed)
  const folder = await mkdtemp(join(tmpdir(), 'skein-liveness-'))
  const links: Link[] = []
  for (let hub = 0; hub < hubCount; hub++) {
    for (let other = hub + 1; other < deviceCount; other++) {
      links.push({ network: new MemoryNetwork(), ends: [hub, other] })
    }
  }
  const devices = Array.from({ length: deviceCount }, (_, i) => {
    const own = links.filter(({ ends }) => ends.includes(i))
    return new Skein({
      storage: join(folder, String(i)),
      transports: own.map(({ network }) => memory(network)),
      platform: { ...platform, clock: patient }
    })
  })
  const upgradeable = MerkleTree.upgradeable
  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
  try {
    for (const device of devices) await device.ready()
    const space = await devices[0]!.createSpace({ name: 'Notes' })
    const documents: Document[] = [await space.open('ideas')]
    for (const device of devices.slice(1)) {
      const joined = device.join(await space.invite(), { timeoutMs: waitMs })
      documents.push(await (await deadline(joined, waitMs, 'a device joins')).open('ideas'))
    }
    MerkleTree.upgradeable = async (session, length) => {
      await pause(random() * slowestReadMs)
      return upgradeable.call(MerkleTree, session, length)
    }
    const writing = documents.slice(hubCount).map(async ({ doc }) => {
      for (let edit = 0; edit < editsEach; edit++) {
        await pause(random() * 60)
        doc.getText('body').insert(0, 'x')
      }
    })
    for (let turn = 0; turn < 10; turn++) {
      for (const { network } of links) network.setDelay(random() * longestDelayMs)
      const { network, ends } = links[Math.floor(random() * links.length)]!
      if (random() < 0.5) network.cut(fromHex(devices[ends[0]]!.id), fromHex(devices[ends[1]]!.id))
      await pause(60)
    }
    await Promise.all(writing)
    const length = editsEach * (deviceCount - hubCount)
    const lengths = (): number[] => documents.map(({ doc }) => doc.getText('body').length)
    try {
      await eventually(() => lengths().every((one) => one === length), { deadlineMs: waitMs })
    } catch (cause) {
      throw new Error(`SEED=${seed}: of ${length}, they have ${lengths().join(', ')}`, { cause })
    }
  } finally {
    MerkleTree.upgradeable = upgradeable
    await Promise.all(devices.map((device) => device.close()))
    await rm(folder, { recursive: true })
  }
}

test('once nobody writes, everyone has everything', async () => {
  if (onlySeed !== undefined) return converges(Number(onlySeed))
  for (let seed = 1; seed <= seeds; seed++) await converges(seed)
})

test.run()
