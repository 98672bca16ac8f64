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
 *
 * Records in the outbox: 0 and 1, a block of the control and the content log (index: its place) · 2, a session mark
 * (index: the client counter; bytes: 1 when the session ended cleanly) · 3, a watermark (index: 0 control, 1 content;
 * bytes: varUint of the length that the store is known to hold durably) · 4, a member has answered what this device wrote
 * (index: 0; bytes: the name of the copy of the storage for which it was asked, or none).
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { equalBytes } from '../bytes.ts'
import { SkeinError, storageError, type ErrorCode } from '../errors.ts'
import { Emitter } from '../events.ts'
import type { Outbox, OutboxRecord, Platform } from '../platform.ts'
import { maxBodyBytes, sealEntry, type Dep, type Entry, type LogId } from './entry.ts'
import type { Log } from './store.ts'

const recordKinds = { control: 0, content: 1, session: 2, watermark: 3, answered: 4 } as const
/** By so much at most a copy passes over client counters: what it wrote before, and does not know of, has used some. */
const maxCountersPassedOver = 2 ** 20
const trimAtBytes = 4 * 1024 * 1024
const maxGroupBytes = 8 * 1024 * 1024
const firstRetryMs = 500
const lastRetryMs = 10_000
/** Errors that opening the store again does not mend. */
const aboutTheLog: ReadonlySet<ErrorCode> = new Set(['LOG_BEHIND', 'LOG_FORKED'])

export type OwnCore = 'control' | 'content'

/** An entry of this device that is in its log, durably. */
export interface Appended {
  readonly core: OwnCore
  /** The entry's blocks: [from, to). */
  readonly from: number
  readonly to: number
  readonly entry: Entry
  /** By log, all that this device had delivered when it wrote, the entry itself included. */
  readonly cut: ReadonlyMap<LogId, number>
}

export interface OwnLogEvents {
  appended: { entries: readonly Appended[] }
  /** Writing failed; what waits is kept and tried again. */
  failed: { error: SkeinError }
  /** Writing works again. */
  recovered: object
  /** What the store lacked is back. */
  'caught-up': object
}

export interface OwnLogOptions {
  readonly control: Log
  readonly content: Log
  readonly outbox: Outbox
  /** The store makes durable what it takes: blocks pass no outbox. */
  readonly isStoreDurable?: boolean
  /** See `Storage.copyId`. */
  readonly copyId?: Uint8Array | null
  readonly platform: Platform
  /** The key that a new entry is sealed under; null where it waits for one that is still to be made. */
  readonly keyFor: (core: OwnCore) => Uint8Array | null
  /** Entries wait for a key: `keysChanged` tells when to look again. */
  readonly onKeyWanted: () => void
  /** What a new entry says it has seen, and the whole cut behind it. */
  readonly seen: (core: OwnCore) => Promise<{ deps: Dep[]; cut: Map<LogId, number> }>
  /** Makes all that is in the store durable. */
  readonly sync: () => Promise<void>
  /** Fails with `DISK_FULL` while what room there is must be left to the store. */
  readonly assertRoom: () => Promise<void>
  /** Opens the store again after it failed. */
  readonly reopenStore: () => Promise<void>
}

interface Waiting {
  readonly core: OwnCore
  readonly kind: number
  readonly body: Uint8Array
  readonly timeMs: number
  readonly resolve: (appended: Appended) => void
  readonly reject: (error: SkeinError) => void
}

interface Group {
  readonly waiting: readonly Waiting[]
  readonly appended: readonly Appended[]
  readonly blocks: Record<OwnCore, { from: number; list: Uint8Array[] }>
  inOutbox: boolean
}

export class OwnLog extends Emitter<OwnLogEvents> {
  readonly #options: OwnLogOptions
  readonly #logs: Record<OwnCore, Log>
  #queue: Waiting[] = []
  #group: Group | null = null
  #running: Promise<void> | null = null
  #error: SkeinError | null = null
  #retryMs = firstRetryMs
  #cancelRetry: (() => void) | null = null
  #closed = false
  /** Lengths that the logs are known to have had; below them nothing may be appended. */
  readonly #known: Record<OwnCore, number> = { control: 0, content: 0 }
  /** See `asks`. */
  #asks = false
  #answer: OutboxRecord | null = null
  /** While the store lacks entries: the blocks in the outbox, once they have been read. */
  #tail: OutboxRecord[] | null = null
  #recovering: Promise<void> | null = null
  #session = { counter: 0, marked: false }
  /** Entries ever taken on, and those of them that are written. */
  #taken = 0
  #written = 0
  /** All that is in the queue waits for a key. */
  #lacksKey = false
  #keysChanged: (() => void)[] = []
  #trimAt = trimAtBytes

  constructor(options: OwnLogOptions) {
    super()
    this.#options = options
    this.#logs = { control: options.control, content: options.content }
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
        this.#know(core, decoding.readVarUint(decoding.createDecoder(record.bytes)))
      } else if (record.kind === recordKinds.control || record.kind === recordKinds.content) {
        this.#know(coreOf(record), record.index + 1)
      } else if (record.kind === recordKinds.answered) this.#answer = record
    }
    this.#asks = this.#mustAsk(records.length === 0)
    for (const core of ['control', 'content'] as const) this.#know(core, this.#logs[core].length)
    this.#tail = records.filter((record) => record.kind <= recordKinds.content)
    const isKept = [
      await this.#checkEnd('control', this.#tail),
      await this.#checkEnd('content', this.#tail)
    ]
    // What only the store has must be durable before anyone is told of it.
    if (isKept.includes(false)) await this.#options.sync()
    await this.#recover()
    // A session that did not end cleanly gives up its client ids: some of its edits may be out and not here. So does one
    // whose edits have yet to come back.
    const isClean = session === null || (session.clean && !this.isBehind)
    const passedOver = this.#asks ? this.#passedOver() : isClean ? 0 : 1
    this.#session = { counter: (session?.counter ?? 0) + passedOver, marked: false }
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
    this.#session = { counter: this.#session.counter + 1, marked: false }
    await this.#running
    if (!this.#closed)
      await this.#options.outbox.append([sessionRecord(this.#session.counter, true)])
  }

  /**
   * A client counter for a writer of this device beside the first, such as another tab. In use from here on, durably:
   * no later session takes it.
   */
  async newClientCounter(): Promise<number> {
    const counter = ++this.#session.counter
    await this.#options.outbox.append([sessionRecord(counter, false)])
    this.#session.marked = true
    return counter
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
    return this.#asks || this.#lacks('control') || this.#lacks('content')
  }

  /**
   * True while this may be an older state of a device that has written more, which nothing here tells of (a restored
   * backup, a cloned folder): nothing is written before a member has said how much there is.
   */
  get asks(): boolean {
    return this.#asks
  }

  /** Nobody who could be asked knows of more than the logs' lengths here now. */
  async answered(): Promise<void> {
    if (!this.#asks || this.#closed) return
    for (const core of ['control', 'content'] as const) this.#know(core, this.#logs[core].length)
    const bytes = this.#options.copyId ?? new Uint8Array()
    const answer = { kind: recordKinds.answered, index: 0, bytes }
    // A length that a member has told of must not be lost again, once nobody is asked any more.
    await this.#options.sync()
    await this.#options.outbox.append([answer])
    this.#answer = answer
    this.#asks = false
    this.#recoverMaybe()
  }

  #mustAsk(isOutboxEmpty: boolean): boolean {
    const { copyId, isStoreDurable } = this.#options
    if (copyId != null) return this.#answer === null || !equalBytes(this.#answer.bytes, copyId)
    // What was written stands in the outbox, or its watermarks do: it has been lost.
    const { control, content } = this.#logs
    return isStoreDurable !== true && isOutboxEmpty && control.length + content.length > 0
  }

  #passedOver(): number {
    const [a, b, c] = this.#options.platform.randomBytes(3) as unknown as [number, number, number]
    return 1 + (((a << 16) | (b << 8) | c) % maxCountersPassedOver)
  }

  /** What the outbox holds now, for whoever checks it. */
  outboxRecords(): Promise<OutboxRecord[]> {
    return this.#options.outbox.read()
  }

  get isIdle(): boolean {
    return this.#queue.length === 0 && this.#group === null
  }

  /**
   * Adds an entry; resolves when it is durable and appended, however long that takes, and rejects only when the log is
   * closed first, or with `ENTRY_TOO_LARGE`.
   */
  append(core: OwnCore, kind: number, body: Uint8Array): Promise<Appended> {
    if (this.#closed) return Promise.reject(closedError())
    if (body.length > maxBodyBytes) {
      const message = `An entry has at most ${maxBodyBytes} bytes; this one has ${body.length}`
      return Promise.reject(new SkeinError('ENTRY_TOO_LARGE', message))
    }
    return new Promise((resolve, reject) => {
      const timeMs = this.#options.platform.clock.now()
      this.#queue.push({ core, kind, body, timeMs, resolve, reject })
      this.#taken++
      this.#lacksKey = false
      this.#run()
    })
  }

  /** Resolves when everything in the queue now is durable; rejects when writing fails meanwhile. */
  flush(): Promise<void> {
    return this.#flush(true)
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
      else if (!this.#lacksKey) throw behindError(this.#asks)
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
      if (this.#session.marked) {
        await this.#options.outbox.append([sessionRecord(this.#session.counter, true)])
      }
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

  #know(core: OwnCore, length: number): void {
    this.#known[core] = Math.max(this.#known[core], length)
  }

  #lacks(core: OwnCore): boolean {
    return this.#logs[core].contiguousLength < this.#known[core]
  }

  /** The last block in the store must be the one that was written. False where the outbox does not have it. */
  async #checkEnd(core: OwnCore, tail: readonly OutboxRecord[]): Promise<boolean> {
    const log = this.#logs[core]
    if (log.length === 0) return true
    // Blocks that a peer was bringing back, and a crash stopped, are checked by their hashes.
    if (log.contiguousLength < log.length) return false
    const last = tail.findLast(
      (record) => coreOf(record) === core && record.index === log.length - 1
    )
    if (last === undefined) return false
    const block = await log.get(last.index)
    if (block === null) {
      throw new SkeinError('STORAGE_DAMAGED', `Block ${last.index} of the ${core} log is missing`)
    }
    if (!equalBytes(block, last.bytes)) {
      throw forkedError(core, last.index)
    }
    return true
  }

  /** After a change of the logs that was not written here: they may lack entries now, or no longer. */
  #recoverMaybe(): void {
    // A group that is being written sees to it itself, since it may be among what is lacking.
    if (this.#group !== null || this.#running !== null || this.#recovering !== null || this.#closed)
      return
    // A peer that brings blocks back tells of all there are first.
    for (const core of ['control', 'content'] as const) this.#know(core, this.#logs[core].length)
    if (!this.isBehind && this.#tail === null) return
    this.#recovering = this.#recover()
      .then(
        () => {
          if (this.isBehind) return
          this.#succeeded()
          this.emit('caught-up', {})
        },
        (error: unknown) => this.#failed(error)
      )
      .finally(() => {
        this.#recovering = null
        // What came meanwhile has not been looked at.
        if (this.#tail !== null && !this.isBehind) this.#recoverMaybe()
        this.#run()
      })
  }

  /** Appends from the outbox what the logs lack; asks peers for what it has let go of. */
  async #recover(): Promise<void> {
    if (!this.isBehind) {
      this.#tail = null
      return
    }
    this.#tail ??= (await this.#options.outbox.read()).filter(
      (record) => record.kind <= recordKinds.content
    )
    for (const core of ['control', 'content'] as const) {
      const log = this.#logs[core]
      let next = log.length
      const missing: Uint8Array[] = []
      for (const record of this.#tail) {
        if (coreOf(record) !== core || record.index !== next) continue
        missing.push(record.bytes)
        next++
      }
      if (missing.length > 0) await log.append(missing)
      if (this.#asks || this.#lacks(core)) log.download()
    }
    if (!this.isBehind) this.#tail = null
  }

  #run(): void {
    if (this.#running !== null || this.#recovering !== null || this.#closed) return
    if (this.isIdle || this.#cancelRetry !== null || this.#lacksKey) return
    // A group that was begun goes on: it recovers what the store lost meanwhile.
    if (this.isBehind && this.#group === null) return
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
        this.#lacksKey = this.#queue.length > 0
        if (this.#lacksKey) this.#options.onKeyWanted()
        return
      }
      durable = this.#makeDurable(group)
      durable.catch(() => {}) // It is waited for below, whatever fails before.
      // The mark of a session comes before its first edit, in the store too.
      if (!this.#session.marked) await durable
      await this.#appendBlocks(group, durable)
      await durable
      this.#group = null
      this.#written += group.waiting.length
      for (const [i, waiting] of group.waiting.entries()) waiting.resolve(group.appended[i]!)
      this.emit('appended', { entries: group.appended })
      for (const core of ['control', 'content'] as const) {
        const { from, list } = group.blocks[core]
        this.#know(core, from + list.length)
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

  /** Takes what waits, up to a size, and seals it for its places. */
  async #sealGroup(): Promise<Group | null> {
    const blocks = {
      control: { from: this.#logs.control.length, list: [] as Uint8Array[] },
      content: { from: this.#logs.content.length, list: [] as Uint8Array[] }
    }
    const waiting: Waiting[] = []
    const appended: Appended[] = []
    let lacksKey = false
    let bytes = 0
    for (const next of this.#queue) {
      if (bytes >= maxGroupBytes) break
      const { from, list } = blocks[next.core]
      const at = from + list.length
      let sealed: Uint8Array[]
      let entry: Entry
      let cut: Map<LogId, number>
      const log = this.#logs[next.core]
      try {
        const key = this.#options.keyFor(next.core)
        if (key === null) {
          // What makes the key may stand behind it in the queue.
          lacksKey = true
          continue
        }
        const seen = await this.#options.seen(next.core)
        cut = seen.cut
        entry = { kind: next.kind, timeMs: next.timeMs, deps: seen.deps, body: next.body }
        sealed = sealEntry(entry, { ...log.name, seq: at }, key, (length) =>
          this.#options.platform.randomBytes(length)
        )
      } catch (error) {
        // What has been sealed before it goes out; the others stay in the queue.
        if (waiting.length === 0) throw error
        break
      }
      list.push(...sealed)
      cut.set(log.id, at + sealed.length)
      waiting.push(next)
      appended.push({ core: next.core, from: at, to: at + sealed.length, entry, cut })
      for (const block of sealed) bytes += block.length
    }
    const taken = lacksKey ? new Set(waiting) : null
    if (taken === null) this.#queue.splice(0, waiting.length)
    else this.#queue = this.#queue.filter((next) => !taken.has(next))
    return waiting.length === 0 ? null : { waiting, appended, blocks, inOutbox: false }
  }

  async #makeDurable(group: Group): Promise<void> {
    if (group.inOutbox) return
    await this.#options.outbox.append(this.#recordsOf(group))
    group.inOutbox = true
    this.#session.marked = true
  }

  #recordsOf(group: Group): OutboxRecord[] {
    const records: OutboxRecord[] = []
    // Before the first edit of a session reaches the disk, so does the mark that its client ids are in use.
    if (!this.#session.marked) records.push(sessionRecord(this.#session.counter, false))
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
      if (log.length < from) await this.#recover()
      if (log.length < from) throw behindError()
      // Part of the group may be there: what is not of it must never pass for it.
      const last = list[log.length - from - 1] ?? list.at(-1)
      if (log.length > from && last !== undefined) {
        const at = Math.min(log.length, from + list.length) - 1
        const block = await log.get(at)
        if (block === null || !equalBytes(block, last)) throw forkedError(core, at)
      }
      const missing = list.slice(log.length - from)
      if (missing.length > 0) await log.append(missing, durable)
    }
  }

  /** Lets go of what the store holds durably. Where that fails nothing is lost: the outbox grows until it works. */
  async #trim(): Promise<void> {
    const { outbox, sync } = this.#options
    if (outbox.byteLength < this.#trimAt) return
    const lengths = { control: this.#logs.control.length, content: this.#logs.content.length }
    try {
      await sync()
      await outbox.trim([
        watermarkRecord(0, lengths.control),
        watermarkRecord(1, lengths.content),
        sessionRecord(this.#session.counter, false),
        ...(this.#answer === null ? [] : [this.#answer])
      ])
      this.#trimAt = trimAtBytes
    } catch {
      this.#trimAt = outbox.byteLength + trimAtBytes // Not with each group anew.
    }
  }
}

function coreOf(record: OutboxRecord): OwnCore {
  return record.kind === recordKinds.control ? 'control' : 'content'
}

function sessionRecord(counter: number, clean: boolean): OutboxRecord {
  return { kind: recordKinds.session, index: counter, bytes: new Uint8Array([clean ? 1 : 0]) }
}

function watermarkRecord(index: number, length: number): OutboxRecord {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, length)
  return { kind: recordKinds.watermark, index, bytes: encoding.toUint8Array(encoder) }
}

function closedError(): SkeinError {
  return new SkeinError('CLOSED', 'The log has been closed')
}

export function behindError(asks = false): SkeinError {
  return new SkeinError(
    'LOG_BEHIND',
    asks
      ? 'This storage is a copy, perhaps an old one: this device waits for a member to say what it has written since'
      : 'The store is older than what this device has written; it waits for the rest from a peer'
  )
}

function forkedError(core: OwnCore, index: number): SkeinError {
  return new SkeinError('LOG_FORKED', `The ${core} log has another block ${index} than was written`)
}

/** What the records of an outbox say, for whoever checks them against the logs. */
export interface OutboxContent {
  readonly control: KnownOfLog
  readonly content: KnownOfLog
  /** Records that mean nothing. */
  readonly faults: readonly string[]
}

interface KnownOfLog {
  /** The length that the store is known to have had durably. */
  readonly watermark: number
  readonly blocks: ReadonlyMap<number, Uint8Array>
}

export function readOutboxRecords(records: readonly OutboxRecord[]): OutboxContent {
  const watermarks = { control: 0, content: 0 }
  const blocks = { control: new Map<number, Uint8Array>(), content: new Map<number, Uint8Array>() }
  const faults: string[] = []
  for (const { kind, index, bytes } of records) {
    if (kind === recordKinds.control) blocks.control.set(index, bytes)
    else if (kind === recordKinds.content) blocks.content.set(index, bytes)
    else if (kind === recordKinds.watermark && index <= 1) {
      const core = index === 0 ? 'control' : 'content'
      const length = decoding.readVarUint(decoding.createDecoder(bytes))
      watermarks[core] = Math.max(watermarks[core], length)
    } else if (kind !== recordKinds.session && kind !== recordKinds.answered)
      faults.push(`it has a record of unknown kind ${kind}`)
  }
  return {
    control: { watermark: watermarks.control, blocks: blocks.control },
    content: { watermark: watermarks.content, blocks: blocks.content },
    faults
  }
}
