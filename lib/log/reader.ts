/** Reads one log: turns its blocks into entries as they arrive, some way ahead of what the feed delivers. */
import { toHex } from '../bytes.ts'
import { SkeinError } from '../errors.ts'
import type { DeviceId } from '../trust/members.ts'
import { EntryAssembler, keyIdOfBlock, openBlock, type Dep, type Entry } from './entry.ts'
import type { Appended } from './group.ts'
import type { Log } from './log.ts'

const blocksARead = 64
const entriesAhead = 1024
const bytesAhead = 64 * 1024 * 1024

/** An entry that has been read and is to be delivered. */
export interface Pending {
  readonly from: number
  readonly to: number
  /** Null where the blocks hold no valid entry. */
  readonly entry: Entry | null
  depsChecked: boolean
  readonly isOwn: boolean
}

export interface ReaderOptions {
  /** The key of that id, or null while it is not known. */
  readonly keyOf: (log: Log, keyId: Uint8Array) => Uint8Array | null
  /** Something in a log is not as it must be; it is passed over, by every peer alike. */
  readonly onInvalid: (device: DeviceId, log: Log, seq: number, error: SkeinError) => void
}

export class Reader {
  readonly log: Log
  readonly queue: Pending[] = []
  /** Of the bodies in the queue. */
  queuedBytes = 0
  delivered: number
  /** Up to where entries count as the past of others that do, whatever the author's role. */
  counted = 0
  /** The next block to read. */
  readTo: number
  #entryFrom: number
  readonly #assembler = new EntryAssembler()
  readonly #options: ReaderOptions
  isPaused = false
  /** What its next entry waits for: another entry, or, once all control entries are here, something that may never come. */
  waitsFor: Pick<Dep, 'log' | 'length'> | 'trust' | null = null
  /** What stood where, when it was looked last whether its next entries can be passed over. */
  passedOverAt = ''
  /** Someone asked to read on since the last look. */
  isWanted = false
  draining: Promise<void> | null = null
  /** Where entries begin that this run appended, and that are read back all the same. */
  readonly ownFrom = new Set<number>()

  readonly #isOwnLog: boolean
  /** Of an own log, only what was there at opening is read; what is appended comes by itself. */
  limit = 0

  constructor(log: Log, delivered: number, options: ReaderOptions, isOwnLog: boolean) {
    this.#isOwnLog = isOwnLog
    this.log = log
    this.delivered = delivered
    this.readTo = delivered
    this.#entryFrom = delivered
    this.#options = options
  }

  /** Goes back to a length at which an entry ends. Not while it reads. */
  rewind(length: number): void {
    this.delivered = length
    this.readTo = length
    this.#entryFrom = length
    this.#assembler.reset()
    this.queue.length = 0
    this.queuedBytes = 0
    this.waitsFor = null
    this.isWanted = true
    if (this.#isOwnLog) this.limit = Math.max(this.limit, this.log.contiguousLength)
  }

  /** Leaves what lies before that length behind. */
  passOver(to: number): void {
    while (this.queue.length > 0 && this.queue[0]!.from < to) {
      this.queuedBytes -= this.queue[0]!.entry?.body.length ?? 0
      this.queue.shift()
    }
    if (this.queue[0]?.from === to) this.delivered = to
    else this.rewind(to)
    this.waitsFor = null
  }

  get isFull(): boolean {
    return this.queue.length >= entriesAhead || this.queuedBytes >= bytesAhead
  }

  /**
   * Takes an entry that this device appended itself. True if it is delivered with that; otherwise it queues, as what is
   * not ready does, and what comes behind entries of the same log that wait.
   */
  passBy({ from, to, entry }: Appended, isReady: boolean): boolean {
    if (this.readTo !== from)
      throw new RangeError(`Entry ${from} of an own log came at ${this.readTo}`)
    this.readTo = to
    this.#entryFrom = to
    if (this.queue.length > 0 || !isReady) {
      this.queue.push({ from, to, entry, depsChecked: isReady, isOwn: true })
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
