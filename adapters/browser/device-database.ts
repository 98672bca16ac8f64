/**
 * What a device keeps beside its logs, in an IndexedDB database of its own: the secrets, and the outboxes' records. All
 * that is written is durable when the call resolves.
 */
import { SkeinError, storageError } from '../../lib/errors.ts'
import type { Outbox, OutboxRecord } from '../../lib/platform.ts'
import { fenceStore, passFence, takeFence } from './fence.ts'
import { committed, openDatabase, settled } from './idb.ts'

const keys = 'keys'
const outboxes = 'outboxes'
const secretsKey = 'secrets'

export class DeviceDatabase {
  readonly #database: IDBDatabase
  readonly #fence: number
  /** As they were when this was opened, until they are read first. */
  #secrets: { bytes: Uint8Array | null } | null

  private constructor(database: IDBDatabase, fence: number, secrets: Uint8Array | null) {
    this.#database = database
    this.#fence = fence
    this.#secrets = { bytes: secrets }
  }

  /** Fails with `DISK_FULL`, `STORAGE_FAILED`. */
  static async open(name: string, factory: IDBFactory): Promise<DeviceDatabase> {
    return naming(name, async () => {
      const database = await openDatabase(name, { factory, stores: [keys, outboxes, fenceStore] })
      let secrets!: IDBRequest<Uint8Array | undefined>
      const fence = await takeFence(database, [keys], (transaction) => {
        secrets = transaction.objectStore(keys).get(secretsKey)
      })
      return new DeviceDatabase(database, fence, secrets.result ?? null)
    })
  }

  readSecrets(): Promise<Uint8Array | null> {
    const known = this.#secrets
    this.#secrets = null
    if (known !== null) return Promise.resolve(known.bytes)
    return naming('the keys of this device', async () => {
      const request = this.#database.transaction(keys).objectStore(keys).get(secretsKey)
      return ((await settled(request)) as Uint8Array | undefined) ?? null
    })
  }

  writeSecrets(bytes: Uint8Array): Promise<void> {
    this.#secrets = null
    return this.#write(keys, (store) => store.put(bytes.slice(), secretsKey))
  }

  async openOutbox(name: string): Promise<Outbox> {
    const range = rangeOfOutbox(name)
    const found = await naming(name, () =>
      settled(this.#database.transaction(outboxes).objectStore(outboxes).getAll(range))
    )
    let records = found as OutboxRecord[]
    let next = records.length
    return {
      read: () => Promise.resolve([...records]),
      append: async (added) => {
        if (added.length === 0) return
        await this.#write(outboxes, (store) => {
          added.forEach((record, i) => store.put(copyOf(record), [name, next + i]))
        })
        next += added.length
        records.push(...added)
      },
      get byteLength() {
        return records.reduce((sum, { bytes }) => sum + bytes.byteLength, 0)
      },
      trim: async (first) => {
        await this.#write(outboxes, (store) => {
          store.delete(range)
          first.forEach((record, i) => store.put(copyOf(record), [name, i]))
        })
        records = [...first]
        next = first.length
      },
      close: () => Promise.resolve()
    }
  }

  removeOutbox(name: string): Promise<void> {
    return this.#write(outboxes, (store) => store.delete(rangeOfOutbox(name)))
  }

  close(): void {
    this.#database.close()
  }

  #write(name: string, change: (store: IDBObjectStore) => void): Promise<void> {
    return naming(name, async () => {
      const stores = [name, fenceStore]
      const transaction = this.#database.transaction(stores, 'readwrite', { durability: 'strict' })
      passFence(transaction, this.#fence)
      change(transaction.objectStore(name))
      transaction.commit()
      await committed(transaction)
    })
  }
}

function rangeOfOutbox(name: string): IDBKeyRange {
  // An array is greater than every number.
  return IDBKeyRange.bound([name], [name, []])
}

function copyOf({ kind, index, bytes }: OutboxRecord): OutboxRecord {
  return { kind, index, bytes: bytes.slice() }
}

async function naming<T>(what: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task()
  } catch (cause) {
    if (cause instanceof SkeinError) throw cause
    throw storageError(`The browser’s storage failed: ${what}`, cause)
  }
}
