/**
 * In place of hypercore-storage's step from its first format, logs in files, which it takes with any database that is new:
 * it begins with the present version. In a page there have never been such files to take over.
 */
import { CorestoreTX, type StoreHead } from 'hypercore-storage/lib/tx.js'
import View from 'hypercore-storage/lib/view.js'

interface NewStorage {
  readonly db: object
  _getHead(view: View): Promise<StoreHead>
}

export async function store(storage: NewStorage, { version }: { version: number }): Promise<void> {
  const view = new View()
  const transaction = new CorestoreTX(view)
  transaction.setHead({ ...(await storage._getHead(view)), version })
  transaction.apply()
  await View.flush(view.changes, storage.db)
}
