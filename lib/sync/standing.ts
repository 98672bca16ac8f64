/**
 * How other devices have behaved, as long as this process runs. One that breaks the protocol loses its connection; one that
 * does so again and again, or sends more than anyone has reason to, is kept out for a while, and longer each time.
 */
import { SkeinError } from '../errors.ts'
import type { Clock } from '../platform.ts'
import type { DeviceId } from '../trust/members.ts'

const minuteMs = 60_000
/** So many faults within that time, and a device is kept out. */
const maxFaults = 3
const faultsMs = 10 * minuteMs
const shortestBanMs = minuteMs
const longestBanMs = 60 * minuteMs
/** Devices that are remembered; whoever makes up keys by the thousand pushes out others that did. */
const maxDevices = 10_000

interface Record {
  faultsAtMs: number[]
  bannedUntilMs: number
  bans: number
}

export class Standing {
  readonly #clock: Clock
  readonly #byDevice = new Map<DeviceId, Record>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Until when a device is kept out, by this device's clock; null for most. */
  bannedUntil(device: DeviceId): number | null {
    const untilMs = this.#byDevice.get(device)?.bannedUntilMs ?? 0
    return untilMs > this.#clock.now() ? untilMs : null
  }

  /** It broke the protocol; `isFlood`: by sheer amount, for which once is enough. The error says so when it is banned. */
  fault(device: DeviceId, isFlood: boolean): SkeinError | null {
    const nowMs = this.#clock.now()
    const record = this.#recordOf(device)
    record.faultsAtMs = record.faultsAtMs.filter((atMs) => nowMs - atMs < faultsMs)
    record.faultsAtMs.push(nowMs)
    if (!isFlood && record.faultsAtMs.length < maxFaults) return null
    const banMs = Math.min(longestBanMs, shortestBanMs * 2 ** record.bans++)
    record.bannedUntilMs = nowMs + banMs
    record.faultsAtMs = []
    const minutes = Math.round(banMs / minuteMs)
    const message = `A peer broke the protocol too often, and is kept out for ${minutes} min`
    return new SkeinError('PEER_BANNED', message)
  }

  #recordOf(device: DeviceId): Record {
    const known = this.#byDevice.get(device)
    // Put behind the others: the one that behaved longest goes first.
    this.#byDevice.delete(device)
    const record = known ?? { faultsAtMs: [], bannedUntilMs: 0, bans: 0 }
    this.#byDevice.set(device, record)
    if (this.#byDevice.size > maxDevices) this.#byDevice.delete(this.#byDevice.keys().next().value!)
    return record
  }
}

/** What one connection may carry besides blocks of logs: bursts, and a rate at which they may come again. */
const limits = {
  messages: { burst: 20_000, perSecond: 1_000 },
  bytes: { burst: 64 * 1024 * 1024, perSecond: 4 * 1024 * 1024 }
} as const

/** Two buckets that fill again with time. */
export class Meter {
  readonly #clock: Clock
  #atMs: number
  #messages: number = limits.messages.burst
  #bytes: number = limits.bytes.burst

  constructor(clock: Clock) {
    this.#clock = clock
    this.#atMs = clock.now()
  }

  /** False when there is no room for that message. */
  take(bytes: number): boolean {
    const nowMs = this.#clock.now()
    const seconds = Math.max(0, nowMs - this.#atMs) / 1_000
    this.#atMs = nowMs
    const { messages, bytes: ofBytes } = limits
    this.#messages = Math.min(messages.burst, this.#messages + seconds * messages.perSecond) - 1
    this.#bytes = Math.min(ofBytes.burst, this.#bytes + seconds * ofBytes.perSecond) - bytes
    return this.#messages >= 0 && this.#bytes >= 0
  }
}
