/** What a device is opened with, and what it tells of. */
import type { SkeinError } from './errors.ts'
import type { Platform } from './platform.ts'
import type { Transport } from './transport.ts'
import type { DeviceId } from './trust/members.ts'

export interface SkeinOptions {
  /** A folder; in a page, the name of a database. Made if it is not there. */
  readonly storage: string
  /** What finds other devices. Default: none, and everything stays on this device. */
  readonly transports?: readonly Transport[]
  /** What other members see this device called. Kept from its first use. Default: 'device'. */
  readonly name?: string
  /** Whose it is: devices of one person carry the same. Default: the name. */
  readonly person?: string
  /**
   * Seals this device's keys on disk (Argon2id), from its first use or from now on; needed each time it is opened again.
   * What is in the logs is sealed under keys that are in that file. Without one, file permissions alone protect it.
   */
  readonly passphrase?: string
  /** Clock, chance and storage; default: those of Node or the page. */
  readonly platform?: Platform
}

export interface CreateSpaceOptions {
  readonly name: string
  /**
   * Devices that own it too, below this one, in that order: what each has as `Skein.introduction`. Each comes in by an
   * invite, whichever. Default: none.
   */
  readonly owners?: readonly string[]
  /** Makes a cold owner above this device. Default: false. */
  readonly recovery?: boolean
}

export interface SkeinEvents {
  /** A device was connected, whatever spaces it has in common with this one. */
  connection: { device: DeviceId; transport: string }
  disconnection: { device: DeviceId; transport: string }
  /** A space could not be opened (`STORAGE_DAMAGED`, `LOG_FORKED`, `BAD_ENCODING`); the others are open. Listen before `ready()`. */
  'space-failed': { space: string; error: SkeinError }
  /** See `Skein.copied`. Each time that a copy is met that runs. */
  copied: { where: 'here' | 'elsewhere' }
  /** A peer broke the protocol, or asked to be let in and could not be; its connection may have been ended. */
  'peer-error': { device: DeviceId; error: SkeinError }
}
