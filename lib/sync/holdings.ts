/**
 * Who holds what, durably: each device tells the others, for every log, the length it holds on a disk that has been
 * synced, with the tree hash there. An edit is replicated to a device once that device holds its whole causal cut.
 */
import { SkeinError, storageError, throwIfAborted } from '../errors.ts'
import type { Clock } from '../platform.ts'
import type { LogId } from '../log/entry.ts'
import type { Log } from '../log/log.ts'
import type { DeviceId } from '../trust/members.ts'

const gatherMs = 10
/** Between announcements while things keep coming: each costs a sync, which holds up what is being written. */
const paceMs = 100
const retryMs = 1_000

/** A log's length as held by a device; treeHash: 8 bytes in hex. */
export interface Holding {
  readonly log: LogId
  readonly length: number
  readonly treeHash: string
}

/** How many other devices hold something: `peers` in all, and `mirrors` among them. */
export interface Copies {
  readonly peers: number
  readonly mirrors: number
}

export interface HoldingsOptions {
  readonly clock: Clock
  readonly logs: () => readonly Log[]
  readonly log: (id: LogId) => Log | null
  /** Who has left may still hold everything, and does not count. */
  readonly isMember: (device: DeviceId) => boolean
  readonly isMirror: (device: DeviceId) => boolean
  /** It says that it holds what it does not give: then what it says counts for nothing. */
  readonly isWithholding: (device: DeviceId) => boolean
  readonly isOwn: (log: Log) => boolean
  readonly sync: () => Promise<void>
  /** Tells every connected member. */
  readonly announce: (holdings: readonly Holding[]) => void
  readonly onChange: () => void
  /** A device holds another version of a log than is here. */
  readonly onForkEvidence: (log: Log) => void
  /** Making durable what came failed (it is tried again), or has worked. */
  readonly onStore: (error: SkeinError | null) => void
}

interface Held {
  readonly length: number
  readonly treeHash: string
  isVerified: boolean
}

export class Holdings {
  readonly #options: HoldingsOptions
  readonly #heldByDevice = new Map<DeviceId, Map<LogId, Held>>()
  readonly #announced = new Map<LogId, number>()
  readonly #waiters = new Set<() => void>()
  #cancel: (() => void) | null = null
  #isGathering = false
  #announcedAtMs = Number.NEGATIVE_INFINITY
  #stopped = false

  constructor(options: HoldingsOptions) {
    this.#options = options
  }

  /** Something came: syncs it and tells the others, soon. */
  changed(): void {
    const sinceMs = this.#options.clock.now() - this.#announcedAtMs
    // A clock that was set back must not hold an announcement for longer than that.
    const waitMs = sinceMs >= 0 && sinceMs < paceMs ? paceMs - sinceMs : 0
    this.#announceAfter(Math.max(gatherMs, waitMs))
  }

  /** Everything held here, durably: what a newly connected device is told. */
  async mine(): Promise<Holding[]> {
    const lengths = this.#lengths()
    await this.#options.sync()
    return this.#withHashes(lengths)
  }

  /** What a device says it holds: all of it (`isWhole`), whatever it said before, or what has come since. */
  async receive(device: DeviceId, holdings: readonly Holding[], isWhole: boolean): Promise<void> {
    let held = this.#heldByDevice.get(device)
    if (held === undefined || isWhole) this.#heldByDevice.set(device, (held = new Map()))
    for (const { log, length, treeHash } of holdings) {
      const before = held.get(log)
      if (before !== undefined && before.length >= length) continue
      const now: Held = { length, treeHash, isVerified: false }
      held.set(log, now)
      await this.#verify(log, now)
    }
    this.#tell()
  }

  /** Checks claims about a log that went beyond what was here. */
  async recheck(log: Log): Promise<void> {
    let changed = false
    for (const held of this.#heldByDevice.values()) {
      const claim = held.get(log.id)
      if (claim === undefined || claim.isVerified || claim.length > log.contiguousLength) continue
      await this.#verify(log.id, claim)
      changed = true
    }
    if (changed) this.#tell()
  }

  /** The devices that hold all of a cut. */
  devicesHolding(cut: ReadonlyMap<LogId, number>): DeviceId[] {
    const devices: DeviceId[] = []
    for (const [device, held] of this.#heldByDevice) {
      const holds = [...cut].every(([log, length]) => {
        const claim = held.get(log)
        return claim !== undefined && claim.isVerified && claim.length >= length
      })
      const { isMember, isWithholding } = this.#options
      if (holds && isMember(device) && !isWithholding(device)) devices.push(device)
    }
    return devices
  }

  /** Resolves when as many devices hold a cut. Fails with `ABORTED` or, when the space closes first, `CLOSED`. */
  whenHeldBy(
    cut: ReadonlyMap<LogId, number>,
    copies: Copies,
    signal: AbortSignal | undefined
  ): Promise<void> {
    throwIfAborted(signal)
    return new Promise((resolve, reject) => {
      const done = (): void => {
        this.#waiters.delete(check)
        signal?.removeEventListener('abort', abort)
      }
      const check = (): void => {
        if (this.#stopped) {
          done()
          reject(
            new SkeinError('CLOSED', 'The space was closed before enough devices held the edits')
          )
        } else if (this.#isHeldBy(cut, copies)) {
          done()
          resolve()
        }
      }
      const abort = (): void => {
        done()
        reject(new SkeinError('ABORTED', 'The call was aborted', { cause: signal?.reason }))
      }
      signal?.addEventListener('abort', abort, { once: true })
      this.#waiters.add(check)
      check()
    })
  }

  #isHeldBy(cut: ReadonlyMap<LogId, number>, { peers, mirrors }: Copies): boolean {
    const devices = this.devicesHolding(cut)
    return devices.length >= peers && devices.filter(this.#options.isMirror).length >= mirrors
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
    for (const check of [...this.#waiters]) check()
  }

  #announceAfter(delayMs: number): void {
    if (this.#cancel !== null || this.#stopped) return
    this.#cancel = this.#options.clock.after(delayMs, () => {
      this.#cancel = null
      void this.#announce()
    })
  }

  async #announce(): Promise<void> {
    if (this.#isGathering) {
      this.#announceAfter(gatherMs)
      return
    }
    this.#isGathering = true
    try {
      const lengths = this.#lengths().filter(
        ([log, length]) => this.#announced.get(log.id) !== length
      )
      if (lengths.length > 0) {
        this.#announcedAtMs = this.#options.clock.now()
        // What this device wrote itself is durable in its outbox.
        if (lengths.some(([log]) => !this.#options.isOwn(log))) await this.#options.sync()
        const holdings = await this.#withHashes(lengths)
        this.#options.onStore(null)
        for (const { log, length } of holdings) this.#announced.set(log, length)
        if (!this.#stopped) this.#options.announce(holdings)
      }
    } catch (cause) {
      if (!this.#stopped) {
        this.#options.onStore(
          storageError('What came from others could not be made durable', cause)
        )
        this.#announceAfter(retryMs)
      }
    } finally {
      this.#isGathering = false
    }
  }

  #lengths(): [Log, number][] {
    return this.#options.logs().map((log) => [log, log.contiguousLength])
  }

  async #withHashes(lengths: readonly [Log, number][]): Promise<Holding[]> {
    const holdings: Holding[] = []
    for (const [log, length] of lengths) {
      const treeHash = length === 0 ? null : await log.treeHashAt(length)
      if (treeHash !== null) holdings.push({ log: log.id, length, treeHash })
    }
    return holdings
  }

  async #verify(id: LogId, claim: Held): Promise<void> {
    const log = this.#options.log(id)
    // Where it cannot be told now, `recheck` will.
    const treeHash = (await log?.treeHashAt(claim.length).catch(() => null)) ?? null
    if (log === null || treeHash === null) return
    if (treeHash === claim.treeHash) claim.isVerified = true
    else this.#options.onForkEvidence(log)
  }

  /** Who is believed has changed. */
  trustChanged(): void {
    this.#tell()
  }

  #tell(): void {
    for (const check of [...this.#waiters]) check()
    this.#options.onChange()
  }
}
