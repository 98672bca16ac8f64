/**
 * Rows of bytes in IndexedDB, sorted by key, in stores of their own. A batch is one transaction with
 * `durability: 'strict'`: when writing it resolves, it is on the disk, and before that nothing of it is to be told to
 * anyone. Every request of a batch is made at once and the transaction is then committed, so it needs nothing of the page
 * any more: a tab that is frozen or killed half-way leaves the whole of it or nothing, and nobody waiting.
 */
import { SkeinError } from '../../lib/errors.ts'
import { fenceStore, isFenced, passFence } from './fence.ts'
import { committed, compareBytes, openDatabase, rangeOf, settled, textOf } from './idb.ts'
import { isNext, RowCache, type Change } from './row-cache.ts'
import { Snapshot, type Row } from './snapshot.ts'

const firstAhead = 16
const maxAhead = 512
/** No more than about this many bytes are read ahead, going by the last row. */
const maxAheadBytes = 1024 * 1024

export interface RowStoreOptions {
  /** Default: the page's. */
  readonly factory?: IDBFactory
  /** The number of this opening: see `fence.ts`. Default: none, whoever opens the database may write. */
  readonly fence?: number
  /** The database, where it is open already: it is closed with this. */
  readonly opened?: IDBDatabase | null
}

export class RowStore {
  readonly #name: string
  readonly #factory: IDBFactory | undefined
  readonly #fence: number | undefined
  readonly #given: IDBDatabase | null
  readonly #stores = new Set<string>()
  readonly #held = new Set<Snapshot>()
  readonly #cache = new RowCache()
  /** Changes that go with the next batch: see `isHint`. */
  readonly #later = new Map<string, Change>()
  readonly #running = new Set<Promise<unknown>>()
  /** By store, the last key that was asked for, and how many rows to read from the next on. */
  readonly #lastReadByStore = new Map<string, { key: Uint8Array; ahead: number }>()
  #database: IDBDatabase | null = null

  constructor(name: string, options: RowStoreOptions) {
    this.#name = name
    this.#factory = options.factory
    this.#fence = options.fence
    this.#given = options.opened ?? null
  }

  /** Stores are made when the database is opened; after that, only those that are there can be named. */
  declare(store: string): void {
    if (this.#stores.has(store)) return
    if (this.#database !== null) throw new Error('Unknown column family')
    this.#stores.add(store)
  }

  async open(): Promise<void> {
    this.#database = await openDatabase(this.#name, {
      factory: this.#factory ?? indexedDB,
      stores: [...this.#stores, ...(this.#fence === undefined ? [] : [fenceStore])],
      opened: this.#given
    })
  }

  async close(): Promise<void> {
    await this.idle()
    if (this.#database !== null && this.#later.size > 0) {
      // A hint that cannot be written is computed anew.
      await this.#commit([...this.#later.values()]).catch(() => {})
    }
    this.#database?.close()
  }

  get isIdle(): boolean {
    return this.#running.size === 0
  }

  async idle(): Promise<void> {
    while (!this.isIdle) await Promise.allSettled(this.#running)
  }

  snapshot(): Snapshot {
    const snapshot = new Snapshot(this.#held)
    for (const { store, key, value } of this.#later.values()) snapshot.keep(store, { key, value })
    return snapshot
  }

  get(
    store: string,
    keys: readonly Uint8Array[],
    snapshot: Snapshot | null
  ): Promise<(Uint8Array | null)[]> {
    let transaction: IDBTransaction | null = null
    const rows = (): IDBObjectStore => {
      transaction ??= this.#opened.transaction(store)
      return transaction.objectStore(store)
    }
    return this.#track(Promise.all(keys.map((key) => this.#get(store, key, snapshot, rows))))
  }

  /** Resolves when the changes are on the disk, all of them; rejects when none is. */
  write(changes: readonly Change[]): Promise<void> {
    if (changes.length === 0) return Promise.resolve()
    const own = changes.map((change) => ({
      ...change,
      key: change.key.slice(),
      value: change.value?.slice() ?? null
    }))
    const [only] = own
    if (own.length === 1 && only !== undefined && isHint(only)) {
      this.#later.set(textOf(only.key), only)
      return Promise.resolve()
    }
    const later = [...this.#later.values()]
    return this.#track(
      this.#commit([...later, ...own]).then(() => {
        for (const change of later) {
          const text = textOf(change.key)
          if (this.#later.get(text) === change) this.#later.delete(text)
        }
      })
    )
  }

  /**
   * Rows of a range, ascending or descending, as many as `count`, as they were when the snapshot was taken. `next` is
   * where to go on; null at the end.
   */
  async rows(
    store: string,
    range: { lower: Bound | null; upper: Bound | null },
    options: { count: number; isReverse: boolean; snapshot: Snapshot }
  ): Promise<{ rows: Row[]; next: Bound | null }> {
    const { count, isReverse, snapshot } = options
    const { lower, upper } = range
    const keys = rangeOf(
      lower?.key ?? null,
      lower?.isOpen ?? false,
      upper?.key ?? null,
      upper?.isOpen ?? false
    )
    if (keys === null) return { rows: [], next: null }
    const table = this.#opened.transaction(store).objectStore(store)
    const reading = isReverse ? lastRows(table, keys, count) : firstRows(table, keys, count)
    const now = await this.#track(reading)
    const edge = (isReverse ? now.at(0) : now.at(-1))?.key
    const isEnd = now.length < count || edge === undefined
    const isWithin = (key: Uint8Array): boolean =>
      isInside(key, lower, upper) &&
      (isEnd || (isReverse ? !isBelow(key, edge) : !isBelow(edge, key)))
    const rows = snapshot.restore(store, now, isWithin)
    if (isReverse) rows.reverse()
    return { rows, next: isEnd ? null : { key: edge, isOpen: true } }
  }

  get #opened(): IDBDatabase {
    if (this.#database === null) throw new Error('The database is not open')
    return this.#database
  }

  async #get(
    store: string,
    key: Uint8Array,
    snapshot: Snapshot | null,
    rows: () => IDBObjectStore
  ): Promise<Uint8Array | null> {
    const before = snapshot?.changed(store, key)
    if (before !== undefined) return before.value?.slice() ?? null
    const later = snapshot === null ? this.#later.get(textOf(key)) : undefined
    if (later?.store === store) return later.value!.slice()
    if (snapshot === null) {
      const ahead = this.#ahead(store, key)
      const cached = this.#cache.get(store, key)
      if (cached !== undefined) return cached.slice()
      if (ahead > 1) return this.#getAhead(store, key, ahead, rows())
    }
    const value = ((await settled(rows().get(key as BufferSource as IDBValidKey))) ??
      null) as Uint8Array | null
    const changed = snapshot?.changed(store, key)
    if (changed !== undefined) return changed.value?.slice() ?? null
    if (value !== null) this.#cache.add(store, key, value)
    return value?.slice() ?? null
  }

  /** How many rows to read for a get: more and more where one follows the other. */
  #ahead(store: string, key: Uint8Array): number {
    const last = this.#lastReadByStore.get(store)
    const follows = last !== undefined && isNext(last.key, key)
    const ahead = follows ? Math.min(maxAhead, Math.max(firstAhead, last.ahead)) : 1
    this.#lastReadByStore.set(store, { key: key.slice(), ahead })
    return ahead
  }

  async #getAhead(
    store: string,
    key: Uint8Array,
    ahead: number,
    table: IDBObjectStore
  ): Promise<Uint8Array | null> {
    const rows = await firstRows(table, IDBKeyRange.lowerBound(key), ahead)
    let bytes = 0
    for (const row of rows) {
      this.#cache.add(store, row.key, row.value!)
      bytes += row.value!.byteLength
    }
    const last = this.#lastReadByStore.get(store)
    if (last !== undefined) last.ahead = bytes * 2 > maxAheadBytes ? firstAhead : ahead * 2
    const [first] = rows
    return first !== undefined && textOf(first.key) === textOf(key) ? first.value!.slice() : null
  }

  #commit(changes: readonly Change[]): Promise<void> {
    const isWritten = this.#cache.writing(changes)
    let transaction: IDBTransaction | null = null
    try {
      const stores = new Set(changes.map(({ store }) => store))
      if (this.#fence !== undefined) stores.add(fenceStore)
      transaction = this.#opened.transaction([...stores], 'readwrite', { durability: 'strict' })
      if (this.#fence !== undefined) passFence(transaction, this.#fence)
      // Those taken from now on see the changes: what they read waits for this transaction.
      const held = [...this.#held]
      for (const change of changes) {
        const table = transaction.objectStore(change.store)
        if (held.length > 0) keepBefore(table, change, held)
        apply(table, change)
      }
      transaction.commit()
    } catch (error) {
      // What has been asked for before would be committed by itself.
      transaction?.abort()
      isWritten(false)
      return Promise.reject(error)
    }
    return committed(transaction).then(
      () => isWritten(true),
      (error: unknown) => {
        isWritten(false)
        if (!isFenced(error)) throw error
        const message = 'Another tab has opened the storage: this one may not write to it any more'
        throw new SkeinError('STORAGE_LOCKED', message, { cause: error })
      }
    )
  }

  #track<T>(promise: Promise<T>): Promise<T> {
    this.#running.add(promise)
    const forget = (): void => void this.#running.delete(promise)
    promise.then(forget, forget)
    return promise
  }
}

/** One end of a range; open: without the key itself. */
export interface Bound {
  readonly key: Uint8Array
  readonly isOpen: boolean
}

/**
 * After each append hypercore writes by itself how far a log goes without a gap, and computes it anew from the bitfield
 * when it opens the log: it need not be on the disk, and goes along with the next batch instead of costing a transaction.
 * The key is 4, the log's number, 2, numbers as `index-encoder` has them.
 */
function isHint({ store, key, value, end }: Change): boolean {
  if (store !== 'corestore' || value === null || end !== null || key[0] !== 4) return false
  const number = key[1] ?? 0xff
  const numberBytes = number <= 0xfb ? 1 : number === 0xfc ? 3 : number === 0xfd ? 5 : 9
  return key.length === numberBytes + 2 && key[key.length - 1] === 2
}

function apply(table: IDBObjectStore, { key, value, end }: Change): void {
  if (end !== null) {
    // As RocksDB has it.
    if (compareBytes(key, end) > 0) throw new RangeError('A range’s end lies before its start')
    const range = rangeOf(key, false, end, true)
    if (range != null) table.delete(range)
  } else if (value === null) table.delete(validKey(key))
  else table.put(value, validKey(key))
}

/** Puts what a change replaces into the snapshots that are held. Asked for before the change, and so answered before. */
function keepBefore(
  table: IDBObjectStore,
  { store, key, end }: Change,
  held: readonly Snapshot[]
): void {
  const keep = (row: Row): void => {
    for (const snapshot of held) snapshot.keep(store, row)
  }
  if (end === null) {
    const request = table.get(validKey(key))
    request.onsuccess = () =>
      keep({ key, value: (request.result as Uint8Array | undefined) ?? null })
    return
  }
  const range = rangeOf(key, false, end, true)
  if (range == null) return
  const keys = table.getAllKeys(range)
  const values = table.getAll(range)
  values.onsuccess = () => {
    for (const row of zip(keys.result, values.result)) keep(row)
  }
}

async function firstRows(
  table: IDBObjectStore,
  range: IDBKeyRange | undefined,
  count: number
): Promise<Row[]> {
  const keys = settled(table.getAllKeys(range, count))
  const values = settled(table.getAll(range, count))
  return zip(await keys, await values)
}

/** The last `count` rows, ascending. IndexedDB reads many rows only forwards: a cursor finds where to begin. */
function lastRows(
  table: IDBObjectStore,
  range: IDBKeyRange | undefined,
  count: number
): Promise<Row[]> {
  return new Promise((resolve, reject) => {
    const request = table.openKeyCursor(range, 'prev')
    let last: IDBValidKey | null = null
    request.onerror = () => reject(request.error ?? new Error('The request failed'))
    request.onsuccess = () => {
      const cursor = request.result
      if (cursor === null && last === null) return resolve([])
      if (cursor !== null && last === null) {
        last = cursor.key
        if (count > 1) return cursor.advance(count - 1)
      }
      const first = cursor?.key ?? range?.lower ?? null
      const isOpen = cursor === null && range?.lowerOpen === true
      const keys =
        first === null
          ? IDBKeyRange.upperBound(last!)
          : IDBKeyRange.bound(first, last!, isOpen, false)
      firstRows(table, keys, count).then(resolve, reject)
    }
  })
}

function zip(keys: readonly IDBValidKey[], values: readonly unknown[]): Row[] {
  return keys.map((key, i) => ({
    key: new Uint8Array(key as ArrayBuffer),
    value: values[i] as Uint8Array
  }))
}

function isInside(key: Uint8Array, lower: Bound | null, upper: Bound | null): boolean {
  if (lower !== null && (lower.isOpen ? !isBelow(lower.key, key) : isBelow(key, lower.key)))
    return false
  return upper === null || (upper.isOpen ? isBelow(key, upper.key) : !isBelow(upper.key, key))
}

function isBelow(a: Uint8Array, b: Uint8Array): boolean {
  return compareBytes(a, b) < 0
}

function validKey(key: Uint8Array): IDBValidKey {
  return key as Uint8Array<ArrayBuffer>
}
