/**
 * Rows that were read or written lately, and those read ahead. Holds only what is committed: a row that is being written
 * is in none until that has ended.
 */
import { textOf, compareBytes } from './idb.ts'

const maxBytes = 4 * 1024 * 1024
const maxRowBytes = 64 * 1024
/** What a row costs beside its value, about. */
const rowBytes = 100

export class RowCache {
  /** In the order of their last use. */
  readonly #valuesByRow = new Map<string, Uint8Array>()
  /** By row, which write is under way there. */
  readonly #writes = new Map<string, number>()
  #rangeDeletes = 0
  #write = 0
  #bytes = 0

  get(store: string, key: Uint8Array): Uint8Array | undefined {
    const row = rowOf(store, key)
    const value = this.#valuesByRow.get(row)
    if (value === undefined) return undefined
    this.#valuesByRow.delete(row)
    this.#valuesByRow.set(row, value)
    return value
  }

  /** A row that was read; not taken where it is being written, since it may be either. */
  add(store: string, key: Uint8Array, value: Uint8Array): void {
    const row = rowOf(store, key)
    if (this.#rangeDeletes === 0 && !this.#writes.has(row)) this.#set(row, value)
  }

  /** Rows are about to be written; the returned function says whether they were. */
  writing(changes: readonly Change[]): (isCommitted: boolean) => void {
    const write = ++this.#write
    const valuesByRow = new Map<string, Uint8Array | null>()
    let ranges = 0
    for (const { store, key, value, end } of changes) {
      if (end === null) {
        valuesByRow.set(rowOf(store, key), value)
        continue
      }
      ranges++
      for (const row of valuesByRow.keys())
        if (isWithin(row, store, key, end)) valuesByRow.set(row, null)
      for (const row of this.#valuesByRow.keys())
        if (isWithin(row, store, key, end)) this.#forget(row)
    }
    for (const row of valuesByRow.keys()) {
      this.#forget(row)
      this.#writes.set(row, write)
    }
    this.#rangeDeletes += ranges
    return (isCommitted) => {
      this.#rangeDeletes -= ranges
      for (const [row, value] of valuesByRow) {
        // Written again since: that one says what stands there.
        if (this.#writes.get(row) !== write) continue
        this.#writes.delete(row)
        if (isCommitted && value !== null && this.#rangeDeletes === 0) this.#set(row, value)
      }
    }
  }

  #set(row: string, value: Uint8Array): void {
    this.#forget(row)
    if (value.byteLength > maxRowBytes) return
    this.#valuesByRow.set(row, value)
    this.#bytes += rowBytes + value.byteLength
    for (const oldest of this.#valuesByRow.keys()) {
      if (this.#bytes <= maxBytes) break
      this.#forget(oldest)
    }
  }

  #forget(row: string): void {
    const value = this.#valuesByRow.get(row)
    if (value === undefined) return
    this.#valuesByRow.delete(row)
    this.#bytes -= rowBytes + value.byteLength
  }
}

/** One change in a batch: a value, or null where the row goes; with `end`, all rows from `key` up to it go. */
export interface Change {
  readonly store: string
  readonly key: Uint8Array
  readonly value: Uint8Array | null
  readonly end: Uint8Array | null
}

/** May two runs of keys follow each other, one number apart at their ends? */
export function isNext(before: Uint8Array, key: Uint8Array): boolean {
  if (before.length !== key.length) return false
  const from = Math.max(0, key.length - 4)
  if (compareBytes(before.subarray(0, from), key.subarray(0, from)) !== 0) return false
  let difference = 0
  for (let i = from; i < key.length; i++) difference = difference * 256 + key[i]! - before[i]!
  return difference === 1
}

function rowOf(store: string, key: Uint8Array): string {
  return `${store}/${textOf(key)}`
}

function isWithin(row: string, store: string, start: Uint8Array, end: Uint8Array): boolean {
  return row >= rowOf(store, start) && row < rowOf(store, end)
}
