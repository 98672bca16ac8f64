/**
 * This device's two logs in a space: the only place that appends. One queue for both, written a group at a time:
 * entries are sealed for their places, made durable in the outbox with one fdatasync, and appended. The store may write
 * while the outbox syncs, but nobody sees an entry, here or elsewhere, before it is durable.
 *
 * The outbox is there because an append alone makes no fsync: a write-ahead tail lost with the power would open silently
 * shorter, and if a peer had it, the next append would fork the log for good. An entry that only the store has, after a
 * crash or a failure in between, was seen by nobody, and stays: opening the store makes all that it finds durable. Whenever the store lacks what was
 * written (after opening it, also again), it is appended again from the outbox, byte for byte, which causes no conflict;
 * what the outbox has let go of comes back from a peer, and until then nothing is written. Nothing that fails loses an
 * entry: it stays in the queue, and is tried again.
 */
import * as decoding from 'lib0/decoding'
import { equalBytes } from '../bytes.ts'
import { SkeinError, storageError, type ErrorCode } from '../errors.ts'
import { Emitter } from '../events.ts'
import type { Outbox, OutboxRecord } from '../platform.ts'
import { maxBodyBytes, type LogId } from './entry.ts'
import {
  sealGroup,
  wantedOf,
  type Appended,
  type Group,
  type SealOptions,
  type Waiting
} from './group.ts'
import { behindError, copiedError, forkedError, LostTail } from './lost-tail.ts'
import { coreOf, recordKinds, watermarkRecord, type OwnCore } from './outbox-records.ts'
import type { Log } from './log.ts'
import { passedOver, Session } from './session.ts'

const trimAtBytes = 4 * 1024 * 1024
const firstRetryMs = 500
const lastRetryMs = 10_000
/** Errors that opening the store again does not mend. */
const aboutTheLog: ReadonlySet<ErrorCode> = new Set(['LOG_BEHIND', 'LOG_FORKED'])

export interface OwnLogEvents {
  appended: { entries: readonly Appended[] }
  /** Writing failed; what waits is kept and tried again. */
  failed: { error: SkeinError }
  /** Writing works again. */
  recovered: object
  /** What the store lacked is back. */
  'caught-up': object
}

export interface OwnLogOptions extends SealOptions {
  readonly control: Log
  readonly content: Log
  readonly outbox: Outbox
  /** The store makes durable what it takes: blocks pass no outbox. */
  readonly isStoreDurable?: boolean
  /** Names the last time that the storage was found to be a copy; see `Storage.copyIds`. */
  readonly copyId?: Uint8Array | null
  /**
   * The log has more than was ever written here, though nothing told of that: an older state of this device was put back.
   * Nothing is written until `goOn` has been called.
   */
  readonly onOvertaken: () => void
  /** Blocks that were to be appended, at whose places the store has others. Resolves once they are kept. */
  readonly onDisplaced: (records: readonly OutboxRecord[]) => Promise<void>
  /** Entries wait for a key: `keysChanged` tells when to look again. */
  readonly onKeyWanted: () => void
  /** Makes all that is in the store durable. */
  readonly sync: () => Promise<void>
  /** Fails with `DISK_FULL` while what room there is must be left to the store. */
  readonly assertRoom: () => Promise<void>
  /** Opens the store again after it failed. */
  readonly reopenStore: () => Promise<void>
}

/** While content refers to what is about to change, none of it is written. */
export interface HeldContent {
  /** What was sealed before and could not be written yet, for a failure: it will be, as it is. */
  readonly sealed: readonly Appended[]
  readonly release: () => void
}

export class OwnLog extends Emitter<OwnLogEvents> {
  readonly #options: OwnLogOptions
  readonly #logs: Record<OwnCore, Log>
  readonly #lost: LostTail
  #queue: Waiting[] = []
  #group: Group | null = null
  #running: Promise<void> | null = null
  #error: SkeinError | null = null
  #retryMs = firstRetryMs
  #cancelRetry: (() => void) | null = null
  #closed = false
  #answer: OutboxRecord | null = null
  #recovering: Promise<void> | null = null
  readonly #session: Session
  /** While it is above 0 nothing is written. */
  #holds = 0
  #isOvertaken = false
  #isAside = false
  #overtakenAt = 0
  /** Entries ever taken on, and those of them that are written. */
  #taken = 0
  #written = 0
  /** Those that were taken out, and are to be kept elsewhere first. */
  #takenOut = 0
  /** All that is in the queue waits for a key. */
  #lacksKey = false
  /** While no content is written: until when. */
  #held: Promise<void> | null = null
  #keysChanged: (() => void)[] = []
  #trimAt = trimAtBytes

  constructor(options: OwnLogOptions) {
    super()
    this.#options = options
    this.#logs = { control: options.control, content: options.content }
    this.#lost = new LostTail(this.#logs, options.outbox)
    this.#session = new Session(options.outbox)
  }

  /** Recovers what the store lacks. Fails with `LOG_FORKED` or `STORAGE_DAMAGED`. */
  async ready(): Promise<void> {
    const records = await this.#options.outbox.read()
    let session: { counter: number; clean: boolean } | null = null
    for (const record of records) {
      if (record.kind === recordKinds.session) {
        session = { counter: record.index, clean: record.bytes[0] === 1 }
      } else if (record.kind === recordKinds.watermark) {
        const core = record.index === 0 ? 'control' : 'content'
        this.#lost.know(core, decoding.readVarUint(decoding.createDecoder(record.bytes)))
      } else if (record.kind === recordKinds.control || record.kind === recordKinds.content) {
        this.#lost.know(coreOf(record), record.index + 1)
      } else if (record.kind === recordKinds.answered) this.#answer = record
    }
    this.#lost.asks = this.#mustAsk(records.length === 0)
    for (const core of ['control', 'content'] as const)
      this.#lost.know(core, this.#logs[core].length)
    this.#lost.read(records)
    const displaced = await this.#lost.takeDisplaced()
    if (displaced.length > 0) await this.#options.onDisplaced(displaced)
    const isKept = [await this.#lost.checkEnd('control'), await this.#lost.checkEnd('content')]
    // What only the store has must be durable before anyone is told of it.
    if (isKept.includes(false)) await this.#options.sync()
    const lacked = this.isBehind
    await this.#lost.recover()
    // A session that did not end cleanly gives up its client ids: some of its edits may be out and not here. So does one
    // whose edits have yet to come back, or did just now: they may wait for what the store has lost of others' logs, and
    // what is written meanwhile under the same ids would be taken for them.
    const isClean = session === null || (session.clean && !lacked && displaced.length === 0)
    const random = (length: number): Uint8Array => this.#options.platform.randomBytes(length)
    // By how much, nothing else tells: a machine may be put back to what it was before, and begin another time.
    const counters = this.#lost.asks || !isClean ? passedOver(random) : 0
    this.#session.begin(session?.counter ?? 0, counters)
    if (displaced.length > 0) await this.#forgetBlocks()
    // The next opening lacks nothing of its own, and others' logs perhaps still.
    if (lacked && session !== null) await this.#session.endCleanly()
    for (const core of ['control', 'content'] as const) {
      this.#logs[core].on('progress', () => this.#recoverMaybe())
    }
  }

  /** Counts this device's sessions that did not end cleanly: part of its Yjs client ids. */
  get clientCounter(): number {
    return this.#session.counter
  }

  /** Takes new client ids: entries under the present ones do not count any more, and may count again. */
  async newSession(): Promise<void> {
    this.#session.takeAnother((length) => this.#options.platform.randomBytes(length))
    await this.#running
    if (!this.#closed) await this.#session.endCleanly()
  }

  /**
   * A client counter for a writer of this device beside the first, such as another tab. In use from here on, durably:
   * no later session takes it.
   */
  newClientCounter(): Promise<number> {
    return this.#session.newCounter()
  }

  get contentId(): LogId {
    return this.#logs.content.id
  }

  /** What keeps entries from being written now, or null. */
  get error(): SkeinError | null {
    return this.#error
  }

  /** True while the store lacks entries that this device is known to have written: they come back from a peer. */
  get isBehind(): boolean {
    return this.#lost.isBehind || this.#holds > 0 || this.#isOvertaken
  }

  /**
   * Writes what there is, and nothing from then on until what it returns is called: meanwhile this counts as being behind.
   * Where nothing can be written now, what waits goes on waiting.
   */
  async hold(writeFirst: () => void): Promise<() => void> {
    for (;;) {
      writeFirst()
      if (this.isIdle || this.isBehind || this.#lacksKey || this.#closed) break
      if (this.#error !== null) throw this.#error
      this.#run()
      const underWay = this.#running ?? this.#recovering
      if (underWay === null) break
      await underWay
    }
    this.#holds++
    await this.#recovering
    return () => {
      this.#holds--
      this.#recoverMaybe()
      this.#run()
    }
  }

  /**
   * After `onOvertaken`: what waits to be written of that kind is taken out, to be written in another way, and counts as
   * written once this goes on; the rest goes on waiting. Whoever waits for what is taken is rejected with `CLOSED`. `since`:
   * how long the content log was known to be here.
   */
  async takeWaiting(
    kind: number,
    isMeant: (body: Uint8Array) => boolean = () => true
  ): Promise<{ bodies: Uint8Array[]; since: number }> {
    while (this.#running !== null) await this.#running
    const all = [...(this.#group?.waiting ?? []), ...this.#queue]
    this.#group = null
    const taken = all.filter((waiting) => waiting.kind === kind && isMeant(waiting.body))
    this.#queue = all.filter((waiting) => !taken.includes(waiting))
    this.#takenOut += taken.length
    for (const { reject } of taken) reject(closedError())
    return { bodies: taken.map(({ body }) => body), since: this.#overtakenAt }
  }

  /** After `onOvertaken`: takes new client ids, and the log for what it is. Fails with the outbox's errors. */
  async beginAnew(): Promise<void> {
    this.#session.takeAnother((length) => this.#options.platform.randomBytes(length))
    await this.#forgetBlocks()
    for (const core of ['control', 'content'] as const) {
      this.#lost.forget(core)
      this.#lost.know(core, this.#logs[core].length)
    }
  }

  /** After `beginAnew`: entries are written again, once all of the log is here. */
  goOn(): void {
    this.#isOvertaken = false
    this.#written += this.#takenOut
    this.#takenOut = 0
    this.keysChanged()
    this.#cancelRetry?.()
    this.#cancelRetry = null
    this.#recoverMaybe()
    this.#run()
    if (!this.isBehind) this.emit('caught-up', {})
  }

  #overtaken(): void {
    if (this.#isOvertaken || this.#closed) return
    this.#isOvertaken = true
    const { from } = this.#group?.blocks.content ?? { from: Infinity }
    this.#overtakenAt = Math.min(from, this.#lost.knownLength('content'))
    this.#options.onOvertaken()
  }

  /**
   * Puts another version in the place of one of the logs from `common` on, which `take` does; its blocks come from peers.
   * Only while it is held, and nothing that had been begun is left to write. Fails with the store's errors.
   */
  async takeBranch(core: OwnCore, common: number, take: () => Promise<void>): Promise<void> {
    if (this.#holds === 0 || this.#group !== null)
      throw new SkeinError('STORAGE_FAILED', 'Entries are being written to the log')
    // From here on the outbox says nothing of the version that goes, also where this ends half-way.
    await this.#forgetBlocks({ [core]: Math.min(common, this.#logs[core].length) })
    await take()
    this.#lost.forget(core)
    this.#lost.know(core, this.#logs[core].length)
  }

  /** See `onOvertaken`. */
  get isOvertaken(): boolean {
    return this.#isOvertaken
  }

  /**
   * True while this may be an older state of a device that has written more, which nothing here tells of (a restored
   * backup, a cloned folder): nothing is written before a member has said how much there is.
   */
  get asks(): boolean {
    return this.#lost.asks
  }

  /** What `isBehind` is about. */
  get whyBehind(): SkeinError {
    return this.#isAside ? copiedError() : behindError(this.#lost.asks)
  }

  /** See `stepAside`. */
  get isAside(): boolean {
    return this.#isAside
  }

  /**
   * Another run of this device is there, and this one is the copy: nothing more is written, and the next opening asks
   * again. Fails with the outbox's errors.
   */
  async stepAside(): Promise<void> {
    if (this.#isAside || this.#closed) return
    this.#isAside = true
    if (this.#lost.asks) return
    this.#lost.asks = true
    // It had been answered: not from here on.
    this.#answer = { kind: recordKinds.answered, index: 0, bytes: new Uint8Array() }
    await this.#options.outbox.append([this.#answer])
  }

  /** Nobody who could be asked knows of more than the logs' lengths here now. */
  async answered(): Promise<void> {
    if (!this.#lost.asks || this.#isAside || this.#closed) return
    for (const core of ['control', 'content'] as const)
      this.#lost.know(core, this.#logs[core].length)
    const bytes = this.#options.copyId ?? new Uint8Array()
    const answer = { kind: recordKinds.answered, index: 0, bytes }
    // A length that a member has told of must not be lost again, once nobody is asked any more.
    await this.#options.sync()
    await this.#options.outbox.append([answer])
    this.#answer = answer
    this.#lost.asks = false
    this.#recoverMaybe()
  }

  #mustAsk(isOutboxEmpty: boolean): boolean {
    const { copyId, isStoreDurable } = this.#options
    if (copyId != null) return this.#answer === null || !equalBytes(this.#answer.bytes, copyId)
    // What was written stands in the outbox, or its watermarks do: it has been lost.
    const { control, content } = this.#logs
    return isStoreDurable !== true && isOutboxEmpty && control.length + content.length > 0
  }

  /** What the outbox holds now, for whoever checks it. */
  outboxRecords(): Promise<OutboxRecord[]> {
    return this.#options.outbox.read()
  }

  /** What of the queue is not held. The queue itself where nothing is: what comes meanwhile is in it. */
  get #writable(): Waiting[] {
    if (this.#held === null) return this.#queue
    return this.#queue.filter(({ core }) => core === 'control')
  }

  get isIdle(): boolean {
    return this.#queue.length === 0 && this.#group === null
  }

  /**
   * Adds an entry; resolves when it is durable and appended, however long that takes, and rejects only when the log is
   * closed first, with `ENTRY_TOO_LARGE`, or with `EDIT_INVALID` where it is not wanted any more before it is sealed.
   */
  append(
    core: OwnCore,
    kind: number,
    body: Uint8Array,
    isWanted: () => boolean = () => true
  ): Promise<Appended> {
    if (this.#closed) return Promise.reject(closedError())
    if (body.length > maxBodyBytes) {
      const message = `An entry has at most ${maxBodyBytes} bytes; this one has ${body.length}`
      return Promise.reject(new SkeinError('ENTRY_TOO_LARGE', message))
    }
    return new Promise((resolve, reject) => {
      const timeMs = this.#options.platform.clock.now()
      this.#queue.push({ core, kind, body, timeMs, isWanted, resolve, reject })
      this.#taken++
      this.#lacksKey = false
      this.#run()
    })
  }

  /** Resolves when everything in the queue now is durable; rejects when writing fails meanwhile. */
  flush(): Promise<void> {
    return this.#flush(true)
  }

  /** Writes what of the content in the queue can be written now, and then none until it is released. */
  async holdContent(): Promise<HeldContent> {
    const upTo = this.#taken
    while (this.#written < upTo && this.#error === null && !this.#lacksKey) {
      this.#run()
      if (this.#running === null) break
      await this.#running
    }
    let release = (): void => {}
    this.#held = new Promise((resolve) => {
      release = () => {
        this.#held = null
        resolve()
        this.#run()
      }
    })
    // Of which some may have been sealed already.
    await this.#running
    const sealed = this.#group?.appended.filter(({ core }) => core === 'content') ?? []
    return { sealed, release }
  }

  /** There may be a key now for what waits for one. */
  keysChanged(): void {
    this.#lacksKey = false
    for (const look of this.#keysChanged.splice(0)) look()
    this.#run()
  }

  async #flush(waitsForKey: boolean): Promise<void> {
    const upTo = this.#taken
    while (this.#written < upTo) {
      if (this.#closed) throw this.#error ?? closedError()
      this.#cancelRetry?.()
      this.#cancelRetry = null
      this.#run()
      const running = this.#running ?? this.#recovering
      if (running !== null) await running
      else if (this.#held !== null) await this.#held
      else if (this.#isOvertaken)
        await new Promise<void>((resolve) => this.#keysChanged.push(resolve))
      else if (!this.#lacksKey) throw this.whyBehind
      else if (waitsForKey) await new Promise<void>((resolve) => this.#keysChanged.push(resolve))
      else throw new SkeinError('NOT_ALLOWED', 'No content key is here that may be used')
      if (this.#error !== null) throw this.#error
    }
  }

  /** Tries once more to write, marks the session as ended cleanly if that worked, and lets go of the outbox. */
  async close(): Promise<void> {
    if (this.#closed) return
    try {
      await this.#flush(false)
      if (this.#session.isMarked) await this.#session.endCleanly()
    } catch (error) {
      // Whoever waited for an entry is told below; without the mark, the next session takes new client ids.
      this.#error ??= storageError('Writing to the store failed', error)
    }
    this.#closed = true
    this.#cancelRetry?.()
    await this.#running
    await this.#recovering
    const left = [...(this.#group?.waiting ?? []), ...this.#queue]
    for (const waiting of left) waiting.reject(this.#error ?? closedError())
    this.#queue = []
    await this.#options.outbox.close()
  }

  /** After a change of the logs that was not written here: they may lack entries now, or no longer. */
  #recoverMaybe(): void {
    // A group that is being written sees to it itself, since it may be among what is lacking.
    if (this.#group !== null || this.#running !== null || this.#recovering !== null || this.#closed)
      return
    if (this.#holds > 0) return
    if (this.#isOvertaken) return
    const isLonger = (['control', 'content'] as const).some((core) =>
      this.#lost.isUnknown(core, this.#logs[core].length)
    )
    if (isLonger && !this.#lost.isBehind) return this.#overtaken()
    // A peer that brings blocks back tells of all there are first.
    for (const core of ['control', 'content'] as const)
      this.#lost.know(core, this.#logs[core].length)
    if (!this.#lost.isBehind && !this.#lost.isRead) return
    this.#recovering = this.#lost
      .recover()
      .then(
        () => {
          if (this.#lost.isBehind) return
          this.#succeeded()
          this.emit('caught-up', {})
        },
        (error: unknown) => this.#failed(error)
      )
      .finally(() => {
        this.#recovering = null
        // What came meanwhile has not been looked at.
        if (this.#lost.isRead && !this.#lost.isBehind) this.#recoverMaybe()
        this.#run()
      })
  }

  #run(): void {
    if (this.#running !== null || this.#recovering !== null || this.#closed) return
    if (this.isIdle || this.#cancelRetry !== null || this.#lacksKey) return
    if (this.#holds > 0 || this.#isOvertaken) return
    // A group that was begun goes on: it recovers what the store lost meanwhile.
    if (this.#lost.isBehind && this.#group === null) return
    if (this.#group === null && this.#writable.length === 0) return
    this.#running = this.#write().finally(() => {
      this.#running = null
      this.#recoverMaybe() // The store may have been opened again for another space meanwhile.
      this.#run()
    })
  }

  async #write(): Promise<void> {
    let durable = Promise.resolve()
    try {
      this.#group ??= await this.#sealGroup()
      const group = this.#group
      if (group === null) {
        this.#lacksKey = this.#writable.length > 0
        if (this.#lacksKey) this.#options.onKeyWanted()
        return
      }
      durable = this.#makeDurable(group)
      durable.catch(() => {}) // It is waited for below, whatever fails before.
      // The mark of a session comes before its first edit, in the store too.
      if (!this.#session.isMarked) await durable
      await this.#appendBlocks(group, durable)
      await durable
      this.#group = null
      this.#written += group.waiting.length
      for (const [i, waiting] of group.waiting.entries()) waiting.resolve(group.appended[i]!)
      this.emit('appended', { entries: group.appended })
      for (const core of ['control', 'content'] as const) {
        const { from, list } = group.blocks[core]
        this.#lost.know(core, from + list.length)
      }
      this.#succeeded()
    } catch (error) {
      await durable.catch(() => {}) // Not tried again before this has ended. It is `error`, or less than that.
      this.#failed(error)
      return
    }
    await this.#trim()
  }

  #succeeded(): void {
    if (this.#error === null) return
    this.#error = null
    this.#retryMs = firstRetryMs
    this.emit('recovered', {})
  }

  #failed(error: unknown): void {
    // It is not a failure, and is seen to.
    if (this.#isOvertaken) return
    this.#error = storageError('Writing to the store failed', error)
    this.emit('failed', { error: this.#error })
    if (this.#closed) return
    this.#cancelRetry?.()
    this.#cancelRetry = this.#options.platform.clock.after(this.#retryMs, () => {
      this.#cancelRetry = null
      this.#recoverMaybe()
      this.#run()
    })
    this.#retryMs = Math.min(lastRetryMs, this.#retryMs * 2)
  }

  /** Seals what waits, up to a size; null where nothing can be sealed. */
  async #sealGroup(): Promise<Group | null> {
    const before = this.#queue.length
    this.#queue = wantedOf(this.#queue)
    this.#written += before - this.#queue.length
    const { group } = await sealGroup(this.#writable, this.#logs, this.#options)
    const taken = new Set(group.waiting)
    this.#queue = this.#queue.filter((next) => !taken.has(next))
    return group.waiting.length === 0 ? null : group
  }

  async #makeDurable(group: Group): Promise<void> {
    if (group.inOutbox) return
    await this.#options.outbox.append(this.#recordsOf(group))
    group.inOutbox = true
    this.#session.isMarked = true
  }

  #recordsOf(group: Group): OutboxRecord[] {
    const records: OutboxRecord[] = []
    // Before the first edit of a session reaches the disk, so does the mark that its client ids are in use.
    if (!this.#session.isMarked) records.push(this.#session.record(false))
    if (this.#options.isStoreDurable === true) return records
    for (const core of ['control', 'content'] as const) {
      const { from, list } = group.blocks[core]
      list.forEach((bytes, i) => records.push({ kind: recordKinds[core], index: from + i, bytes }))
    }
    return records
  }

  /** Appends what of a group the logs do not have yet; after a failure the store is opened again first. */
  async #appendBlocks(group: Group, durable: Promise<void>): Promise<void> {
    await this.#options.assertRoom()
    try {
      await this.#appendMissing(group, durable)
    } catch (error) {
      await durable // Where that failed, it is what there is to tell, and the store may be sound.
      if (error instanceof SkeinError && aboutTheLog.has(error.code)) throw error
      await this.#options.reopenStore()
      await this.#appendMissing(group, durable)
    }
  }

  async #appendMissing(group: Group, durable: Promise<void>): Promise<void> {
    for (const core of ['control', 'content'] as const) {
      const { from, list } = group.blocks[core]
      const log = this.#logs[core]
      // The store, opened again, may have lost more than what was being written.
      if (log.length < from) await this.#lost.recover()
      if (log.length < from) throw behindError()
      // Part of the group may be there: what is not of it must never pass for it.
      const last = list[log.length - from - 1] ?? list.at(-1)
      if (log.length > from && last !== undefined) {
        const at = Math.min(log.length, from + list.length) - 1
        const block = await log.get(at)
        if (block === null || !equalBytes(block, last)) {
          this.#overtaken()
          throw forkedError(core, at)
        }
      }
      const missing = list.slice(log.length - from)
      if (missing.length === 0) continue
      const end = await log.append(missing, durable)
      if (end === from + list.length) continue
      // Sealed for other places, they are nothing to anyone.
      this.#overtaken()
      throw forkedError(core, from)
    }
  }

  /** Lets go of what the store holds durably. Where that fails nothing is lost: the outbox grows until it works. */
  async #trim(): Promise<void> {
    const { outbox, sync } = this.#options
    if (outbox.byteLength < this.#trimAt) return
    const lengths = { control: this.#logs.control.length, content: this.#logs.content.length }
    try {
      await sync()
      await outbox.trim(this.#trimmed(lengths))
      this.#trimAt = trimAtBytes
    } catch {
      this.#trimAt = outbox.byteLength + trimAtBytes // Not with each group anew.
    }
  }

  /** The outbox has no block any more, also of the generation before, and knows of lengths as they are, or shorter. */
  async #forgetBlocks(shorter: Partial<Record<OwnCore, number>> = {}): Promise<void> {
    const { outbox, sync } = this.#options
    const { control, content } = this.#logs
    await sync()
    for (let generations = 2; generations > 0; generations--) {
      await outbox.trim(
        this.#trimmed({ control: control.length, content: content.length, ...shorter })
      )
    }
  }

  /** What is left of an outbox whose blocks the store holds durably. */
  #trimmed(lengths: Readonly<Record<OwnCore, number>>): OutboxRecord[] {
    return [
      watermarkRecord(0, lengths.control),
      watermarkRecord(1, lengths.content),
      this.#session.record(false),
      ...(this.#answer === null ? [] : [this.#answer])
    ]
  }
}

function closedError(): SkeinError {
  return new SkeinError('CLOSED', 'The log has been closed')
}
