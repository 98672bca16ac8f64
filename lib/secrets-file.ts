/**
 * The secrets file, plain or sealed with a passphrase. In Yjs's notation, format 1 is plain (`secrets.ts`), format 2:
 *
 *     sealed    := varUint(version: 2) • salt(16) • varUint(passes) • varUint(memory in KiB) • nonce(24)
 *                  • XChaCha20-Poly1305(format 1)
 *     key       := Argon2id(passphrase in UTF-8, salt, passes, memory), 32 bytes
 *     AAD       := varString('skein/sealed-secrets') • all bytes before the nonce
 *
 * A plain file that is opened with a passphrase is sealed at once.
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, readBytes } from './bytes.ts'
import { decrypt, encrypt, nonceBytes, passphraseKey, saltBytes } from './crypto.ts'
import { SkeinError } from './errors.ts'
import type { Storage } from './platform.ts'

const sealedVersion = 2
/** The second recommendation of RFC 9106, on one lane. */
const cost = { passes: 3, memoryKib: 64 * 1024 } as const
/** A file that asks for more than this was not written by us, and would stop the device. */
const most = { passes: 16, memoryKib: 1024 * 1024 } as const

type File = Pick<Storage, 'readSecrets' | 'writeSecrets'>

export class SecretsFile implements File {
  readonly #storage: File
  readonly #passphrase: string | null
  readonly #randomBytes: (length: number) => Uint8Array
  /** The present key with what it was made from: making one takes a while on purpose. */
  #lock: { header: Uint8Array; key: Uint8Array } | null = null

  constructor(
    storage: File,
    passphrase: string | undefined,
    randomBytes: (length: number) => Uint8Array
  ) {
    this.#storage = storage
    this.#passphrase = passphrase ?? null
    this.#randomBytes = randomBytes
  }

  /** Format 1, or null. Fails with `PASSPHRASE_WRONG`, also where one is needed and was not given. */
  async readSecrets(): Promise<Uint8Array | null> {
    const bytes = await this.#storage.readSecrets()
    if (bytes === null) return null
    if (isSealed(bytes)) return this.#open(bytes)
    if (this.#passphrase !== null) await this.writeSecrets(bytes)
    return bytes
  }

  /** Takes format 1. */
  async writeSecrets(bytes: Uint8Array): Promise<void> {
    await this.#storage.writeSecrets(this.#passphrase === null ? bytes : this.#seal(bytes))
  }

  #open(bytes: Uint8Array): Uint8Array {
    if (this.#passphrase === null) {
      throw new SkeinError('PASSPHRASE_WRONG', 'This device’s keys are sealed with a passphrase')
    }
    const { plain, ...lock } = unseal(bytes, this.#passphrase)
    this.#lock = lock
    return plain
  }

  #seal(bytes: Uint8Array): Uint8Array {
    this.#lock ??= this.#newLock()
    const { header, key } = this.#lock
    const nonce = this.#randomBytes(nonceBytes)
    const encoder = encoding.createEncoder()
    encoding.writeUint8Array(encoder, header)
    encoding.writeUint8Array(encoder, nonce)
    encoding.writeUint8Array(encoder, encrypt(key, nonce, additionalData(header), bytes))
    return encoding.toUint8Array(encoder)
  }

  #newLock(): { header: Uint8Array; key: Uint8Array } {
    const salt = this.#randomBytes(saltBytes)
    const { passes, memoryKib } = cost
    const encoder = encoding.createEncoder()
    encoding.writeVarUint(encoder, sealedVersion)
    encoding.writeUint8Array(encoder, salt)
    encoding.writeVarUint(encoder, passes)
    encoding.writeVarUint(encoder, memoryKib)
    const header = encoding.toUint8Array(encoder)
    return { header, key: passphraseKey(this.#passphrase!, salt, passes, memoryKib) }
  }
}

/** Is a secrets file sealed with a passphrase? */
export function isSealed(bytes: Uint8Array): boolean {
  return bytes[0] === sealedVersion
}

/** Format 1 of one that is sealed. Fails with `PASSPHRASE_WRONG`, `BAD_ENCODING`. */
export function openSecrets(bytes: Uint8Array, passphrase: string): Uint8Array {
  return unseal(bytes, passphrase).plain
}

function unseal(
  bytes: Uint8Array,
  passphrase: string
): { plain: Uint8Array; header: Uint8Array; key: Uint8Array } {
  const { header, salt, passes, memoryKib, nonce, sealed } = readSealed(bytes)
  const key = passphraseKey(passphrase, salt, passes, memoryKib)
  try {
    return { plain: decrypt(key, nonce, additionalData(header), sealed), header, key }
  } catch (cause) {
    const message = 'The passphrase is not the one of this device’s keys, or their file is damaged'
    throw new SkeinError('PASSPHRASE_WRONG', message, { cause })
  }
}

interface Sealed {
  readonly header: Uint8Array
  readonly salt: Uint8Array
  readonly passes: number
  readonly memoryKib: number
  readonly nonce: Uint8Array
  readonly sealed: Uint8Array
}

/** Fails with `BAD_ENCODING`. */
function readSealed(bytes: Uint8Array): Sealed {
  return decodeAll(bytes, 'sealed secrets file', (decoder) => {
    decoding.readVarUint(decoder)
    const salt = readBytes(decoder, saltBytes)
    const passes = decoding.readVarUint(decoder)
    const memoryKib = decoding.readVarUint(decoder)
    const isSane = passes >= 1 && memoryKib >= 8
    if (!isSane || passes > most.passes || memoryKib > most.memoryKib)
      throw new RangeError(`Argon2id with ${passes} passes over ${memoryKib} KiB`)
    const header = bytes.slice(0, decoder.pos)
    const nonce = readBytes(decoder, nonceBytes)
    const sealed = readBytes(decoder, bytes.length - decoder.pos)
    return { header, salt, passes, memoryKib, nonce, sealed }
  })
}

function additionalData(header: Uint8Array): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeVarString(encoder, 'skein/sealed-secrets')
  encoding.writeUint8Array(encoder, header)
  return encoding.toUint8Array(encoder)
}
