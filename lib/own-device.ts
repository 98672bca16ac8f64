/** Who this device is: its keys, its name, and the keys of its spaces, as they are kept on disk. */
import { boxKeysFrom, signKeysFrom, type BoxKeys } from './crypto.ts'
import { toHex } from './bytes.ts'
import { SkeinError } from './errors.ts'
import { encodeSecrets, type Formerly, type Secrets, type SpaceSecrets } from './secrets.ts'
import type { SecretsFile } from './secrets-file.ts'
import type { DeviceKeys } from './transport.ts'
import { coldOwnerName, maxOwners, type DeviceRecord } from './trust/control.ts'
import { encodeCopyRequest, proofOfRenewal } from './trust/copy.ts'
import { parseIntroduction } from './trust/introduction.ts'
import { mirrorSecretOf } from './trust/mirror-address.ts'

export class OwnDevice {
  readonly keys: DeviceKeys
  readonly box: BoxKeys
  readonly #file: SecretsFile
  readonly #randomBytes: (length: number) => Uint8Array
  #secrets: Secrets
  #writing: Promise<void> = Promise.resolve()

  constructor(secrets: Secrets, file: SecretsFile, randomBytes: (length: number) => Uint8Array) {
    this.#secrets = secrets
    this.#file = file
    this.#randomBytes = randomBytes
    this.keys = signKeysFrom(secrets.signSeed)
    this.box = boxKeysFrom(secrets.boxSeed)
  }

  /** What those who may use this device as a mirror find it by. */
  get mirrorSecret(): Uint8Array {
    return mirrorSecretOf(this.#secrets.signSeed)
  }

  get name(): string {
    return this.#secrets.name
  }

  get spaces(): readonly SpaceSecrets[] {
    return this.#secrets.spaces
  }

  /** The device whose storage this one's was a copy of, or null. */
  get formerly(): Formerly | null {
    return this.#secrets.formerly ?? null
  }

  /**
   * Puts new keys in the place of this device's, durably: from here on whoever opens the storage is another device. `copy`
   * names the copy that it is; `keysOf` gives the keys of content of a space.
   */
  async renew(
    name: string | undefined,
    copy: Uint8Array,
    keysOf: (space: SpaceSecrets) => readonly Uint8Array[]
  ): Promise<Secrets> {
    await this.#writing
    const signSeed = this.#randomBytes(32)
    const { publicKey } = signKeysFrom(signSeed)
    const secrets: Secrets = {
      signSeed,
      boxSeed: this.#randomBytes(32),
      name: name ?? this.#secrets.name,
      person: this.#secrets.person,
      spaces: this.#secrets.spaces.map((space) => ({ ...space, epochKeys: keysOf(space) })),
      formerly: { device: this.keys.publicKey, proof: proofOfRenewal(publicKey, this.keys), copy }
    }
    await this.#file.writeSecrets(encodeSecrets(secrets))
    return secrets
  }

  /** Changes the list of spaces on disk, one change at a time. */
  changeSpaces(change: (spaces: readonly SpaceSecrets[]) => SpaceSecrets[]): Promise<void> {
    const written = this.#writing.then(async () => {
      const secrets = { ...this.#secrets, spaces: change(this.#secrets.spaces) }
      await this.#file.writeSecrets(encodeSecrets(secrets))
      this.#secrets = secrets
    })
    this.#writing = written.catch(() => {}) // Whoever asked for the change is told.
    return written
  }

  /** Resolves when all changes are on disk, or have failed: whoever asked for them is told. */
  written(): Promise<void> {
    return this.#writing
  }

  /**
   * The owners of a space that this device makes: a cold one, if there is a seed, this device, and those that introduce
   * themselves so. Fails with `INVITE_INVALID`.
   */
  ownersOf(introductions: readonly string[], seed: Uint8Array | null): DeviceRecord[] {
    const owners = [this.record(), ...introductions.map(parseIntroduction)]
    if (new Set(owners.map(({ signKey }) => toHex(signKey))).size < owners.length)
      throw new SkeinError('INVITE_INVALID', 'A device is named as an owner twice')
    if (seed !== null) owners.unshift(this.#coldRecord(seed))
    else if (owners.length > 1 && this.name === coldOwnerName)
      throw new TypeError(`A device called ${coldOwnerName} owns a space alone`)
    if (owners.length > maxOwners) throw new TypeError(`There are at most ${maxOwners} owners`)
    return owners
  }

  /** The owner whose keys are made of that seed, and on no device. */
  #coldRecord(seed: Uint8Array): DeviceRecord {
    return {
      signKey: signKeysFrom(seed).publicKey,
      boxKey: boxKeysFrom(seed).publicKey,
      salt: this.#randomBytes(16),
      name: coldOwnerName,
      person: this.#secrets.person
    }
  }

  /** With what this device, which comes of a copy, asks to be let in; null for any other. */
  request(): Uint8Array | null {
    const { formerly } = this
    if (formerly === null) return null
    return encodeCopyRequest({ record: this.record(), former: formerly.device }, formerly.proof)
  }

  /** How this device introduces itself to a space: with a salt of its own for each. */
  record(): DeviceRecord {
    return {
      signKey: this.keys.publicKey,
      boxKey: this.box.publicKey,
      salt: this.#randomBytes(16),
      name: this.#secrets.name,
      person: this.#secrets.person
    }
  }
}
