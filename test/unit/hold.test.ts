/** Appends that are written and not yet seen (lib/log/hold.ts). */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import Hypercore from 'hypercore'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { holdWrites } from '../../lib/log/hold.ts'
import { deadline, eventually } from '../events.ts'

const test = suite('hold')

/** What the library itself does not use of a hypercore. */
interface Raw extends Hypercore {
  replicate(isInitiator: boolean): Duplex
}
const Raw = Hypercore as unknown as new (folder: string, key?: Uint8Array) => Raw

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

test('nobody hears of an append that is held, not even who connects meanwhile', async () => {
  await using cores = await pair()
  const { written, copy } = cores
  await written.append(bytes('one'))
  const streams = cores.connect()
  await eventually(() => copy.contiguousLength === 1)
  const hold = cores.hold()
  const appended = written.append(bytes('two'))
  // A read goes by the database alone.
  await eventually(async () => (await written.get(1, { wait: false })) !== null)
  for (const stream of streams) stream.destroy()
  await eventually(() => written.peers.length === 0)
  cores.connect()
  await eventually(() => copy.peers[0]?.remoteLength === 1)
  assert.is(written.length, 1)
  assert.is(copy.length, 1)
  hold.release()
  await deadline(appended, 20_000, 'the append')
  assert.is(written.length, 2)
  await eventually(() => copy.contiguousLength === 2)
})

test('an append whose hold fails is not seen, and the same block can be appended again', async () => {
  await using cores = await pair()
  const { written, copy } = cores
  await written.append(bytes('one'))
  const hold = cores.hold()
  const appended = written.append(bytes('two')).then(
    () => null,
    (error: unknown) => error
  )
  await eventually(async () => (await written.get(1, { wait: false })) !== null)
  const failure = new Error('The disk is full')
  hold.fail(failure)
  assert.is(await appended, failure)
  assert.is(written.length, 1)
  cores.connect()
  await eventually(() => copy.contiguousLength === 1)
  await written.append(bytes('two'))
  await written.append(bytes('three'))
  await eventually(() => copy.contiguousLength === 3)
  assert.equal(Buffer.from((await copy.get(1, { wait: false }))!).toString(), 'two')
})

test.run()

interface Pair extends AsyncDisposable {
  readonly written: Raw
  readonly copy: Raw
  /** Holds what is appended until the next one. */
  hold(): { release(): void; fail(error: Error): void }
  connect(): Duplex[]
}

async function pair(): Promise<Pair> {
  const folder = await mkdtemp(join(tmpdir(), 'skein-hold-'))
  const written = new Raw(join(folder, 'alice'))
  await written.ready()
  const copy = new Raw(join(folder, 'bob'), written.key)
  await copy.ready()
  copy.download({ start: 0, end: -1 })
  let held: Promise<void> | null = null
  holdWrites(written, () => held)
  const streams: Duplex[] = []
  return {
    written,
    copy,
    hold() {
      const { promise, resolve, reject } = withResolvers()
      held = promise
      const end = (): void => void (held = null)
      promise.then(end, end)
      return { release: resolve, fail: reject }
    },
    connect() {
      const pair = [written.replicate(true), copy.replicate(false)] as const
      for (const stream of pair) stream.on('error', () => {}) // It is torn.
      pair[0].pipe(pair[1]).pipe(pair[0])
      streams.push(...pair)
      return [...pair]
    },
    async [Symbol.asyncDispose]() {
      for (const stream of streams) stream.destroy()
      await written.close()
      await copy.close()
      await rm(folder, { recursive: true })
    }
  }
}

function withResolvers(): {
  promise: Promise<void>
  resolve: () => void
  reject: (error: Error) => void
} {
  let resolve = (): void => {}
  let reject = (_error: Error): void => {}
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
