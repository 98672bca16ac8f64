/**
 * Makes durable what RocksDB has not: the tail of its write-ahead files. An append resolves once it stands in one of
 * them, without a sync, and the binding has no call for one; but they are plain files that only grow (`NNNNNN.log`), so
 * syncing each whose length has changed since its last sync does it. Tables, blobs, manifest and their names RocksDB
 * syncs itself before it lets go of a write-ahead file (seen with strace, rocksdb-native 3.18).
 */
import { join } from 'node:path'
import type { Disk } from './disk.ts'

export class WriteAhead {
  readonly #disk: Disk
  readonly #store: string
  readonly #database: string
  readonly #syncedBytesByName = new Map<string, number>()
  readonly #failureByName = new Map<string, unknown>()
  #durableNames: string[] = []
  #storeSynced = false
  #running: Promise<void> | null = null
  #next: Promise<void> | null = null

  /** `store` is the corestore's folder. */
  constructor(disk: Disk, store: string) {
    this.#disk = disk
    this.#store = store
    this.#database = join(store, 'db')
  }

  /** How many files there were at the last sync. */
  get fileCount(): number {
    return this.#durableNames.length
  }

  /** Callers share a sync, but never one that began before they called. */
  sync(): Promise<void> {
    if (this.#next !== null) return this.#next
    if (this.#running === null) return (this.#running = this.#run())
    this.#next = this.#running
      .catch(() => {}) // Those who share it hear of it.
      .then(() => {
        this.#next = null
        return (this.#running = this.#run())
      })
    return this.#next
  }

  async #run(): Promise<void> {
    try {
      await this.#syncAll()
    } finally {
      this.#running = null
    }
  }

  async #syncAll(): Promise<void> {
    const names = await this.#files()
    for (const known of [this.#syncedBytesByName, this.#failureByName]) {
      for (const name of known.keys()) if (!names.includes(name)) known.delete(name)
    }
    for (const name of names) await this.#syncFile(name)
    if (names.some((name) => !this.#durableNames.includes(name))) {
      await this.#disk.sync(this.#database)
    }
    this.#durableNames = names
    if (!this.#storeSynced && names.length > 0) await this.#syncStore()
  }

  async #syncFile(name: string): Promise<void> {
    // The system tells of a failed write once and then forgets: a later sync that succeeds would prove nothing. It is
    // over when RocksDB, opened again, has written the bytes elsewhere and removed the file.
    if (this.#failureByName.has(name)) throw this.#failureByName.get(name)
    const file = await this.#disk.open(join(this.#database, name))
    if (file === null) return // Removed meanwhile, so what it held is in a table.
    try {
      const bytes = await file.size()
      if (this.#syncedBytesByName.get(name) === bytes) return
      try {
        await file.sync()
      } catch (error) {
        this.#failureByName.set(name, error)
        throw error
      }
      this.#syncedBytesByName.set(name, bytes)
    } finally {
      await file.close()
    }
  }

  /** Once: what corestore makes beside the database and does not sync. An empty CORESTORE file keeps it shut. */
  async #syncStore(): Promise<void> {
    const names = await this.#disk.list(this.#store)
    if (names.includes('CORESTORE')) await this.#disk.sync(join(this.#store, 'CORESTORE'))
    await this.#disk.sync(this.#store)
    this.#storeSynced = true
  }

  /** Oldest first, so that no later write is durable before an earlier one. */
  async #files(): Promise<string[]> {
    const names = await this.#disk.list(this.#database)
    const logs = names.filter((name) => /^\d+\.log$/.test(name))
    return logs.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
  }
}
