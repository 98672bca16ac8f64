/**
 * The part of `rocksdb-native`'s interface that hypercore-storage uses, over `RowStore`: sessions, snapshots, column
 * families, batches, iterators. `new CorestoreStorage(database)` takes it in place of a path. Behaviour is the native
 * module's, which `test/browser/rocks-suite.ts` holds both to; the fields with an underscore are read by its callers.
 */
import { RowIterator, type IteratorOptions, type RowRead } from './row-iterator.ts'
import { RowStore, type RowStoreOptions } from './row-store.ts'
import type { Change } from './row-cache.ts'
import { Snapshot } from './snapshot.ts'

type Key = Uint8Array | string
type Value = Uint8Array | string | null

const defaultFamily = 'default'

/** A key space of its own; the native module's settings mean nothing here. */
export class ColumnFamily {
  readonly name: string

  constructor(name: string, _options?: object) {
    this.name = name
  }
}

interface SessionOptions {
  columnFamily?: ColumnFamily | string
  snapshot?: boolean
}

/** What all sessions of one database have in common. */
class State {
  readonly store: RowStore
  readonly path: string
  readonly sessions = new Set<Session>()
  opened = false
  closing = false
  #opening: Promise<void> | null = null
  #shutting: Promise<void> | null = null

  constructor(path: string, options: RowStoreOptions) {
    this.path = path
    this.store = new RowStore(path, options)
  }

  ready(): Promise<void> {
    this.#opening ??= Promise.resolve().then(async () => {
      await this.store.open()
      this.opened = true
    })
    return this.#opening
  }

  close(): Promise<void> {
    this.#shutting ??= (async () => {
      this.closing = true
      // One that did not open has told whoever opened it.
      await this.ready().catch(() => {})
      for (const session of [...this.sessions]) await session.close()
      await this.store.close()
    })()
    return this.#shutting
  }
}

class Session {
  readonly _state: State
  readonly _snapshot: Snapshot | null
  _index = 0
  readonly #family: string

  constructor(state: State, family: string, snapshot: Snapshot | null) {
    this._state = state
    this._snapshot = snapshot
    this.#family = family
    state.sessions.add(this)
    snapshot?.refer()
  }

  get opened(): boolean {
    return this._state.opened
  }

  get closed(): boolean {
    return this._index === -1
  }

  get path(): string {
    return this._state.path
  }

  get snapshotted(): boolean {
    return this._snapshot !== null
  }

  get defaultColumnFamily(): ColumnFamily {
    return new ColumnFamily(this.#family)
  }

  isRoot(): boolean {
    return false
  }

  session({
    columnFamily = this.#family,
    snapshot = this._snapshot !== null
  }: SessionOptions = {}): Session {
    this.#assertOpen()
    const family = typeof columnFamily === 'string' ? columnFamily : columnFamily.name
    this._state.store.declare(family)
    const held = snapshot ? (this._snapshot ?? this._state.store.snapshot()) : null
    return new Session(this._state, family, held)
  }

  columnFamily(columnFamily: ColumnFamily | string, options: SessionOptions = {}): Session {
    return this.session({ ...options, columnFamily })
  }

  snapshot(): Session {
    return this.session({ snapshot: true })
  }

  ready(): Promise<void> {
    return this._state.ready()
  }

  async close(): Promise<void> {
    if (this._index === -1) return
    this._index = -1
    this._state.sessions.delete(this)
    this._snapshot?.letGo()
  }

  read(_options?: object): ReadBatch {
    this.#assertOpen()
    return new ReadBatch(this._state, this.#family, this._snapshot)
  }

  write(_options?: object): WriteBatch {
    this.#assertOpen()
    return new WriteBatch(this._state, this.#family)
  }

  iterator(range: IteratorOptions = {}, options: IteratorOptions = {}): RowIterator {
    this.#assertOpen()
    const opened = (): Promise<RowStore> => this._state.ready().then(() => this._state.store)
    return new RowIterator(opened, this.#family, this._snapshot, { ...range, ...options })
  }

  async *keys(range?: IteratorOptions, options?: IteratorOptions): AsyncGenerator<Uint8Array> {
    for await (const { key } of this.iterator(range, { ...options, values: false })) yield key
  }

  async peek(range?: IteratorOptions, options?: IteratorOptions): Promise<RowRead | null> {
    for await (const row of this.iterator(range, { ...options, limit: 1 })) return row
    return null
  }

  get(key: Key): Promise<Uint8Array | null> {
    const batch = this.read()
    const value = batch.get(key)
    batch.tryFlush()
    return value
  }

  put(key: Key, value: Value): Promise<void> {
    const batch = this.write()
    batch.tryPut(key, value)
    return batch.flush()
  }

  delete(key: Key): Promise<void> {
    const batch = this.write()
    batch.tryDelete(key)
    return batch.flush()
  }

  deleteRange(start: Key, end: Key): Promise<void> {
    const batch = this.write()
    batch.tryDeleteRange(start, end)
    return batch.flush()
  }

  isIdle(): boolean {
    return this._state.store.isIdle
  }

  async idle(): Promise<void> {
    await this._state.store.idle()
  }

  // IndexedDB sees to these by itself.
  async flush(): Promise<void> {}
  async compactRange(): Promise<void> {}
  async suspend(): Promise<void> {}
  async resume(): Promise<void> {}

  #assertOpen(): void {
    if (!this._state.closing && this._index !== -1) return
    throw new Error('RocksDB session is closed')
  }
}

/** The database; closing it closes its sessions. */
export class Rocks extends Session {
  constructor(path: string, options: RowStoreOptions = {}) {
    super(new State(path, options), defaultFamily, null)
    this._state.store.declare(defaultFamily)
  }

  override isRoot(): boolean {
    return true
  }

  override get closed(): boolean {
    return this._state.closing
  }

  override async close(): Promise<void> {
    await super.close()
    await this._state.close()
  }
}

interface Deferred<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
}

/** Gets that go together, in one transaction. */
class ReadBatch {
  readonly #state: State
  readonly #family: string
  readonly #snapshot: Snapshot | null
  readonly #keys: Uint8Array[] = []
  readonly #waiting: Deferred<Uint8Array | null>[] = []
  #isFlushed = false

  constructor(state: State, family: string, snapshot: Snapshot | null) {
    this.#state = state
    this.#family = family
    this.#snapshot = snapshot
    snapshot?.refer()
  }

  get(key: Key): Promise<Uint8Array | null> {
    if (this.#isFlushed) return Promise.reject(new Error('Request already in progress'))
    return new Promise((resolve, reject) => {
      this.#keys.push(bytesOf(key))
      this.#waiting.push({ resolve, reject })
    })
  }

  tryFlush(): void {
    // Each who asked is told.
    this.flush().catch(() => {})
  }

  async flush(): Promise<void> {
    if (this.#isFlushed) throw new Error('Request in progress')
    this.#isFlushed = true
    try {
      if (!this.#state.opened) await this.#state.ready()
      const values = await this.#state.store.get(this.#family, this.#keys, this.#snapshot)
      this.#waiting.forEach(({ resolve }, i) => resolve(values[i]!))
    } catch (error) {
      for (const { reject } of this.#waiting) reject(error)
      throw error
    } finally {
      this.#snapshot?.letGo()
    }
  }

  destroy(): void {
    if (this.#isFlushed) return
    this.#isFlushed = true
    this.#snapshot?.letGo()
    for (const { reject } of this.#waiting) reject(new Error('Batch is destroyed'))
  }
}

/** Changes that take effect together, or not at all. */
class WriteBatch {
  readonly #state: State
  readonly #family: string
  readonly #changes: Change[] = []
  readonly #waiting: Deferred<void>[] = []
  #isFlushed = false

  constructor(state: State, family: string) {
    this.#state = state
    this.#family = family
  }

  tryPut(key: Key, value: Value): void {
    this.#add({ store: this.#family, key: bytesOf(key), value: bytesOf(value ?? ''), end: null })
  }

  tryDelete(key: Key): void {
    this.#add({ store: this.#family, key: bytesOf(key), value: null, end: null })
  }

  tryDeleteRange(start: Key, end: Key): void {
    this.#add({ store: this.#family, key: bytesOf(start), value: null, end: bytesOf(end) })
  }

  put(key: Key, value: Value): Promise<void> {
    this.tryPut(key, value)
    return this.#whenFlushed()
  }

  delete(key: Key): Promise<void> {
    this.tryDelete(key)
    return this.#whenFlushed()
  }

  deleteRange(start: Key, end: Key): Promise<void> {
    this.tryDeleteRange(start, end)
    return this.#whenFlushed()
  }

  tryFlush(): void {
    // Each who waits for a change is told.
    this.flush().catch(() => {})
  }

  async flush(): Promise<void> {
    if (this.#isFlushed) throw new Error('Request in progress')
    this.#isFlushed = true
    try {
      if (!this.#state.opened) await this.#state.ready()
      await this.#state.store.write(this.#changes)
      for (const { resolve } of this.#waiting) resolve()
    } catch (cause) {
      for (const { reject } of this.#waiting) reject(cause)
      throw new Error('Batch was not applied', { cause })
    }
  }

  destroy(): void {
    if (this.#isFlushed) return
    this.#isFlushed = true
    for (const { reject } of this.#waiting) reject(new Error('Batch is destroyed'))
  }

  #add(change: Change): void {
    if (this.#isFlushed) throw new Error('Request already in progress')
    this.#changes.push(change)
  }

  #whenFlushed(): Promise<void> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }
}

function bytesOf(value: Key): Uint8Array {
  return typeof value === 'string' ? new TextEncoder().encode(value) : value
}
