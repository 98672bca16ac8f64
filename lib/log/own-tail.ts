/**
 * How much this device has written, asked of the members that are connected: a restored backup or a cloned folder does
 * not know, and what it wrote on top of the old end would fork its log for good.
 *
 * Each says what it holds once it is connected. What it holds of this device's logs is believed once the log is known to
 * be so long by its author's own signature, which hypercore fetches first; who claims more than that comes to is left out.
 * And it has said what it knows of other runs of this device: see `sync/copies.ts`.
 */
import type { Clock } from '../platform.ts'
import type { DeviceId } from '../trust/members.ts'
import type { LogId } from './entry.ts'
import type { Log } from './log.ts'

/** For a signature to come, which is one round trip and at most a block behind it. */
const patienceMs = 60_000

export interface OwnTailOptions {
  readonly clock: Clock
  readonly logs: readonly Log[]
  /** Has that member said whether it knows of other runs of this device, and are those looked into? */
  readonly isSettledBy: (device: DeviceId) => boolean
  /** All who are connected have answered, one at least, and the logs' lengths here are what they said. */
  readonly onAnswered: () => void
}

export class OwnTail {
  readonly #options: OwnTailOptions
  /** Null until the device has said something. */
  readonly #claimsByDevice = new Map<DeviceId, Map<LogId, number> | null>()
  readonly #implausible = new Set<DeviceId>()
  readonly #stopListening: (() => void)[]
  /** Of those that are waited for, what ends the wait. */
  readonly #cancelsByDevice = new Map<DeviceId, () => void>()
  #isStopped = false

  constructor(options: OwnTailOptions) {
    this.#options = options
    this.#stopListening = options.logs.map((log) => log.on('progress', () => this.#look()))
  }

  /** Members that are connected now. */
  came(devices: readonly DeviceId[]): void {
    for (const device of devices)
      if (!this.#claimsByDevice.has(device)) this.#claimsByDevice.set(device, null)
    this.#look()
  }

  /** What a connected member says it holds: all of it at first, then what is new. */
  heard(
    device: DeviceId,
    holdings: readonly { readonly log: LogId; readonly length: number }[]
  ): void {
    let claims = this.#claimsByDevice.get(device) ?? null
    if (claims === null) this.#claimsByDevice.set(device, (claims = new Map()))
    for (const { log, length } of holdings) claims.set(log, Math.max(claims.get(log) ?? 0, length))
    this.#look()
  }

  /** Members that are connected no longer. */
  gone(devices: readonly DeviceId[]): void {
    for (const device of devices) {
      this.#claimsByDevice.delete(device)
      this.#cancelsByDevice.get(device)?.()
      this.#cancelsByDevice.delete(device)
    }
    this.#look()
  }

  /** What `isSettledBy` says may have changed. */
  look(): void {
    this.#look()
  }

  stop(): void {
    this.#isStopped = true
    for (const cancel of this.#cancelsByDevice.values()) cancel()
    this.#cancelsByDevice.clear()
    for (const stop of this.#stopListening) stop()
  }

  #look(): void {
    if (this.#isStopped || this.#claimsByDevice.size === 0) return
    const waitsFor = [...this.#claimsByDevice.keys()].filter((device) => !this.#isHere(device))
    if (waitsFor.length === 0) {
      this.stop()
      this.#options.onAnswered()
      return
    }
    for (const device of waitsFor) {
      if (this.#cancelsByDevice.has(device)) continue
      const giveUp = (): void => {
        this.#cancelsByDevice.delete(device)
        if (this.#isHere(device)) return
        this.#implausible.add(device)
        this.#look()
      }
      this.#cancelsByDevice.set(device, this.#options.clock.after(patienceMs, giveUp))
    }
  }

  #isHere(device: DeviceId): boolean {
    if (this.#implausible.has(device)) return true
    const claims = this.#claimsByDevice.get(device)
    if (claims == null || !this.#options.isSettledBy(device)) return false
    return this.#options.logs.every((log) => (claims.get(log.id) ?? 0) <= log.length)
  }
}
