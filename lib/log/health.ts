/**
 * What of a space's storage fails for now, told once for all of it, and the store opened again while that does not end
 * by itself: RocksDB takes nothing more after a failed write until then.
 */
import { SkeinError } from '../errors.ts'
import type { Clock } from '../platform.ts'

/** Waits between attempts to open a failed store again: doubling from the first to the last. */
const firstHealMs = 500
const lastHealMs = 10_000

/** What can fail. */
export type Trouble = 'writing' | 'lacking' | 'receiving' | 'reading' | 'views' | 'members'

export interface HealthOptions {
  readonly clock: Clock
  readonly reopenStore: () => Promise<void>
  /** A failure, or null once none is left. */
  readonly onChange: (error: SkeinError | null) => void
  /** The store was opened again. */
  readonly onHealed: () => void
}

export class Health {
  readonly #options: HealthOptions
  readonly #troubles = new Set<Trouble>()
  #cancelHeal: (() => void) | null = null
  #healMs = firstHealMs
  #isStopped = false
  #healedAtMs = Number.NEGATIVE_INFINITY

  constructor(options: HealthOptions) {
    this.#options = options
  }

  /** Tells of a failure, and once none is left of their end. */
  set(trouble: Trouble, error: SkeinError | null): void {
    if (error === null) {
      if (!this.#troubles.delete(trouble) || this.#troubles.size > 0) return
    } else this.#troubles.add(trouble)
    this.#options.onChange(error)
  }

  /**
   * The store failed, and nothing was being written to this device's log, which would have opened it again: so that is
   * done here, less and less often while it does not help.
   */
  storeFailed(trouble: Trouble, error: SkeinError): void {
    if (this.#isStopped) return
    const { clock } = this.#options
    // One that comes back right after the store was opened again is the same one.
    if (clock.now() - this.#healedAtMs > 2 * lastHealMs) this.#healMs = firstHealMs
    this.set(trouble, error)
    this.#cancelHeal ??= this.#options.clock.after(
      this.#healMs,
      () => void this.#heal(trouble, error)
    )
  }

  stop(): void {
    this.#isStopped = true
    this.#cancelHeal?.()
  }

  async #heal(trouble: Trouble, error: SkeinError): Promise<void> {
    if (this.#troubles.size === 0) {
      this.#cancelHeal = null
      return
    }
    this.#healMs = Math.min(this.#healMs * 2, lastHealMs)
    try {
      await this.#options.reopenStore()
    } catch (cause) {
      this.#cancelHeal = null
      this.storeFailed(trouble, cause instanceof SkeinError ? cause : error)
      return
    }
    this.#cancelHeal = null
    this.#healedAtMs = this.#options.clock.now()
    if (this.#isStopped) return
    this.set('reading', null)
    this.set('members', null)
    this.#options.onHealed()
  }
}
