/** Node's platform: clock, folder, lock, secrets, sync and reserve, on real disks and with a real corestore. */
import Corestore from 'corestore'
import type Hypercore from 'hypercore'
import sodium from 'sodium-universal'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, cp, mkdtemp, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { failure, nodeDisk, type Disk } from '../../adapters/node/disk.ts'
import { openFolder } from '../../adapters/node/folder.ts'
import { platform } from '../../adapters/node/platform.ts'
import { readSecrets, writeSecrets } from '../../adapters/node/secrets.ts'
import { WriteAhead } from '../../adapters/node/write-ahead.ts'
import { SkeinError } from '../../lib/errors.ts'
import { LossyDisk } from './lossy-disk.ts'
import { seeded } from './outbox-records.ts'
import { smallDisk, whyNoSmallDisk } from './small-disk.ts'

const storages = suite('node storage')
const noDisk = whyNoSmallDisk()
const onSmallDisk = (name: string, test: () => Promise<void>) =>
  noDisk === null ? storages(name, test) : storages.skip(name, test)
if (noDisk !== null) console.log(`SKIPPED: what needs a full or read-only disk; ${noDisk}`)
const notRoot = process.getuid?.() === 0 ? null : 'another user can be taken on by root alone'
const asNobody = (name: string, test: () => Promise<void>) =>
  notRoot === null ? storages(name, test) : storages.skip(name, test)
if (notRoot !== null) console.log(`SKIPPED: what needs a folder of somebody else; ${notRoot}`)

storages('timers fire once, can be cancelled, and take delays of any length', async () => {
  const { clock } = platform
  const fired: string[] = []
  const cancelLong = clock.after(2 ** 33, () => fired.push('in 99 days'))
  clock.after(1, () => fired.push('cancelled'))()
  clock.soon(() => fired.push('soon'))
  const keepAlive = setInterval(() => {}, 1_000)
  await new Promise<void>((resolve) => clock.after(20, resolve))
  clearInterval(keepAlive)
  cancelLong()
  assert.equal(fired, ['soon'])
  assert.ok(Math.abs(clock.now() - Date.now()) < 1_000)
})

storages('random bytes are as many as asked for and differ', () => {
  const [one, two] = [platform.randomBytes(32), platform.randomBytes(32)]
  assert.is(one.length, 32)
  assert.is.not(Buffer.compare(one, two), 0)
})

storages('a folder is made for its owner alone', async () => {
  await using folder = await testFolder()
  const path = join(folder.path, 'new', 'data')
  const storage = await platform.openStorage(path)
  await storage.writeSecrets(new Uint8Array(3))
  await (await storage.openOutbox('own')).close()
  const mode = async (name: string) => ((await stat(join(path, name))).mode & 0o777).toString(8)
  for (const name of ['.', 'store', 'outbox']) assert.is(await mode(name), '700', name)
  for (const name of ['lock', 'secrets', 'reserve', 'outbox/own.0'])
    assert.is(await mode(name), '600', name)
  await storage.close()
})

storages('the second opening in one process is refused until the first is closed', async () => {
  await using folder = await testFolder()
  const storage = await platform.openStorage(folder.path)
  const error = await rejectsWith('STORAGE_LOCKED', platform.openStorage(folder.path))
  assert.match(error.message, `this process (pid ${process.pid}, since 20`)
  assert.match(error.message, folder.path)
  await storage.close()
  await (await platform.openStorage(folder.path)).close()
})

storages('another process that holds the folder is named, and killing it lets go', async () => {
  await using folder = await testFolder()
  const { child, answer } = await holder(folder.path)
  assert.equal(answer, { opened: true })
  const error = await rejectsWith('STORAGE_LOCKED', platform.openStorage(folder.path))
  assert.match(
    error.message,
    `another process (pid ${child.pid}, \`node storage-holder.ts\`, since 20`
  )
  child.kill('SIGKILL')
  await once(child, 'exit')
  const storage = await platform.openStorage(folder.path)
  const second = await holder(folder.path)
  assert.match(second.answer.message!, `pid ${process.pid}`)
  assert.is(second.answer.code, 'STORAGE_LOCKED')
  await end(second.child)
  await storage.close()
})

storages('secrets are null at first and then what was last written', async () => {
  await using folder = await testFolder()
  let storage = await platform.openStorage(folder.path)
  assert.is(await storage.readSecrets(), null)
  await storage.writeSecrets(new Uint8Array([1, 2, 3]))
  await storage.writeSecrets(new Uint8Array([4]))
  await writeFile(join(folder.path, 'secrets.tmp'), 'left by a crash')
  assert.equal(await storage.readSecrets(), new Uint8Array([4]))
  await storage.close()
  storage = await platform.openStorage(folder.path)
  assert.equal(await storage.readSecrets(), new Uint8Array([4]))
  await storage.writeSecrets(new Uint8Array([5]))
  assert.equal(await storage.readSecrets(), new Uint8Array([5]))
  await storage.close()
})

storages('at whichever step the power goes, the secrets are the old ones or the new', async () => {
  const [before, after] = [new Uint8Array(32).fill(1), new Uint8Array(40).fill(2)]
  for (let step = 0; ; step++) {
    const disk = new LossyDisk(seeded(step))
    await writeSecrets(disk, '/d/secrets', before)
    disk.fault = { afterCalls: step, errno: 'POWER' }
    const done = await writeSecrets(disk, '/d/secrets', after).then(
      () => true,
      () => false
    )
    const last = disk.fault !== null
    disk.restart()
    const found = await readSecrets(disk, '/d/secrets')
    const whole = [before, after].filter(
      (secrets) => found !== null && Buffer.compare(found, secrets) === 0
    )
    assert.is(whole.length, 1)
    if (done) assert.equal(found, after)
    if (last) break
  }
})

storages('an outbox has a plain name, and is open once', async () => {
  await using folder = await testFolder()
  const storage = await platform.openStorage(folder.path)
  for (const name of ['', '../x', 'a.b', 'a/b']) {
    assert.instance(await storage.openOutbox(name).catch((error: unknown) => error), TypeError)
  }
  const outbox = await storage.openOutbox('space-1')
  assert.instance(await storage.openOutbox('space-1').catch((error: unknown) => error), TypeError)
  assert.instance(await storage.removeOutbox('space-1').catch((error: unknown) => error), TypeError)
  await outbox.append([{ kind: 1, index: 2, bytes: new Uint8Array([3]) }])
  await outbox.close()
  await storage.removeOutbox('space-1')
  const again = await storage.openOutbox('space-1')
  assert.equal(await again.read(), [])
  await storage.close()
  await rejectsWith('CLOSED', again.read())
  await rejectsWith('CLOSED', storage.openOutbox('space-1'))
  await rejectsWith('CLOSED', storage.sync())
  await storage.close()
})

storages('system errors have one meaning each, and the message names errno and path', () => {
  const codes = {
    ENOSPC: 'DISK_FULL',
    EDQUOT: 'DISK_FULL',
    EFBIG: 'DISK_FULL',
    EROFS: 'DISK_READ_ONLY',
    EACCES: 'DISK_READ_ONLY',
    EPERM: 'DISK_READ_ONLY',
    EIO: 'STORAGE_FAILED',
    EMFILE: 'STORAGE_FAILED'
  }
  for (const [errno, code] of Object.entries(codes)) {
    const cause = Object.assign(new Error(), { code: errno })
    const error = failure(cause, '/data/lock')
    assert.is(error.code, code, errno)
    assert.is(error.cause, cause)
    assert.match(error.message, `(${errno}, /data/lock)`)
  }
})

asNobody('a folder of somebody else is DISK_READ_ONLY, with advice', async () => {
  await using folder = await testFolder()
  await chmod(folder.path, 0o755)
  // In this process: another user's may not be able to read what it runs, or to write where that needs it.
  process.seteuid!(65534)
  try {
    const error = await rejectsWith(
      'DISK_READ_ONLY',
      platform.openStorage(join(folder.path, 'data'))
    )
    assert.match(error.message, 'give this user the right to write there')
  } finally {
    process.seteuid!(0)
  }
  await (await platform.openStorage(join(folder.path, 'data'))).close()
})

onSmallDisk('a read-only disk is DISK_READ_ONLY, for a new folder and an old one', async () => {
  using disk = smallDisk(40)
  const path = join(disk.path, 'data')
  await (await platform.openStorage(path)).close()
  disk.makeReadOnly()
  const error = await rejectsWith('DISK_READ_ONLY', platform.openStorage(path))
  assert.match(error.message, 'mount it for writing, or use another folder (EROFS')
  await rejectsWith('DISK_READ_ONLY', platform.openStorage(join(disk.path, 'other')))
  disk.makeWritable()
  await (await platform.openStorage(path)).close()
})

storages('a sync serves those who called before it began, and no others', async () => {
  await using folder = await testFolder()
  await writeLog(folder.path, 1, 10)
  const counts = { syncs: 0 }
  const disk = counting(counts)
  const writeAhead = new WriteAhead(disk, folder.path)
  const first = writeAhead.sync()
  const [second, third] = [writeAhead.sync(), writeAhead.sync()]
  assert.is(second, third)
  assert.is.not(first, second)
  await writeLog(folder.path, 1, 20)
  await Promise.all([first, second, third])
  assert.is(counts.syncs, 2)
  await writeAhead.sync()
  assert.is(counts.syncs, 2, 'what has not grown is not synced again')
  await writeLog(folder.path, 2, 5)
  await writeAhead.sync()
  assert.is(counts.syncs, 3, 'a new file is')
})

storages('after a sync that failed none succeeds until the file is gone', async () => {
  await using folder = await testFolder()
  await writeLog(folder.path, 1, 10)
  let failing = true
  const disk: Disk = {
    ...nodeDisk,
    async open(path) {
      const file = (await nodeDisk.open(path))!
      const sync = () => (failing ? Promise.reject(failure({ code: 'EIO' }, path)) : file.sync())
      return {
        size: () => file.size(),
        read: () => file.read(),
        write: (bytes, at) => file.write(bytes, at),
        truncate: (length) => file.truncate(length),
        close: () => file.close(),
        sync
      }
    }
  }
  const writeAhead = new WriteAhead(disk, folder.path)
  await rejectsWith('STORAGE_FAILED', writeAhead.sync())
  failing = false
  await rejectsWith('STORAGE_FAILED', writeAhead.sync())
  await rm(logPath(folder.path, 1))
  await writeLog(folder.path, 2, 10)
  await writeAhead.sync()
})

storages('the bytes that were synced open with all that was appended before', async () => {
  await using folder = await testFolder()
  const synced = new Map<string, number>()
  const storage = await openFolder(join(folder.path, 'data'), {
    randomBytes: (length) => platform.randomBytes(length),
    disk: recording(synced)
  })
  const corestore = new Corestore(storage.corestore)
  const core = ownCore(corestore)
  await core.ready()
  // Through several rotations: a write-ahead file takes 4 MiB.
  for (let i = 0; i < 60; i++) await core.append(block(i, 150_000))
  await storage.sync()
  const length = core.length
  const syncedThen = new Map(synced)
  assert.ok(syncedThen.size > 0)
  for (let i = length; i < length + 10; i++) await core.append(block(i, 50_000))
  await corestore.close()

  const image = join(folder.path, 'image')
  await cp(join(folder.path, 'data', 'store'), image, { recursive: true })
  let cut = 0
  for (const name of await readdir(join(image, 'db'))) {
    if (!name.endsWith('.log')) continue
    const path = join(image, 'db', name)
    const before = (await stat(path)).size
    await truncate(path, syncedThen.get(name) ?? 0)
    cut += before - (syncedThen.get(name) ?? 0)
  }
  assert.ok(cut > 0, 'something was not synced')
  const copy = new Corestore(image, { allowBackup: true })
  const again = ownCore(copy)
  await again.ready()
  assert.ok(again.length >= length, `${again.length} of ${length}`)
  for (let i = 0; i < length; i++) assert.ok(await isBlock(again, i, 150_000), `block ${i}`)
  await copy.close()
  await storage.close()
})

storages('write-ahead files stay short, though few values and many blocks share them', async () => {
  await using folder = await testFolder()
  const storage = await platform.openStorage(folder.path)
  const corestore = new Corestore(storage.corestore)
  const core = ownCore(corestore)
  await core.ready()
  const database = corestore.storage.rocks.session()
  let longest = 0
  for (let i = 0; i < 250; i++) {
    await core.append(block(i, 300_000))
    const batch = database.write({ autoDestroy: true })
    batch.tryPut(Buffer.from(`key ${i}`), new Uint8Array(100))
    await batch.flush()
    if (i % 10 === 9) await storage.sync()
    longest = Math.max(longest, await writeAheadBytes(folder.path))
  }
  // 75 MB went through them.
  assert.ok(longest < 40 * 1024 * 1024, `${longest} bytes`)
  await database.close()
  await corestore.close()
  await storage.close()
})

onSmallDisk('the reserve takes real room, and only where there is room', async () => {
  using disk = smallDisk(40)
  const path = join(disk.path, 'data')
  let storage = await platform.openStorage(path)
  const { size, blocks } = await stat(join(path, 'reserve'))
  assert.ok(size >= 16 * 1024 * 1024)
  assert.ok(blocks * 512 >= size)
  disk.fill()
  await storage.releaseReserve()
  assert.ok(disk.available >= size)
  await storage.releaseReserve()
  disk.fill(100_000)
  await rejectsWith('DISK_FULL', storage.restoreReserve())
  assert.ok(disk.available >= 90_000, 'what little room there was is still there')
  await storage.close()
  storage = await platform.openStorage(path) // Without its reserve.
  disk.empty()
  await storage.restoreReserve()
  assert.is((await stat(join(path, 'reserve'))).size, size)
  await storage.close()
})

for (const blockBytes of [300, 20_000, 1_000_000]) {
  onSmallDisk(
    `a store on a full disk opens again with the reserve (blocks of ${blockBytes} bytes)`,
    async () => {
      using disk = smallDisk(60)
      const storage = await platform.openStorage(join(disk.path, 'data'))
      let corestore = new Corestore(storage.corestore)
      let core = ownCore(corestore)
      await core.ready()
      // So much is in the write-ahead file when the disk becomes full.
      let appended = 0
      while (appended * blockBytes < 2_500_000 && appended < 700)
        await core.append(block(appended++, blockBytes))
      disk.fill()
      const refusal = await appendUntilRefused(core, appended, blockBytes)
      appended = refusal.appended
      assert.is(refusal.error.message, 'Batch was not applied')
      assert.is((refusal.error.cause as NodeJS.ErrnoException).code, 'ENOSPC')
      // The rejected block may be there all the same, in memory and in the write-ahead file.
      assert.ok(core.length === appended || core.length === appended + 1)

      // Room alone does not help: RocksDB takes nothing more until it is opened again.
      disk.empty()
      assert.instance(
        await core.append(block(core.length, blockBytes)).catch((e: unknown) => e),
        Error
      )
      await corestore.close()
      disk.fill() // Somebody else took what closing gave back.
      const shut = new Corestore(storage.corestore)
      const opening = await ownCore(shut)
        .ready()
        .then(
          () => null,
          (e: unknown) => e
        )
      assert.is((opening as NodeJS.ErrnoException).code, 'ENOSPC')
      await shut.close()

      await storage.releaseReserve()
      corestore = new Corestore(storage.corestore)
      core = ownCore(corestore)
      await core.ready()
      assert.ok(core.length >= appended, `${core.length} of ${appended}`)
      for (let i = 0; i < core.length; i++)
        assert.ok(await isBlock(core, i, blockBytes), `block ${i}`)
      disk.empty()
      await storage.restoreReserve()
      // The very same block, unless it is there.
      if (core.length === appended) await core.append(block(appended, blockBytes))
      await core.append(block(appended + 1, blockBytes))
      assert.is(core.length, appended + 2)
      await storage.sync()
      await corestore.close()
      await storage.close()
    }
  )
}

interface Answer {
  opened: boolean
  code?: string
  message?: string
}

async function holder(path: string): Promise<{ child: ChildProcess; answer: Answer }> {
  const script = fileURLToPath(new URL('storage-holder.ts', import.meta.url))
  const child = fork(script, [path])
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`The holder ended before it answered: ${code ?? signal}`)
  })
  const [answer] = (await Promise.race([once(child, 'message'), ended])) as [Answer]
  return { child, answer }
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.disconnect()
  await ended
}

/** A hypercore of this device whose key is always the same. */
function ownCore(corestore: Corestore): Hypercore {
  const keyPair = { publicKey: new Uint8Array(32), secretKey: new Uint8Array(64) }
  const seed = new Uint8Array(32).fill(7)
  sodium.crypto_sign_seed_keypair(
    Buffer.from(keyPair.publicKey.buffer),
    Buffer.from(keyPair.secretKey.buffer),
    seed
  )
  const namespace = new Uint8Array(32)
  const signer = { signature: 'ed25519', namespace, publicKey: keyPair.publicKey }
  const rest = { allowPatch: false, quorum: 1, prologue: null, linked: null, userData: null }
  return corestore.get({
    manifest: { version: 1, hash: 'blake2b', signers: [signer], ...rest },
    keyPair
  })
}

const noise = platform.randomBytes(2 ** 20)

/** Does not compress, and follows from its place. */
function block(index: number, bytes: number): Uint8Array {
  const from = (index * 7919) % (noise.length - bytes + 1)
  const result = noise.slice(from, from + bytes)
  new DataView(result.buffer).setUint32(0, index)
  return result
}

async function isBlock(core: Hypercore, index: number, bytes: number): Promise<boolean> {
  const found = await core.get(index, { wait: false })
  return found !== null && Buffer.compare(found, block(index, bytes)) === 0
}

async function appendUntilRefused(core: Hypercore, from: number, bytes: number) {
  for (let appended = from; ; appended++) {
    const error = await core.append(block(appended, bytes)).then(
      () => null,
      (e: unknown) => e
    )
    if (error !== null) return { appended, error: error as Error }
  }
}

function logPath(store: string, number: number): string {
  return join(store, 'db', `${String(number).padStart(6, '0')}.log`)
}

async function writeLog(store: string, number: number, bytes: number): Promise<void> {
  const { mkdir } = await import('node:fs/promises')
  await mkdir(join(store, 'db'), { recursive: true })
  await writeFile(logPath(store, number), new Uint8Array(bytes))
}

async function writeAheadBytes(folder: string): Promise<number> {
  let bytes = 0
  for (const name of await readdir(join(folder, 'store', 'db'))) {
    // One that RocksDB has just removed counts for nothing.
    if (name.endsWith('.log'))
      bytes += (await stat(join(folder, 'store', 'db', name)).catch(() => null))?.size ?? 0
  }
  return bytes
}

/** Notes how long each file was when it was last synced. */
function recording(syncedBytesByName: Map<string, number>): Disk {
  return onSync(async (path, size) => {
    syncedBytesByName.set(basename(path), size)
  })
}

function counting(counts: { syncs: number }): Disk {
  return onSync(async () => {
    counts.syncs++
  })
}

function onSync(observe: (path: string, size: number) => Promise<void>): Disk {
  return {
    ...nodeDisk,
    async open(path) {
      const file = await nodeDisk.open(path)
      if (file === null) return null
      return {
        size: () => file.size(),
        read: () => file.read(),
        write: (bytes, at) => file.write(bytes, at),
        truncate: (length) => file.truncate(length),
        close: () => file.close(),
        async sync() {
          const size = await file.size()
          await file.sync()
          await observe(path, size)
        }
      }
    }
  }
}

async function rejectsWith(code: string, promise: Promise<unknown>): Promise<SkeinError> {
  const error = await promise.then(
    () => assert.unreachable(`resolved instead of failing with ${code}`),
    (reason: unknown) => reason
  )
  assert.instance(error, SkeinError)
  assert.is((error as SkeinError).code, code)
  return error as SkeinError
}

async function testFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'skein-storage-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) }
}

storages.run()
