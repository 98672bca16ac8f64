/**
 * The store as it lies there, for whoever checks it: each record by itself, as hypercore-storage keeps it, without opening
 * a log and without writing anything. What cannot be read is told as such, record by record, and never thrown.
 *
 * This knows hypercore's layout beneath its sessions: which records a log has and how they are encoded. It stands alone
 * for that, as `push.ts` does.
 */
import crypto, { type TreeNode } from 'hypercore-crypto'
import type HypercoreStorage from 'hypercore-storage'
import type { CoreRecords, StoredAuth, StoredHead, StoredHints } from 'hypercore-storage'
import type { KeyValueStore } from './database.ts'
import type { LogId } from './entry.ts'
import { logIdOf, logKeyOf, type LogName } from './log.ts'

const bitsAPage = 32_768

/** What stands in place of a record that could not be read. */
export class Unreadable {
  readonly reason: string

  constructor(cause: unknown) {
    this.reason = cause instanceof Error ? cause.message : String(cause)
  }
}

/** A record, null where there is none. */
export type Stored<T> = T | null | Unreadable

export class StoreImage {
  readonly #storage: HypercoreStorage
  readonly #snapshot: { close(): Promise<void> } | null
  readonly #coresSnapshot: CoreRecords['db'] | null
  readonly database: KeyValueStore
  readonly #open: CoreRecords[] = []

  private constructor(storage: HypercoreStorage, isLive: boolean) {
    this.#storage = storage
    if (isLive) {
      const snapshot = storage.rocks.snapshot()
      this.#snapshot = snapshot
      this.database = snapshot
      this.#coresSnapshot = snapshot.session({ columnFamily: storage.db.defaultColumnFamily })
    } else {
      this.#snapshot = null
      this.#coresSnapshot = null
      this.database = storage.rocks.session()
    }
  }

  /** Of a store that is in use: as it is at this moment. */
  static ofLive(storage: HypercoreStorage): StoreImage {
    return new StoreImage(storage, true)
  }

  /** Of one that nobody uses, opened for reading only. Fails as the database does. */
  static async ofClosed(storage: HypercoreStorage): Promise<StoreImage> {
    // Not by the storage's own `ready`: where that fails it may delete the write-ahead files.
    await storage.db.ready()
    return new StoreImage(storage, false)
  }

  /** The log of that name; null where the store has none. */
  async log(name: LogName): Promise<Stored<StoredLog>> {
    try {
      const records = await this.#storage.resumeCore(crypto.discoveryKey(logKeyOf(name)))
      if (records === null) return null
      await this.#useSnapshot(records)
      this.#open.push(records)
      return new StoredLog(name, records)
    } catch (error) {
      return new Unreadable(error)
    }
  }

  /** The key of each log's device and its namespace, of all logs in the store that can be read. */
  async signers(): Promise<{ publicKey: Uint8Array; namespace: Uint8Array }[]> {
    const signers: { publicKey: Uint8Array; namespace: Uint8Array }[] = []
    try {
      for await (const { discoveryKey } of this.#storage.createCoreStream()) {
        const auth = await this.#storage.getAuth(discoveryKey).catch(() => null) // Told where the log is looked at by name.
        const signer = auth?.manifest?.signers[0]
        if (signer !== undefined) signers.push(signer)
      }
    } catch {
      // What can be found by name is; what cannot be read is told there.
    }
    return signers
  }

  /** Reads through everything in the database; the first place that cannot be read, or null. */
  async scan(): Promise<Unreadable | null> {
    for (const session of [this.#storage.rocks, this.#storage.db]) {
      try {
        // Large values lie in files of their own, and are read where they are checked.
        const all = { gte: new Uint8Array(), lt: new Uint8Array(64).fill(255), values: false }
        for await (const { key } of session.iterator(all)) if (key.length === 0) continue
      } catch (error) {
        return new Unreadable(error)
      }
    }
    return null
  }

  async close(): Promise<void> {
    for (const records of this.#open) await records.close()
    await this.#coresSnapshot?.close()
    if (this.#snapshot === null) await this.database.close()
    else await this.#snapshot.close()
  }

  async #useSnapshot(records: CoreRecords): Promise<void> {
    if (this.#coresSnapshot === null) return
    await records.db.close()
    records.db = this.#coresSnapshot.session()
  }
}

export class StoredLog {
  readonly name: LogName
  readonly id: LogId
  readonly #records: CoreRecords

  constructor(name: LogName, records: CoreRecords) {
    this.name = name
    this.id = logIdOf(name)
    this.#records = records
  }

  auth(): Promise<Stored<StoredAuth>> {
    return this.#read((reader) => reader.getAuth())
  }

  head(): Promise<Stored<StoredHead>> {
    return this.#read((reader) => reader.getHead())
  }

  hints(): Promise<Stored<StoredHints>> {
    return this.#read((reader) => reader.getHints())
  }

  block(index: number): Promise<Stored<Uint8Array>> {
    return this.#read((reader) => reader.getBlock(index))
  }

  node(index: number): Promise<Stored<TreeNode>> {
    return this.#read((reader) => reader.getTreeNode(index))
  }

  /** For whoever weaves entries: what cannot be read is not here. */
  async get(index: number): Promise<Uint8Array | null> {
    const block = await this.block(index)
    return block instanceof Unreadable ? null : block
  }

  /** The blocks in [from, to). */
  blocks(from: number, to: number): Promise<Stored<Uint8Array>[]> {
    const stream = (): AsyncIterable<{ index: number; value: Uint8Array }> =>
      this.#records.createBlockStream({ gte: from, lt: to })
    return this.#range(
      from,
      to,
      stream,
      ({ value }) => value,
      (index) => this.block(index)
    )
  }

  /** The tree's nodes in [from, to), by hypercore's numbers: leaves are even. */
  nodes(from: number, to: number): Promise<Stored<TreeNode>[]> {
    const stream = (): AsyncIterable<TreeNode> =>
      this.#records.createTreeNodeStream({ gte: from, lt: to })
    return this.#range(
      from,
      to,
      stream,
      (node) => node,
      (index) => this.node(index)
    )
  }

  /** Up to where there are records of blocks and nodes that lie beyond a length; null for none. */
  async beyond(length: number): Promise<{ blocks: number; nodes: number } | null> {
    let blocks = 0
    let nodes = 0
    try {
      for await (const { index } of this.#records.createBlockStream({ gte: length })) {
        blocks = Math.max(blocks, index + 1)
      }
      for await (const { index } of this.#records.createTreeNodeStream({
        gte: Math.max(0, 2 * length - 1)
      })) {
        nodes = Math.max(nodes, index + 1)
      }
    } catch {
      return null // What cannot be read is told by whoever looks for damaged files.
    }
    return blocks === 0 && nodes === 0 ? null : { blocks, nodes }
  }

  /** Which blocks the log says it has: the numbers set, ascending. */
  async bits(): Promise<Bits | Unreadable> {
    try {
      const pages = new Map<number, Uint8Array>()
      for await (const { index, page } of this.#records.createBitfieldStream()) {
        pages.set(index, new Uint8Array(page))
      }
      return new Bits(pages)
    } catch (error) {
      return new Unreadable(error)
    }
  }

  async #read<T>(
    read: (reader: ReturnType<CoreRecords['read']>) => Promise<T>
  ): Promise<T | Unreadable> {
    try {
      const reader = this.#records.read()
      const value = read(reader)
      reader.tryFlush()
      return await value
    } catch (error) {
      return new Unreadable(error)
    }
  }

  async #range<R extends { readonly index: number }, T>(
    from: number,
    to: number,
    stream: () => AsyncIterable<R>,
    valueOf: (record: R) => T,
    one: (index: number) => Promise<Stored<T>>
  ): Promise<Stored<T>[]> {
    try {
      const found: Stored<T>[] = Array.from({ length: to - from }, () => null)
      for await (const record of stream()) found[record.index - from] = valueOf(record)
      return found
    } catch {
      // One that cannot be read ends the stream: each by itself, then.
      return Promise.all(Array.from({ length: to - from }, (_, i) => one(from + i)))
    }
  }
}

/** A log's bitfield. */
export class Bits {
  readonly #pages: ReadonlyMap<number, Uint8Array>

  constructor(pages: ReadonlyMap<number, Uint8Array>) {
    this.#pages = pages
  }

  has(index: number): boolean {
    const byte = this.#pages.get(Math.floor(index / bitsAPage))?.[(index % bitsAPage) >>> 3] ?? 0
    return ((byte >>> (index & 7)) & 1) === 1
  }

  /** The last one that is set; -1 for none. */
  get last(): number {
    let last = -1
    for (const [page, bytes] of this.#pages) {
      for (let i = bytes.length - 1; i >= 0; i--) {
        if (bytes[i] === 0) continue
        last = Math.max(last, page * bitsAPage + i * 8 + 31 - Math.clz32(bytes[i]!))
        break
      }
    }
    return last
  }
}
