/** What is read of a document while entries go on being filed. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { KeyValueStore } from '../../lib/log/database.ts'
import { ViewStore } from '../../lib/views/view-store.ts'

const test = suite('view store')

const id = '0102030405060708'
const log = '1112131415161718'

/** A database in memory whose batches are written when the test says so. */
function heldDatabase(): { database: KeyValueStore; release: () => void } {
  const values = new Map<string, Uint8Array>()
  let release = (): void => {}
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
  const database: KeyValueStore = {
    get: async (key) => values.get(hex(key)) ?? null,
    write: () => {
      const puts: [string, Uint8Array][] = []
      return {
        tryPut: (key, value) => puts.push([hex(key), value]),
        tryDelete: () => {},
        tryDeleteRange: () => {},
        flush: () =>
          new Promise<void>((resolve) => {
            release = () => {
              for (const [key, value] of puts) values.set(key, value)
              resolve()
            }
          }),
        destroy: () => {}
      }
    },
    async *iterator({ gte, lt }) {
      for (const [key, value] of [...values].sort(([a], [b]) => (a < b ? -1 : 1))) {
        if (key >= hex(gte!) && key < hex(lt!)) yield { key: Buffer.from(key, 'hex'), value }
      }
    },
    close: async () => {}
  }
  return { database, release: () => release() }
}

test('what is read is all that was filed, though more is filed while it is written', async () => {
  const held = heldDatabase()
  const views = new ViewStore(() => held.database, new Uint8Array(32))
  views.file(id, 'ideas', { log, from: 0, to: 1 }, 10)
  const reading = views.read(id)
  await new Promise((resolve) => setImmediate(resolve))
  assert.is(views.file(id, null, { log, from: 1, to: 2 }, 10), 1)
  held.release()
  const stored = await reading
  assert.is(stored.filed, stored.since.length)
})

test('what was to be written while the store was being opened again is written later', async () => {
  const held = heldDatabase()
  let isOpen = true
  const views = new ViewStore(() => {
    if (!isOpen) throw new Error('The store is being opened again')
    return held.database
  }, new Uint8Array(32))
  views.file(id, 'ideas', { log, from: 0, to: 1 }, 10)
  isOpen = false
  const failure = await views.flush().catch((error: Error) => error.message)
  assert.is(failure, 'The store is being opened again')
  isOpen = true
  const reading = views.read(id)
  await new Promise((resolve) => setImmediate(resolve))
  held.release()
  assert.equal((await reading).since, [{ log, from: 0, to: 1 }])
})

test.run()
