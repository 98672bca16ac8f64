/**
 * When a document's edits leave for the log. One that comes alone leaves at once; what comes while it is being written
 * leaves together after that. Once edits have outrun the writing a few times in a row, they leave one group each 100 ms,
 * and what others wrote is applied between groups: otherwise two machines at full speed would make an entry of every
 * keystroke.
 */
import type { Clock } from '../platform.ts'

const groupMs = 100
/** Groups in a row that edits overtook, from which on they leave at that pace. */
const sustainedAt = 3

export interface PaceOptions {
  readonly clock: Clock
  /** Are there edits that have not left? */
  readonly isDirty: () => boolean
  /** It is time: lets what was edited leave, and then takes in what arrived meanwhile. */
  readonly onTime: () => void
}

export class Pace {
  readonly #options: PaceOptions
  #cancelWait: (() => void) | null = null
  #isScheduled = false
  #lastLeftMs = 0
  #inFlight = 0
  /** Edits came while the groups in flight were being written. */
  #isOvertaken = false
  /** In how many groups in a row that was so. */
  #overtakes = 0

  constructor(options: PaceOptions) {
    this.#options = options
  }

  /** True while a group is being written. */
  get isWriting(): boolean {
    return this.#inFlight > 0
  }

  /** True while what arrives should wait for the next group's time. */
  get isHolding(): boolean {
    return this.#cancelWait !== null || (this.isWriting && this.#isSustained)
  }

  /** Something was edited. */
  edited(): void {
    if (this.isWriting) this.#isOvertaken = true
    else this.schedule()
  }

  /** Sees to it that what is dirty leaves, at its time. */
  schedule(): void {
    if (this.#isScheduled || this.#cancelWait !== null) return
    const { clock, onTime } = this.#options
    const waitMs = this.#isSustained ? this.#lastLeftMs + groupMs - clock.now() : 0
    // A clock that was set back must not hold an edit for longer than a group takes.
    if (waitMs > 0) {
      this.#cancelWait = clock.after(Math.min(waitMs, groupMs), () => {
        this.#cancelWait = null
        onTime()
      })
      return
    }
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      onTime()
    })
  }

  /** A group leaves. */
  left(): void {
    this.#lastLeftMs = this.#options.clock.now()
    this.#inFlight++
  }

  /** A group that left is written, or given up. */
  written(): void {
    if (--this.#inFlight > 0) return
    this.#overtakes = this.#isOvertaken ? this.#overtakes + 1 : 0
    this.#isOvertaken = false
    if (this.#options.isDirty()) this.schedule()
    else this.#options.onTime()
  }

  /** Ends a wait. */
  stop(): void {
    this.#cancelWait?.()
    this.#cancelWait = null
  }

  get #isSustained(): boolean {
    return this.#overtakes >= sustainedAt
  }
}
