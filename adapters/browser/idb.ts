/** IndexedDB with promises: opening a database with the stores that are wanted, and waiting for requests and transactions. */

export interface OpenOptions {
  readonly factory: IDBFactory
  readonly stores: readonly string[]
  /** One that is open already; it is closed where it lacks a store, and opened anew. */
  readonly opened?: IDBDatabase | null
  /** The database is gone from under the page: its data was cleared, or the browser shut it. */
  readonly onClosed?: () => void
}

/** Opens, or makes, a database that has at least these stores. */
export async function openDatabase(name: string, options: OpenOptions): Promise<IDBDatabase> {
  let database = options.opened ?? (await openAt(name, undefined, options))
  while (options.stores.some((store) => !database.objectStoreNames.contains(store))) {
    const version = database.version + 1
    database.close()
    database = await openAt(name, version, options)
  }
  // Another page wants to delete it, or needs more stores: holding on would keep it waiting for ever.
  database.onversionchange = () => {
    database.close()
    options.onClosed?.()
  }
  database.onclose = () => options.onClosed?.()
  return database
}

function openAt(
  name: string,
  version: number | undefined,
  { factory, stores }: OpenOptions
): Promise<IDBDatabase> {
  const request = factory.open(name, version)
  request.onupgradeneeded = () => {
    const { result } = request
    for (const store of stores) {
      if (!result.objectStoreNames.contains(store)) result.createObjectStore(store)
    }
  }
  return settled(request)
}

export function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error ?? new Error('The request failed'))
  })
}

/** Resolves when the transaction is complete: with `durability: 'strict'`, on the disk. */
export function committed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve()
    transaction.onabort = () =>
      reject(transaction.error ?? new Error('The transaction was aborted'))
  })
}

/** The rows between two keys, the ends as given; null where no key can lie between them. */
export function rangeOf(
  lower: Uint8Array | null,
  isLowerOpen: boolean,
  upper: Uint8Array | null,
  isUpperOpen: boolean
): IDBKeyRange | null | undefined {
  if (lower === null && upper === null) return undefined
  if (lower === null) return IDBKeyRange.upperBound(upper, isUpperOpen)
  if (upper === null) return IDBKeyRange.lowerBound(lower, isLowerOpen)
  const order = compareBytes(lower, upper)
  if (order > 0 || (order === 0 && (isLowerOpen || isUpperOpen))) return null
  return IDBKeyRange.bound(lower, upper, isLowerOpen, isUpperOpen)
}

/** The order of keys, IndexedDB's and RocksDB's alike: byte by byte, the shorter first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const difference = a[i]! - b[i]!
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/** Bytes as a string of the same order, which a `Map` can have as its key. */
export function textOf(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}
