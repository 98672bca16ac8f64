/**
 * A device's folder, held under a lock:
 *
 *     lock       who uses the folder
 *     secrets    the keys
 *     outbox/    what must survive a power loss before it reaches the store
 *     store/     the corestore
 *     reserve    room to open the store again on a full disk
 */
import { join, resolve } from 'node:path'
import { SkeinError } from '../../lib/errors.ts'
import type { Outbox, Storage } from '../../lib/platform.ts'
import { makeFolder, nodeDisk, type Disk } from './disk.ts'
import { Lock } from './lock.ts'
import { FileOutbox } from './outbox.ts'
import { Reserve } from './reserve.ts'
import { readSecrets, writeSecrets } from './secrets.ts'
import { WriteAhead } from './write-ahead.ts'

const mebibyte = 1024 * 1024
const reserveStepBytes = 4 * mebibyte

export interface FolderOptions {
  randomBytes(length: number): Uint8Array
  disk?: Disk
}

export async function openFolder(location: string, options: FolderOptions): Promise<Storage> {
  const { disk = nodeDisk, randomBytes } = options
  const path = resolve(location)
  await makeFolder(disk, path)
  const lock = await Lock.take(join(path, 'lock'), path)
  try {
    const folder = new Folder(path, lock, disk, randomBytes)
    await folder.ready()
    return folder
  } catch (error) {
    await lock.release()
    throw error
  }
}

class Folder implements Storage {
  readonly corestore: string
  readonly #lock: Lock
  readonly #disk: Disk
  readonly #secrets: string
  readonly #outboxes: string
  readonly #reserve: Reserve
  readonly #writeAhead: WriteAhead
  readonly #openOutboxesByName = new Map<string, FileOutbox | null>()
  readonly #tasks = new Set<Promise<unknown>>()
  #reserveHeld = true
  #growing: Promise<void> | null = null
  #closing: Promise<void> | null = null

  constructor(path: string, lock: Lock, disk: Disk, randomBytes: (length: number) => Uint8Array) {
    this.corestore = join(path, 'store')
    this.#lock = lock
    this.#disk = disk
    this.#secrets = join(path, 'secrets')
    this.#outboxes = join(path, 'outbox')
    this.#reserve = new Reserve(disk, join(path, 'reserve'), randomBytes)
    this.#writeAhead = new WriteAhead(disk, this.corestore)
  }

  async ready(): Promise<void> {
    await makeFolder(this.#disk, this.corestore)
    await makeFolder(this.#disk, this.#outboxes)
    await this.#writeAhead.measure()
    await this.#hold()
  }

  readSecrets(): Promise<Uint8Array | null> {
    return this.#whileOpen(() => readSecrets(this.#disk, this.#secrets))
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
      await this.#writeAhead.sync()
      this.#growReserve()
    })
  }

  releaseReserve(): Promise<void> {
    return this.#whileOpen(async () => {
      this.#reserveHeld = false
      await this.#growing
      await this.#reserve.release()
    })
  }

  restoreReserve(): Promise<void> {
    return this.#whileOpen(async () => {
      await this.#writeAhead.measure()
      await this.#reserve.hold(this.#reserveBytes())
      this.#reserveHeld = true
    })
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      await Promise.allSettled(this.#tasks)
      try {
        for (const outbox of this.#openOutboxesByName.values()) await outbox?.close()
        await this.#growing
      } finally {
        await this.#lock.release()
      }
    })()
    return this.#closing
  }

  /**
   * Opening a store again took at most what its write-ahead files hold and 0.4 MiB, measured on a full tmpfs: the bytes
   * in them go into tables before they are let go of. A step more is held than they are long now, for what is appended
   * until the next look.
   */
  #reserveBytes(): number {
    const steps = Math.floor(this.#writeAhead.byteLength / reserveStepBytes) + 2
    return mebibyte + steps * reserveStepBytes
  }

  /** The write-ahead files grow up to 64 MiB, and so does the reserve. Nobody waits for it. */
  #growReserve(): void {
    if (
      this.#growing !== null ||
      !this.#reserveHeld ||
      this.#reserveBytes() <= this.#reserve.byteLength
    )
      return
    this.#growing = this.#hold()
      // Only a help for later; a disk that is failing tells the next one who writes.
      .catch(() => {})
      .finally(() => {
        this.#growing = null
      })
  }

  /** A disk too full for the reserve can still be read, and perhaps opened. */
  async #hold(): Promise<void> {
    try {
      await this.#reserve.hold(this.#reserveBytes())
    } catch (error) {
      if (!(error instanceof SkeinError && error.code === 'DISK_FULL')) throw error
    }
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
