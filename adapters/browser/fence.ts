/**
 * Keeps a tab that lost the lead without noticing, since it was frozen, from writing. Each opening of a storage has a
 * number; the next one leaves a mark under it. Every transaction that writes first adds that mark itself and takes it
 * away again: where it is there already, the browser aborts the transaction by itself, with nothing asked of the page.
 */
import { committed, settled } from './idb.ts'

export const fenceStore = 'fence'
const currentKey = 'current'
/** Marks of openings long ago; no tab sleeps through so many. */
const kept = 1_000

/**
 * Takes the number of a new opening; whoever had the one before cannot write any more. `read` asks for what else is wanted,
 * of `stores`, as that one has left it. It need not be on the disk: a power loss ends every opening.
 */
export async function takeFence(
  database: IDBDatabase,
  stores: readonly string[] = [],
  read: (transaction: IDBTransaction) => void = () => {}
): Promise<number> {
  const transaction = database.transaction([fenceStore, ...stores], 'readwrite')
  read(transaction)
  const store = transaction.objectStore(fenceStore)
  const before = ((await settled(store.get(currentKey))) as number | undefined) ?? 0
  store.put(before + 1, currentKey)
  store.put(0, before)
  if (before > kept) store.delete(IDBKeyRange.upperBound(before - kept))
  await committed(transaction)
  return before + 1
}

/** To be called first in each transaction that writes; the fence's store is among its stores. */
export function passFence(transaction: IDBTransaction, fence: number): void {
  const store = transaction.objectStore(fenceStore)
  store.add(0, fence)
  store.delete(fence)
}

/** Was the transaction aborted since another tab has opened the storage? */
export function isFenced(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'ConstraintError'
}
