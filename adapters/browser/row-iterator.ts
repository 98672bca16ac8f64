/** The rows of a range, one after the other, as they were when it was begun; a streamx stream, as hypercore wants it. */
import { Readable } from 'streamx'
import type { Bound, RowStore } from './row-store.ts'
import type { Snapshot } from './snapshot.ts'

const firstCount = 32
const maxCount = 1024
const maxReadBytes = 1024 * 1024

export interface IteratorOptions {
  readonly gte?: Uint8Array | string | null
  readonly gt?: Uint8Array | string | null
  readonly lt?: Uint8Array | string | null
  readonly lte?: Uint8Array | string | null
  readonly reverse?: boolean
  /** Negative: all. */
  readonly limit?: number
  readonly values?: boolean
}

export interface RowRead {
  readonly key: Uint8Array
  /** Null where only keys were asked for. */
  readonly value: Uint8Array | null
}

export class RowIterator extends Readable {
  declare [Symbol.asyncIterator]: () => AsyncIterator<RowRead>

  readonly #opened: () => Promise<RowStore>
  readonly #family: string
  readonly #isReverse: boolean
  readonly #hasValues: boolean
  #lower: Bound | null
  #upper: Bound | null
  #left: number
  #count: number
  #store: RowStore | null = null
  #snapshot: Snapshot | null

  constructor(
    opened: () => Promise<RowStore>,
    family: string,
    snapshot: Snapshot | null,
    options: IteratorOptions
  ) {
    super()
    const { gte, gt, lt, lte, reverse = false, limit = -1, values = true } = options
    this.#opened = opened
    this.#family = family
    this.#snapshot = snapshot
    snapshot?.refer()
    this.#lower = boundOf(gte, gt)
    this.#upper = boundOf(lte, lt)
    this.#isReverse = reverse
    this.#hasValues = values
    this.#left = limit < 0 ? Infinity : limit
    this.#count = Math.min(firstCount, Math.max(1, this.#left))
  }

  override _open(callback: (error: Error | null) => void): void {
    this.#opened().then((store) => {
      this.#store = store
      if (this.#snapshot === null) {
        this.#snapshot = store.snapshot()
        this.#snapshot.refer()
      }
      callback(null)
    }, callback)
  }

  override _read(callback: (error: Error | null) => void): void {
    this.#readOn().then(() => callback(null), callback)
  }

  override _destroy(callback: (error: Error | null) => void): void {
    this.#snapshot?.letGo()
    this.#snapshot = null
    callback(null)
  }

  /** Until something has been given out, or the end is reached: a stream that gets nothing asks no more. */
  async #readOn(): Promise<void> {
    for (let hasPushed = false; !hasPushed;) {
      const range = { lower: this.#lower, upper: this.#upper }
      const options = { count: this.#count, isReverse: this.#isReverse, snapshot: this.#snapshot! }
      if (this.#left <= 0) return void this.push(null)
      const { rows, next } = await this.#store!.rows(this.#family, range, options)
      let bytes = 0
      for (const { key, value } of rows) {
        if (this.#left-- <= 0) break
        bytes += value!.byteLength
        // Of its own: what a row is read from may be kept, or given to another.
        this.push({ key: key.slice(), value: this.#hasValues ? value!.slice() : null })
        hasPushed = true
      }
      if (next === null || this.#left <= 0) return void this.push(null)
      if (this.#isReverse) this.#upper = next
      else this.#lower = next
      const isMuch = bytes * 2 > maxReadBytes
      this.#count = isMuch ? Math.max(1, this.#count >> 1) : Math.min(maxCount, this.#count * 2)
    }
  }
}

function boundOf(
  closed: Uint8Array | string | null | undefined,
  open: Uint8Array | string | null | undefined
): Bound | null {
  const key = closed ?? open
  if (key === null || key === undefined) return null
  const bytes = typeof key === 'string' ? new TextEncoder().encode(key) : key
  return { key: bytes, isOpen: closed === null || closed === undefined }
}
