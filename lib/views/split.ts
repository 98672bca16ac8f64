/**
 * Notices when a document looks different on two devices that have the same of its entries. Once nothing has come for a
 * while, each tells the others what it sees, as two hashes: which entries, and what can be seen of them.
 */
import type { Clock } from '../platform.ts'
import type { DeviceId } from '../trust/members.ts'

const quietMs = 1_000
/** Earlier looks that those of others are still compared with. */
const keptLooks = 8

/** What a device sees of a document. */
export interface Look {
  /** Which entries it has of it: 16 bytes in hex. */
  readonly cut: string
  /** What can be seen of them: 16 bytes in hex. */
  readonly visible: string
}

export interface SplitWatchOptions {
  readonly clock: Clock
  /** What is seen here now; null while something is on its way into the document or out of it. */
  readonly look: () => Promise<Look | null>
  readonly announce: (look: Look) => void
  /** A device sees something else than this one did. */
  readonly onDifferent: (device: DeviceId) => void
  readonly onFailed: (cause: unknown) => void
}

export class SplitWatch {
  readonly #options: SplitWatchOptions
  readonly #visibleByCut = new Map<string, string>()
  readonly #theirsByDevice = new Map<DeviceId, Look>()
  #announced: string | null = null
  #cancel: (() => void) | null = null
  #isLooking = false
  #isStopped = false

  constructor(options: SplitWatchOptions) {
    this.#options = options
  }

  /** The document changed. */
  changed(): void {
    if (this.#isStopped) return
    this.#cancel?.()
    this.#cancel = this.#options.clock.after(quietMs, () => {
      this.#cancel = null
      if (this.#isLooking) return this.changed()
      this.#isLooking = true
      this.#look()
        .catch(this.#options.onFailed)
        .finally(() => {
          this.#isLooking = false
        })
    })
  }

  /** Devices have come, which have heard nothing yet. */
  joined(): void {
    this.#announced = null
    this.changed()
  }

  received(device: DeviceId, theirs: Look): void {
    this.#theirsByDevice.set(device, theirs)
    this.#compare(device, theirs)
  }

  /** What was seen before does not hold any more: the document was made anew. */
  forget(): void {
    this.#visibleByCut.clear()
    this.#announced = null
    this.changed()
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel?.()
    this.#cancel = null
  }

  async #look(): Promise<void> {
    const mine = await this.#options.look()
    if (mine === null || this.#isStopped) return
    const { cut, visible } = mine
    this.#visibleByCut.delete(cut)
    this.#visibleByCut.set(cut, visible)
    for (const old of [...this.#visibleByCut.keys()].slice(0, -keptLooks))
      this.#visibleByCut.delete(old)
    if (this.#announced !== cut + visible) this.#options.announce(mine)
    this.#announced = cut + visible
    for (const [device, theirs] of [...this.#theirsByDevice]) this.#compare(device, theirs)
  }

  #compare(device: DeviceId, { cut, visible }: Look): void {
    const mine = this.#visibleByCut.get(cut)
    if (mine === undefined || mine === visible) return
    // Once: it tells anew when it sees something else.
    this.#theirsByDevice.delete(device)
    this.#options.onDifferent(device)
  }
}
