/**
 * Two people typing at once (`friendsforever`, played by `examples/demo`): what both logs take against the final state,
 * and why. Over the memory transport, as fast as each author's next edit has what it builds upon.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Skein, type Document } from 'skein'
import { memory, MemoryNetwork } from 'skein/adapters/memory'
import * as Y from 'yjs'
import { Player } from '../../examples/demo/player.ts'
import { planTrace, type Plan } from '../../examples/demo/plan.ts'
import { readTrace, type Trace } from '../../examples/demo/trace.ts'
import { logSize, type LogPlace } from './log-size.ts'
import { nowMs, scratch, turn } from './measure.ts'

/** What a block holds besides its sealed text: version, key id, nonce and authentication tag. */
const sealBytes = 1 + 32 + 24 + 16

export interface ConcurrentResult {
  readonly transactions: number
  readonly ms: number
  readonly entries: number
  readonly bytes: number
  /** Of the bytes, what seals the entries. */
  readonly sealBytes: number
  /** The final state, Yjs V1. */
  readonly stateBytes: number
  readonly ratio: number
  /** On each device, whether it is the recording's end. */
  readonly agrees: readonly boolean[]
}

export function friendsforever(): Promise<Trace> {
  return readTrace(fileURLToPath(new URL('../fixtures/friendsforever.json.gz', import.meta.url)))
}

export async function concurrent(trace: Trace): Promise<ConcurrentResult> {
  const plan = planTrace(trace)
  await using folder = await scratch()
  const network = new MemoryNetwork()
  const skeins = plan.authors.map(
    (_, i) => new Skein({ storage: join(folder.path, String(i)), transports: [memory(network)] })
  )
  const [first, ...others] = skeins
  await first!.ready()
  const space = await first!.createSpace({ name: 'bench' })
  const invite = await space.invite({ uses: others.length })
  const documents = [await space.open('trace')]
  for (const skein of others) documents.push(await (await skein.join(invite)).open('trace'))

  const startedAt = nowMs()
  await Promise.all(documents.map((document, author) => play(plan, author, document)))
  for (const document of documents) await document.saved()
  const ms = nowMs() - startedAt
  const texts = documents.map((document) => document.doc.getText('text').toString())
  const stateBytes = Y.encodeStateAsUpdate(documents[0]!.doc).length
  const places = skeins.map((skein, i): LogPlace => ({
    folder: join(folder.path, String(i)),
    space: space.id,
    device: skein.id
  }))
  for (const skein of skeins) await skein.close()

  let entries = 0
  let bytes = 0
  for (const place of places) {
    const size = await logSize(place)
    entries += size.entries
    bytes += size.bytes
  }
  return {
    transactions: plan.authors.reduce((sum, { transactions }) => sum + transactions.length, 0),
    ms,
    entries,
    bytes,
    sealBytes: entries * sealBytes,
    stateBytes,
    ratio: bytes / stateBytes,
    agrees: texts.map((text) => text === plan.endContent)
  }
}

async function play(plan: Plan, author: number, document: Document): Promise<void> {
  const player = new Player(plan, author, document.doc.getText('text'))
  while (!player.complete) {
    player.next()
    await turn()
  }
}
