/** What content counts: what is kept, what that builds on, and so on (`trust/README.md`), as a length for each log. */
import type { Dep, LogId } from './entry.ts'

/** What an entry builds on. */
export interface Past {
  readonly from: number
  readonly deps: readonly Dep[]
}

/** A content log, as far as it is looked at. */
export interface Countable {
  readonly id: LogId
  /** Up to where its author's role keeps it. */
  readonly kept: number
  readonly end: number
  /** Of its entries, in their order. */
  readonly pasts: readonly Past[]
}

/** By log, up to where it counts. `more` is what else is kept builds on. O(entries). */
export function countContent(
  logs: readonly Countable[],
  more: readonly Dep[] = []
): Map<LogId, number> {
  const counts = new Map(logs.map(({ id, kept, end }) => [id, Math.min(kept, end)]))
  const ends = new Map(logs.map(({ id, end }) => [id, end]))
  let changed = false
  const raise = ({ log, length }: Dep): void => {
    const before = counts.get(log)
    if (before === undefined || before >= Math.min(length, ends.get(log)!)) return
    counts.set(log, Math.min(length, ends.get(log)!))
    changed = true
  }
  more.forEach(raise)
  const next = logs.map(() => 0)
  do {
    changed = false
    for (const [i, { id, pasts }] of logs.entries()) {
      while (next[i]! < pasts.length && pasts[next[i]!]!.from < counts.get(id)!)
        pasts[next[i]!++]!.deps.forEach(raise)
    }
  } while (changed)
  return counts
}

/**
 * By log, up to where it does not build on what lies beyond `length` of that one: of those that do, and of itself. O(entries).
 */
export function notBuiltOn(
  pastsByLog: ReadonlyMap<LogId, readonly Past[]>,
  log: LogId,
  length: number
): Map<LogId, number> {
  const stays = new Map([[log, length]])
  const isGone = ({ log: of, length: seen }: Dep): boolean => seen > (stays.get(of) ?? Infinity)
  let changed = true
  while (changed) {
    changed = false
    for (const [id, pasts] of pastsByLog) {
      const end = stays.get(id) ?? Infinity
      const first = pasts.find(({ from, deps }) => from >= end || deps.some(isGone))
      if (first === undefined || first.from >= end) continue
      stays.set(id, first.from)
      changed = true
    }
  }
  return stays
}
