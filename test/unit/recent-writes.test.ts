/**
 * What was just written is read from memory (adapters/node/recent-writes.ts): as the database has it, whatever is written,
 * removed and read at once, and without asking it.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import HypercoreStorage from 'hypercore-storage'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { RecentWrites, type DatabaseState } from '../../adapters/node/recent-writes.ts'
import { seeded } from './outbox-records.ts'

const test = suite('recent writes')

/** What rocksdb-native has beyond what the library uses. */
interface Database {
  readonly defaultColumnFamily: object
  get(key: Uint8Array): Promise<Uint8Array | null>
  read(options: { autoDestroy: boolean }): {
    get(key: Uint8Array): Promise<Uint8Array | null>
    tryFlush(): void
  }
  write(options: { autoDestroy: boolean }): {
    tryPut(key: Uint8Array, value: Uint8Array): void
    tryDelete(key: Uint8Array): void
    tryDeleteRange(start: Uint8Array, end: Uint8Array): void
    flush(): Promise<void>
  }
  snapshot(): Database
  close(): Promise<void>
}

test('what was written is read without the database, the rest with it', async () => {
  await using opened = await open()
  const { database, reads } = opened
  await put(database, key(1), [1])
  const before = reads()
  assert.equal([...(await database.get(key(1)))!], [1])
  assert.is(reads(), before)
  assert.is(await database.get(key(2)), null)
  assert.is(reads(), before + 1)
  // Both in one batch.
  const batch = database.read({ autoDestroy: true })
  const [one, two] = [batch.get(key(1)), batch.get(key(2))]
  batch.tryFlush()
  assert.equal([...(await one)!], [1])
  assert.is(await two, null)
})

test('who writes into what was read changes nothing', async () => {
  await using opened = await open()
  const { database } = opened
  await put(database, key(1), [1])
  const value = (await database.get(key(1)))!
  value[0] = 9
  assert.equal([...(await database.get(key(1)))!], [1])
})

test('a snapshot reads what was there when it was taken', async () => {
  await using opened = await open()
  const { database } = opened
  await put(database, key(1), [1])
  const snapshot = database.snapshot()
  await put(database, key(1), [2])
  assert.equal([...(await snapshot.get(key(1)))!], [1])
  await snapshot.close()
})

test('whatever is written and removed at once, a read gives what the database has', async () => {
  const random = seeded(7)
  const below = (limit: number): number => Math.floor(random() * limit)
  await using opened = await open()
  const { database } = opened
  let compared = 0
  for (let round = 0; round < 150; round++) {
    const writes: Promise<void>[] = []
    for (let left = 1 + below(4); left > 0; left--) {
      const batch = database.write({ autoDestroy: true })
      for (let operations = 1 + below(5); operations > 0; operations--) {
        const at = below(20)
        const kind = below(12)
        // Now and then one that is too large to be remembered, or many, so that others are forgotten.
        const size = kind === 0 ? 9_000 : 1 + below(4_096)
        if (kind === 1) batch.tryDeleteRange(key(at), key(at + 1 + below(6)))
        else if (kind < 4) batch.tryDelete(key(at))
        else batch.tryPut(key(at), Buffer.alloc(size, below(256)))
      }
      writes.push(batch.flush())
      if (random() < 0.3) await writes.at(-1)
    }
    await Promise.all(writes)
    const snapshot = database.snapshot()
    for (let at = 0; at < 26; at++) {
      const [known, stored] = [await database.get(key(at)), await snapshot.get(key(at))]
      assert.is(known === null, stored === null, `key ${at} in round ${round}`)
      if (known === null || stored === null) continue
      assert.ok(known.length === stored.length && Buffer.compare(known, stored) === 0)
      compared++
    }
    await snapshot.close()
  }
  assert.ok(compared > 1_000)
})

test('what a failed batch may have left is asked for', () => {
  const family = {}
  const session = { defaultColumnFamily: family, snapshotted: false }
  const asked: string[] = []
  const operations: { key: Uint8Array; value: Uint8Array }[] = []
  const batch = {
    _db: session,
    _operations: operations,
    _flush: () => Promise.resolve(),
    _onfinished: () => {},
    _onwrite: (_error: Error | null) => {},
    get: (name: Uint8Array) => {
      asked.push(String(name[0]))
      return Promise.resolve(null)
    }
  }
  const state: DatabaseState = {
    io: { inc: () => {} },
    createReadBatch: () => ({ ...batch }),
    createWriteBatch: () => ({ ...batch })
  }
  new RecentWrites(state, family)
  operations.push({ key: key(1), value: new Uint8Array([1]) })
  const write = (error: Error | null): void => {
    const writing = state.createWriteBatch(session)
    void writing._flush()
    writing._onwrite(error)
  }
  write(null)
  void state.createReadBatch(session).get(key(1))
  assert.equal(asked, [])
  write(new Error('No space left'))
  void state.createReadBatch(session).get(key(1))
  assert.equal(asked, ['1'])
})

test.run()

function key(at: number): Uint8Array {
  return new Uint8Array([at])
}

async function put(database: Database, name: Uint8Array, value: number[]): Promise<void> {
  const batch = database.write({ autoDestroy: true })
  batch.tryPut(name, new Uint8Array(value))
  await batch.flush()
}

async function open(): Promise<{ database: Database; reads: () => number } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'skein-recent-'))
  const storage = new HypercoreStorage(folder, { writeBufferSize: 1024 * 1024 })
  new RecentWrites(storage.rocks._state, storage.db.defaultColumnFamily)
  const { rocks, db } = storage as unknown as {
    rocks: { stats: { gets: number } }
    db: Database
  }
  await (storage as unknown as { ready(): Promise<void> }).ready()
  return {
    database: db,
    reads: () => rocks.stats.gets,
    async [Symbol.asyncDispose]() {
      await (storage as unknown as { close(): Promise<void> }).close()
      await rm(folder, { recursive: true })
    }
  }
}
