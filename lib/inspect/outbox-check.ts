/** Checks this device's outbox against its logs: what it holds must be in them, or be what comes next. */
import { equalBytes } from '../bytes.ts'
import type { LogId } from '../log/entry.ts'
import { readOutboxRecords } from '../log/outbox-records.ts'
import { Unreadable, type StoredLog } from '../log/store-image.ts'
import type { OutboxRecord } from '../platform.ts'
import type { CheckedLog } from './log-check.ts'
import type { Findings, Problem } from './problem.ts'

/** One of this device's logs, as far as it is in the store, and what it is called. */
export interface OwnLogImage {
  readonly log: StoredLog | null
  readonly where: string
  readonly isUnreadable: boolean
}

export interface OutboxCheckOptions {
  readonly records: readonly OutboxRecord[]
  readonly own: Readonly<Record<'control' | 'content', OwnLogImage>>
  readonly checkedById: ReadonlyMap<LogId, CheckedLog>
  readonly findings: Findings
}

export async function* checkOutbox({
  records,
  own,
  checkedById,
  findings
}: OutboxCheckOptions): AsyncGenerator<Problem, void, void> {
  const known = readOutboxRecords(records)
  if (known.faults.length > 0) {
    yield findings.damage('outbox', 'outbox', known.faults.join('; '))
  }
  for (const core of ['control', 'content'] as const) {
    const { log, where, isUnreadable } = own[core]
    const checked = log === null ? undefined : checkedById.get(log.id)
    if (isUnreadable || checked?.isSound === false) continue
    const length = checked?.contiguous ?? 0
    const { watermark, blocks } = known[core]
    let next = length
    for (const [index, bytes] of blocks) {
      if (index < length && log !== null) {
        const block = await log.block(index)
        if (block === null || block instanceof Unreadable || equalBytes(block, bytes)) continue
        const message = `block ${index} is another in the outbox than in the log`
        yield findings.damage('outbox', where, message)
      } else if (index === next) next++
    }
    const last = Math.max(watermark, ...[...blocks.keys()].map((index) => index + 1))
    if (next > length && next >= last) {
      const message = `its last ${next - length} blocks are in the outbox only: the next opening appends them`
      yield findings.pending('outbox', where, message)
    } else if (next < last) {
      const message = `it has ${length} blocks, and this device has written ${last}; the rest comes back from a peer only`
      yield findings.damage('log-short', where, message)
    }
  }
}
