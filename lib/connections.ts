/** The devices that are connected to this one, over whichever transport: one connection each, whatever spaces it serves. */
import type { Clock } from './platform.ts'
import { preferred, type PeerConnection } from './sync/connection.ts'
import type { DeviceId } from './trust/members.ts'

/** A connection on which nothing was found in common by then is let go of. */
const idleConnectionMs = 15_000
/**
 * Two ends that dial each other at one time choose between their two connections. A device that comes by the same
 * transport so long after is one that has lost the connection of before, or a copy of it: it is not kept out.
 */
const choosesMs = 5_000

export interface ConnectionsOptions {
  readonly clock: Clock
  /** False for this device itself, and while nobody can be served. */
  readonly isWelcome: (device: DeviceId) => boolean
  readonly onConnected: (connection: PeerConnection) => void
  readonly onDisconnected: (connection: PeerConnection) => void
}

export class Connections {
  readonly #options: ConnectionsOptions
  readonly #byDevice = new Map<DeviceId, PeerConnection>()
  readonly #sinceMs = new WeakMap<PeerConnection, number>()

  constructor(options: ConnectionsOptions) {
    this.#options = options
  }

  get devices(): DeviceId[] {
    return [...this.#byDevice.keys()]
  }

  [Symbol.iterator](): IterableIterator<PeerConnection> {
    return this.#byDevice.values()
  }

  /** One connection a device: of two, both ends keep the same. */
  add(connection: PeerConnection): void {
    const { device } = connection
    if (!this.#options.isWelcome(device)) {
      connection.close()
      return
    }
    const before = this.#byDevice.get(device)
    if (before !== undefined && !before.isClosed) {
      if (this.#isKept(before, connection)) {
        connection.close()
        return
      }
      before.close()
    }
    this.#byDevice.set(device, connection)
    this.#sinceMs.set(connection, this.#options.clock.now())
    connection.onClose(() => {
      if (this.#byDevice.get(device) === connection) this.#byDevice.delete(device)
      this.#options.onDisconnected(connection)
    })
    this.#options.onConnected(connection)
    const cancel = this.#options.clock.after(idleConnectionMs, () => {
      if (connection.openChannels === 0) connection.close()
    })
    connection.onClose(cancel)
  }

  #isKept(before: PeerConnection, connection: PeerConnection): boolean {
    const ageMs = this.#options.clock.now() - this.#sinceMs.get(before)!
    if (before.transport === connection.transport && ageMs > choosesMs) return false
    return preferred(before, connection) === before
  }

  closeAll(): void {
    for (const connection of this.#byDevice.values()) connection.close()
  }
}
