/**
 * This device's present session in a space: the counter that its Yjs client ids are made of. A session that did not end
 * cleanly gives up its client ids, since some of its edits may be out and not here.
 */
import type { Outbox, OutboxRecord } from '../platform.ts'
import { sessionRecord } from './outbox-records.ts'

/** By so much at most a copy passes over client counters: what it wrote before, and does not know of, has used some. */
const maxCountersPassedOver = 2 ** 20

export class Session {
  readonly #outbox: Outbox
  #counter = 0
  /** The greatest that is in use: writers beside the first have counters of their own. */
  #last = 0
  /** The outbox has it that these client ids are in use. */
  isMarked = false

  constructor(outbox: Outbox) {
    this.#outbox = outbox
  }

  get counter(): number {
    return this.#counter
  }

  /** Begins, so many counters after another. */
  begin(after: number, passedOver: number): void {
    this.#counter = after + passedOver
    this.#last = this.#counter
    this.isMarked = false
  }

  /** Takes a counter whose ids nothing is written under, also not by a later state of this device that is not known of. */
  takeAnother(randomBytes: (length: number) => Uint8Array): void {
    this.begin(this.#last, passedOver(randomBytes))
  }

  /**
   * A client counter for a writer of this device beside the first, such as another tab. In use from here on, durably:
   * no later session takes it.
   */
  async newCounter(): Promise<number> {
    const counter = ++this.#last
    await this.#outbox.append([sessionRecord(counter, false)])
    this.isMarked = true
    return counter
  }

  /** Notes durably that its client ids may be used again: everything written under them is here. */
  async endCleanly(): Promise<void> {
    await this.#outbox.append([this.record(true)])
  }

  record(clean: boolean): OutboxRecord {
    return sessionRecord(this.#last, clean)
  }
}

/** How many counters a copy passes over. */
export function passedOver(randomBytes: (length: number) => Uint8Array): number {
  const [a, b, c] = randomBytes(3) as unknown as [number, number, number]
  return 1 + (((a << 16) | (b << 8) | c) % maxCountersPassedOver)
}
