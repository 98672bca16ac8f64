/**
 * A device's storage in a page: two IndexedDB databases of the page's origin, `skein/NAME/logs` and `skein/NAME/device`.
 * A batch of the logs is durable when it has been written, so blocks pass no outbox here.
 */
import HypercoreStorage from 'hypercore-storage'
import { SkeinError, storageError } from '../../lib/errors.ts'
import type { Outbox, Storage } from '../../lib/platform.ts'
import { DeviceDatabase } from './device-database.ts'
import { fenceStore, takeFence } from './fence.ts'
import { openDatabase } from './idb.ts'
import { Rocks } from './rocks.ts'

export interface PageStorageOptions {
  readonly factory: IDBFactory
}

export class PageStorage implements Storage {
  readonly isDurable = true
  readonly #logs: string
  readonly #device: DeviceDatabase
  readonly #options: PageStorageOptions
  readonly #openOutboxes = new Set<string>()
  #rocks: Rocks | null = null
  #fence = 0
  #isClosed = false

  private constructor(location: string, device: DeviceDatabase, options: PageStorageOptions) {
    this.#logs = `skein/${location}/logs`
    this.#device = device
    this.#options = options
  }

  /** Whoever had it open cannot write to it any more. */
  static async open(location: string, options: PageStorageOptions): Promise<PageStorage> {
    const device = await DeviceDatabase.open(`skein/${location}/device`, options.factory)
    const storage = new PageStorage(location, device, options)
    await storage.#takeLogs()
    return storage
  }

  /** A new one at each reading, for one Corestore: when that is closed, so is this. */
  get corestore(): object {
    const { factory } = this.#options
    this.#rocks = new Rocks(this.#logs, { factory, fence: this.#fence })
    return new HypercoreStorage(this.#rocks)
  }

  readSecrets(): Promise<Uint8Array | null> {
    return this.#device.readSecrets()
  }

  writeSecrets(bytes: Uint8Array): Promise<void> {
    return this.#device.writeSecrets(bytes)
  }

  async openOutbox(name: string): Promise<Outbox> {
    this.#check(name)
    const outbox = await this.#device.openOutbox(name)
    this.#openOutboxes.add(name)
    const forget = (): void => void this.#openOutboxes.delete(name)
    return Object.assign(outbox, {
      close: (): Promise<void> => {
        forget()
        return Promise.resolve()
      }
    })
  }

  async removeOutbox(name: string): Promise<void> {
    this.#check(name)
    await this.#device.removeOutbox(name)
  }

  /** What has been written is durable; what is being written is waited for. */
  async sync(): Promise<void> {
    await this.#rocks?.idle()
  }

  // How much room a page has is the browser's business: there is nothing to set aside.
  async releaseReserve(): Promise<void> {}
  async restoreReserve(): Promise<void> {}

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#device.close()
  }

  async #takeLogs(): Promise<void> {
    const { factory } = this.#options
    try {
      const database = await openDatabase(this.#logs, { factory, stores: [fenceStore] })
      this.#fence = await takeFence(database)
      database.close()
    } catch (cause) {
      this.#device.close()
      throw storageError('The logs could not be opened', cause)
    }
  }

  #check(name: string): void {
    if (this.#isClosed) throw new SkeinError('CLOSED', 'The storage is closed')
    if (!/^[A-Za-z0-9-]+$/.test(name)) {
      throw new TypeError(`An outbox's name has letters, digits and -, not ${JSON.stringify(name)}`)
    }
    if (this.#openOutboxes.has(name)) throw new TypeError(`The outbox ${name} is open`)
  }
}
