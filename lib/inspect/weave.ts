/**
 * Several logs read side by side into one causal order: an entry comes after everything its author had delivered. Of
 * those that may come next the earliest by its author's clock does, so the order depends on the entries alone and reads
 * like a story; a wrong clock moves an entry only between what it had seen and what had seen it.
 *
 * Reads a little ahead in each log and keeps nothing, so the length of the logs does not matter.
 */
import { SkeinError } from '../errors.ts'
import {
  EntryAssembler,
  keyIdOfBlock,
  openBlock,
  type Dep,
  type Entry,
  type LogId
} from '../log/entry.ts'
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
  /** It hangs on a version of a log that did not stay, and its author goes on behind it: no device takes it in. */
  readonly isSetAside: boolean
}

/** What is known of logs with several versions. */
export interface ForkedLogs<L extends ReadableLog = ReadableLog> {
  isForked(log: LogId): boolean
  /** The first 8 bytes of a log's tree hash at a length that is here, in hex; null where it cannot be read. */
  treeHashAt(log: L, length: number): Promise<string | null>
}

const noForks: ForkedLogs = { isForked: () => false, treeHashAt: async () => null }

/** The key of that id, or null while it is not here. Fails with `BAD_SEAL` for one that can never be right. */
export type KeyOf<L extends ReadableLog = ReadableLog> = (
  log: L,
  keyId: Uint8Array
) => Uint8Array | null

/** Entries that wait come last. */
export async function* weave<L extends ReadableLog>(
  threads: readonly Thread<L>[],
  keyOf: KeyOf<L>,
  forks: ForkedLogs<L> = noForks
): AsyncGenerator<Woven<L>, void, void> {
  const come = new Map<LogId, number>()
  const cursors: Cursor<L>[] = []
  const versions = new Versions(threads, keyOf, forks)
  for (const thread of threads) {
    const cursor = new Cursor(thread, keyOf)
    await cursor.advance()
    if (cursor.head !== null) cursors.push(cursor)
  }
  const isReady = ({ head }: Cursor<L>): boolean =>
    (head!.entry?.deps ?? []).every(
      (dep) => versions.isForkedControl(dep.log) || (come.get(dep.log) ?? 0) >= dep.length
    )
  const isStuck = new Set<LogId>()
  while (cursors.length > 0) {
    let next: Cursor<L> | null = null
    let isSetAside = false
    for (const cursor of cursors) {
      if (next !== null && !isBefore(cursor, next)) continue
      if (isStuck.has(cursor.id)) continue
      const isPast = await versions.isSetAside(cursor)
      if (!isPast && !((await versions.isRight(cursor)) && isReady(cursor))) continue
      next = cursor
      isSetAside = isPast
    }
    const ready = next !== null && !isSetAside
    if (next === null) {
      next = cursors.reduce((first, cursor) => (isBefore(cursor, first) ? cursor : first))
      isStuck.add(next.id)
    }
    const { log, from, to, entry, fault, bytes } = next.head!
    // What waits has not come: what depends on it waits too.
    if (ready) come.set(log.id, to)
    yield { log, from, to, entry, fault, bytes, isReady: ready, isSetAside }
    await next.advance()
    if (next.head === null) cursors.splice(cursors.indexOf(next), 1)
  }
}

function isBefore<L extends ReadableLog>(a: Cursor<L>, b: Cursor<L>): boolean {
  const difference = a.timeMs - b.timeMs
  return difference === 0 ? a.id < b.id : difference < 0
}

type Head<L extends ReadableLog> = Omit<Woven<L>, 'isReady' | 'isSetAside'>

/** Which entries hang on versions of logs that did not stay: those that the feed passes over, see `log/feed.ts`. */
class Versions<L extends ReadableLog> {
  readonly #threadsById: ReadonlyMap<LogId, Thread<L>>
  readonly #keyOf: KeyOf<L>
  readonly #forks: ForkedLogs<L>
  /** By log, where its entries were looked at last, whether those name versions that stayed, and from where it goes on. */
  readonly #looks = new Map<LogId, { from: number; isRight: boolean; goesOnAt: number }>()

  constructor(threads: readonly Thread<L>[], keyOf: KeyOf<L>, forks: ForkedLogs<L>) {
    this.#threadsById = new Map(threads.map((thread) => [thread.log.id, thread]))
    this.#keyOf = keyOf
    this.#forks = forks
  }

  /** Members are a function of the set of control entries, whichever version of a log they stand in. */
  isForkedControl(id: LogId): boolean {
    return this.#forks.isForked(id) && this.#threadsById.get(id)?.log.name.core === 'control'
  }

  async isSetAside(cursor: Cursor<L>): Promise<boolean> {
    return cursor.head!.from < (await this.#look(cursor)).goesOnAt
  }

  /** Does what comes next in a log name no version of another that did not stay? */
  async isRight(cursor: Cursor<L>): Promise<boolean> {
    return (await this.#look(cursor)).isRight
  }

  async #look({ id, head }: Cursor<L>): Promise<{ isRight: boolean; goesOnAt: number }> {
    const { from, entry } = head!
    const before = this.#looks.get(id)
    if (before !== undefined && (before.from === from || from < before.goesOnAt)) return before
    const isRight = await this.#namesWhatIsHere(entry)
    const look = { from, isRight, goesOnAt: isRight ? 0 : await this.#goesOnAt(id, from) }
    this.#looks.set(id, look)
    return look
  }

  async #namesWhatIsHere(entry: Entry | null): Promise<boolean> {
    for (const dep of entry?.deps ?? []) {
      if (this.isForkedControl(dep.log) || !this.#forks.isForked(dep.log)) continue
      if (!(await this.#isHere(dep))) return false
    }
    return true
  }

  /** The first entry behind one that hangs on what is gone at which all that was named wrongly has been named again; or 0. */
  async #goesOnAt(id: LogId, start: number): Promise<number> {
    const cursor = new Cursor(this.#threadsById.get(id)!, this.#keyOf, start)
    const wrong = new Set<LogId>()
    for (await cursor.advance(); cursor.head !== null; await cursor.advance()) {
      for (const dep of cursor.head.entry?.deps ?? [])
        if (await this.#isHere(dep)) wrong.delete(dep.log)
        else wrong.add(dep.log)
      if (cursor.head.from > start && cursor.head.entry !== null && wrong.size === 0)
        return cursor.head.from
    }
    return 0
  }

  async #isHere({ log: id, length, treeHash }: Dep): Promise<boolean> {
    if (this.isForkedControl(id)) return true
    const thread = this.#threadsById.get(id)
    if (thread === undefined || length > thread.length) return false
    return (await this.#forks.treeHashAt(thread.log, length)) === treeHash
  }
}

/** One log's entries, one at a time. */
class Cursor<L extends ReadableLog> {
  readonly #thread: Thread<L>
  readonly #keyOf: KeyOf<L>
  readonly #assembler = new EntryAssembler()
  #ahead: (Uint8Array | null)[] = []
  #next: number
  /** The entry that comes next; null at the end. */
  head: Head<L> | null = null
  /** By its author's clock; where it cannot be read, that of the entry before. */
  timeMs = 0

  /** From a place at which an entry begins. */
  constructor(thread: Thread<L>, keyOf: KeyOf<L>, start = 0) {
    this.#thread = thread
    this.#keyOf = keyOf
    this.#next = start
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
