/** Versions of a log that forked (lib/log/branch.ts): what shows one, and one put in the place of the other. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import SecretStream from '@hyperswarm/secret-stream'
import Hypercore, { type Proof } from 'hypercore'
import Protomux from 'protomux'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { platform } from '../../adapters/node/platform.ts'
import { toHex } from '../../lib/bytes.ts'
import { signKeysFrom } from '../../lib/crypto.ts'
import { SkeinError, type DeviceKeys } from '../../lib/index.ts'
import { Branch } from '../../lib/log/branch.ts'
import { decodePiece, encodePiece } from '../../lib/log/kept-versions.ts'
import type { Log, LogName } from '../../lib/log/log.ts'
import { guardConflicts } from '../../lib/log/push.ts'
import { LogStore } from '../../lib/log/store.ts'
import { encodeForkProof, readForkProof } from '../../lib/trust/fork-proof.ts'
import { rejects } from '../devices.ts'
import { eventually } from '../events.ts'

const test = suite('branches')

/** What the library itself does not use of a hypercore. */
interface Raw extends Hypercore {
  proof(options: { upgrade: { start: number; length: number } }): Promise<Proof>
}
const Raw = Hypercore as unknown as new (folder: string, options: { keyPair: DeviceKeys }) => Raw

const alice = signKeysFrom(new Uint8Array(32).fill(0x11))
const bob = signKeysFrom(new Uint8Array(32).fill(0x12))
const name: LogName = {
  space: new Uint8Array(32).fill(0x33),
  device: alice.publicKey,
  core: 'content/0'
}

function block(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** A store of its own with the one log. */
class Copy implements AsyncDisposable {
  readonly #folder: string
  readonly #keys: DeviceKeys | null
  #close = async (): Promise<void> => {}
  log!: Log

  constructor(folder: string, keys: DeviceKeys | null) {
    this.#folder = folder
    this.#keys = keys
  }

  async start(): Promise<this> {
    const storage = await platform.openStorage(this.#folder)
    const store = new LogStore(storage, platform.clock)
    await store.ready()
    this.log = await store.open(name, this.#keys)
    this.#close = async () => {
      await store.closeLog(this.log)
      await store.close()
      await storage.close()
    }
    return this
  }

  async restart(): Promise<void> {
    await this.#close()
    await this.start()
  }

  async texts(): Promise<(string | null)[]> {
    const blocks = Array.from({ length: this.log.length }, (_, i) => this.log.get(i))
    return (await Promise.all(blocks)).map((one) => one && new TextDecoder().decode(one))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
    await rm(this.#folder, { recursive: true })
  }
}

async function copy(keys: DeviceKeys | null = alice): Promise<Copy> {
  return new Copy(await mkdtemp(join(tmpdir(), 'skein-branch-')), keys).start()
}

/** Two versions: alike for `common` blocks, then `a` and `b` of their own. */
async function forked(common: number, a: number, b: number): Promise<[Copy, Copy]> {
  const [left, right] = [await copy(), await copy()]
  for (const [own, count, { log }] of [
    ['a', a, left],
    ['b', b, right]
  ] as const) {
    await log.append([
      ...Array.from({ length: common }, (_, i) => block(`${i}`)),
      ...Array.from({ length: count }, (_, i) => block(`${own}${i}`))
    ])
  }
  return [left, right]
}

function isSigned(branch: Branch, log: Log, device = alice.publicKey): boolean {
  return branch.isSignedBy(log.key, device)
}

/** Replicates the log between two stores until `check` holds. */
async function exchanging(a: Log, b: Log, check: () => boolean): Promise<void> {
  const [toB, toA]: Duplex[] = [0, 1].map(
    () =>
      new Duplex({
        read() {},
        write(chunk: Buffer, _, done) {
          const other = this === toB ? toA! : toB!
          queueMicrotask(() => {
            other.push(chunk)
            done()
          })
        }
      })
  )
  const streams = [
    new SecretStream(true, toB as never),
    new SecretStream(false, toA as never)
  ] as const
  for (const [i, log] of [a, b].entries()) log.replicate(Protomux.from(streams[i]))
  await eventually(check)
  for (const stream of streams) stream.destroy()
}

const shapes = [
  [0, 1, 1],
  [1, 1, 3],
  [3, 5, 2],
  [5, 5, 5],
  [7, 1, 30],
  [8, 20, 1],
  [13, 7, 19],
  [64, 3, 4]
] as const

test('a branch shows what its author signed, and how it grew', async () => {
  for (const [common, a, b] of shapes) {
    const [left, right] = await forked(common, a, b)
    const split = common + Math.min(a, b)
    const branches: Branch[] = []
    for (const { log } of [left, right]) {
      const branch = (await log.branch(common, [split]))!
      const read = Branch.decode(branch.encode())
      assert.is(read.length, log.length)
      assert.ok(isSigned(read, log))
      assert.not(isSigned(read, log, bob.publicKey), 'of nobody else')
      for (const point of [common, split, log.length])
        assert.equal(read.treeHashAt(point), await log.treeHash(point), `${common} ${a} ${b}`)
      branches.push(read)
    }
    const [ofLeft, ofRight] = branches as [Branch, Branch]
    assert.equal(ofLeft.treeHashAt(common), ofRight.treeHashAt(common))
    assert.not.equal(ofLeft.treeHashAt(split), ofRight.treeHashAt(split))
    await left[Symbol.asyncDispose]()
    await right[Symbol.asyncDispose]()
  }
})

test('no byte of a branch can be another', async () => {
  const [left, right] = await forked(5, 6, 2)
  const bytes = (await left.log.branch(5, [7]))!.encode()
  let passed = 0
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.slice()
    changed[at]! ^= 1 << (at % 8)
    try {
      if (isSigned(Branch.decode(changed), left.log)) passed++
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error
    }
  }
  assert.is(passed, 0)
  await left[Symbol.asyncDispose]()
  await right[Symbol.asyncDispose]()
})

test('a piece of a version proves itself, and no byte of it can be another', async () => {
  const [left, right] = await forked(5, 6, 2)
  const blocks = await Promise.all([7, 8, 9].map(async (i) => (await left.log.get(i))!))
  const branch = (await left.log.branch(7, [10]))!
  const bytes = encodePiece({ since: 5, branch, blocks })
  const isGood = (piece: Uint8Array): boolean => {
    const { since, branch: read, blocks: its } = decodePiece(piece)
    return since === 5 && isSigned(read, left.log) && read.beginsWith(its)
  }
  assert.ok(isGood(bytes))
  for (const others of [blocks.slice(1), blocks.slice(0, 2), [...blocks, blocks[0]!], []])
    assert.not(isGood(encodePiece({ since: 5, branch, blocks: others })))
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.slice()
    changed[at]! ^= 1 << (at % 8)
    try {
      assert.not(isGood(changed), `byte ${at}`)
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error
    }
  }
  await left[Symbol.asyncDispose]()
  await right[Symbol.asyncDispose]()
})

test('a proof says where the versions part, and no earlier', async () => {
  const [left, right] = await forked(5, 6, 2)
  const proof = async (common: number, points: number[], other = right): Promise<Uint8Array> => {
    const [held, theirs] = [left, other].map(({ log }) => log.branch(common, points))
    return encodeForkProof(name, (await held)!, (await theirs!)!)
  }
  const read = readForkProof(await proof(5, [6]), name.space)
  assert.is(read.common, 5)
  assert.is(read.length, 11)
  assert.equal(read.treeHash, await left.log.treeHash(11))
  const refused = async (bytes: Promise<Uint8Array>): Promise<void> =>
    rejects(
      bytes.then((body) => readForkProof(body, name.space)),
      'BAD_SEAL'
    )
  await refused(proof(3, [7]))
  await refused(proof(3, [4, 5, 6, 7]))
  await refused(proof(5, [7]))
  await refused(proof(5, [6], left))
  await left[Symbol.asyncDispose]()
  await right[Symbol.asyncDispose]()
})

test('one branch takes the place of the other, at once and for good', async () => {
  for (const [common, a, b] of shapes) {
    const [left, right] = await forked(common, a, b)
    await left.log.takeBranch((await right.log.branch(common, []))!)
    for (const isAgain of [false, true]) {
      if (isAgain) await left.restart()
      assert.is(left.log.length, common + b)
      assert.is(left.log.contiguousLength, common)
      const texts = Array.from({ length: common }, (_, i) => `${i}`)
      assert.equal(await left.texts(), [...texts, ...Array.from({ length: b }, () => null)])
    }
    left.log.download()
    await exchanging(left.log, right.log, () => left.log.contiguousLength === right.log.length)
    assert.equal(await left.texts(), await right.texts())
    // It is the author's own log, and goes on.
    await left.log.append([block('more')])
    right.log.download()
    await exchanging(right.log, left.log, () => right.log.contiguousLength === left.log.length)
    assert.equal(await left.texts(), await right.texts())
    assert.equal(
      await left.log.treeHash(left.log.length),
      await right.log.treeHash(right.log.length)
    )
    await left[Symbol.asyncDispose]()
    await right[Symbol.asyncDispose]()
  }
})

test('who took another version proves what it goes on with, though it had proven the version before', async () => {
  for (const [common, a, b] of shapes) {
    const [left, right] = await forked(common, a, b)
    const reader = await copy(null)
    reader.log.download()
    await exchanging(left.log, reader.log, () => reader.log.contiguousLength === left.log.length)
    await left.log.takeBranch((await right.log.branch(common, []))!)
    left.log.download()
    await exchanging(left.log, right.log, () => left.log.contiguousLength === right.log.length)
    for (const text of ['more', 'and more', 'and more of it', 'to the end'])
      await left.log.append([block(text)])
    right.log.download()
    await exchanging(right.log, left.log, () => right.log.contiguousLength === left.log.length)
    assert.equal(await right.texts(), await left.texts())
    for (const one of [left, right, reader]) await one[Symbol.asyncDispose]()
  }
})

test('a branch that does not grow from what is here, or is not signed, changes nothing', async () => {
  const [left, right] = await forked(4, 3, 3)
  const before = toHex(await left.log.treeHash(7))
  await rejects(left.log.takeBranch((await right.log.branch(6, []))!), 'BAD_SEAL')
  const branch = (await right.log.branch(4, []))!
  const unsigned = branch.encode()
  unsigned[unsigned.length - 5]! ^= 1
  await rejects(left.log.takeBranch(Branch.decode(unsigned)), 'BAD_SEAL')
  assert.is(left.log.length, 7)
  assert.is(toHex(await left.log.treeHash(7)), before)
  assert.equal((await left.texts()).length, 7)
  await left[Symbol.asyncDispose]()
  await right[Symbol.asyncDispose]()
})

test('a real proof of a fork from a peer is told, and freezes nothing', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-branch-'))
  const [left, right] = ['left', 'right'].map(
    (side) => new Raw(join(folder, side), { keyPair: alice })
  )
  for (const [core, own] of [
    [left!, 'left'],
    [right!, 'right']
  ] as const) {
    await core.ready()
    await core.append([block('same'), block(own)])
  }
  const seen: number[] = []
  guardConflicts(left!, (length) => seen.push(length))
  const upgrade = { start: 0, length: 2 }
  const proofOf = async (core: Raw): Promise<Proof> => core.proof({ upgrade })
  assert.not(await left!.core.checkConflict(await proofOf(left!), null))
  assert.equal(seen, [])
  assert.ok(await left!.core.checkConflict(await proofOf(right!), null))
  assert.equal(seen, [2])
  await left!.append(block('on'))
  await left!.close()
  const again = new Raw(join(folder, 'left'), { keyPair: alice })
  await again.ready()
  await again.append(block('and on'))
  assert.is(again.length, 4)
  await again.close()
  await right!.close()
  await rm(folder, { recursive: true })
})

test.run()
