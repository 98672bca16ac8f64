/** The outbox: what it keeps, through failing calls, torn files, power loss, a full disk and SIGKILL. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeDisk, type Disk } from '../../adapters/node/disk.ts'
import {
  decodeGeneration,
  encodeGeneration,
  encodeRecords
} from '../../adapters/node/outbox-format.ts'
import { FileOutbox } from '../../adapters/node/outbox.ts'
import { SkeinError } from '../../lib/errors.ts'
import type { OutboxRecord } from '../../lib/platform.ts'
import { LossyDisk } from './lossy-disk.ts'
import { recordAt, seeded } from './outbox-records.ts'
import { smallDisk, whyNoSmallDisk } from './small-disk.ts'

const outboxes = suite('outbox')
const noDisk = whyNoSmallDisk()
const onSmallDisk = (name: string, test: () => Promise<void>) =>
  noDisk === null ? outboxes(name, test) : outboxes.skip(name, test)
if (noDisk !== null) console.log(`SKIPPED: what needs a full disk; ${noDisk}`)

outboxes('the format has not changed', () => {
  const bytes = new TextEncoder().encode('skein')
  const { bytes: file } = encodeGeneration(7, [
    { kind: 1, index: 2 ** 40, bytes },
    { kind: 255, index: 0, bytes: new Uint8Array() }
  ])
  assert.is(
    Buffer.from(file).toString('hex'),
    '534b45494e424f580100000007000000000000000e727f4929c4989405000000010000000000010000736b65696e39d0e68a00000000ff0000000000000000'
  )
  const { records, end } = decodeGeneration(file, 7, 'file')
  assert.equal(records[0], { kind: 1, index: 2 ** 40, bytes })
  assert.is(end, file.length)
})

outboxes('records come back in order, also after opening again', async () => {
  await using folder = await testFolder()
  let outbox = await FileOutbox.open(nodeDisk, folder.path, 'own')
  assert.equal(await outbox.read(), [])
  await Promise.all([outbox.append(range(0, 3)), outbox.append(range(3, 4)), outbox.append([])])
  assert.equal(await outbox.read(), range(0, 4))
  await outbox.close()
  outbox = await FileOutbox.open(nodeDisk, folder.path, 'own')
  await outbox.append(range(4, 6))
  assert.equal(await outbox.read(), range(0, 6))
  await outbox.close()
  await rejectsWith('CLOSED', outbox.append(range(6, 7)))
})

outboxes('a record of 16 MiB is kept', async () => {
  await using folder = await testFolder()
  const outbox = await FileOutbox.open(nodeDisk, folder.path, 'own')
  const large = { kind: 0, index: 0, bytes: new Uint8Array(16 * 1024 * 1024).fill(5) }
  await outbox.append([large, recordAt(1)])
  const [first, second] = await outbox.read()
  assert.is(Buffer.compare(first!.bytes, large.bytes), 0)
  assert.equal(second, recordAt(1))
  await outbox.close()
})

outboxes('a kind or index that does not fit is a TypeError and stops nothing', async () => {
  await using folder = await testFolder()
  const outbox = await FileOutbox.open(nodeDisk, folder.path, 'own')
  for (const wrong of [
    { kind: 256 },
    { kind: -1 },
    { index: 1.5 },
    { index: -1 },
    { index: 2 ** 53 }
  ]) {
    const error = await outbox
      .append([recordAt(0), { ...recordAt(1), ...wrong }])
      .catch((e: unknown) => e)
    assert.instance(error, TypeError)
  }
  await outbox.append(range(0, 2))
  assert.equal(await outbox.read(), range(0, 2))
  await outbox.close()
})

outboxes(
  'a trim keeps the present generation as the one before, and lets go of the one before that',
  async () => {
    await using folder = await testFolder()
    const outbox = await FileOutbox.open(nodeDisk, folder.path, 'own')
    await outbox.append(range(0, 5))
    const full = outbox.byteLength
    assert.ok(full > 0)
    await outbox.trim(range(5, 6))
    assert.is(outbox.byteLength, 0)
    assert.equal(await outbox.read(), range(0, 6))
    await outbox.append(range(6, 8))
    await outbox.trim(range(8, 9))
    assert.equal(await outbox.read(), range(5, 9))
    await outbox.close()
    assert.equal((await nodeDisk.list(folder.path)).sort(), ['own.1', 'own.2'])
    const again = await FileOutbox.open(nodeDisk, folder.path, 'own')
    assert.equal(await again.read(), range(5, 9))
    await again.close()
  }
)

outboxes('an outbox that is removed leaves nothing, and others as they are', async () => {
  await using folder = await testFolder()
  for (const name of ['own', 'own-2']) {
    const outbox = await FileOutbox.open(nodeDisk, folder.path, name)
    await outbox.trim(range(0, 1))
    await outbox.close()
  }
  await writeFile(join(folder.path, 'own.1.tmp'), 'left by a crash')
  await FileOutbox.remove(nodeDisk, folder.path, 'own')
  assert.equal((await nodeDisk.list(folder.path)).sort(), ['own-2.0', 'own-2.1'])
})

outboxes('a file torn at any byte gives the records before it, and takes new ones', async () => {
  await using folder = await testFolder()
  const whole = encodeGeneration(0, range(0, 4)).bytes
  const ends = [0, 1, 2, 3, 4].map((n) => encodeGeneration(0, range(0, n)).bytes.length)
  for (let length = ends[0]!; length < whole.length; length += length < 60 ? 1 : 7) {
    await writeFile(join(folder.path, 'own.0'), whole.slice(0, length))
    const kept = ends.findLastIndex((end) => end <= length)
    const outbox = await FileOutbox.open(nodeDisk, folder.path, 'own')
    assert.equal(await outbox.read(), range(0, kept))
    await outbox.append(range(50, 52))
    await outbox.close()
    assert.equal(await readBack(nodeDisk, folder.path), [...range(0, kept), ...range(50, 52)])
  }
})

outboxes('a flipped bit ends the records there, or is told when it is in the header', async () => {
  await using folder = await testFolder()
  const whole = encodeGeneration(0, range(0, 4)).bytes
  const ends = [0, 1, 2, 3, 4].map((n) => encodeGeneration(0, range(0, n)).bytes.length)
  for (let at = 0; at < whole.length; at++) {
    const flipped = whole.slice()
    flipped[at]! ^= 1 << (at % 8)
    await writeFile(join(folder.path, 'own.0'), flipped)
    if (at < ends[0]!) await rejectsWith('STORAGE_DAMAGED', readBack(nodeDisk, folder.path))
    else
      assert.equal(
        await readBack(nodeDisk, folder.path),
        range(
          0,
          ends.findLastIndex((end) => end <= at)
        )
      )
  }
})

outboxes('a file of a newer version is refused and left alone', async () => {
  await using folder = await testFolder()
  const { bytes } = encodeGeneration(0, range(0, 1))
  bytes[8] = 2
  const { crc32 } = await import('node:zlib')
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(20, crc32(bytes.subarray(0, 20)), true)
  await writeFile(join(folder.path, 'own.0'), bytes)
  await rejectsWith('STORAGE_FAILED', readBack(nodeDisk, folder.path))
  assert.is(Buffer.compare(await readFile(join(folder.path, 'own.0')), bytes), 0)
})

outboxes('records left behind by another append do not pass, even where they would fit', () => {
  const same = (fill: number): OutboxRecord => ({
    kind: 0,
    index: 0,
    bytes: new Uint8Array(64).fill(fill)
  })
  const header = encodeGeneration(0, [])
  const refused = encodeRecords([same(1), same(2)], header.checksum)
  const kept = encodeRecords([same(3)], header.checksum)
  const rest = refused.bytes.slice(kept.bytes.length)
  const file = Buffer.concat([header.bytes, kept.bytes, rest])
  assert.equal(decodeGeneration(file, 0, 'file').records, [same(3)])
})

outboxes('a damaged generation before the present one is not given in part', async () => {
  await using folder = await testFolder()
  const outbox = await FileOutbox.open(nodeDisk, folder.path, 'own')
  await outbox.append(range(0, 4))
  await outbox.trim(range(4, 6))
  await outbox.close()
  const path = join(folder.path, 'own.0')
  const bytes = await readFile(path)
  bytes[bytes.length - 1]! ^= 1
  await writeFile(path, bytes)
  assert.equal(await readBack(nodeDisk, folder.path), range(4, 6))
})

outboxes('a failed append leaves nothing behind, and a later one goes on', async () => {
  for (const errno of ['ENOSPC', 'EDQUOT', 'EFBIG', 'EROFS', 'EIO']) {
    for (const call of ['write', 'sync'] as const) {
      const disk = new LossyDisk(seeded(1))
      const outbox = await FileOutbox.open(disk, '/box', 'own')
      await outbox.append(range(0, 2))
      disk.fault = { afterCalls: call === 'write' ? 0 : 1, errno }
      const code =
        errno === 'EIO' ? 'STORAGE_FAILED' : errno === 'EROFS' ? 'DISK_READ_ONLY' : 'DISK_FULL'
      const error = await rejectsWith(code, outbox.append(range(2, 4)))
      assert.is((error.cause as NodeJS.ErrnoException).code, errno)
      assert.equal(await outbox.read(), range(0, 2))
      assert.equal(await readBack(disk, '/box'), range(0, 2))
      await outbox.append(range(10, 12))
      disk.restart()
      assert.equal(await readBack(disk, '/box'), [...range(0, 2), ...range(10, 12)])
    }
  }
})

outboxes('while what failed cannot be cut off, nothing is accepted', async () => {
  const disk = new LossyDisk(seeded(2))
  const outbox = await FileOutbox.open(disk, '/box', 'own')
  await outbox.append(range(0, 2))
  let failing = true
  const open = disk.open.bind(disk)
  // The file that the outbox has open is replaced by one whose truncate fails.
  disk.open = async (path) => {
    const file = await open(path)
    return (
      file && {
        ...file,
        truncate: (length) => (failing ? Promise.reject(eio()) : file.truncate(length))
      }
    )
  }
  await outbox.close()
  const again = await FileOutbox.open(disk, '/box', 'own')
  disk.fault = { afterCalls: 0, errno: 'ENOSPC' }
  await rejectsWith('DISK_FULL', again.append(range(2, 4)))
  assert.equal(await again.read(), range(0, 2))
  await rejectsWith('STORAGE_FAILED', again.append(range(4, 5)))
  await rejectsWith('STORAGE_FAILED', again.trim(range(4, 5)))
  failing = false
  await again.append(range(4, 5))
  disk.restart()
  assert.equal(await readBack(disk, '/box'), [...range(0, 2), ...range(4, 5)])
})

outboxes('after a sync that failed the file is written anew before more is added', async () => {
  const disk = new LossyDisk(seeded(3))
  const outbox = await FileOutbox.open(disk, '/box', 'own')
  await outbox.append(range(0, 2))
  const before = disk.bytesByPath.get('/box/own.0')
  disk.fault = { afterCalls: 1, errno: 'EIO' }
  await rejectsWith('STORAGE_FAILED', outbox.append(range(2, 4)))
  const names: string[] = []
  const make = disk.make.bind(disk)
  disk.make = (path) => (names.push(path), make(path))
  await outbox.append(range(2, 3))
  assert.equal(names, ['/box/own.0.tmp'])
  assert.is.not(disk.bytesByPath.get('/box/own.0'), before)
  assert.equal(await outbox.read(), range(0, 3))
})

outboxes(
  'what is read after a start is durable, though its writer died before the sync',
  async () => {
    const disk = new LossyDisk(() => 0.99) // Loses all that may be lost.
    const outbox = await FileOutbox.open(disk, '/box', 'own')
    const file = (await disk.open('/box/own.0'))!
    const header = encodeGeneration(0, [])
    await file.write(encodeRecords(range(0, 2), header.checksum).bytes, header.bytes.length)
    await outbox.close()
    assert.equal(await readBack(disk, '/box'), range(0, 2))
    disk.restart()
    assert.equal(await readBack(disk, '/box'), range(0, 2))
  }
)

/** A trim, failing or losing power at each of its calls in turn. */
for (const errno of ['POWER', 'ENOSPC', 'EIO']) {
  outboxes(`no step of a trim loses a record (${errno})`, async () => {
    let steps = 0
    for (let step = 0; ; step++) {
      const disk = new LossyDisk(seeded(step))
      const outbox = await FileOutbox.open(disk, '/box', 'own')
      await outbox.append(range(0, 2))
      await outbox.trim(range(2, 3))
      await outbox.append(range(3, 4))
      disk.fault = { afterCalls: step, errno }
      const failed = await outbox.trim(range(4, 5)).then(
        () => false,
        () => true
      )
      if (disk.fault !== null) break
      steps++
      if (!disk.isOff) {
        await outbox.append(range(5, 6))
        assert.ok(holds(await outbox.read(), [...range(3, 4), ...range(5, 6)]))
      }
      disk.restart()
      const records = await readBack(disk, '/box')
      assert.ok(isAscending(records))
      assert.ok(holds(records, range(2, 4)))
      if (!failed) assert.ok(holds(records, range(2, 5)))
      if (errno !== 'POWER') assert.ok(holds(records, range(5, 6)))
    }
    assert.ok(steps >= 6, `${steps} steps`)
  })
}

outboxes(
  'any history with failures and power losses keeps what it acknowledged, in order',
  async () => {
    const seeds =
      process.env['SEED'] === undefined
        ? range(0, Number(process.env['SEEDS'] ?? 200)).map((r) => r.index)
        : [Number(process.env['SEED'])]
    for (const seed of seeds) {
      try {
        await history(seed)
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        throw new Error(`${reason} (SEED=${seed} npx tsx -C source test/unit/outbox.test.ts)`, {
          cause: error
        })
      }
    }
  }
)

/** One seeded history, checked against a model: the generations, each as a list of indices. */
async function history(seed: number): Promise<void> {
  const random = seeded(seed)
  const disk = new LossyDisk(random)
  const below = (n: number) => Math.floor(random() * n)
  const kept = (generations: number[][]) => generations.slice(-2).flat()
  let outbox = await FileOutbox.open(disk, '/box', 'own')
  let generations: number[][] = [[]]
  /** What else may be found after a power loss: calls that failed since the last that succeeded, wholly or in part. */
  let failures: number[][][] = []
  let next = 0
  for (let step = 0; step < 60; step++) {
    const errno = ['POWER', 'ENOSPC', 'EIO', 'EROFS'][below(4)]!
    disk.fault = random() < 0.4 ? { afterCalls: below(12), errno } : null
    const isTrim = random() < 0.2
    const records = range(next, (next += isTrim ? 1 + below(2) : 1 + below(4)))
    const withFirst = (count: number) => {
      const added = records.slice(0, count).map((record) => record.index)
      if (isTrim) return [...generations, added]
      return [...generations.slice(0, -1), [...generations.at(-1)!, ...added]]
    }
    const done = withFirst(records.length)
    const call = isTrim ? outbox.trim(records) : outbox.append(records)
    const failed = await call.then(
      () => false,
      () => true
    )
    // A failed append is not there, and a failed trim may have happened.
    let allowed = [generations]
    if (!failed) {
      allowed = [done]
      failures = []
    } else if (isTrim) {
      allowed.push(done)
      failures.push(generations, done)
    } else {
      failures.push(...records.map((_, i) => withFirst(i + 1)))
    }
    if (disk.isOff || random() < 0.1) {
      allowed.push(...failures)
      failures = []
      disk.restart()
      // What fails at opening is tried again.
      disk.fault = random() < 0.3 ? { afterCalls: below(5), errno: 'EIO' } : null
      outbox = await FileOutbox.open(disk, '/box', 'own').catch(() =>
        FileOutbox.open(disk, '/box', 'own')
      )
    }
    disk.fault = null
    const found = await outbox.read()
    assert.equal(
      found,
      found.map((record) => recordAt(record.index))
    )
    const indices = String(found.map((record) => record.index))
    const match = allowed.find((each) => String(kept(each)) === indices)
    assert.ok(match, `step ${step}: found ${indices}, may be ${allowed.map(kept).join(' or ')}`)
    generations = match
  }
}

onSmallDisk('a full disk fails an append as DISK_FULL, and room lets it go on', async () => {
  using disk = smallDisk(2)
  const outbox = await FileOutbox.open(nodeDisk, disk.path, 'own')
  await outbox.append(range(0, 20))
  disk.fill(20_000)
  const large = { kind: 0, index: 20, bytes: new Uint8Array(100_000) }
  const error = await rejectsWith('DISK_FULL', outbox.append([recordAt(19), large]))
  assert.is((error.cause as NodeJS.ErrnoException).code, 'ENOSPC')
  assert.equal(await readBack(nodeDisk, disk.path), range(0, 20))
  await rejectsWith('DISK_FULL', outbox.trim([large]))
  await outbox.append(range(20, 21)) // There is still room for a small one.
  disk.empty()
  await outbox.append(range(21, 30))
  await outbox.trim(range(30, 31))
  await outbox.close()
  assert.equal(await readBack(nodeDisk, disk.path), range(0, 31))
})

onSmallDisk('a disk that has become read-only can still be read', async () => {
  using disk = smallDisk(2)
  const outbox = await FileOutbox.open(nodeDisk, disk.path, 'own')
  await outbox.append(range(0, 3))
  await outbox.close()
  disk.makeReadOnly()
  await rejectsWith('DISK_READ_ONLY', FileOutbox.open(nodeDisk, disk.path, 'own'))
  disk.makeWritable()
  assert.equal(await readBack(nodeDisk, disk.path), range(0, 3))
})

outboxes('killed at any moment, it has every record that was acknowledged, in order', async () => {
  await using folder = await testFolder()
  const rounds = Number(process.env['KILL_ROUNDS'] ?? 12)
  let acknowledged = 0
  let begins = 0
  for (let round = 0; round < rounds; round++) {
    const child = fork(fileURLToPath(new URL('outbox-writer.ts', import.meta.url)), [
      folder.path,
      `${acknowledged}`
    ])
    const enough = acknowledged + 1 + Math.floor(Math.random() * 200)
    const ended = once(child, 'exit')
    child.on('message', (message: { acknowledged: number; trimmed?: boolean }) => {
      if (message.trimmed === true) begins = acknowledged
      acknowledged = message.acknowledged
      if (acknowledged >= enough) child.kill('SIGKILL')
    })
    const [, signal] = (await ended) as [number | null, string | null]
    assert.is(signal, 'SIGKILL')
    const found = (await readBack(nodeDisk, folder.path)).map((record) => record.index)
    assert.equal(
      found,
      range(found[0]!, found[0]! + found.length).map((record) => record.index)
    )
    assert.ok(
      found.at(-1)! >= acknowledged - 1,
      `ends at ${found.at(-1)}, ${acknowledged} acknowledged`
    )
    assert.ok(found[0]! <= Math.max(0, begins), `begins at ${found[0]}, trimmed at ${begins}`)
    acknowledged = found.at(-1)! + 1
  }
  assert.ok(acknowledged > rounds)
})

function range(from: number, to: number): OutboxRecord[] {
  return Array.from({ length: to - from }, (_, i) => recordAt(from + i))
}

/** Opens, reads and closes; each record is checked against its index. */
async function readBack(disk: Disk, folder: string): Promise<OutboxRecord[]> {
  const outbox = await FileOutbox.open(disk, folder, 'own')
  const records = await outbox.read()
  await outbox.close()
  assert.equal(
    records,
    records.map((record) => recordAt(record.index))
  )
  return records
}

function holds(records: OutboxRecord[], wanted: OutboxRecord[]): boolean {
  return wanted.every(({ index }) => records.some((record) => record.index === index))
}

function isAscending(records: OutboxRecord[]): boolean {
  return records.every((record, i) => i === 0 || records[i - 1]!.index < record.index)
}

function eio(): SkeinError {
  return new SkeinError('STORAGE_FAILED', 'The disk failed (EIO)')
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
  const path = await mkdtemp(join(tmpdir(), 'skein-outbox-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) }
}

outboxes.run()
