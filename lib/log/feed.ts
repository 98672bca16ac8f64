/**
 * All members' logs of one space, decoded and delivered in causal order: an entry comes after everything its author had
 * delivered when it wrote it, on every peer. What is not ready waits here, outside Yjs, and holds up its author only.
 *
 * Who owns what: `Log` has the blocks; a `Reader` turns one log's blocks into entries as they arrive; the feed
 * decides when each is delivered and hands it to its one consumer, the space; it keeps no entry after that.
 */
import { toHex } from '../bytes.ts'
import { storageError, type SkeinError } from '../errors.ts'
import type { DeviceId } from '../trust/members.ts'
import { countContent, notBuiltOn, type Countable, type Past } from './counts.ts'
import type { Dep, Entry, LogId } from './entry.ts'
import type { Appended } from './group.ts'
import type { OwnCore } from './outbox-records.ts'
import type { HeldContent } from './own-log.ts'
import { entriesOf, readBack, type EntryRef } from './read-back.ts'
import { Reader, type Pending, type ReaderOptions } from './reader.ts'
import { Readiness } from './readiness.ts'
import type { Log } from './log.ts'

/** Deliveries between two turns of the event loop. */
const deliveriesATurn = 256

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

/** Up to which length a log's entries count, of themselves or as the past of others; beyond, they are left out. */
export type Counts = ReadonlyMap<LogId, number>

export interface FeedOptions extends ReaderOptions {
  /** Up to which length the author's role keeps what is in the log. All of a control log, whose entries judge themselves. */
  readonly kept: (device: DeviceId, log: Log) => number
  /** Is it proven that this log has two versions? */
  readonly isForked: (log: LogId) => boolean
  /** A proof of a fork is here, and waits for its turn: true if that was not known. */
  readonly onProof: (body: Uint8Array) => boolean
  /** Does a control entry of this device say that it has seen that device's? */
  readonly declares: (device: DeviceId) => boolean
  readonly deliver: (delivered: Delivered) => void
  /** What can never be delivered was left behind. */
  readonly onPassedOver: () => void
  /** Blocks that are here could not be read; reading goes on when there are more, or the store was opened again. */
  readonly onReadFailed: (error: SkeinError) => void
  /** An entry declares another history of a log than ours. */
  readonly onForkEvidence: (log: Log) => void
  /** Lets other work run. */
  readonly yieldTurn: () => Promise<void>
}

type TakeBackArgs = [
  leave: (counts: Counts) => Promise<void>,
  hold: (() => Promise<HeldContent>) | null,
  find: (held: HeldContent | null) => Promise<Counts>,
  change?: () => Promise<void>
]

/** How another version takes the place of a log, step by step: each has ended before the next begins. */
export interface Rebranching {
  /** Keeps what would be lost; given up to where each log stays that loses something. */
  readonly keep: (stays: Counts) => Promise<void>
  /** Takes back what was made of entries beyond these lengths. */
  readonly leave: (counts: Counts) => Promise<void>
  readonly change: () => Promise<void>
}

export class Feed {
  readonly #options: FeedOptions
  readonly #readersById = new Map<LogId, Reader>()
  readonly #declared: Record<OwnCore, Map<LogId, number>> = {
    control: new Map(),
    content: new Map()
  }
  readonly #readiness: Readiness
  #pumping = false
  #again = false
  /** Reads and deliveries under way. */
  #busy = 0
  #settled: (() => void)[] = []
  #stopped = false
  /** While it is worked out anew what counts, nothing is read or delivered, but what this device appends itself. */
  #isHeld = false
  #ownWhileHeld: Appended[] = []
  #takingBack: Promise<void> = Promise.resolve()
  /** What was at risk, and counts all the same, when that was worked out last. */
  #riskBefore = ''

  constructor(options: FeedOptions) {
    this.#options = options
    this.#readiness = new Readiness({
      reader: (id) => this.#readersById.get(id),
      isForked: options.isForked,
      onProof: options.onProof,
      countedOf: ({ log, counted }) => this.#countedOf(log, counted),
      onCounted: () => {
        this.#again = true
      },
      isStopped: () => this.#stopped,
      onReadFailed: options.onReadFailed,
      onForkEvidence: options.onForkEvidence
    })
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

  /** Does an entry at that place of a log count now, as far as is known here? */
  counts(log: Log, from: number): boolean {
    return from < this.#countedOf(log, this.#readersById.get(log.id)?.counted ?? 0)
  }

  #countedOf(log: Log, asPast: number): number {
    return Math.max(asPast, this.#options.kept(toHex(log.name.device), log))
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

  /**
   * Works out anew what counts, after roles have changed: content that its author's role does not keep any more counts on
   * as the past of what is kept, or is taken back. `leave` is given by log what counts of those that lose something; until
   * it resolves nothing else is delivered. This device must not write content meanwhile that refers to what leaves: `hold`
   * resolves once what it refers to already is written, and none is any more until that is released.
   * O(all entries), and only where content may have to leave.
   */
  async recount(
    leave: (counts: Counts) => Promise<void>,
    hold: () => Promise<HeldContent>
  ): Promise<void> {
    if (this.#riskNow() === this.#riskBefore) return
    await this.#takeBack(leave, hold, async (held) => {
      const content = this.#readers.filter(({ log }) => log.name.core !== 'control')
      const logs: Countable[] = []
      for (const { log, delivered: end } of content) {
        const pasts = await this.#pastsOf(log, end)
        logs.push({ id: log.id, kept: this.#countedOf(log, 0), end, pasts })
      }
      // Appended by this device meanwhile.
      const appended = this.#ownWhileHeld.filter(({ core }) => core === 'content')
      const more = [...appended, ...(held?.sealed ?? [])]
      const counts = countContent(
        logs.map((counted) => ({ ...counted, end: this.deliveredOf(counted.id) })),
        more.flatMap(({ entry }) => entry.deps)
      )
      for (const reader of content) reader.counted = counts.get(reader.log.id)!
      return counts
    })
  }

  /**
   * Another version takes the place of a log from `common` on: takes back what was delivered of the one before, and all
   * that was built upon it, and only then changes the log, so that nothing is ever made of entries that are not there.
   * Nothing else is delivered meanwhile. O(all entries).
   */
  async rebranch(log: Log, common: number, { keep, leave, change }: Rebranching): Promise<void> {
    const find = async (): Promise<Counts> => {
      const stays = await this.notBuiltOn(log, common)
      await keep(stays)
      for (const [id, length] of stays) {
        const reader = this.#readersById.get(id)
        if (reader === undefined) continue
        reader.counted = Math.min(reader.counted, length)
        // What was read ahead is of the version before.
        reader.rewind(Math.min(length, reader.delivered))
      }
      return stays
    }
    await this.#takeBack(leave, null, find, change)
  }

  /** By log, up to where it does not build on what lies beyond that length of one: of those that do, and of itself. */
  async notBuiltOn(log: Log, length: number): Promise<Counts> {
    const pasts = new Map<LogId, Past[]>()
    // What is built upon a control log does not hang on one of its versions: see `Readiness`.
    for (const { log: other } of log.name.core === 'control' ? [] : this.#readers)
      pasts.set(other.id, await this.#pastsOf(other, other.contiguousLength))
    return notBuiltOn(pasts, log.id, length)
  }

  /** Takes back what lies beyond the lengths that `find` gives, once nothing is read or delivered. One at a time. */
  #takeBack(...args: TakeBackArgs): Promise<void> {
    const taken = this.#takingBack.then(() => this.#takeBackNow(...args))
    this.#takingBack = taken.catch(() => {}) // Whoever asked for it is told.
    return taken
  }

  async #takeBackNow(...[leave, hold, find, change]: TakeBackArgs): Promise<void> {
    this.#isHeld = true
    this.#ownWhileHeld = []
    this.#busy++
    let held: HeldContent | null = null
    try {
      held = (await hold?.()) ?? null
      while (this.#pumping) await this.#options.yieldTurn()
      for (const { draining } of this.#readers) await draining
      const before = this.cut
      const lengths = await find(held)
      const leaving = new Map<LogId, number>()
      for (const [id, length] of lengths) {
        if (length >= Math.max(before.get(id) ?? 0, this.deliveredOf(id))) continue
        leaving.set(id, length)
        const reader = this.#readersById.get(id)
        if (reader !== undefined && reader.delivered > length) reader.rewind(length)
        // The next entry says anew how far it has seen this log: what was said before is void.
        for (const declared of Object.values(this.#declared)) declared.delete(id)
      }
      this.#riskBefore = this.#riskNow()
      if (leaving.size > 0 && !this.#stopped) await leave(leaving)
      await change?.()
    } finally {
      this.#isHeld = false
      this.#done()
      this.wake()
      held?.release()
    }
  }

  get #readers(): Reader[] {
    return [...this.#readersById.values()]
  }

  /** What each entry of a log builds on. */
  async #pastsOf(log: Log, end: number): Promise<Past[]> {
    const pasts: Past[] = []
    for await (const { from, entry } of entriesOf(log, 0, end, this.#options.keyOf))
      pasts.push({ from, deps: entry.deps })
    return pasts
  }

  /** Entries that count no longer, or not yet, since their authors' roles do not allow them: those that can be read. */
  async *leftOut(): AsyncGenerator<EntryRef & { device: DeviceId; entry: Entry }> {
    const { keyOf } = this.#options
    for (const reader of [...this.#readersById.values()]) {
      const { log } = reader
      const from = Math.max(reader.delivered, this.#countedOf(log, reader.counted))
      if (log.name.core === 'control' || from >= log.contiguousLength) continue
      for await (const { entry, ...blocks } of entriesOf(log, from, log.contiguousLength, keyOf)) {
        yield { log: log.id, device: toHex(log.name.device), entry, ...blocks }
      }
    }
  }

  #riskNow(): string {
    const risks: string[] = []
    for (const { log, delivered } of this.#readersById.values()) {
      const kept = this.#countedOf(log, 0)
      if (kept < delivered) risks.push(`${log.id} ${kept}`)
    }
    return risks.join()
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
    // Sealed, perhaps, when more was delivered than counts now.
    const isReady =
      from < this.#countedOf(reader.log, reader.counted) &&
      entry.deps.every(({ log, length }) => this.deliveredOf(log) >= length)
    if (reader.passBy(appended, isReady)) {
      if (this.#isHeld) this.#ownWhileHeld.push(appended)
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
      if (log === ownLog || !this.#isDeclared(core, log)) continue
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

  #isDeclared(core: OwnCore, { name }: Log): boolean {
    if (core === 'content') return true
    return name.core === 'control' && this.#options.declares(toHex(name.device))
  }

  /** Reads an entry again that was delivered before. Fails with `STORAGE_DAMAGED` when its blocks are not here. */
  readBack(ref: EntryRef): Promise<{ device: DeviceId; entry: Entry }> {
    return readBack(this.log(ref.log), ref, this.#options.keyOf)
  }

  /** Reads all that is here of a log. Resolves when that is done, also where it was under way already. */
  #drain(reader: Reader): Promise<void> {
    reader.isWanted = true
    if (this.#isHeld) return Promise.resolve() // Until it is woken.
    reader.draining ??= this.#readAll(reader)
    return reader.draining
  }

  async #readAll(reader: Reader): Promise<void> {
    const { log } = reader
    this.#busy++
    try {
      while (reader.isWanted && !this.#stopped && !this.#isHeld) {
        reader.isWanted = false
        while (!this.#stopped && !this.#isHeld && (await reader.read())) void this.#pump()
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
        while (!this.#stopped && !this.#isHeld && (pending = reader.queue[0]) !== undefined) {
          if (!(await this.#readiness.isReady(reader, pending))) {
            if (!(await this.#passOver(reader, pending))) break
            this.#again = true
            continue
          }
          if (reader.queue[0] !== pending) continue
          reader.queue.shift()
          reader.queuedBytes -= pending.entry?.body.length ?? 0
          reader.waitsFor = null
          reader.delivered = pending.to
          this.#again = true
          if (pending.entry !== null) this.#deliver(reader, pending, pending.entry)
          else this.#options.onPassedOver()
          if (++sinceTurn % deliveriesATurn === 0) await this.#options.yieldTurn()
        }
        // Not while it is as full as before: it would be drained again and again without a turn between.
        if (reader.isPaused && !reader.isFull) void this.#drain(reader)
      }
    } while (this.#again && !this.#stopped && !this.#isHeld)
  }

  /**
   * What hangs on a version of a log that did not stay is never delivered. Its author goes on behind it, and says so by
   * naming the version that did: from there on its log is read again.
   */
  async #passOver(reader: Reader, { entry }: Pending): Promise<boolean> {
    const { isForked, onPassedOver, onReadFailed } = this.#options
    const isContent = (id: LogId): boolean => this.log(id)?.name.core !== 'control'
    if (!(entry?.deps ?? []).some(({ log }) => isForked(log) && isContent(log))) return false
    const { log, delivered } = reader
    const key = [delivered, log.contiguousLength, ...this.cut.values()].join()
    if (reader.passedOverAt === key) return false
    reader.passedOverAt = key
    try {
      const place = await this.#goesOnAt(log, delivered)
      if (place === null || reader.delivered !== delivered) return false
      reader.passOver(place)
    } catch (cause) {
      reader.passedOverAt = ''
      if (!this.#stopped && log.isAttached)
        onReadFailed(storageError(`Log ${log.id} could not be read`, cause))
      return false
    }
    onPassedOver()
    return true
  }

  /** Behind an entry that hangs on what is gone, the first at which all that was named wrongly has been named again. */
  async #goesOnAt(log: Log, start: number): Promise<number | null> {
    const { keyOf } = this.#options
    const wrong = new Set<LogId>()
    for await (const { from, entry } of entriesOf(log, start, log.contiguousLength, keyOf)) {
      for (const dep of entry.deps)
        if (await this.#readiness.isHere(dep)) wrong.delete(dep.log)
        else wrong.add(dep.log)
      if (from > start && wrong.size === 0) return from
    }
    return null
  }

  #deliver({ log }: Reader, { from, to, isOwn }: Pending, entry: Entry): void {
    const device = toHex(log.name.device)
    this.#options.deliver({ device, log, from, to, entry, isOwn })
  }
}
