/** The database on IndexedDB answers as the native one does: see `rocks-scenarios.ts`. */
import 'fake-indexeddb/auto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Rocks } from '../../adapters/browser/rocks.ts'
import { launch, type Profile } from './chromium.ts'
import { scenarios, type RocksLike } from './rocks-scenarios.ts'
import { serve, watch, type Site } from './site.ts'

const rocks = suite('a database on IndexedDB')
const require = createRequire(import.meta.url)
type Native = new (path: string) => RocksLike
const NativeRocks = createRequire(require.resolve('hypercore-storage'))('rocksdb-native') as Native

let site: Site
let profile: Profile
let tab: Page
let folder: string
let errors: string[]
rocks.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skein-rocks-'))
  site = await serve('test/browser/storage-page.ts')
  profile = await launch()
  tab = await profile.context.newPage()
  errors = watch(tab)
  await tab.goto(site.url)
})
rocks.after(async () => {
  await profile[Symbol.asyncDispose]()
  await site[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

for (const [name, scenario] of Object.entries(scenarios)) {
  rocks(name, async () => {
    const native = await scenario(
      (database) => new NativeRocks(join(folder, `${name}-${database}`))
    )
    const inMemory = await scenario((database) => new Rocks(`${name}/${database}`))
    assert.equal(inMemory, native, 'on an in-memory IndexedDB in Node')
    const inPage = await tab.evaluate((name) => storagePage.run(name), name)
    assert.equal(inPage, native, 'on IndexedDB in Chromium')
    assert.equal(errors, [])
  })
}

rocks('a batch that fails leaves everything as it was, and the next one works', async () => {
  const db = new Rocks('failing')
  await db.put('a', '1')
  const snapshot = db.snapshot()
  // oxlint-disable-next-line typescript/unbound-method -- called with the store that it was called on
  const put = IDBObjectStore.prototype.put
  IDBObjectStore.prototype.put = function (
    this: IDBObjectStore,
    value: unknown,
    key?: IDBValidKey
  ) {
    if (new TextDecoder().decode(value as Uint8Array) !== 'bad') return put.call(this, value, key)
    throw new DOMException('No room', 'QuotaExceededError')
  }
  try {
    const batch = db.write()
    batch.tryPut('a', '2')
    batch.tryPut('b', 'bad')
    batch.tryDelete('a')
    const error = await batch.flush().then(
      () => null,
      (error: Error) => error
    )
    assert.is(error?.message, 'Batch was not applied')
    assert.is((error?.cause as DOMException | undefined)?.name, 'QuotaExceededError')
  } finally {
    IDBObjectStore.prototype.put = put
  }
  const text = async (key: string) => new TextDecoder().decode((await db.get(key)) ?? undefined)
  assert.equal([await text('a'), await db.get('b')], ['1', null])
  await db.put('b', 'good')
  assert.equal([await text('a'), await text('b'), await snapshot.get('b')], ['1', 'good', null])
  await db.close()
})

rocks.run()
