/** Logs: their derived keys, and what is known of their trees. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type HypercoreStorage from 'hypercore-storage'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { platform } from '../../adapters/node/platform.ts'
import { toHex } from '../../lib/bytes.ts'
import { signKeysFrom } from '../../lib/crypto.ts'
import { SkeinError, type Storage } from '../../lib/index.ts'
import { withCodes } from '../../lib/log/database.ts'
import { logIdOf, logKeyOf, type LogName } from '../../lib/log/log.ts'
import { LogStore } from '../../lib/log/store.ts'
import { deadline } from '../events.ts'
import { rejects, waitMs } from '../devices.ts'

const test = suite('store')

const alice = signKeysFrom(new Uint8Array(32).fill(0x11))
const bob = signKeysFrom(new Uint8Array(32).fill(0x12))
const control: LogName = {
  space: new Uint8Array(32).fill(0x33),
  device: alice.publicKey,
  core: 'control'
}
const content: LogName = { ...control, core: 'content/0' }

function bytes(...texts: string[]): Uint8Array[] {
  return texts.map((text) => new TextEncoder().encode(text))
}

class Opened implements AsyncDisposable {
  readonly folder: string
  store!: LogStore
  #close = async (): Promise<void> => {}

  constructor(folder: string) {
    this.folder = folder
  }

  async start(): Promise<this> {
    const storage = await platform.openStorage(this.folder)
    this.store = new LogStore(storage, platform.clock)
    await this.store.ready()
    this.#close = async () => {
      await this.store.close()
      await storage.close()
    }
    return this
  }

  async restart(): Promise<void> {
    await this.#close()
    await this.start()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
    await rm(this.folder, { recursive: true })
  }
}

async function opened(): Promise<Opened> {
  return new Opened(await mkdtemp(join(tmpdir(), 'skein-store-'))).start()
}

test('the key of a log follows from space, device and name, for ever', () => {
  assert.is(
    toHex(logKeyOf(control)),
    '9669558d060f469297e3de7973766169853426dae608fd48975e91d8d245b19c'
  )
  assert.is(
    toHex(logKeyOf(content)),
    'dd1329edef1b682cd88d39cd1ccd64407bf24d87efa61ff6470ce382bf320e41'
  )
  assert.is(logIdOf(control), toHex(logKeyOf(control)).slice(0, 16))
})

test('another space, device or name is another log', () => {
  const names: LogName[] = [
    control,
    content,
    { ...control, core: 'content/1' },
    { ...control, space: new Uint8Array(32).fill(0x34) },
    { ...control, device: bob.publicKey }
  ]
  assert.is(new Set(names.map((name) => toHex(logKeyOf(name)))).size, names.length)
})

test('the log that is opened has the derived key, and is there after a restart', async () => {
  await using alices = await opened()
  const log = await alices.store.open(content, alice)
  assert.equal(log.key, logKeyOf(content))
  await log.append(bytes('one', 'two'))
  await alices.restart()
  const again = await alices.store.open(content, alice)
  assert.is(again.length, 2)
  assert.is(again.contiguousLength, 2)
  assert.equal(new Uint8Array((await again.get(1))!), bytes('two')[0])
})

test('opening a log twice gives the same one', async () => {
  await using alices = await opened()
  const log = await alices.store.open(content, alice)
  assert.is(await alices.store.open(content, alice), log)
})

test('a log of another device cannot be written', async () => {
  await using alices = await opened()
  const log = await alices.store.open({ ...content, device: bob.publicKey }, null)
  let failed = false
  await deadline(log.append(bytes('forged')), waitMs, 'an answer').catch(() => (failed = true))
  assert.ok(failed)
  assert.is(log.length, 0)
})

test('a tree hash is known for every length that is here, and for none beyond', async () => {
  await using alices = await opened()
  const log = await alices.store.open(content, alice)
  assert.is(await log.treeHashAt(1), null)
  const hashes: (string | null)[] = []
  for (const text of ['one', 'two', 'three']) {
    await log.append(bytes(text))
    hashes.push(await log.treeHashAt(log.length))
  }
  assert.is(new Set(hashes).size, 3)
  assert.ok(hashes.every((hash) => /^[0-9a-f]{16}$/.test(hash!)))
  for (const [i, hash] of hashes.entries()) assert.is(await log.treeHashAt(i + 1), hash)
  assert.is(await deadline(log.treeHashAt(4), waitMs, 'an answer'), null)
  assert.is(await deadline(log.treeHashAt(2 ** 40), waitMs, 'an answer'), null)
  await alices.restart()
  const again = await alices.store.open(content, alice)
  for (const [i, hash] of hashes.entries()) assert.is(await again.treeHashAt(i + 1), hash)
})

test('a tree hash depends on the blocks and on nothing else', async () => {
  await using alices = await opened()
  await using bobs = await opened()
  const logs = [
    await alices.store.open(content, alice),
    await bobs.store.open({ ...control, device: bob.publicKey }, bob)
  ]
  await logs[0]!.append(bytes('one', 'two'))
  await logs[1]!.append(bytes('one'))
  await logs[1]!.append(bytes('two'))
  assert.is(await logs[1]!.treeHashAt(2), await logs[0]!.treeHashAt(2))
  await logs[0]!.append(bytes('three'))
  await logs[1]!.append(bytes('other'))
  assert.is.not(await logs[1]!.treeHashAt(3), await logs[0]!.treeHashAt(3))
})

test('a block that is not here is null, at once', async () => {
  await using alices = await opened()
  const log = await alices.store.open(content, alice)
  await log.append(bytes('one'))
  assert.is(await deadline(log.get(5), waitMs, 'an answer'), null)
})

test('a store that is closed opens nothing', async () => {
  await using alices = await opened()
  const { store } = alices
  await alices.restart()
  for (const call of [() => store.open(content, alice), async () => store.database]) {
    let code: unknown = null
    await call().catch((error: unknown) => (code = (error as { code?: string }).code))
    assert.is(code, 'CLOSED')
  }
})

test('whatever the database fails with is told by a code', async () => {
  const cause = Object.assign(new Error('While appending to file: No space left on device'), {
    code: 'ENOSPC'
  })
  const fail = (): never => {
    throw new Error('Batch was not applied', { cause })
  }
  const failing = withCodes({
    get: async () => fail(),
    write: () => ({ tryPut: () => {}, tryDeleteRange: () => {}, flush: async () => fail() }),
    async *iterator() {
      yield { key: new Uint8Array(), value: new Uint8Array() }
      fail()
    },
    close: async () => {}
  })
  await rejects(failing.get(new Uint8Array()), 'DISK_FULL')
  await rejects(failing.write().flush(), 'DISK_FULL')
  const read = async (): Promise<void> => {
    for await (const { key } of failing.iterator({})) assert.is(key.length, 0)
  }
  await rejects(read(), 'DISK_FULL')

  await using alices = await opened()
  const log = await alices.store.open(content, alice)
  await log.append(bytes('one'))
  const { database } = alices.store
  await alices.restart()
  await rejects(database.get(new Uint8Array(1)), 'STORAGE_FAILED')
  await rejects(log.get(0), 'STORAGE_FAILED')
  await rejects(log.treeHash(1), 'STORAGE_FAILED')
  await rejects(log.append(bytes('two')), 'STORAGE_FAILED')
})

test('a store whose closing failed for want of room lets go of its folder, with no reserve either', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-store-'))
  const storage = await platform.openStorage(folder)
  let failures = 1
  const store = new LogStore(
    {
      ...pick(storage),
      get corestore() {
        const corestore = storage.corestore as HypercoreStorage
        const close = corestore.close.bind(corestore)
        corestore.close = async () => {
          await close()
          if (failures-- > 0) throw new Error('No space left on device')
        }
        return corestore
      },
      restoreReserve: async () => {
        throw new SkeinError('DISK_FULL', 'There is no room for the reserve')
      }
    },
    platform.clock
  )
  await store.ready()
  const log = await store.open(content, alice)
  await log.append(bytes('one'))
  await store.close()
  assert.is(failures, -1)
  await storage.close()
  await using alices = await new Opened(folder).start()
  const again = await alices.store.open(content, alice)
  assert.equal(await again.get(0), Buffer.from('one'))
})

/** A storage's methods, which an object that changes some of them can be spread from. */
function pick(storage: Storage): Omit<Storage, 'corestore'> {
  return {
    readSecrets: () => storage.readSecrets(),
    writeSecrets: (secrets) => storage.writeSecrets(secrets),
    openOutbox: (name) => storage.openOutbox(name),
    removeOutbox: (name) => storage.removeOutbox(name),
    sync: () => storage.sync(),
    releaseReserve: () => storage.releaseReserve(),
    restoreReserve: () => storage.restoreReserve(),
    close: () => storage.close()
  }
}

test.run()
