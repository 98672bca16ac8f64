/** The devices that are connected to this one, over whichever transport: one connection each, whatever spaces it serves. */
import type { Clock } from './platform.ts'
import { preferred, type PeerConnection } from './sync/connection.ts'
import type { DeviceId } from './trust/members.ts'

/** A connection on which nothing was found in common by then is let go of. */
const idleConnectionMs = 15_000

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
    const { device, stream } = connection
    if (!this.#options.isWelcome(device)) {
      connection.close()
      return
    }
    const before = this.#byDevice.get(device)
    if (before !== undefined && !before.isClosed) {
      if (preferred(before, connection) === before) {
        connection.close()
        return
      }
      before.close()
    }
    this.#byDevice.set(device, connection)
    stream.on('close', () => {
      if (this.#byDevice.get(device) === connection) this.#byDevice.delete(device)
      this.#options.onDisconnected(connection)
    })
    this.#options.onConnected(connection)
    const cancel = this.#options.clock.after(idleConnectionMs, () => {
      if (connection.openChannels === 0) connection.close()
    })
    stream.on('close', cancel)
  }

  closeAll(): void {
    for (const connection of this.#byDevice.values()) connection.close()
  }
}
