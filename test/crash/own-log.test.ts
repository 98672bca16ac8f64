/**
 * The one place that appends, over a store that fails in each way that a disk has shown: refuses an append, takes part
 * of a group, cannot be opened again at first, or comes back shorter. Logs, store and outbox are stood in for here; on
 * real disks `disk-full.test.ts` and `power-loss.test.ts` do the same to all of it.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Emitter } from '../../lib/events.ts'
import { SkeinError, type Outbox, type OutboxRecord, type Platform } from '../../lib/index.ts'
import { logIdOf, type Log, type LogEvents } from '../../lib/log/log.ts'
import { OwnLog } from '../../lib/log/own-log.ts'
import type { OwnCore } from '../../lib/log/outbox-records.ts'
import { deadline, eventually } from '../events.ts'

const test = suite('own log')
const body = new Uint8Array(10)
const kind = 2

test('what waits behind an entry that cannot be sealed stays in the queue', async () => {
  const lab = new Lab()
  await using own = await lab.open()
  lab.whenSeen = (count) => {
    if (count === 2) throw new Error('The tree cannot be read')
  }
  const appended = [1, 2, 3].map(() => own.append('content', kind, body))
  await settle(appended)
  assert.is(lab.blocksOf('content').length, 3)
  assert.equal(own.error, null)
})

test('a group of which the store took half is finished once the store is open again', async () => {
  const lab = new Lab()
  await using own = await lab.open()
  lab.refuse = 'content'
  await settle([own.append('control', kind, body), own.append('content', kind, body)])
  assert.is(lab.reopenings, 1)
  assert.is(lab.blocksOf('control').length, 1)
  assert.is(lab.blocksOf('content').length, 1)
  lab.holdsWhatTheOutboxHas()
})

test('a store that cannot be opened again at first is tried again, and nothing is refused meanwhile', async () => {
  const lab = new Lab()
  await using own = await lab.open()
  await own.append('content', kind, body)
  const codes: string[] = []
  own.on('failed', ({ error }) => codes.push(error.code))
  let recovered = 0
  own.on('recovered', () => recovered++)
  lab.refuse = 'content'
  lab.failedReopenings = 2
  const appended = own.append('content', kind, body)
  await rejects(own.flush(), 'DISK_FULL')
  assert.not(own.isBehind)
  await rejects(own.flush(), 'DISK_FULL')
  lab.passTime() // Nobody asks; the third attempt comes by itself.
  await settle([appended])
  assert.is(lab.blocksOf('content').length, 2)
  assert.is(recovered, 1)
  assert.equal(codes, ['DISK_FULL', 'DISK_FULL'])
})

test('what a store lost when it was opened again is appended again before anything else, at its place', async () => {
  const lab = new Lab()
  await using own = await lab.open()
  for (let i = 0; i < 5; i++) await own.append('content', kind, body)
  lab.refuse = 'content'
  lab.lostAtReopening = 3
  await settle([own.append('content', kind, body), own.append('content', kind, body)])
  assert.is(lab.blocksOf('content').length, 7)
  lab.holdsWhatTheOutboxHas()
})

test('a log that another space’s failure left shorter is whole again before it is written to', async () => {
  const lab = new Lab()
  await using own = await lab.open()
  for (let i = 0; i < 5; i++) await own.append('content', kind, body)
  lab.lostAtReopening = 2
  let caughtUp = 0
  own.on('caught-up', () => caughtUp++)
  lab.reopen()
  assert.ok(own.isBehind)
  await settle([own.append('content', kind, body)])
  assert.is(caughtUp, 1)
  lab.holdsWhatTheOutboxHas()
})

test('of a log that lacks what the outbox let go of, nothing is written until a peer has brought all of it', async () => {
  const lab = new Lab()
  {
    await using own = await lab.open()
    for (let i = 0; i < 5; i++) await own.append('content', kind, body)
  }
  const blocks = lab.blocksOf('content').slice()
  lab.forgetOutboxBefore(3)
  lab.lose('content', 4)
  await using own = await lab.open()
  assert.ok(own.isBehind)
  const appended = own.append('content', kind, body)
  await rejects(own.flush(), 'LOG_BEHIND')
  // A peer tells of all there is, and then brings it, last block first.
  lab.bring('content', blocks, [4])
  assert.ok(own.isBehind)
  lab.bring('content', blocks, [3, 2, 1])
  await settle([appended])
  assert.equal(lab.blocksOf('content').slice(0, 5), blocks)
  assert.is(lab.blocksOf('content').length, 6)
  assert.is(own.clientCounter, 1, 'client ids of edits that were not here are not used again')
})

test('what is typed while a store lacks its end is under client ids that no other life of it has taken', async () => {
  const lab = new Lab()
  {
    await using own = await lab.open()
    for (let i = 0; i < 3; i++) await own.append('content', kind, body)
  }
  lab.forgetOutboxBefore(3)
  lab.lose('content', 2)
  const counters: number[] = []
  const putBack = lab.outboxNow()
  for (const life of [7, 9]) {
    putBack()
    lab.random = life
    const own = await lab.open()
    assert.ok(own.isBehind)
    counters.push(own.clientCounter)
    await own.close()
  }
  assert.is(
    new Set(counters).size,
    2,
    'a machine may be put back to what it was before the first of them'
  )
})

test('flush waits for what was queued when it was called, and ends when the log is closed', async () => {
  const lab = new Lab()
  const own = await lab.open()
  let isWriting = true
  const flood = (): void => {
    if (isWriting) void own.append('content', kind, body).then(flood, () => {})
  }
  flood()
  await deadline(own.flush(), 20_000, 'an end of flush() beside one who never stops')
  isWriting = false
  lab.refuse = 'content'
  lab.failedReopenings = Infinity
  const appended = own.append('content', kind, body)
  const [flushed, closed] = [own.flush(), own.close()]
  await rejects(flushed, 'DISK_FULL')
  await rejects(appended, 'DISK_FULL')
  await deadline(closed, 20_000, 'the close')
  await rejects(own.append('content', kind, body), 'CLOSED')
})

test('an outbox that cannot be trimmed fails no write', async () => {
  const lab = new Lab()
  await using own = await lab.open()
  lab.failedTrims = 1
  let failures = 0
  own.on('failed', () => failures++)
  const large = new Uint8Array(900_000)
  for (let i = 0; i < 12; i++) await own.append('content', kind, large)
  await own.flush()
  assert.is(failures, 0)
  assert.is(lab.trims, 1)
})

// The store and the outbox write at once

test('nobody sees an entry before the outbox has it, though the store writes meanwhile', async () => {
  const lab = new Lab()
  await using own = await lab.open()
  await own.append('content', kind, body)
  lab.holdOutbox()
  const appended = own.append('content', kind, body)
  await eventually(() => lab.takenBlocks === 2)
  assert.is(lab.blocksOf('content').length, 1)
  assert.not(own.isIdle)
  lab.releaseOutbox()
  await settle([appended])
  assert.is(lab.blocksOf('content').length, 2)
  lab.holdsWhatTheOutboxHas()
})

test('the mark of a session is in the outbox before the store gets its first entry', async () => {
  const lab = new Lab()
  await using own = await lab.open()
  lab.holdOutbox()
  const appended = own.append('content', kind, body)
  await eventually(() => lab.isOutboxWaiting)
  assert.is(lab.takenBlocks, 0)
  lab.releaseOutbox()
  await settle([appended])
})

test('an entry that the outbox refused and the store took is written again as it was', async () => {
  const lab = new Lab()
  await using own = await lab.open()
  await own.append('content', kind, body)
  const codes: string[] = []
  own.on('failed', ({ error }) => codes.push(error.code))
  lab.failedOutboxAppends = 1
  const appended = own.append('content', kind, body)
  await rejects(own.flush(), 'DISK_FULL')
  assert.is(lab.takenBlocks, 2)
  assert.is(lab.blocksOf('content').length, 1, 'nobody sees it')
  assert.is(lab.reopenings, 0, 'the store is sound')
  await own.flush()
  await settle([appended])
  assert.equal(codes, ['DISK_FULL'])
  lab.holdsWhatTheOutboxHas()
})

test('an entry that only the store has after a crash is made durable and stays', async () => {
  const lab = new Lab()
  {
    await using own = await lab.open()
    for (let i = 0; i < 3; i++) await own.append('content', kind, body)
  }
  const blocks = lab.blocksOf('content').slice()
  lab.loseFromOutbox(2)
  assert.is(lab.syncs, 0)
  await using own = await lab.open()
  assert.is(lab.syncs, 1)
  assert.not(own.isBehind)
  const { from } = await own.append('content', kind, body)
  assert.is(from, 3)
  assert.equal(lab.blocksOf('content').slice(0, 3), blocks)
})

test.run()

/** Resolves when all have; what is not to come in time fails. */
async function settle(appended: Promise<unknown>[]): Promise<void> {
  await deadline(Promise.all(appended), 20_000, 'an entry that is written')
}

async function rejects(promise: Promise<unknown>, code: string): Promise<void> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason
  )
  assert.instance(error, SkeinError)
  assert.is((error as SkeinError).code, code)
}

class Lab {
  /** Called before the n-th entry is sealed. */
  whenSeen: (count: number) => void = () => {}
  /** The next append to this one fails, and all until the store is opened again. */
  refuse: OwnCore | null = null
  failedReopenings = 0
  random = 0
  /** Blocks that the content log will have lost. */
  lostAtReopening = 0
  failedTrims = 0
  failedOutboxAppends = 0
  reopenings = 0
  trims = 0
  syncs = 0
  isOutboxWaiting = false
  #outboxHeld: Promise<void> = Promise.resolve()
  releaseOutbox: () => void = () => {}
  readonly #logs: Record<OwnCore, FakeLog>
  #records: OutboxRecord[] = []
  readonly #timers = new Set<() => void>()
  #seen = 0

  constructor() {
    this.#logs = {
      control: new FakeLog('control', () => this.refuse === 'control'),
      content: new FakeLog('content/0', () => this.refuse === 'content')
    }
  }

  async open(): Promise<OwnLog & AsyncDisposable> {
    const own = new OwnLog({
      control: this.#logs.control as unknown as Log,
      content: this.#logs.content as unknown as Log,
      outbox: this.#outbox(),
      platform: {
        clock: { now: () => 0, after: (_ms, callback) => this.#after(callback) },
        randomBytes: (length: number) => new Uint8Array(length).fill(this.random)
      } as Platform,
      keyFor: () => new Uint8Array(32),
      onKeyWanted: () => {},
      onOvertaken: () => {},
      onDisplaced: () => Promise.resolve(),
      seen: async () => {
        this.whenSeen(++this.#seen)
        return { deps: [], cut: new Map() }
      },
      sync: async () => void this.syncs++,
      assertRoom: async () => {},
      reopenStore: async () => this.reopen()
    })
    await own.ready()
    return Object.assign(own, { [Symbol.asyncDispose]: () => own.close() })
  }

  reopen(): void {
    if (this.failedReopenings > 0) {
      this.failedReopenings--
      throw new SkeinError('DISK_FULL', 'No room to open the store')
    }
    this.reopenings++
    this.refuse = null
    this.lose('content', this.lostAtReopening)
    this.lostAtReopening = 0
    for (const log of Object.values(this.#logs)) log.progress()
  }

  /** What comes to the outbox is not durable before `releaseOutbox`. */
  holdOutbox(): void {
    this.#outboxHeld = new Promise((resolve) => (this.releaseOutbox = resolve))
  }

  /** Blocks that came to the store, whether anyone sees them or not. */
  get takenBlocks(): number {
    return this.#logs.control.taken + this.#logs.content.taken
  }

  /** The outbox never got that block of the content log. */
  loseFromOutbox(index: number): void {
    this.#records = this.#records.filter((record) => record.kind !== 1 || record.index !== index)
  }

  lose(core: OwnCore, count: number): void {
    const { blocks } = this.#logs[core]
    blocks.length -= count
  }

  /** A peer's blocks: the length is known with the first of them. */
  bring(core: OwnCore, blocks: readonly Uint8Array[], indexes: readonly number[]): void {
    const log = this.#logs[core]
    log.blocks.length = Math.max(log.blocks.length, blocks.length)
    for (const index of indexes) {
      log.blocks[index] = blocks[index]
      log.progress()
    }
  }

  blocksOf(core: OwnCore): readonly Uint8Array[] {
    return this.#logs[core].blocks as Uint8Array[]
  }

  /** Returns what puts the outbox back to what it is now. */
  outboxNow(): () => void {
    const records = this.#records.slice()
    return () => void (this.#records = records.slice())
  }

  /** As if it had been trimmed when the content log had that length. */
  forgetOutboxBefore(length: number): void {
    const kept = this.#records.filter(({ kind, index }) => kind > 1 || index >= length)
    this.#records = [{ kind: 3, index: 1, bytes: new Uint8Array([length]) }, ...kept]
  }

  /** What is in the logs is what went through the outbox, each block once and at its place. */
  holdsWhatTheOutboxHas(): void {
    for (const [core, kindOfCore] of [
      ['control', 0],
      ['content', 1]
    ] as const) {
      const records = this.#records.filter((record) => record.kind === kindOfCore)
      assert.equal(
        records.map(({ index }) => index),
        records.map((_, i) => i)
      )
      assert.equal(
        this.blocksOf(core),
        records.map(({ bytes }) => bytes)
      )
    }
  }

  /** Whatever waits for time is due. */
  passTime(): void {
    for (const callback of [...this.#timers]) {
      this.#timers.delete(callback)
      callback()
    }
  }

  #after(callback: () => void): () => void {
    this.#timers.add(callback)
    return () => void this.#timers.delete(callback)
  }

  #outbox(): Outbox {
    let byteLength = 0
    return {
      read: async () => this.#records,
      append: async (records) => {
        this.isOutboxWaiting = true
        await this.#outboxHeld
        this.isOutboxWaiting = false
        if (this.failedOutboxAppends > 0) {
          this.failedOutboxAppends--
          throw new SkeinError('DISK_FULL', 'No room in the outbox')
        }
        this.#records.push(...records)
        for (const { bytes } of records) byteLength += bytes.length
      },
      get byteLength() {
        return byteLength
      },
      trim: async (first) => {
        if (this.failedTrims > 0) {
          this.failedTrims--
          throw new SkeinError('DISK_FULL', 'No room for another generation')
        }
        this.trims++
        this.#records = first
        byteLength = 0
      },
      close: async () => {}
    }
  }
}

/** What `OwnLog` uses of a log. */
class FakeLog extends Emitter<LogEvents> {
  readonly name: Log['name']
  readonly id: string
  readonly blocks: (Uint8Array | undefined)[] = []
  taken = 0
  readonly #refuses: () => boolean

  constructor(core: Log['name']['core'], refuses: () => boolean) {
    super()
    this.name = { space: new Uint8Array(32), device: new Uint8Array(32), core }
    this.id = logIdOf(this.name)
    this.#refuses = refuses
  }

  get length(): number {
    return this.blocks.length
  }

  get contiguousLength(): number {
    const gap = Array.from(this.blocks).indexOf(undefined)
    return gap < 0 ? this.blocks.length : gap
  }

  async get(index: number): Promise<Uint8Array | null> {
    return this.blocks[index] ?? null
  }

  async append(blocks: Uint8Array[], durable: Promise<void>): Promise<number> {
    if (this.#refuses()) throw new SkeinError('DISK_FULL', 'The store takes no more')
    this.taken += blocks.length
    await durable
    this.blocks.push(...blocks)
    this.progress()
    return this.blocks.length
  }

  progress(): void {
    this.emit('progress', {})
  }

  download(): void {}
}
