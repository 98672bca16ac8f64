/** When a document is reset: one reset at a time, and those for edits that may not be written with a pause between. */
import type { ResetReason } from './document-host.ts'
import type { Clock } from './platform.ts'

/** Between two resets of a document that this device may not write to: an editor may write by itself when it is bound. */
const resetAgainMs = 1_000

export interface DocumentResetsOptions {
  readonly clock: Clock
  readonly reset: (reason: ResetReason) => Promise<void>
  /** All that were asked for have ended, or failed. */
  readonly onEnded: () => void
  /** Are there edits that this device may not write? */
  readonly isRejected: () => boolean
  readonly onFailed: (cause: unknown) => void
}

export class DocumentResets {
  readonly #options: DocumentResetsOptions
  #running: Promise<void> | null = null
  #again: ResetReason | null = null
  #lastMs: number | null = null
  #cancel: (() => void) | null = null

  constructor(options: DocumentResetsOptions) {
    this.#options = options
  }

  get isRunning(): boolean {
    return this.#running !== null
  }

  /** Resets the document; once more where that is asked for while it goes on. */
  run(reason: ResetReason): Promise<void> {
    if (this.#running !== null) this.#again = reason
    this.#running ??= this.#runAll(reason).finally(() => {
      this.#running = null
      this.#options.onEnded()
    })
    return this.#running
  }

  async #runAll(reason: ResetReason): Promise<void> {
    for (let next: ResetReason | null = reason; next !== null; next = this.#again) {
      this.#again = null
      await this.#options.reset(next)
    }
  }

  /** What this device may not write leaves the document again. */
  reject(): void {
    if (this.#cancel !== null) return
    const { clock, isRejected, onFailed } = this.#options
    const reset = (): void => {
      this.#cancel = null
      if (!isRejected()) return
      this.run('read-only').catch((cause: unknown) => {
        onFailed(cause)
      })
    }
    const waitMs = this.#lastMs === null ? 0 : this.#lastMs + resetAgainMs - clock.now()
    this.#cancel = clock.after(Math.max(0, Math.min(waitMs, resetAgainMs)), reset)
  }

  /** The document is another one from now on. */
  happened(): void {
    this.#lastMs = this.#options.clock.now()
  }

  /** Ends a wait. */
  stop(): void {
    this.#cancel?.()
  }

  /** Resolves when those under way have ended. */
  async ended(): Promise<void> {
    await this.#running?.catch(() => {}) // Whoever asked for it is told.
  }
}
