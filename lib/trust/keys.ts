/**
 * The keys of one space: what is derived from the space key, the epoch keys this device holds, and how both are handed
 * to a device. Every label used is listed in `README.md`.
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, equalBytes, readBytes, toHex } from '../bytes.ts'
import {
  decrypt,
  encrypt,
  hash,
  keyBytes,
  keyedHash,
  nonceBytes,
  openSealed,
  sealTo,
  type BoxKeys
} from '../crypto.ts'
import { SkeinError } from '../errors.ts'
import { keyIdOf } from '../log/entry.ts'
import type { Rendezvous } from '../transport.ts'
import type { GrantedRole } from './control.ts'

const maxEpochs = 10_000

/** What a newcomer is handed. */
export interface HandedKeys {
  readonly spaceKey: Uint8Array
  readonly epochKeys: readonly Uint8Array[]
}

export class KeyRing {
  readonly space: Uint8Array
  readonly spaceKey: Uint8Array
  readonly #epochKeysById = new Map<string, Uint8Array>()

  constructor(space: Uint8Array, spaceKey: Uint8Array) {
    this.space = space
    this.spaceKey = spaceKey
  }

  /** Takes a key in; false if it was known. */
  addEpochKey(key: Uint8Array): boolean {
    const id = toHex(keyIdOf(key))
    if (this.#epochKeysById.has(id)) return false
    this.#epochKeysById.set(id, key)
    return true
  }

  /** All that are here. */
  get epochKeys(): Uint8Array[] {
    return [...this.#epochKeysById.values()]
  }

  epochKey(id: Uint8Array): Uint8Array | null {
    return this.#epochKeysById.get(toHex(id)) ?? null
  }

  /** What an invite carries so that its holder can look for the space: not the topic itself, not the space key. */
  get topicSecret(): Uint8Array {
    return topicSecretOf(this.spaceKey)
  }

  /** The keys of a role, sealed to one device: all of them, or for a mirror, which reads no content, the space key. */
  sealFor(role: GrantedRole, signKey: Uint8Array, boxKey: Uint8Array): Uint8Array {
    const epochKeys = role === 'mirror' ? [] : [...this.#epochKeysById.values()]
    const encoder = encoding.createEncoder()
    writeHeader(encoder, 'skein/grant-keys', this.space, signKey)
    encoding.writeUint8Array(encoder, this.spaceKey)
    encoding.writeVarUint(encoder, epochKeys.length)
    for (const key of epochKeys) encoding.writeUint8Array(encoder, key)
    return sealTo(boxKey, encoding.toUint8Array(encoder))
  }

  /** One epoch key, sealed to one device. */
  sealEpochKeyTo(key: Uint8Array, signKey: Uint8Array, boxKey: Uint8Array): Uint8Array {
    const encoder = encoding.createEncoder()
    writeHeader(encoder, 'skein/epoch-key', this.space, signKey)
    encoding.writeUint8Array(encoder, key)
    return sealTo(boxKey, encoding.toUint8Array(encoder))
  }

  /** All keys held here, encrypted under another: who is handed that one has the past. */
  sealEarlierKeys(key: Uint8Array, randomBytes: (length: number) => Uint8Array): Uint8Array {
    const encoder = encoding.createEncoder()
    const earlier = [...this.#epochKeysById.values()].filter((held) => !equalBytes(held, key))
    for (const held of earlier) encoding.writeUint8Array(encoder, held)
    const nonce = randomBytes(nonceBytes)
    const sealed = encrypt(key, nonce, earlierData(this.space, key), encoding.toUint8Array(encoder))
    const out = encoding.createEncoder()
    encoding.writeUint8Array(out, nonce)
    encoding.writeUint8Array(out, sealed)
    return encoding.toUint8Array(out)
  }

  /** Fails with `BAD_SEAL`, `BAD_ENCODING`. */
  openEarlierKeys(key: Uint8Array, sealed: Uint8Array): Uint8Array[] {
    if (sealed.length === 0) return []
    if (sealed.length < nonceBytes) throw new SkeinError('BAD_SEAL', 'Earlier keys are too short')
    const nonce = sealed.subarray(0, nonceBytes)
    const plain = decrypt(key, nonce, earlierData(this.space, key), sealed.subarray(nonceBytes))
    return decodeAll(plain, 'list of earlier keys', (decoder) => {
      const keys: Uint8Array[] = []
      while (decoding.hasContent(decoder)) keys.push(readBytes(decoder, keyBytes))
      return keys
    })
  }

  /** Null when the box is not for this device; fails with `BAD_ENCODING` when it is and holds something else. */
  openEpochKey(sealed: Uint8Array, signKey: Uint8Array, box: BoxKeys): Uint8Array | null {
    const plain = openSealed(box, sealed)
    if (plain === null) return null
    return decodeAll(plain, 'sealed epoch key', (decoder) => {
      readHeader(decoder, 'skein/epoch-key', this.space, signKey)
      return readBytes(decoder, keyBytes)
    })
  }
}

/** Null when the box is not for this device; fails with `BAD_ENCODING` when it is and holds something else. */
export function openHandedKeys(
  sealed: Uint8Array,
  space: Uint8Array,
  signKey: Uint8Array,
  box: BoxKeys
): HandedKeys | null {
  const plain = openSealed(box, sealed)
  if (plain === null) return null
  return decodeAll(plain, 'sealed grant', (decoder) => {
    readHeader(decoder, 'skein/grant-keys', space, signKey)
    const spaceKey = readBytes(decoder, keyBytes)
    const count = decoding.readVarUint(decoder)
    if (count > maxEpochs) throw new RangeError(`${count} epochs`)
    return {
      spaceKey,
      epochKeys: Array.from({ length: count }, () => readBytes(decoder, keyBytes))
    }
  })
}

export function topicSecretOf(spaceKey: Uint8Array): Uint8Array {
  return keyedHash(spaceKey, 'skein/topic-secret')
}

/** The 32 bytes that transports announce: they say nothing about the space. */
export function topicOf(topicSecret: Uint8Array): Uint8Array {
  return keyedHash(topicSecret, 'skein/topic')
}

/** What those who look for the space, and nobody who only sees its topic, meet by through a helper. */
export function rendezvousOf(topicSecret: Uint8Array): Rendezvous {
  return {
    name: keyedHash(topicSecret, 'skein/rendezvous'),
    key: keyedHash(topicSecret, 'skein/rendezvous-key')
  }
}

/** Names the space's channel on one connection: outsiders cannot even ask whether the space is here. */
export function spaceChannelId(spaceKey: Uint8Array, handshakeHash: Uint8Array): Uint8Array {
  return keyedHash(spaceKey, 'skein/channel', handshakeHash)
}

/** Shows who knows a key, and nobody else, that the sender does: 16 bytes, other ones with each salt. */
export function greetingTag(
  key: Uint8Array,
  handshakeHash: Uint8Array,
  sender: Uint8Array,
  salt: Uint8Array
): Uint8Array {
  return keyedHash(key, 'skein/greeting', handshakeHash, sender, salt).subarray(0, 16)
}

/** Names a document within its space: 8 bytes, in hex. */
export function documentIdOf(space: Uint8Array, name: string): string {
  return toHex(hash('skein/document', space, new TextEncoder().encode(name)).subarray(0, 8))
}

/**
 * The Yjs client id of a device's session: 52 bits of a hash, so that every peer can tell whose it is. Ids of imported
 * content lie above 2^52.
 */
export function clientIdOf(
  space: Uint8Array,
  signKey: Uint8Array,
  salt: Uint8Array,
  counter: number
): number {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, counter)
  return bits52(hash('skein/client', space, signKey, salt, encoding.toUint8Array(encoder)))
}

/** The Yjs client id of content that was made elsewhere: of its bytes alone, and in a range apart from members' ids. */
export function importIdOf(update: Uint8Array): number {
  return 2 ** 52 + bits52(hash('skein/import', update))
}

function bits52(digest: Uint8Array): number {
  let id = digest[6]! & 15
  for (let i = 5; i >= 0; i--) id += digest[i]! * 2 ** (4 + 8 * (5 - i))
  return id
}

/** XChaCha20-Poly1305 does not commit to its key: the name of the key does. */
function earlierData(space: Uint8Array, key: Uint8Array): Uint8Array {
  return hash('skein/earlier-keys', space, keyIdOf(key))
}

function writeHeader(
  encoder: encoding.Encoder,
  label: string,
  space: Uint8Array,
  signKey: Uint8Array
): void {
  encoding.writeVarString(encoder, label)
  encoding.writeUint8Array(encoder, space)
  encoding.writeUint8Array(encoder, signKey)
}

/** A box says what it is and for whom, since a sealed box has no additional data to say it in. */
function readHeader(
  decoder: decoding.Decoder,
  label: string,
  space: Uint8Array,
  signKey: Uint8Array
): void {
  const ok =
    decoding.readVarString(decoder) === label &&
    equalBytes(readBytes(decoder, 32), space) &&
    equalBytes(readBytes(decoder, 32), signKey)
  if (!ok) throw new SkeinError('BAD_SEAL', `A box is not what it should be: ${label}`)
}
