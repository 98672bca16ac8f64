/**
 * The editing history that is written: the LaTeX paper of Martin Kleppmann, keystroke by keystroke (CC BY 4.0, Joseph
 * Gentle's editing-traces), where `BENCH_DATA` names a folder that has `automerge-paper.json.gz`; otherwise one of the
 * same shape, made from a seed, so that everybody can run the benchmarks.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Text } from 'yjs'
import { readTrace, type Patch } from '../../examples/demo/trace.ts'

const paperEdits = 259_778
const seed = 20_231_123

export interface History {
  /** Which it was, for the table. */
  readonly source: string
  readonly edits: readonly Patch[]
}

/** The first `limit` edits. */
export async function paper(limit = Infinity): Promise<History> {
  const folder = process.env['BENCH_DATA']
  const path = folder === undefined ? null : join(folder, 'automerge-paper.json.gz')
  if (path === null || !existsSync(path)) {
    return { source: `generated (seed ${seed})`, edits: generate(Math.min(limit, paperEdits)) }
  }
  const { transactions } = await readTrace(path)
  const edits = transactions.flatMap(({ patches }) => patches).slice(0, limit)
  return { source: 'automerge-paper', edits }
}

/** Makes one edit, as a transaction of its own. */
export function edit(text: Text, [position, deleteCount, insert]: Patch): void {
  text.doc!.transact(() => {
    if (deleteCount > 0) text.delete(position, deleteCount)
    if (insert !== '') text.insert(position, insert)
  })
}

/** Somebody typing: 70 % inserts, backspaces in runs, and now and then the cursor goes elsewhere. */
function generate(count: number): Patch[] {
  const random = randomFrom(seed)
  const edits: Patch[] = []
  let length = 0
  let cursor = 0
  let isErasing = false
  while (edits.length < count) {
    if (random() < 0.015) cursor = Math.floor(random() * (length + 1))
    // Runs of backspaces, on average four long; three in ten edits in all.
    if (random() < (isErasing ? 0.25 : 0.107)) isErasing = !isErasing
    if (isErasing && cursor > 0) {
      edits.push([--cursor, 1, ''])
      length--
    } else {
      edits.push([cursor++, 0, 'etaoin shrdlu'.charAt(Math.floor(random() * 13))])
      length++
    }
  }
  return edits
}

/** Mulberry32. */
function randomFrom(start: number): () => number {
  let state = start
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
