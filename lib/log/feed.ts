/**
 * All members' logs of one space, decoded and delivered in causal order: an entry comes after everything its author had
 * delivered when it wrote it, on every peer. What is not ready waits here, outside Yjs, and holds up its author only.
 *
 * Who owns what: `Log` has the blocks; a `Reader` (below) turns one log's blocks into entries as they arrive; the feed
 * decides when each is delivered and hands it to its one consumer, the space; it keeps no entry after that.
 */
import { toHex } from '../bytes.ts'
import { SkeinError, storageError } from '../errors.ts'
import type { DeviceId } from '../trust/members.ts'
import {
  EntryAssembler,
  keyIdOfBlock,
  openBlock,
  type Dep,
  type Entry,
  type LogId
} from './entry.ts'
import type { Appended, OwnCore } from './own-log.ts'
import type { Log } from './store.ts'

const blocksARead = 64
const entriesAhead = 1024
const bytesAhead = 64 * 1024 * 1024
/** Deliveries between two turns of the event loop. */
const deliveriesATurn = 256

/** Names an entry: its log and its blocks, [from, to). */
export interface EntryRef {
  readonly log: LogId
  readonly from: number
  readonly to: number
}

export interface Delivered {
  readonly device: DeviceId
  readonly log: Log
  /** The entry's blocks: [from, to). */
  readonly from: number
  readonly to: number
  readonly entry: Entry
  /** Written by this device, in this run. */
  readonly isOwn: boolean
}

/** May the entry be delivered: yes, not yet, or never (it is passed over). */
export type Gate = 'deliver' | 'wait' | 'skip'

export interface FeedOptions {
  /** The key of that id, or null while it is not known. */
  readonly keyOf: (log: Log, keyId: Uint8Array) => Uint8Array | null
  /** Does the author's role at that position allow it? */
  readonly gate: (device: DeviceId, log: Log, from: number) => Gate
  readonly deliver: (delivered: Delivered) => void
  /** What can never be delivered was left behind. */
  readonly onPassedOver: () => void
  /** Something in a log is not as it must be; it is passed over, by every peer alike. */
  readonly onInvalid: (device: DeviceId, log: Log, seq: number, error: SkeinError) => void
  /** Blocks that are here could not be read; reading goes on when there are more, or the store was opened again. */
  readonly onReadFailed: (error: SkeinError) => void
  /** An entry declares another history of a log than ours. */
  readonly onForkEvidence: (log: Log, length: number) => void
  /** Lets other work run. */
  readonly yieldTurn: () => Promise<void>
}

interface Pending {
  readonly from: number
  readonly to: number
  /** Null where the blocks hold no valid entry. */
  readonly entry: Entry | null
  depsChecked: boolean
  readonly isOwn: boolean
}

export class Feed {
  readonly #options: FeedOptions
  readonly #readersById = new Map<LogId, Reader>()
  readonly #declared: Record<OwnCore, Map<LogId, number>> = {
    control: new Map(),
    content: new Map()
  }
  #pumping = false
  #again = false
  /** Reads and deliveries under way. */
  #busy = 0
  #settled: (() => void)[] = []
  #stopped = false

  constructor(options: FeedOptions) {
    this.#options = options
  }

  /** Reads another device's log from `delivered` on, a length at which an entry ends. */
  add(log: Log, delivered: number): void {
    if (this.#readersById.has(log.id)) return
    const reader = new Reader(log, delivered, this.#options, false)
    this.#readersById.set(log.id, reader)
    log.on('progress', () => void this.#drain(reader))
    void this.#drain(reader)
  }

  /**
   * Reads this device's own log from `delivered` on. Resolves when what is in it has been read; what it appends from
   * then on comes through `deliverOwn`.
   */
  async addOwn(log: Log, delivered: number): Promise<void> {
    const reader = new Reader(log, delivered, this.#options, true)
    this.#readersById.set(log.id, reader)
    await this.readOwn(log, log.length)
  }

  /** Reads on in this device's own log up to `length`, after blocks that it had lost came back. */
  async readOwn(log: Log, length: number): Promise<void> {
    const reader = this.#readersById.get(log.id)
    if (reader === undefined) return
    reader.limit = Math.max(reader.limit, length)
    await this.#drain(reader)
  }

  /** True while nothing is being read or delivered. */
  get isSettled(): boolean {
    return this.#busy === 0
  }

  /** Resolves when all that is here has been read and, as far as it can be, delivered. */
  settled(): Promise<void> {
    if (this.#busy === 0) return Promise.resolve()
    return new Promise((resolve) => this.#settled.push(resolve))
  }

  has(id: LogId): boolean {
    return this.#readersById.has(id)
  }

  get logs(): Log[] {
    return [...this.#readersById.values()].map((reader) => reader.log)
  }

  log(id: LogId): Log | null {
    return this.#readersById.get(id)?.log ?? null
  }

  /** The key of that id, or null while it is not known. Fails with `BAD_SEAL` for one that can never be right. */
  keyOf(log: Log, keyId: Uint8Array): Uint8Array | null {
    return this.#options.keyOf(log, keyId)
  }

  /** Would an entry at that place of a log be delivered now, as far as its author's role goes? */
  gateOf(log: Log, from: number): Gate {
    return this.#options.gate(toHex(log.name.device), log, from)
  }

  /** By log, everything that has been delivered. */
  get cut(): Map<LogId, number> {
    const cut = new Map<LogId, number>()
    for (const { log, delivered } of this.#readersById.values()) {
      if (delivered > 0) cut.set(log.id, delivered)
    }
    return cut
  }

  /** Up to where a log has been delivered. */
  deliveredOf(id: LogId): number {
    return this.#readersById.get(id)?.delivered ?? 0
  }

  /**
   * Has a log been delivered as far as it can be, given what the others say they hold? What its author may not write, or
   * what refers to entries that nobody has, waits without holding up the rest.
   */
  isDelivered(id: LogId, claimed: ReadonlyMap<LogId, number>, seen = new Set<LogId>()): boolean {
    const length = claimed.get(id) ?? 0
    const reader = this.#readersById.get(id)
    if ((reader?.delivered ?? 0) >= length) return true
    if (reader === undefined || reader.log.contiguousLength < length || seen.has(id)) return false
    // What is being read or delivered may be just that.
    if (this.#busy > 0) return false
    const { waitsFor } = reader
    if (waitsFor === null || waitsFor === 'trust') return waitsFor === 'trust'
    if ((claimed.get(waitsFor.log) ?? 0) < waitsFor.length) return true
    return this.deliveredOf(waitsFor.log) < waitsFor.length
      ? this.isDelivered(waitsFor.log, claimed, seen.add(id))
      : false
  }

  /** By log, how many of the entries that are here wait for something. */
  get waiting(): Map<LogId, number> {
    const waiting = new Map<LogId, number>()
    for (const { log, queue } of this.#readersById.values()) {
      if (queue.length > 0) waiting.set(log.id, queue.length)
    }
    return waiting
  }

  /** Looks again at what waits: after a member or a key was added. */
  wake(): void {
    for (const reader of this.#readersById.values()) reader.waitsFor = null
    for (const reader of this.#readersById.values()) void this.#drain(reader)
    void this.#pump()
  }

  stop(): void {
    this.#stopped = true
  }

  /** Takes what this device has just appended: it needs no reading back. */
  deliverOwn(log: Log, device: DeviceId, appended: Appended): void {
    const reader = this.#readersById.get(log.id)
    if (reader === undefined) return
    if (reader.readTo === appended.from) {
      this.#passBy(reader, device, appended)
      return
    }
    // Blocks before it came back from a peer, or were appended again, and have not been read yet.
    reader.ownFrom.add(appended.from)
    void this.readOwn(log, appended.to)
  }

  #passBy(reader: Reader, device: DeviceId, appended: Appended): void {
    const { from, to, entry } = appended
    if (reader.passBy(appended)) {
      this.#options.deliver({ device, log: reader.log, from, to, entry, isOwn: true })
    }
    void this.#pump()
  }

  /** What a new entry of this device says it has seen, and the cut behind it. Control entries depend on control alone. */
  async seen(core: OwnCore, ownLog: Log): Promise<{ deps: Dep[]; cut: Map<LogId, number> }> {
    const deps: Dep[] = []
    const cut = new Map<LogId, number>()
    const declared = this.#declared[core]
    const newly: [LogId, number][] = []
    for (const { log, delivered } of this.#readersById.values()) {
      if (delivered === 0) continue
      cut.set(log.id, delivered)
      if (log === ownLog || (core === 'control' && log.name.core !== 'control')) continue
      if (declared.get(log.id) === delivered) continue
      const treeHash = await log.treeHashAt(delivered)
      if (treeHash === null) continue
      deps.push({ log: log.id, length: delivered, treeHash })
      newly.push([log.id, delivered])
    }
    // Only now: an entry that is not written for a failure in between has declared nothing.
    for (const [log, length] of newly) declared.set(log, length)
    return { deps, cut }
  }

  /** Reads an entry again that was delivered before. Fails with `STORAGE_DAMAGED` when its blocks are not here. */
  async readBack({ log: id, from, to }: EntryRef): Promise<{ device: DeviceId; entry: Entry }> {
    const log = this.log(id)
    const assembler = new EntryAssembler()
    for (let seq = from; log !== null && seq < to; seq++) {
      const block = await log.get(seq)
      if (block === null) break
      const key = this.#options.keyOf(log, keyIdOfBlock(block))
      if (key === null) break
      const entry = assembler.add(openBlock(block, { ...log.name, seq }, key))
      if (entry !== null) return { device: toHex(log.name.device), entry }
    }
    throw new SkeinError('STORAGE_DAMAGED', `Entry ${from} of log ${id} was delivered and is gone`)
  }

  /** Reads all that is here of a log. Resolves when that is done, also where it was under way already. */
  #drain(reader: Reader): Promise<void> {
    reader.isWanted = true
    reader.draining ??= this.#readAll(reader)
    return reader.draining
  }

  async #readAll(reader: Reader): Promise<void> {
    const { log } = reader
    this.#busy++
    try {
      while (reader.isWanted && !this.#stopped) {
        reader.isWanted = false
        while (!this.#stopped && (await reader.read())) void this.#pump()
      }
      void this.#pump()
    } catch (cause) {
      // While the store is opened again nothing can be read; 'progress' tells of the end of that.
      if (this.#stopped || !log.isAttached) return
      this.#options.onReadFailed(storageError(`Log ${log.id} could not be read`, cause))
    } finally {
      // In the same turn as the last look, so that nobody asks in between.
      reader.draining = null
      this.#done()
    }
  }

  #done(): void {
    if (--this.#busy > 0) return
    for (const resolve of this.#settled.splice(0)) resolve()
  }

  async #pump(): Promise<void> {
    if (this.#pumping) {
      this.#again = true
      return
    }
    this.#pumping = true
    this.#busy++
    try {
      await this.#deliverAll()
    } finally {
      this.#pumping = false
      this.#done()
    }
  }

  async #deliverAll(): Promise<void> {
    let sinceTurn = 0
    do {
      this.#again = false
      for (const reader of this.#readersById.values()) {
        let pending: Pending | undefined
        while (!this.#stopped && (pending = reader.queue[0]) !== undefined) {
          const gate =
            pending.entry === null ? 'skip' : await this.#gate(reader, pending, pending.entry)
          if (gate === 'wait') break
          if (reader.queue[0] !== pending) continue
          reader.queue.shift()
          reader.queuedBytes -= pending.entry?.body.length ?? 0
          reader.waitsFor = null
          reader.delivered = pending.to
          this.#again = true
          if (gate === 'deliver' && pending.entry !== null)
            this.#deliver(reader, pending, pending.entry)
          else this.#options.onPassedOver()
          if (++sinceTurn % deliveriesATurn === 0) await this.#options.yieldTurn()
        }
        // Not while it is as full as before: it would be drained again and again without a turn between.
        if (reader.isPaused && !reader.isFull) void this.#drain(reader)
      }
    } while (this.#again && !this.#stopped)
  }

  #deliver({ log }: Reader, { from, to, isOwn }: Pending, entry: Entry): void {
    const device = toHex(log.name.device)
    this.#options.deliver({ device, log, from, to, entry, isOwn })
  }

  async #gate(reader: Reader, pending: Pending, entry: Entry): Promise<Gate> {
    const { log } = reader
    if (!pending.depsChecked) {
      for (const dep of entry.deps) {
        const other = this.#readersById.get(dep.log)
        if (other === undefined || other.delivered < dep.length) {
          reader.waitsFor = dep
          return 'wait'
        }
      }
      for (const dep of entry.deps) {
        const other = this.#readersById.get(dep.log)!.log
        const treeHash = await this.#treeHashOf(other, dep.length)
        if (treeHash === dep.treeHash) continue
        reader.waitsFor = treeHash === null ? dep : 'trust'
        if (treeHash !== null) this.#options.onForkEvidence(other, dep.length)
        return 'wait'
      }
      pending.depsChecked = true
    }
    const gate = this.#options.gate(toHex(log.name.device), log, pending.from)
    if (gate === 'wait') reader.waitsFor = 'trust'
    return gate
  }

  /** Null while it is not to be had: then 'progress' of the log tells when to ask again. */
  async #treeHashOf(log: Log, length: number): Promise<string | null> {
    try {
      return await log.treeHashAt(length)
    } catch (cause) {
      if (!this.#stopped && log.isAttached) {
        const message = `The tree of log ${log.id} could not be read`
        this.#options.onReadFailed(storageError(message, cause))
      }
      return null
    }
  }
}

/** Turns one log's blocks into entries, some way ahead of what is delivered. */
class Reader {
  readonly log: Log
  readonly queue: Pending[] = []
  /** Of the bodies in the queue. */
  queuedBytes = 0
  delivered: number
  /** The next block to read. */
  readTo: number
  #entryFrom: number
  readonly #assembler = new EntryAssembler()
  readonly #options: FeedOptions
  isPaused = false
  /** What its next entry waits for: another entry, or, once all control entries are here, something that may never come. */
  waitsFor: Pick<Dep, 'log' | 'length'> | 'trust' | null = null
  /** Someone asked to read on since the last look. */
  isWanted = false
  draining: Promise<void> | null = null
  /** Where entries begin that this run appended, and that are read back all the same. */
  readonly ownFrom = new Set<number>()

  readonly #isOwnLog: boolean
  /** Of an own log, only what was there at opening is read; what is appended comes by itself. */
  limit = 0

  constructor(log: Log, delivered: number, options: FeedOptions, isOwnLog: boolean) {
    this.#isOwnLog = isOwnLog
    this.log = log
    this.delivered = delivered
    this.readTo = delivered
    this.#entryFrom = delivered
    this.#options = options
  }

  get isFull(): boolean {
    return this.queue.length >= entriesAhead || this.queuedBytes >= bytesAhead
  }

  /**
   * Takes an entry that this device appended itself. True if it is delivered with that; otherwise it queues behind
   * entries of the same log that wait for something.
   */
  passBy({ from, to, entry }: Appended): boolean {
    if (this.readTo !== from)
      throw new RangeError(`Entry ${from} of an own log came at ${this.readTo}`)
    this.readTo = to
    this.#entryFrom = to
    if (this.queue.length > 0) {
      this.queue.push({ from, to, entry, depsChecked: true, isOwn: true })
      this.queuedBytes += entry.body.length
      return false
    }
    this.delivered = to
    return true
  }

  /** Reads on; true if there may be more. Never two at once. */
  async read(): Promise<boolean> {
    this.isPaused = !this.#isOwnLog && this.isFull
    const end = Math.min(
      this.log.contiguousLength,
      this.readTo + blocksARead,
      this.#isOwnLog ? this.limit : Infinity
    )
    if (this.isPaused || this.readTo >= end) return false
    const indexes = Array.from({ length: end - this.readTo }, (_, i) => this.readTo + i)
    const blocks = await Promise.all(indexes.map((index) => this.log.get(index)))
    for (const block of blocks) if (block === null || !this.#take(block)) return false
    return true
  }

  /** False when the block's key is not here yet. */
  #take(block: Uint8Array): boolean {
    const seq = this.readTo
    let entry: Entry | null
    try {
      const key = this.#options.keyOf(this.log, keyIdOfBlock(block))
      if (key === null) {
        if (this.queue.length === 0) this.waitsFor = 'trust'
        return false
      }
      entry = this.#assembler.add(openBlock(block, { ...this.log.name, seq }, key))
      this.readTo = seq + 1
      if (entry === null) return true
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error
      this.#options.onInvalid(toHex(this.log.name.device), this.log, seq, error)
      this.#assembler.reset()
      this.readTo = seq + 1
      entry = null
    }
    const from = this.#entryFrom
    this.#entryFrom = this.readTo
    const isOwn = this.ownFrom.delete(from)
    this.queue.push({ from, to: this.readTo, entry, depsChecked: false, isOwn })
    this.queuedBytes += entry?.body.length ?? 0
    return true
  }
}
