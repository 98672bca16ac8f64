/**
 * Several logs read side by side into one causal order: an entry comes after everything its author had delivered. Of
 * those that may come next the earliest by its author's clock does, so the order depends on the entries alone and reads
 * like a story; a wrong clock moves an entry only between what it had seen and what had seen it.
 *
 * Reads a little ahead in each log and keeps nothing, so the length of the logs does not matter.
 */
import { SkeinError } from '../errors.ts'
import { EntryAssembler, keyIdOfBlock, openBlock, type Entry, type LogId } from '../log/entry.ts'
import type { LogName } from '../log/log.ts'

const blocksAhead = 32

/** A log as far as weaving goes. */
export interface ReadableLog {
  readonly id: LogId
  readonly name: LogName
  get(index: number): Promise<Uint8Array | null>
}

/** What of a log is woven: its blocks below `length`. */
export interface Thread<L extends ReadableLog = ReadableLog> {
  readonly log: L
  readonly length: number
}

export interface Woven<L extends ReadableLog = ReadableLog> {
  readonly log: L
  /** The entry's blocks: [from, to). */
  readonly from: number
  readonly to: number
  /** Null where the blocks could not be read as one; `fault` says why. */
  readonly entry: Entry | null
  readonly fault: SkeinError | null
  /** Of its blocks. */
  readonly bytes: number
  /** False where something it had seen has not come: it waits, and what follows in its log waits with it. */
  readonly isReady: boolean
}

/** The key of that id, or null while it is not here. Fails with `BAD_SEAL` for one that can never be right. */
export type KeyOf<L extends ReadableLog = ReadableLog> = (
  log: L,
  keyId: Uint8Array
) => Uint8Array | null

/** Entries that wait come last. */
export async function* weave<L extends ReadableLog>(
  threads: readonly Thread<L>[],
  keyOf: KeyOf<L>
): AsyncGenerator<Woven<L>, void, void> {
  const come = new Map<LogId, number>()
  const cursors: Cursor<L>[] = []
  for (const thread of threads) {
    const cursor = new Cursor(thread, keyOf)
    await cursor.advance()
    if (cursor.head !== null) cursors.push(cursor)
  }
  const isReady = ({ head }: Cursor<L>): boolean =>
    (head!.entry?.deps ?? []).every((dep) => (come.get(dep.log) ?? 0) >= dep.length)
  const isStuck = new Set<LogId>()
  while (cursors.length > 0) {
    let next: Cursor<L> | null = null
    for (const cursor of cursors) {
      if (next !== null && !isBefore(cursor, next)) continue
      if (!isStuck.has(cursor.id) && isReady(cursor)) next = cursor
    }
    const ready = next !== null
    if (next === null) {
      next = cursors.reduce((first, cursor) => (isBefore(cursor, first) ? cursor : first))
      isStuck.add(next.id)
    }
    const { log, from, to, entry, fault, bytes } = next.head!
    // What waits has not come: what depends on it waits too.
    if (ready) come.set(log.id, to)
    yield { log, from, to, entry, fault, bytes, isReady: ready }
    await next.advance()
    if (next.head === null) cursors.splice(cursors.indexOf(next), 1)
  }
}

function isBefore<L extends ReadableLog>(a: Cursor<L>, b: Cursor<L>): boolean {
  const difference = a.timeMs - b.timeMs
  return difference === 0 ? a.id < b.id : difference < 0
}

type Head<L extends ReadableLog> = Omit<Woven<L>, 'isReady'>

/** One log's entries, one at a time. */
class Cursor<L extends ReadableLog> {
  readonly #thread: Thread<L>
  readonly #keyOf: KeyOf<L>
  readonly #assembler = new EntryAssembler()
  #ahead: (Uint8Array | null)[] = []
  #next = 0
  /** The entry that comes next; null at the end. */
  head: Head<L> | null = null
  /** By its author's clock; where it cannot be read, that of the entry before. */
  timeMs = 0

  constructor(thread: Thread<L>, keyOf: KeyOf<L>) {
    this.#thread = thread
    this.#keyOf = keyOf
  }

  get id(): LogId {
    return this.#thread.log.id
  }

  async advance(): Promise<void> {
    const { log, length } = this.#thread
    const from = this.#next
    let bytes = 0
    this.head = null
    while (this.#next < length) {
      const block = await this.#read()
      const seq = this.#next++
      bytes += block?.length ?? 0
      let entry: Entry | null = null
      let fault: SkeinError | null = null
      try {
        entry = this.#open(block, seq)
        if (entry === null) continue
      } catch (error) {
        if (!(error instanceof SkeinError)) throw error
        this.#assembler.reset()
        fault = error
      }
      this.timeMs = entry?.timeMs ?? this.timeMs
      this.head = { log, from, to: seq + 1, entry, fault, bytes }
      return
    }
    if (from === this.#next) return
    // The log ends in the middle of an entry: the rest is still to come.
    const fault = new SkeinError('LOG_BEHIND', 'The rest of this entry is not here')
    this.head = { log, from, to: this.#next, entry: null, fault, bytes }
  }

  #open(block: Uint8Array | null, seq: number): Entry | null {
    const { log } = this.#thread
    if (block === null) throw new SkeinError('STORAGE_DAMAGED', `Block ${seq} is not here`)
    const key = this.#keyOf(log, keyIdOfBlock(block))
    if (key === null) throw new SkeinError('NOT_ALLOWED', 'Its key is not here')
    return this.#assembler.add(openBlock(block, { ...log.name, seq }, key))
  }

  async #read(): Promise<Uint8Array | null> {
    const { log, length } = this.#thread
    if (this.#ahead.length === 0) {
      const count = Math.min(blocksAhead, length - this.#next)
      const indexes = Array.from({ length: count }, (_, i) => this.#next + i)
      this.#ahead = await Promise.all(indexes.map((index) => log.get(index)))
    }
    return this.#ahead.shift() ?? null
  }
}
