/**
 * Logs whose end is here and whose middle is not. A log's new end comes first, as its author has signed it, and then what
 * lies before it. Where whoever brings it goes in between, those who have less of the log cannot help: each block is proven
 * up to the end that is known here, and they lack what lies behind theirs. So everything that builds on the middle would
 * wait for the author, who may be away for long, or removed.
 *
 * Then the log is begun anew with those who have more of it without a gap than there is here, and the rest comes as before.
 * Until they have brought it, what was here of it is not: only what others say that they hold is let go of. Knows when
 * that is so, and to whom a log is replicated meanwhile; how one is begun anew is the log's.
 */
import type { Log } from '../log/log.ts'
import type { SpaceChannel } from './space-channel.ts'

/** Looks, a second apart, at which nothing has come, before a log is begun anew; and for how many that may take. */
const patience = 3
const longest = 15

export interface GapsOptions {
  /** Members that are connected. */
  readonly channels: () => readonly SpaceChannel[]
  /** How much of a log a member says it holds without a gap. */
  readonly claimOf: (channel: SpaceChannel, log: Log) => number
  /** Replicates each log to everyone it may be replicated to. */
  readonly update: () => void
  /** A log could not be begun anew. */
  readonly onFailed: (cause: unknown) => void
}

interface Renewal {
  readonly from: ReadonlySet<SpaceChannel>
  /** The length that they have of it. */
  readonly length: number
  looks: number
}

export class Gaps {
  readonly #options: GapsOptions
  readonly #seen = new Map<Log, { readonly length: number; looks: number }>()
  readonly #renewals = new Map<Log, Renewal>()

  constructor(options: GapsOptions) {
    this.#options = options
  }

  /** False for those who could bring the end without the middle again. */
  mayReplicate(channel: SpaceChannel, log: Log): boolean {
    return this.#renewals.get(log)?.from.has(channel) !== false
  }

  /** Once a second while something is lacking, with the logs of others. */
  async look(logs: readonly Log[]): Promise<void> {
    for (const log of logs) {
      const renewal = this.#renewals.get(log)
      if (renewal !== undefined) {
        if (++renewal.looks >= longest) this.#end(log)
      } else if (this.#isStuck(log)) await this.#renew(log)
    }
  }

  /** Something came of a log. */
  progress(log: Log): void {
    const renewal = this.#renewals.get(log)
    if (renewal !== undefined && log.contiguousLength >= renewal.length) this.#end(log)
  }

  /** It has a gap that some could fill who do not have its end, and that nobody fills. */
  #isStuck(log: Log): boolean {
    const { channels, claimOf } = this.#options
    const { contiguousLength: length } = log
    const most = Math.max(0, ...channels().map((channel) => claimOf(channel, log)))
    const seen = this.#seen.get(log)
    if (!log.isAttached || length === log.length || most <= length || most >= log.length) {
      this.#seen.delete(log)
      return false
    }
    if (seen?.length !== length) this.#seen.set(log, { length, looks: 0 })
    else if (++seen.looks >= patience) return true
    return false
  }

  async #renew(log: Log): Promise<void> {
    const { channels, claimOf, onFailed } = this.#options
    this.#seen.delete(log)
    const from = new Set(
      channels().filter((channel) => claimOf(channel, log) > log.contiguousLength)
    )
    const length = Math.max(...[...from].map((channel) => claimOf(channel, log)))
    this.#renewals.set(log, { from, length, looks: 0 })
    for (const { connection } of channels()) log.unreplicate(connection.mux)
    try {
      await log.startOver()
    } catch (cause) {
      onFailed(cause)
      return this.#end(log)
    }
    this.#options.update()
  }

  #end(log: Log): void {
    this.#renewals.delete(log)
    this.#options.update()
  }
}
