/**
 * What each other member of a space holds, as far as it has said: for people who ask where their work is. Kept from run
 * to run, so that it can be told while nobody is connected; nothing rests on it. In Yjs's notation:
 *
 *     key       := 'h' • space(32) • device(32)
 *     value     := varUint(when it last said so, ms) • varUint8Array(holds) • confirmed
 *     holds, confirmed := (log(8) • varUint(length))*      // durably, now; and the most it ever said
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, fromHex, toHex } from '../bytes.ts'
import { SkeinError } from '../errors.ts'
import type { KeyValueStore } from '../log/database.ts'
import type { LogId } from '../log/entry.ts'
import type { Clock } from '../platform.ts'
import type { DeviceId } from '../trust/members.ts'
import { encodeCut, readCut } from '../views/view-records.ts'

const table = 0x68
const writeMs = 2_000

/** Another member's copy of a space. Counts are of entries; one above some 60 kB counts as several. */
export interface Replica {
  /** The device's signing key in hex. */
  readonly device: DeviceId
  readonly isConnected: boolean
  /** The transport that connects it, null while none does. */
  readonly transport: string | null
  /** When it last said what it holds, by this device's clock. Null: never, and the counts rest on nothing. */
  readonly asOfMs: number | null
  /** Of the entries that are here, how many it does not hold durably. */
  readonly lacks: number
  /** Of these, the ones that this device wrote. */
  readonly lacksOfMine: number
  /** Entries that it holds and that are not here. */
  readonly isAhead: number
  /** Entries that it had confirmed and has no longer: it was put back to an older state. 0 once it has them again. */
  readonly lost: number
  /** Of those it is ahead by, how many it says it has and does not give. */
  readonly withholds: number
}

export interface ReplicasOptions {
  readonly clock: Clock
  readonly space: Uint8Array
  readonly database: () => KeyValueStore
  readonly isForked: (log: LogId) => boolean
}

interface Known {
  asOfMs: number
  lengths: Map<LogId, number>
  /** The most that it ever said. */
  readonly confirmed: Map<LogId, number>
}

export class Replicas {
  readonly #options: ReplicasOptions
  readonly #knownByDevice = new Map<DeviceId, Known>()
  readonly #unwritten = new Set<DeviceId>()
  #cancel: (() => void) | null = null
  #isStopped = false

  constructor(options: ReplicasOptions) {
    this.#options = options
  }

  async ready(): Promise<void> {
    for await (const { key, value } of this.#options.database().iterator(this.#range())) {
      try {
        const known = decodeAll(new Uint8Array(value), 'replica', (decoder) => ({
          asOfMs: decoding.readVarUint(decoder),
          lengths: decodeAll(decoding.readVarUint8Array(decoder), 'cut', readCut),
          confirmed: readCut(decoder)
        }))
        this.#knownByDevice.set(toHex(key.subarray(33)), known)
      } catch (error) {
        // It will say again what it holds.
        if (!(error instanceof SkeinError)) throw error
      }
    }
  }

  /**
   * A device says what it holds: all of it, or what has come since. Returns how many entries that it had confirmed it no
   * longer has.
   */
  heard(
    device: DeviceId,
    holdings: Iterable<{ readonly log: LogId; readonly length: number }>,
    isWhole = false
  ): number {
    let known = this.#knownByDevice.get(device)
    if (known === undefined) {
      known = { asOfMs: 0, lengths: new Map(), confirmed: new Map() }
      this.#knownByDevice.set(device, known)
    }
    known.asOfMs = this.#options.clock.now()
    if (isWhole) known.lengths = new Map()
    for (const lengths of [known.lengths, known.confirmed]) {
      for (const { log, length } of holdings) {
        lengths.set(log, Math.max(lengths.get(log) ?? 0, length))
      }
    }
    this.#unwritten.add(device)
    this.#writeSoon()
    return isWhole ? this.#lostOf(known) : 0
  }

  #writeSoon(): void {
    if (this.#cancel !== null || this.#isStopped) return
    this.#cancel = this.#options.clock.after(writeMs, () => {
      this.#cancel = null
      // Whoever writes what matters tells of a failing disk; this is tried again when something is heard.
      void this.flush().catch(() => {})
    })
  }

  /** When a device last said what it holds, and how far it holds each log. */
  of(device: DeviceId): {
    readonly asOfMs: number | null
    readonly lengths: ReadonlyMap<LogId, number>
    /** Entries that it had confirmed and has no longer. */
    readonly lost: number
  } {
    const known = this.#knownByDevice.get(device)
    if (known === undefined) return { asOfMs: null, lengths: new Map(), lost: 0 }
    return { asOfMs: known.asOfMs, lengths: known.lengths, lost: this.#lostOf(known) }
  }

  async flush(): Promise<void> {
    const devices = [...this.#unwritten]
    if (devices.length === 0) return
    this.#unwritten.clear()
    const batch = this.#options.database().write({ autoDestroy: true })
    for (const device of devices) {
      const { asOfMs, lengths, confirmed } = this.#knownByDevice.get(device)!
      const encoder = encoding.createEncoder()
      encoding.writeVarUint(encoder, Math.max(0, Math.floor(asOfMs)))
      encoding.writeVarUint8Array(encoder, encodeCut(lengths))
      encoding.writeUint8Array(encoder, encodeCut(confirmed))
      batch.tryPut(this.#key(fromHex(device)), encoding.toUint8Array(encoder))
    }
    try {
      await batch.flush()
    } catch (error) {
      for (const device of devices) this.#unwritten.add(device)
      throw error
    }
  }

  /** Forgets everything about the space. */
  async clear(): Promise<void> {
    this.#knownByDevice.clear()
    this.#unwritten.clear()
    const { gte, lt } = this.#range()
    const batch = this.#options.database().write({ autoDestroy: true })
    batch.tryDeleteRange(gte, lt)
    await batch.flush()
  }

  /** Writes no more by itself. */
  stop(): void {
    this.#isStopped = true
    this.#cancel?.()
  }

  /** Of a log that forked another version may have taken the place of the one that was confirmed. */
  #lostOf({ lengths, confirmed }: Known): number {
    let lost = 0
    for (const [log, length] of confirmed)
      if (!this.#options.isForked(log)) lost += Math.max(0, length - (lengths.get(log) ?? 0))
    return lost
  }

  #key(device: Uint8Array): Uint8Array {
    const key = new Uint8Array(33 + device.length)
    key[0] = table
    key.set(this.#options.space, 1)
    key.set(device, 33)
    return key
  }

  #range(): { gte: Uint8Array; lt: Uint8Array } {
    return { gte: this.#key(new Uint8Array()), lt: this.#key(new Uint8Array(33).fill(255)) }
  }
}
