/**
 * A device's folder, held under a lock:
 *
 *     lock       who uses the folder
 *     secrets    the keys
 *     outbox/    what must survive a power loss before it reaches the store
 *     store/     the corestore
 *     copied     names this copy of the folder, if it is one, behind the copies that it is a copy of
 *     opening    when it was opened last, beside its mark: see opening.ts
 *     reserve    room to open the store again on a full disk
 */
import { join, resolve } from 'node:path'
import HypercoreStorage from 'hypercore-storage'
import { damagedError, SkeinError } from '../../lib/errors.ts'
import type { Outbox, Storage } from '../../lib/platform.ts'
import { DeviceFile } from './device-file.ts'
import { makeFolder, nodeDisk, type Disk } from './disk.ts'
import { Lock } from './lock.ts'
import { Opening } from './opening.ts'
import { FileOutbox } from './outbox.ts'
import { RecentWrites } from './recent-writes.ts'
import { Reserve } from './reserve.ts'
import { readSecrets, writeSecrets } from './secrets.ts'
import { WriteAhead } from './write-ahead.ts'

const mebibyte = 1024 * 1024

/**
 * RocksDB's default of 64 MiB lets its write-ahead file grow as long, reserves 74 MB of disk for it, and takes 0.5 s to
 * open again after a crash. With 4 MiB appending is as fast, the files stay under 8 MiB as long as no block is larger
 * than 1 MiB, and opening takes under 0.1 s.
 */
const writeBufferBytes = 4 * mebibyte

/**
 * On a full tmpfs, opening a store took at most the length of its write-ahead files and 0.1 MiB: what they hold goes
 * into tables before they are let go of. Twice what they come to usually, since one block of 15 MiB may be among it.
 */
const reserveBytes = 16 * mebibyte

const writeAheadFiles = 4

export interface FolderOptions {
  randomBytes(length: number): Uint8Array
  disk?: Disk
}

export async function openFolder(location: string, options: FolderOptions): Promise<Storage> {
  const disk = options.disk ?? nodeDisk
  const path = resolve(location)
  await makeFolder(disk, path)
  const lock = await Lock.take(join(path, 'lock'), path)
  try {
    const folder = new Folder(path, lock, disk, (length) => options.randomBytes(length))
    await folder.ready()
    return folder
  } catch (error) {
    await lock.release()
    throw error
  }
}

class Folder implements Storage {
  readonly #path: string
  readonly #lock: Lock
  readonly #disk: Disk
  readonly #store: string
  readonly #secrets: string
  readonly #outboxes: string
  readonly #reserve: Reserve
  readonly #deviceFile: DeviceFile
  readonly #opening: Opening
  readonly #writeAhead: WriteAhead
  readonly #openOutboxesByName = new Map<string, FileOutbox | null>()
  readonly #tasks = new Set<Promise<unknown>>()
  #database: HypercoreStorage | null = null
  #flushing: Promise<void> | null = null
  #closing: Promise<void> | null = null

  constructor(path: string, lock: Lock, disk: Disk, randomBytes: (length: number) => Uint8Array) {
    this.#path = path
    this.#store = join(path, 'store')
    this.#lock = lock
    this.#disk = disk
    this.#secrets = join(path, 'secrets')
    this.#outboxes = join(path, 'outbox')
    this.#reserve = new Reserve(disk, join(path, 'reserve'), randomBytes)
    this.#deviceFile = new DeviceFile(disk, this.#store, randomBytes)
    this.#opening = new Opening(disk, join(path, 'opening'), randomBytes)
    this.#writeAhead = new WriteAhead(disk, this.#store)
  }

  async ready(): Promise<void> {
    await makeFolder(this.#disk, this.#store)
    await makeFolder(this.#disk, this.#outboxes)
    await this.#deviceFile.prepare(await this.#opening.isCopy())
    // A disk too full for these can still be read, and perhaps opened.
    await unlessFull(this.#opening.note())
    await unlessFull(this.#reserve.hold(reserveBytes))
  }

  /** A new one at each reading, for one Corestore: when that is closed, so is this. */
  get corestore(): object {
    const storage = new HypercoreStorage(this.#store, { writeBufferSize: writeBufferBytes })
    new RecentWrites(storage.rocks._state, storage.db.defaultColumnFamily)
    return (this.#database = storage)
  }

  get copyIds(): Uint8Array[] {
    return this.#deviceFile.copyIds
  }

  readSecrets(): Promise<Uint8Array | null> {
    return this.#whileOpen(async () => {
      const secrets = await readSecrets(this.#disk, this.#secrets)
      // There are outboxes only where there are spaces, and those are in the secrets first.
      if (secrets === null && (await this.#disk.list(this.#outboxes)).length > 0) {
        throw damagedError('This device’s keys are gone and its outbox is there', this.#path)
      }
      return secrets
    })
  }

  writeSecrets(bytes: Uint8Array): Promise<void> {
    return this.#whileOpen(() => writeSecrets(this.#disk, this.#secrets, bytes))
  }

  openOutbox(name: string): Promise<Outbox> {
    return this.#whileOpen(async () => {
      this.#checkName(name)
      this.#openOutboxesByName.set(name, null)
      const forget = () => this.#openOutboxesByName.delete(name)
      try {
        const outbox = await FileOutbox.open(this.#disk, this.#outboxes, name, forget)
        this.#openOutboxesByName.set(name, outbox)
        return outbox
      } catch (error) {
        forget()
        throw error
      }
    })
  }

  removeOutbox(name: string): Promise<void> {
    return this.#whileOpen(async () => {
      this.#checkName(name)
      await FileOutbox.remove(this.#disk, this.#outboxes, name)
    })
  }

  sync(): Promise<void> {
    return this.#whileOpen(async () => {
      await this.#deviceFile.confirm()
      await this.#writeAhead.sync()
      this.#letGoOfWriteAhead()
    })
  }

  releaseReserve(): Promise<void> {
    return this.#whileOpen(() => this.#reserve.release())
  }

  restoreReserve(): Promise<void> {
    return this.#whileOpen(() => this.#reserve.hold(reserveBytes))
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      await Promise.allSettled(this.#tasks)
      await this.#flushing
      try {
        for (const outbox of this.#openOutboxesByName.values()) await outbox?.close()
      } finally {
        await this.#lock.release()
      }
    })()
    return this.#closing
  }

  /**
   * RocksDB keeps a write-ahead file for as long as either column family has not written out what it has there: a few
   * small values in the default one, beside many blocks in corestore's, and the files came to 98 MiB. Nobody waits.
   */
  #letGoOfWriteAhead(): void {
    if (this.#flushing !== null || this.#writeAhead.fileCount <= writeAheadFiles) return
    this.#flushing = (this.#database?.flush() ?? Promise.resolve())
      // Closed meanwhile, or the disk fails, which the next one who writes is told.
      .catch(() => {})
      .finally(() => {
        this.#flushing = null
      })
  }

  #checkName(name: string): void {
    if (!/^[A-Za-z0-9-]+$/.test(name)) {
      throw new TypeError(`An outbox's name has letters, digits and -, not ${JSON.stringify(name)}`)
    }
    if (this.#openOutboxesByName.has(name)) throw new TypeError(`The outbox ${name} is open`)
  }

  async #whileOpen<T>(task: () => Promise<T>): Promise<T> {
    if (this.#closing !== null) throw new SkeinError('CLOSED', 'The storage is closed')
    const running = task()
    this.#tasks.add(running)
    try {
      return await running
    } finally {
      this.#tasks.delete(running)
    }
  }
}

async function unlessFull(step: Promise<void>): Promise<void> {
  try {
    await step
  } catch (error) {
    if (!(error instanceof SkeinError && error.code === 'DISK_FULL')) throw error
  }
}
