/** A clock for tests. */
import type { Clock } from '../../lib/index.ts'

/** A clock whose time passes when told. */
export class HandClock implements Clock {
  readonly #due = new Set<{ atMs: number; callback: () => void }>()
  #nowMs = 0

  now(): number {
    return this.#nowMs
  }

  after(delayMs: number, callback: () => void): () => void {
    const due = { atMs: this.#nowMs + delayMs, callback }
    this.#due.add(due)
    return () => void this.#due.delete(due)
  }

  soon(callback: () => void): void {
    this.after(0, callback)
  }

  pass(ms: number): void {
    this.#nowMs += ms
    for (const due of [...this.#due]) {
      if (due.atMs <= this.#nowMs && this.#due.delete(due)) due.callback()
    }
  }
}
