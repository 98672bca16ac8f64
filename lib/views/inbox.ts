/**
 * What has been delivered for a document and is not in it yet. It goes in a slice of time after the other, so that the event
 * loop never waits long, and whoever's edits take long waits behind the others: what refers to them waits in the applier.
 */
import type { Clock } from '../platform.ts'
import type { DeviceId } from '../trust/members.ts'
import type { IncomingEdit } from './applier.ts'

const sliceMs = 25
/** A device whose edits took that long in a row has its next ones put behind those of others. */
const slowAfterMs = 50

interface Arrived {
  readonly number: number
  readonly edit: IncomingEdit
}

export class Inbox {
  readonly #clock: Clock
  #arrived: Arrived[] = []
  #behind: Arrived[] = []
  /** What the edits of each took of late. */
  readonly #spentByDevice = new Map<DeviceId, number>()
  #isScheduled = false
  #hasAppliedInTurn = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isEmpty(): boolean {
    return this.#arrived.length === 0 && this.#behind.length === 0
  }

  push(number: number, edit: IncomingEdit): void {
    this.#arrived.push({ number, edit })
  }

  /** Forgets those filed before that number. */
  dropBefore(number: number): void {
    this.#arrived = this.#arrived.filter((arrived) => arrived.number >= number)
    this.#behind = this.#behind.filter((arrived) => arrived.number >= number)
  }

  /** Calls `apply` soon, once however often it is asked to. */
  soon(apply: () => void): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    const run = (): void => {
      this.#isScheduled = false
      apply()
    }
    // One that comes alone is applied at once, more in one turn of the event loop together.
    if (this.#hasAppliedInTurn) {
      this.#clock.soon(run)
      return
    }
    this.#hasAppliedInTurn = true
    this.#clock.soon(() => {
      this.#hasAppliedInTurn = false
    })
    queueMicrotask(run)
  }

  /** Hands over what is next, one by one, until it is empty or, unless `all` is wanted, time for other work. */
  forEach(take: (edit: IncomingEdit) => void, { all = false } = {}): void {
    const startedAt = this.#clock.now()
    let at = startedAt
    let taken = 0
    for (const arrived of this.#arrived) {
      if (!all && at - startedAt >= sliceMs) break
      taken++
      // Once one of its edits is behind, all that follow are: they stay in order.
      if (this.#isSlow(arrived.edit.device)) this.#behind.push(arrived)
      else at = this.#timed(take, arrived.edit, at)
    }
    this.#arrived = this.#arrived.slice(taken)
    if (this.#arrived.length > 0) return
    taken = 0
    for (const { edit } of this.#behind) {
      if (!all && at - startedAt >= sliceMs) break
      taken++
      at = this.#timed(take, edit, at)
    }
    this.#behind = this.#behind.slice(taken)
    if (this.isEmpty) this.#spentByDevice.clear()
  }

  #isSlow(device: DeviceId): boolean {
    return (this.#spentByDevice.get(device) ?? 0) >= slowAfterMs
  }

  #timed(take: (edit: IncomingEdit) => void, edit: IncomingEdit, before: number): number {
    take(edit)
    const after = this.#clock.now()
    const spent = this.#spentByDevice.get(edit.device) ?? 0
    this.#spentByDevice.set(edit.device, spent + Math.max(0, after - before))
    return after
  }
}
