/** How long edits take from where they are made to the other devices' screens. */
import * as Y from 'yjs'

export class Latencies {
  /** Only edits made meanwhile count: those made while apart arrive when devices meet. */
  isMeasuring = false
  readonly #madeAtMs = new Map<string, number>()
  readonly #seen: { client: number; from: number; to: number; atMs: number }[] = []

  made(update: Uint8Array, atMs: number): void {
    if (!this.isMeasuring) return
    for (const [client, to] of Y.parseUpdateMeta(update).to) {
      this.#madeAtMs.set(`${client}/${to - 1}`, atMs)
    }
  }

  seen(update: Uint8Array, atMs: number): void {
    const { from, to } = Y.parseUpdateMeta(update)
    for (const [client, end] of to) {
      this.#seen.push({ client, from: from.get(client) ?? 0, to: end, atMs })
    }
  }

  /** Milliseconds, ascending: one for each edit and each device that it came to. */
  all(): number[] {
    const all: number[] = []
    for (const { client, from, to, atMs } of this.#seen) {
      for (let clock = from; clock < to; clock++) {
        const madeAtMs = this.#madeAtMs.get(`${client}/${clock}`)
        if (madeAtMs !== undefined) all.push(atMs - madeAtMs)
      }
    }
    return all.sort((a, b) => a - b)
  }
}
