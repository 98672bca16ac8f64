/** The key-value database that the logs lie in, as far as views use it: hypercore-storage's. */
import { storageError } from '../errors.ts'

export interface KeyValueStore {
  get(key: Uint8Array): Promise<Uint8Array | null>
  write(options?: { autoDestroy?: boolean }): KeyValueBatch
  iterator(range: {
    gte?: Uint8Array
    lt?: Uint8Array
    reverse?: boolean
    limit?: number
  }): AsyncIterable<{ key: Uint8Array; value: Uint8Array }>
  close(): Promise<void>
}

/** Takes effect whole, or not at all, at `flush`. */
export interface KeyValueBatch {
  tryPut(key: Uint8Array, value: Uint8Array): void
  tryDeleteRange(start: Uint8Array, end: Uint8Array): void
  flush(): Promise<void>
}

/** The same, with its failures told as what they mean: `DISK_FULL`, `DISK_READ_ONLY`, `STORAGE_FAILED`. */
export function withCodes(database: KeyValueStore): KeyValueStore {
  const [notRead, notWritten] = ['The store could not be read', 'The store could not be written']
  return {
    get: (key) => coded(notRead, () => database.get(key)),
    write: (options) => {
      const batch = database.write(options)
      return {
        tryPut: (key, value) => batch.tryPut(key, value),
        tryDeleteRange: (start, end) => batch.tryDeleteRange(start, end),
        flush: () => coded(notWritten, () => batch.flush())
      }
    },
    async *iterator(range) {
      try {
        yield* database.iterator(range)
      } catch (cause) {
        throw storageError(notRead, cause)
      }
    },
    close: () => database.close()
  }
}

/** Runs a call of what lies beneath; what it throws becomes a `SkeinError`. */
export async function coded<T>(message: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (cause) {
    throw storageError(message, cause)
  }
}
