/** Seals this device's presence in a space, and opens that of others. */
import type { ControlState } from '../trust/control-state.ts'
import type { Platform } from '../platform.ts'
import { nonceBytes } from '../crypto.ts'
import type { DeviceKeys } from '../transport.ts'
import {
  fits,
  openPresence,
  readPresence,
  sealPresence,
  type Presence,
  type SealedPresence
} from './presence-message.ts'

export interface PresenceSealerOptions {
  readonly platform: Platform
  readonly space: Uint8Array
  readonly device: DeviceKeys
  readonly control: ControlState
}

export class PresenceSealer {
  readonly #options: PresenceSealerOptions
  #number = 0

  constructor(options: PresenceSealerOptions) {
    this.#options = options
  }

  /** Null while there is no key to seal under. Fails with `ENTRY_TOO_LARGE`. */
  seal(presence: Presence): SealedPresence | null {
    const { platform, space, device, control } = this.#options
    const key = control.contentKey
    if (key === null) return null
    // By the clock, so that it goes on where a session is taken up again after a restart.
    this.#number = Math.max(this.#number + 1, platform.clock.now())
    const nonce = platform.randomBytes(nonceBytes)
    return sealPresence(presence, { space, device, key, number: this.#number, nonce })
  }

  /** For who asks: null where there is none, or its app was told that it cannot be sent. */
  sealAgain(presence: Presence | null): SealedPresence | null {
    return presence === null || !fits(presence) ? null : this.seal(presence)
  }

  /** Fails with `BAD_ENCODING`, `BAD_SEAL`. */
  read(bytes: Uint8Array): SealedPresence {
    return readPresence(bytes, this.#options.space)
  }

  /** Null where its key is not here. Fails with `BAD_ENCODING`, `BAD_SEAL`. */
  open(sealed: SealedPresence): Presence | null {
    const { space, control } = this.#options
    return openPresence(sealed, space, (keyId) => control.ring.epochKey(keyId))
  }
}
