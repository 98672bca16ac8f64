/**
 * What the store lacks of this device's two logs though it was written: the end of a log, lost with the power. It is
 * appended again from the outbox, byte for byte; what the outbox has let go of comes back from a peer.
 */
import { equalBytes } from '../bytes.ts'
import { SkeinError } from '../errors.ts'
import type { Outbox, OutboxRecord } from '../platform.ts'
import { coreOf, recordKinds, type OwnCore } from './outbox-records.ts'
import type { Log } from './log.ts'

export class LostTail {
  readonly #logs: Readonly<Record<OwnCore, Log>>
  readonly #outbox: Outbox
  /** Lengths that the logs are known to have had; below them nothing may be appended. */
  readonly #known: Record<OwnCore, number> = { control: 0, content: 0 }
  /** While the store lacks entries: the blocks in the outbox, once they have been read. */
  #records: OutboxRecord[] | null = null
  /** See `OwnLog.asks`. */
  asks = false

  constructor(logs: Readonly<Record<OwnCore, Log>>, outbox: Outbox) {
    this.#logs = logs
    this.#outbox = outbox
  }

  /** Takes what the outbox has. */
  read(records: readonly OutboxRecord[]): void {
    this.#records = records.filter((record) => record.kind <= recordKinds.content)
  }

  /** What was in the outbox may still be needed. */
  get isRead(): boolean {
    return this.#records !== null
  }

  get isBehind(): boolean {
    return this.asks || this.lacks('control') || this.lacks('content')
  }

  /** A log is known to have had that length. */
  know(core: OwnCore, length: number): void {
    this.#known[core] = Math.max(this.#known[core], length)
  }

  knownLength(core: OwnCore): number {
    return this.#known[core]
  }

  /** The log is another from some length on: it was never known to be longer. */
  forget(core: OwnCore): void {
    this.#known[core] = 0
    this.#records = null
  }

  /** Does the store have less of a log than was written? */
  lacks(core: OwnCore): boolean {
    return this.#logs[core].contiguousLength < this.#known[core]
  }

  /** Is that longer than a log is known to have been? */
  isUnknown(core: OwnCore, length: number): boolean {
    return length > this.#known[core]
  }

  /** Takes out what the outbox has from the first block on at whose place the store has another. */
  async takeDisplaced(): Promise<OutboxRecord[]> {
    const displaced: OutboxRecord[] = []
    for (const core of ['control', 'content'] as const) {
      const log = this.#logs[core]
      const own = (this.#records ?? []).filter((record) => coreOf(record) === core)
      const isDisplaced = async ({ index, bytes }: OutboxRecord): Promise<boolean> => {
        if (index >= log.contiguousLength) return false
        const block = await log.get(index)
        return block !== null && !equalBytes(block, bytes)
      }
      const last = own.findLast(({ index }) => index < log.contiguousLength)
      if (last === undefined || !(await isDisplaced(last))) continue
      let first = own.indexOf(last)
      while (first > 0 && (await isDisplaced(own[first - 1]!))) first--
      displaced.push(...own.slice(first))
      this.#known[core] = log.length
    }
    this.#records = (this.#records ?? []).filter((record) => !displaced.includes(record))
    return displaced
  }

  /** The last block in the store must be the one that was written. False where the outbox does not have it. */
  async checkEnd(core: OwnCore): Promise<boolean> {
    const log = this.#logs[core]
    if (log.length === 0) return true
    // Blocks that a peer was bringing back, and a crash stopped, are checked by their hashes.
    if (log.contiguousLength < log.length) return false
    const last = this.#records?.findLast(
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

  /** Appends from the outbox what the logs lack; asks peers for what it has let go of. */
  async recover(): Promise<void> {
    if (!this.isBehind) {
      this.#records = null
      return
    }
    this.#records ??= (await this.#outbox.read()).filter(
      (record) => record.kind <= recordKinds.content
    )
    for (const core of ['control', 'content'] as const) {
      const log = this.#logs[core]
      let next = log.length
      const missing: Uint8Array[] = []
      for (const record of this.#records) {
        if (coreOf(record) !== core || record.index !== next) continue
        missing.push(record.bytes)
        next++
      }
      if (missing.length > 0) await log.append(missing)
      if (this.asks || this.lacks(core)) log.download()
    }
    if (!this.isBehind) this.#records = null
  }
}

export function behindError(asks = false): SkeinError {
  return new SkeinError(
    'LOG_BEHIND',
    asks
      ? 'This storage is a copy, perhaps an old one: this device waits for a member to say what it has written since'
      : 'The store is older than what this device has written; it waits for the rest from a peer'
  )
}

export function copiedError(): SkeinError {
  return new SkeinError(
    'COPIED',
    'This storage is a copy of one that is in use elsewhere: it writes nothing as the same device'
  )
}

export function forkedError(core: OwnCore, index: number): SkeinError {
  return new SkeinError('LOG_FORKED', `The ${core} log has another block ${index} than was written`)
}
