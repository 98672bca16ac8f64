/**
 * The one place that touches Corestore and Hypercore: which cores there are, their derived keys, and the database they
 * lie in. A `Log` outlives its hypercore session, so that the store can be opened again under it after a disk failure.
 *
 * A log's key is that of a literal hypercore manifest with one signer, the device, and a namespace made of the space and
 * the log's name: whoever knows the device knows its logs, and a log proves its author by itself.
 */
import Corestore from 'corestore'
import Hypercore from 'hypercore'
import type { Manifest } from 'hypercore'
import { toHex } from '../bytes.ts'
import { hash } from '../crypto.ts'
import { SkeinError } from '../errors.ts'
import { Emitter } from '../events.ts'
import type { Clock, Storage } from '../platform.ts'
import type { DeviceKeys } from '../transport.ts'
import type { KeyValueStore } from './database.ts'
import type { CoreName, LogId } from './entry.ts'
import { allowPush, guardConflicts, pushBlocks } from './push.ts'

const appendDeadlineMs = 30_000
const hashesKept = 512

export interface LogName {
  readonly space: Uint8Array
  readonly device: Uint8Array
  readonly core: CoreName
}

export interface LogEvents {
  /** There are blocks that were not there before, or the log was opened again. */
  progress: object
  /** A block came from a peer. */
  downloaded: { index: number }
  /** A peer has another block at a place that we have: the log has two versions. */
  conflict: { length: number }
}

/** The key of a device's log; anyone who knows the names can compute it. */
export function logKeyOf(name: LogName): Uint8Array {
  return Hypercore.key(manifestOf(name))
}

export function logIdOf(name: LogName): LogId {
  return toHex(logKeyOf(name).subarray(0, 8))
}

// Pinned to the last field: another value anywhere gives another key. `test/unit/store.test.ts` has a golden vector.
function manifestOf({ space, device, core }: LogName): Manifest {
  return {
    version: 1,
    hash: 'blake2b',
    allowPatch: false,
    quorum: 1,
    signers: [
      {
        signature: 'ed25519',
        namespace: hash('skein/log', space, new TextEncoder().encode(core)),
        publicKey: device
      }
    ],
    prologue: null,
    linked: null,
    userData: null
  }
}

/** One log on this device, its own (writable) or another's. */
export class Log extends Emitter<LogEvents> {
  readonly name: LogName
  readonly key: Uint8Array
  readonly id: LogId
  readonly #keys: DeviceKeys | null
  readonly #clock: Clock
  #core!: Hypercore
  #live: { destroy(): void } | null = null
  #wantsAll = false
  readonly #hashes = new Map<number, string>()

  constructor(name: LogName, keys: DeviceKeys | null, clock: Clock) {
    super()
    this.name = name
    this.key = logKeyOf(name)
    this.id = toHex(this.key.subarray(0, 8))
    this.#keys = keys
    this.#clock = clock
  }

  /**
   * Opens the hypercore behind the log, also again after the store was opened again. For `LogStore`.
   * @internal
   */
  async attach(store: Corestore): Promise<void> {
    const core = store.get({
      manifest: manifestOf(this.name),
      ...(this.#keys === null ? {} : { keyPair: this.#keys }),
      allowFork: false,
      allowPush: false
    })
    await core.ready()
    guardConflicts(core)
    this.#core = core
    core.on('append', () => this.emit('progress', {}))
    core.on('download', (index) => {
      this.emit('downloaded', { index })
      this.emit('progress', {})
    })
    core.on('conflict', (length) => this.emit('conflict', { length }))
    if (this.#wantsAll) this.download()
    this.emit('progress', {})
  }

  /** Blocks known of, here or not. */
  get length(): number {
    return this.#core.length
  }

  /** Blocks that are here without a gap from the first. */
  get contiguousLength(): number {
    return this.#core.contiguousLength
  }

  get byteLength(): number {
    return this.#core.byteLength
  }

  /** The block, or null if it is not here. Never waits for a peer. */
  get(index: number): Promise<Uint8Array | null> {
    return this.#core.get(index, { wait: false })
  }

  /** Appends to one's own log. Fails with `STORAGE_FAILED` (or the store's error), also where the store hangs. */
  async append(blocks: Uint8Array[]): Promise<void> {
    let cancel = (): void => {}
    const deadline = new Promise<never>((_, reject) => {
      cancel = this.#clock.after(appendDeadlineMs, () => {
        reject(new SkeinError('STORAGE_FAILED', `An append did not end within ${appendDeadlineMs} ms`))
      })
    })
    try {
      await Promise.race([this.#core.append(blocks), deadline])
    } finally {
      cancel()
    }
  }

  /** The first 8 bytes of the tree hash at a length, in hex; null for a length beyond what is here. */
  async treeHashAt(length: number): Promise<string | null> {
    const known = this.#hashes.get(length)
    if (known !== undefined) return known
    // Hypercore would wait for ever for a length beyond its own.
    if (length > this.#core.length) return null
    const treeHash = toHex((await this.#core.treeHash(length)).subarray(0, 8))
    this.#hashes.set(length, treeHash)
    if (this.#hashes.size > hashesKept) {
      const oldest = this.#hashes.keys().next()
      if (oldest.done !== true) this.#hashes.delete(oldest.value)
    }
    return treeHash
  }

  /** Wants every block, present and future, from whoever is connected. */
  download(): void {
    this.#wantsAll = true
    this.#live?.destroy()
    this.#live = this.#core.download({ start: 0, end: -1 })
  }

  /** Sends blocks to connected peers unasked. */
  push(from: number, to: number): void {
    pushBlocks(this.#core, from, to)
  }

  /** Takes blocks unasked; see `push.ts` for when that is right. */
  allowPush(allow: boolean): void {
    allowPush(this.#core, allow)
  }

  /** Replicates the log over a muxer; harmless if it does so already. */
  replicate(mux: unknown): void {
    const { replicator } = this.#core.core
    if (!replicator.attached(mux)) replicator.attachTo(mux)
  }

  /** Ends that. */
  unreplicate(mux: unknown): void {
    const { replicator } = this.#core.core
    if (!replicator.attached(mux)) return
    replicator.detachFrom(mux)
    for (const peer of [...replicator.peers]) if (peer.protomux === mux) peer.channel.close()
  }

  async close(): Promise<void> {
    this.#live?.destroy()
    await this.#core.close()
  }
}

/** All logs of this device, and the database beside them. */
export class LogStore {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #logsById = new Map<LogId, Log>()
  #corestore: Corestore | null = null
  #database: KeyValueStore | null = null

  constructor(storage: Storage, clock: Clock) {
    this.#storage = storage
    this.#clock = clock
  }

  async ready(): Promise<void> {
    const corestore = new Corestore(this.#storage.corestore)
    try {
      await corestore.ready()
    } catch (cause) {
      await corestore.close().catch(() => {}) // It never opened; the error that says why is the one to tell.
      throw new SkeinError('STORAGE_FAILED', 'The store could not be opened', { cause })
    }
    this.#corestore = corestore
    this.#database = corestore.storage.rocks.session()
  }

  /** A key-value database in the same write-ahead log as the logs: it is never ahead of them. */
  get database(): KeyValueStore {
    if (this.#database === null) throw new SkeinError('CLOSED', 'The store is not open')
    return this.#database
  }

  /** Opens a log; with `keys` it is one's own. */
  async open(name: LogName, keys: DeviceKeys | null): Promise<Log> {
    if (this.#corestore === null) throw new SkeinError('CLOSED', 'The store is not open')
    const log = new Log(name, keys, this.#clock)
    const known = this.#logsById.get(log.id)
    if (known !== undefined) return known
    await log.attach(this.#corestore)
    this.#logsById.set(log.id, log)
    return log
  }

  async closeLog(log: Log): Promise<void> {
    this.#logsById.delete(log.id)
    await log.close()
  }

  /** All that was written so far survives a power loss. */
  sync(): Promise<void> {
    return this.#storage.sync()
  }

  /**
   * After the disk failed: closes the store, opens it again and puts the logs back on it. RocksDB takes nothing more
   * after a failed write until then, and needs some room to open: the reserve is released for it.
   */
  async reopen(): Promise<void> {
    await this.#storage.releaseReserve()
    const corestore = this.#corestore
    this.#corestore = null
    this.#database = null
    await corestore?.close().catch(() => {}) // It failed, which is why it is opened again.
    await this.ready()
    for (const log of this.#logsById.values()) await log.attach(this.#corestore!)
    await this.#storage.restoreReserve()
  }

  async close(): Promise<void> {
    const corestore = this.#corestore
    this.#corestore = null
    await this.#database?.close()
    this.#database = null
    await corestore?.close()
  }
}
