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
  readonly #fence: number
  /** Open since its fence was taken, for the first Corestore. */
  #opened: IDBDatabase | null
  #rocks: Rocks | null = null
  #isClosed = false

  private constructor(
    logs: string,
    device: DeviceDatabase,
    { fence, database }: TakenLogs,
    options: PageStorageOptions
  ) {
    this.#logs = logs
    this.#device = device
    this.#fence = fence
    this.#opened = database
    this.#options = options
  }

  /** Whoever had it open cannot write to it any more. */
  static async open(location: string, options: PageStorageOptions): Promise<PageStorage> {
    const { factory } = options
    const name = `skein/${location}/logs`
    const opening = [
      DeviceDatabase.open(`skein/${location}/device`, factory),
      takeLogs(name, factory)
    ] as const
    const [device, logs] = await Promise.allSettled(opening)
    if (device.status === 'fulfilled' && logs.status === 'fulfilled')
      return new PageStorage(name, device.value, logs.value, options)
    if (device.status === 'fulfilled') device.value.close()
    if (logs.status === 'fulfilled') logs.value.database.close()
    throw device.status === 'rejected' ? device.reason : (logs as PromiseRejectedResult).reason
  }

  /** A new one at each reading, for one Corestore: when that is closed, so is this. */
  get corestore(): object {
    const { factory } = this.#options
    this.#rocks = new Rocks(this.#logs, { factory, fence: this.#fence, opened: this.#opened })
    this.#opened = null
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
    this.#opened?.close()
  }

  #check(name: string): void {
    if (this.#isClosed) throw new SkeinError('CLOSED', 'The storage is closed')
    if (!/^[A-Za-z0-9-]+$/.test(name)) {
      throw new TypeError(`An outbox's name has letters, digits and -, not ${JSON.stringify(name)}`)
    }
    if (this.#openOutboxes.has(name)) throw new TypeError(`The outbox ${name} is open`)
  }
}

interface TakenLogs {
  readonly database: IDBDatabase
  readonly fence: number
}

async function takeLogs(name: string, factory: IDBFactory): Promise<TakenLogs> {
  try {
    const database = await openDatabase(name, { factory, stores: [fenceStore] })
    return { database, fence: await takeFence(database) }
  } catch (cause) {
    throw storageError('The logs could not be opened', cause)
  }
}
