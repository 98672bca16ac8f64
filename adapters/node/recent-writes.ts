/**
 * What was just written to the store's database, kept in memory: reading it back makes no trip to a thread and back.
 * Hypercore reads at every step of a block's way what it wrote a moment ago (the bitfield's page at each append, block and
 * tree when the block is sent, the block when it has come), and each trip costs more than the read.
 *
 * Answers for a read giving what the database would: a value is remembered once its batch is written, before whoever wrote
 * it hears of that; values of batches under way at the same time, whose order only the database knows, and what a failed
 * batch may have left, are forgotten. Reaches into rocksdb-native's batches, which is why it stands alone, with a test.
 */

/** Larger than a page of a bitfield (4 KiB). */
const longestValueBytes = 8 * 1024
const keptBytes = 256 * 1024
/** What a key and the map take beside the value, about. */
const overheadBytes = 256

interface Session {
  readonly defaultColumnFamily: object
  readonly snapshotted: boolean
}

/** One operation: a value is put, or removed, or everything in a range is. */
interface Operation {
  readonly key?: Uint8Array
  readonly value?: Uint8Array
}

interface Batch {
  readonly _db: Session
  readonly _operations: readonly Operation[]
  _flush(): Promise<void>
  _onfinished(error: Error | null): void
}

interface ReadBatch extends Batch {
  get(key: Uint8Array): Promise<Uint8Array | null>
}

interface WriteBatch extends Batch {
  _onwrite(error: Error | null): void
}

/** The part of rocksdb-native that all sessions of a database share. */
export interface DatabaseState {
  readonly io: { inc(): void }
  createReadBatch(session: Session, options?: object): ReadBatch
  createWriteBatch(session: Session, options?: object): WriteBatch
}

export class RecentWrites {
  readonly #columnFamily: object
  readonly #state: DatabaseState
  /** Oldest first. */
  readonly #valuesByName = new Map<string, Uint8Array>()
  #bytes = 0
  /** By key, the writes under way, and whether the database alone knows which of several comes last. */
  readonly #writingByName = new Map<string, { count: number; isContended: boolean }>()
  /** Batches are used again. */
  readonly #known = new WeakSet<Batch>()

  /** Remembers what is written to one column family of a database from now on. */
  constructor(state: DatabaseState, columnFamily: object) {
    this.#columnFamily = columnFamily
    this.#state = state
    const createRead = state.createReadBatch.bind(state)
    const createWrite = state.createWriteBatch.bind(state)
    state.createReadBatch = (session, options) => this.#read(createRead(session, options))
    state.createWriteBatch = (session, options) => this.#write(createWrite(session, options))
  }

  #isOurs({ _db: session }: Batch): boolean {
    return session.defaultColumnFamily === this.#columnFamily && !session.snapshotted
  }

  #read(batch: ReadBatch): ReadBatch {
    if (this.#known.has(batch)) return batch
    this.#known.add(batch)
    const get = batch.get.bind(batch)
    const flush = batch._flush.bind(batch)
    batch.get = (key) => {
      const value = this.#isOurs(batch) ? this.#valuesByName.get(nameOf(key)) : undefined
      // A copy: hypercore writes into the page it has read, and then puts that.
      return value === undefined ? get(key) : Promise.resolve(Buffer.from(value))
    }
    batch._flush = () => {
      if (batch._operations.length > 0) return flush()
      this.#state.io.inc() // As the batch itself does, which counts down when it has finished.
      batch._onfinished(null)
      return Promise.resolve()
    }
    return batch
  }

  #write(batch: WriteBatch): WriteBatch {
    if (this.#known.has(batch)) return batch
    this.#known.add(batch)
    const flush = batch._flush.bind(batch)
    const onwrite = batch._onwrite.bind(batch)
    let names: string[] | null = null
    batch._flush = () => {
      if (this.#isOurs(batch)) names = this.#begin(batch._operations)
      return flush()
    }
    batch._onwrite = (error) => {
      if (names !== null) this.#end(names, batch._operations, error ?? null)
      names = null
      onwrite(error)
    }
    return batch
  }

  #begin(operations: readonly Operation[]): string[] {
    const names: string[] = []
    for (const { key } of operations) {
      if (key === undefined) this.#forgetAll()
      const name = key === undefined ? '' : nameOf(key)
      names.push(name)
      const writing = this.#writingByName.get(name)
      if (writing === undefined) {
        this.#writingByName.set(name, { count: 1, isContended: key === undefined })
        continue
      }
      writing.count++
      writing.isContended = true
      this.#forget(name)
    }
    return names
  }

  #end(names: readonly string[], operations: readonly Operation[], error: Error | null): void {
    for (const [i, { key, value }] of operations.entries()) {
      if (key === undefined) this.#forgetAll()
      const name = names[i]!
      const writing = this.#writingByName.get(name)!
      if (--writing.count === 0) this.#writingByName.delete(name)
      if (error === null && !writing.isContended && value !== undefined) this.#remember(name, value)
      else this.#forget(name)
    }
  }

  #remember(name: string, value: Uint8Array): void {
    this.#forget(name)
    if (value.length > longestValueBytes) return
    // What is part of a larger buffer, a packet perhaps, would keep all of that.
    const isWhole = value.length === value.buffer.byteLength
    this.#valuesByName.set(name, isWhole ? value : new Uint8Array(value))
    this.#bytes += value.length + overheadBytes
    if (this.#bytes <= keptBytes) return
    for (const oldest of this.#valuesByName.keys()) {
      this.#forget(oldest)
      if (this.#bytes <= keptBytes) return
    }
  }

  #forget(name: string): void {
    const value = this.#valuesByName.get(name)
    if (value === undefined) return
    this.#valuesByName.delete(name)
    this.#bytes -= value.length + overheadBytes
  }

  /** A range is removed: what is in it, and whether that comes before or after the writes under way, is not looked into. */
  #forgetAll(): void {
    this.#valuesByName.clear()
    this.#bytes = 0
    for (const writing of this.#writingByName.values()) writing.isContended = true
  }
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}
