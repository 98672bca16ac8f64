/** Entries of this device that are written together: taken from the queue, and sealed for their places in its logs. */
import type { Platform } from '../platform.ts'
import { SkeinError } from '../errors.ts'
import { sealEntry, type Dep, type Entry, type LogId } from './entry.ts'
import type { OwnCore } from './outbox-records.ts'
import type { Log } from './log.ts'

const maxGroupBytes = 8 * 1024 * 1024

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

/** An entry that is to be written. */
export interface Waiting {
  readonly core: OwnCore
  readonly kind: number
  readonly body: Uint8Array
  readonly timeMs: number
  /** False once it is not to be written any more; asked until it is sealed. */
  readonly isWanted: () => boolean
  readonly resolve: (appended: Appended) => void
  readonly reject: (error: SkeinError) => void
}

export interface Group {
  readonly waiting: readonly Waiting[]
  readonly appended: readonly Appended[]
  readonly blocks: Record<OwnCore, { from: number; list: Uint8Array[] }>
  inOutbox: boolean
}

export interface SealOptions {
  readonly platform: Platform
  /** The key that a new entry is sealed under; null where it waits for one that is still to be made. */
  readonly keyFor: (core: OwnCore) => Uint8Array | null
  /** What a new entry says it has seen, and the whole cut behind it. */
  readonly seen: (core: OwnCore) => Promise<{ deps: Dep[]; cut: Map<LogId, number> }>
}

export function hangsOnGone(): SkeinError {
  return new SkeinError(
    'EDIT_INVALID',
    'What was edited hangs on entries that do not count any more'
  )
}

/** What is still to be written of a queue; who waits for the rest is told. */
export function wantedOf(queue: readonly Waiting[]): Waiting[] {
  return queue.filter(({ isWanted, reject }) => {
    if (isWanted()) return true
    reject(hangsOnGone())
    return false
  })
}

/**
 * Takes what waits, up to a size, and seals it for its places. The queue stays as it is; with `lacksKey` some of it was
 * passed over. What is queued meanwhile may be in the group.
 */
export async function sealGroup(
  queue: readonly Waiting[],
  logs: Readonly<Record<OwnCore, Log>>,
  options: SealOptions
): Promise<{ readonly group: Group; readonly lacksKey: boolean }> {
  const blocks = {
    control: { from: logs.control.length, list: [] as Uint8Array[] },
    content: { from: logs.content.length, list: [] as Uint8Array[] }
  }
  const waiting: Waiting[] = []
  const appended: Appended[] = []
  let lacksKey = false
  let bytes = 0
  for (const next of queue) {
    if (bytes >= maxGroupBytes) break
    const { from, list } = blocks[next.core]
    const at = from + list.length
    let sealed: Uint8Array[]
    let entry: Entry
    let cut: Map<LogId, number>
    const log = logs[next.core]
    try {
      const key = options.keyFor(next.core)
      if (key === null) {
        // What makes the key may stand behind it in the queue.
        lacksKey = true
        continue
      }
      const seen = await options.seen(next.core)
      cut = seen.cut
      entry = { kind: next.kind, timeMs: next.timeMs, deps: seen.deps, body: next.body }
      sealed = sealEntry(entry, { ...log.name, seq: at }, key, (length) =>
        options.platform.randomBytes(length)
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
  return { group: { waiting, appended, blocks, inOutbox: false }, lacksKey }
}
