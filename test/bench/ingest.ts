/**
 * Durable writing: a history, one edit per turn of the event loop, through a document (encoding, validation, sealing,
 * outbox, log, views) until `saved()`, against Yjs in memory. And what is in the log then.
 *
 * Yjs encodes an update per transaction as soon as anyone listens to `update`, and Skein does not need it: so the two
 * are compared with a listener on both documents (the figure), and with none on either (what Skein itself costs).
 */
import { join } from 'node:path'
import { Skein } from 'skein'
import * as Y from 'yjs'
import { edit, type History } from './history.ts'
import { logSize, type LogSize } from './log-size.ts'
import { median, nowMs, scratch, turn } from './measure.ts'

export interface IngestResult {
  /** Medians over the rounds. */
  readonly floorMs: number
  readonly skeinMs: number
  /** The median of the ratios of each round. */
  readonly ratio: number
  /** The same of the processor time of all threads, which what else the machine does disturbs less. */
  readonly cpuRatio: number
  /** As `cpuRatio`, with no listener on either document. */
  readonly quietRatio: number
  /** The longest that one turn of the event loop took, and how many took over 50 ms, in the last round. */
  readonly longestTurnMs: number
  readonly log: LogSize
  /** The final state, Yjs V1. */
  readonly stateBytes: number
  readonly texts: readonly string[]
}

export async function ingest(history: History, rounds: number): Promise<IngestResult> {
  await using folder = await scratch()
  // Both find their code compiled.
  const first = { ...history, edits: history.edits.slice(0, 20_000) }
  await floor(first, true)
  await durable(first, true, join(folder.path, 'first'))
  const floors: number[] = []
  const times: number[] = []
  const cpuRatios: number[] = []
  const quietRatios: number[] = []
  const texts = new Set<string>()
  let last: Durable | null = null
  for (let round = 0; round < rounds; round++) {
    const memory = await floor(history, true)
    last = await durable(history, true, join(folder.path, String(round)))
    const quietMemory = await floor(history, false)
    const quiet = await durable(history, false, join(folder.path, `quiet-${round}`))
    floors.push(memory.ms)
    times.push(last.ms)
    cpuRatios.push(last.cpuMs / memory.cpuMs)
    quietRatios.push(quiet.cpuMs / quietMemory.cpuMs)
    for (const { text } of [memory, last, quietMemory, quiet]) texts.add(text)
  }
  return {
    floorMs: median(floors),
    skeinMs: median(times),
    ratio: median(times.map((ms, i) => ms / floors[i]!)),
    cpuRatio: median(cpuRatios),
    quietRatio: median(quietRatios),
    longestTurnMs: last!.longestTurnMs,
    log: last!.log,
    stateBytes: last!.stateBytes,
    texts: [...texts]
  }
}

async function floor(
  { edits }: History,
  listens: boolean
): Promise<{ ms: number; cpuMs: number; text: string }> {
  const doc = new Y.Doc()
  const text = doc.getText('text')
  if (listens) doc.on('update', () => {})
  const cpuBefore = process.cpuUsage()
  const startedAt = nowMs()
  for (const patch of edits) {
    edit(text, patch)
    await turn()
  }
  return { ms: nowMs() - startedAt, cpuMs: cpuMsSince(cpuBefore), text: text.toString() }
}

interface Durable {
  readonly ms: number
  readonly cpuMs: number
  readonly longestTurnMs: number
  readonly log: LogSize
  readonly stateBytes: number
  readonly text: string
}

async function durable({ edits }: History, listens: boolean, folder: string): Promise<Durable> {
  const skein = new Skein({ storage: folder })
  await skein.ready()
  const device = skein.id
  const space = await skein.createSpace({ name: 'bench' })
  const document = await space.open('paper')
  const text = document.doc.getText('text')
  if (listens) document.doc.on('update', () => {})
  let longestTurnMs = 0
  const cpuBefore = process.cpuUsage()
  const startedAt = nowMs()
  let turnedAt = startedAt
  for (const patch of edits) {
    edit(text, patch)
    await turn()
    const at = nowMs()
    longestTurnMs = Math.max(longestTurnMs, at - turnedAt)
    turnedAt = at
  }
  await document.saved()
  const ms = nowMs() - startedAt
  const cpuMs = cpuMsSince(cpuBefore)
  const stateBytes = Y.encodeStateAsUpdate(document.doc).length
  const result = { ms, cpuMs, longestTurnMs, stateBytes, text: text.toString() }
  await skein.close()
  return { ...result, log: await logSize({ folder, space: space.id, device }) }
}

function cpuMsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000
}
