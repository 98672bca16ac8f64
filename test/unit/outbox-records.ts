/** Records whose bytes follow from their index, so that any of them can be checked. */
import { createHash } from 'node:crypto'
import type { OutboxRecord } from '../../lib/platform.ts'

export function recordAt(index: number): OutboxRecord {
  const bytes = createHash('shake256', { outputLength: (index * 37) % 700 })
    .update(`${index}`)
    .digest()
  return { kind: index % 4, index, bytes: new Uint8Array(bytes) }
}

/** A small seeded random source, mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
