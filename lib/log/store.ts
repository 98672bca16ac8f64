/**
 * The one place that touches Corestore: the logs of this device, and the database they lie in, which is closed and opened
 * again under them after a disk failure.
 */
import Corestore from 'corestore'
import type HypercoreStorage from 'hypercore-storage'
import { SkeinError, storageError } from '../errors.ts'
import type { Clock, Storage } from '../platform.ts'
import type { DeviceKeys } from '../transport.ts'
import { coded, withCodes, type KeyValueStore } from './database.ts'
import type { LogId } from './entry.ts'
import { Log, type LogName } from './log.ts'

const probeKey = new TextEncoder().encode('probe')
/** Enough for room to be needed. */
const probeBytes = 4096

/** All logs of this device, and the database beside them. */
export class LogStore {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #logsById = new Map<LogId, Log>()
  readonly #openingById = new Map<LogId, Promise<Log>>()
  #corestore: Corestore | null = null
  #database: KeyValueStore | null = null
  /** Why there is no store for now. */
  #whyClosed: SkeinError | null = null
  #lacksReserve = false

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
      throw openError(cause)
    }
    this.#corestore = corestore
    this.#whyClosed = null
    this.#database = withCodes(corestore.storage.rocks.session())
  }

  /** A key-value database in the same write-ahead log as the logs: it is never ahead of them. */
  get database(): KeyValueStore {
    if (this.#database === null) throw this.#whyClosed ?? closedError()
    return this.#database
  }

  /** Opens a log; with `keys` it is one's own. */
  async open(name: LogName, keys: DeviceKeys | null): Promise<Log> {
    if (this.#corestore === null) throw this.#whyClosed ?? closedError()
    const log = new Log(name, keys, this.#clock)
    const known = this.#logsById.get(log.id)
    if (known !== undefined) return known
    // Whoever asks for it meanwhile gets the same one: only that is attached again when the store is.
    let opening = this.#openingById.get(log.id)
    if (opening === undefined) {
      opening = log.attach(this.#corestore).then(() => {
        this.#logsById.set(log.id, log)
        return log
      })
      this.#openingById.set(log.id, opening)
    }
    try {
      return await opening
    } finally {
      this.#openingById.delete(log.id)
    }
  }

  async closeLog(log: Log): Promise<void> {
    this.#logsById.delete(log.id)
    await log.close()
  }

  /** What the logs lie in, for whoever checks it record by record: see `store-image.ts`. */
  image(): HypercoreStorage {
    if (this.#corestore === null) throw this.#whyClosed ?? closedError()
    return this.#corestore.storage
  }

  /** False before `ready`, after `close`, and where opening it again has failed so far. */
  get isOpen(): boolean {
    return this.#corestore !== null
  }

  /** False where writing would take the room without which the store cannot be opened again, or there is no store. */
  get takesWrites(): boolean {
    return this.isOpen && !this.#lacksReserve
  }

  /**
   * Fails with `DISK_FULL` while the disk has no room for the reserve that was given up: better that nothing more is
   * written than that nothing can be read.
   */
  async assertRoom(): Promise<void> {
    if (this.#lacksReserve) await this.#restoreReserve()
  }

  /** All that was written so far survives a power loss. */
  sync(): Promise<void> {
    return this.#storage.sync()
  }

  /** Fails with `DISK_FULL`, `DISK_READ_ONLY` or `STORAGE_FAILED` if the store takes no writes. */
  async probe(): Promise<void> {
    const batch = this.database.write({ autoDestroy: true })
    batch.tryPut(probeKey, new Uint8Array(probeBytes))
    await batch.flush()
  }

  /**
   * After the disk failed: closes the store, opens it again and puts the logs back on it. RocksDB takes nothing more
   * after a failed write until then, and needs some room to open: the reserve is released for it. Fails with `DISK_FULL`
   * and so on; where only the reserve could not be set aside again, the store can be read.
   */
  async reopen(): Promise<void> {
    // It was opened again, and has only not been written to since.
    if (this.isOpen) await this.assertRoom()
    await this.#storage.releaseReserve()
    for (const log of this.#logsById.values()) log.detach()
    const corestore = this.#corestore
    const database = this.#database
    this.#corestore = null
    this.#database = null
    this.#whyClosed ??= new SkeinError('STORAGE_FAILED', 'The store is being opened again')
    // They failed, which is why the store is opened again.
    await database?.close().catch(() => {})
    await corestore?.close().catch(() => {})
    try {
      await this.ready()
      for (const log of this.#logsById.values()) await log.attach(this.#corestore!)
    } catch (error) {
      this.#whyClosed = storageError('The store could not be opened again', error)
      throw this.#whyClosed
    }
    await this.#restoreReserve()
  }

  /** Fails with `DISK_FULL` and so on where what is left cannot be written; what was durable is so all the same. */
  async close(): Promise<void> {
    try {
      await this.#closeAll()
    } catch {
      // After a failed write RocksDB takes nothing more until it is opened again: there may be room by now.
      const failure = await this.reopen().catch((error: unknown) => error)
      // Where only the reserve could not be set aside again, it is open; the next opening sees to that.
      if (!this.isOpen) throw failure
      await coded('The store could not be closed', () => this.#closeAll())
    }
  }

  async #closeAll(): Promise<void> {
    const corestore = this.#corestore
    const database = this.#database
    this.#corestore = null
    this.#database = null
    try {
      await database?.close()
    } finally {
      await corestore?.close()
    }
  }

  async #restoreReserve(): Promise<void> {
    this.#lacksReserve = true
    await this.#storage.restoreReserve()
    this.#lacksReserve = false
  }
}

/** RocksDB says EIO to nearly everything; what it means stands in its messages. */
function openError(cause: unknown): SkeinError {
  const said = cause instanceof Error ? cause.message : String(cause)
  const error = storageError(`The store could not be opened (${said})`, cause)
  const isDamage =
    /corrupt|mismatch|No such file|existing log file|CURRENT file|Invalid device file/i.test(said)
  if (!isDamage || error.code !== 'STORAGE_FAILED') return error
  return new SkeinError('STORAGE_DAMAGED', error.message, { cause })
}

function closedError(): SkeinError {
  return new SkeinError('CLOSED', 'The store is closed')
}
