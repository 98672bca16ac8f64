/**
 * Presence as it travels: sealed for those who may read, signed by the device whose it is, so that anyone may pass it on. In
 * Yjs's notation:
 *
 *     presence  := version(1 byte: 1) • device(32) • varUint(client counter) • varUint(number) • keyId(32) • nonce(24)
 *                  • varUint8Array(sealed) • signature(64)
 *     sealed    := XChaCha20-Poly1305(document(8) • awareness update) under the content key of that name
 *     AAD       := varString('skein/presence') • space(32) • all before `sealed`
 *     signature := Ed25519 by the device over the label 'skein/presence', space, and all before it
 *
 * `number` grows with each message of a session, which is a device and its client counter: who passes on or shows presence
 * takes none twice.
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, fromHex, readBytes, toHex } from '../bytes.ts'
import { decrypt, encrypt, nonceBytes, sign, signatureBytes, verify } from '../crypto.ts'
import { SkeinError } from '../errors.ts'
import { keyIdOf } from '../log/entry.ts'
import type { DeviceKeys } from '../transport.ts'
import type { DeviceId } from '../trust/members.ts'

const version = 1
const label = 'skein/presence'
const maxUpdateBytes = 4096
const maxPresenceBytes = maxUpdateBytes + 256

export interface Presence {
  /** 8 bytes in hex. */
  readonly document: string
  readonly clientCounter: number
  readonly update: Uint8Array
}

/** What can be told of a message without reading it. */
export interface SealedPresence {
  readonly device: DeviceId
  readonly clientCounter: number
  readonly number: number
  readonly bytes: Uint8Array
}

export interface Sealing {
  readonly space: Uint8Array
  readonly device: DeviceKeys
  /** The key to seal under now. */
  readonly key: Uint8Array
  readonly number: number
  readonly nonce: Uint8Array
}

export function fits({ update }: Presence): boolean {
  return update.length <= maxUpdateBytes
}

/** Fails with `ENTRY_TOO_LARGE`. */
export function sealPresence(presence: Presence, sealing: Sealing): SealedPresence {
  const { space, device, key, number, nonce } = sealing
  const { document, clientCounter, update } = presence
  if (!fits(presence)) {
    const message = `Presence has at most ${maxUpdateBytes} bytes; this has ${update.length}`
    throw new SkeinError('ENTRY_TOO_LARGE', message)
  }
  const encoder = encoding.createEncoder()
  encoding.writeUint8(encoder, version)
  encoding.writeUint8Array(encoder, device.publicKey)
  encoding.writeVarUint(encoder, clientCounter)
  encoding.writeVarUint(encoder, number)
  encoding.writeUint8Array(encoder, keyIdOf(key))
  encoding.writeUint8Array(encoder, nonce)
  const head = encoding.toUint8Array(encoder)
  const plain = new Uint8Array([...fromHex(document), ...update])
  encoding.writeVarUint8Array(encoder, encrypt(key, nonce, additionalData(space, head), plain))
  const signed = encoding.toUint8Array(encoder)
  encoding.writeUint8Array(encoder, sign(device, label, space, signed))
  const bytes = encoding.toUint8Array(encoder)
  return { device: toHex(device.publicKey), clientCounter, number, bytes }
}

interface Parts {
  readonly device: Uint8Array
  readonly clientCounter: number
  readonly number: number
  readonly keyId: Uint8Array
  readonly nonce: Uint8Array
  readonly sealed: Uint8Array
  readonly head: Uint8Array
  readonly signed: Uint8Array
  readonly signature: Uint8Array
}

function partsOf(bytes: Uint8Array): Parts {
  if (bytes.length > maxPresenceBytes) {
    throw new SkeinError('BAD_ENCODING', `A presence message of ${bytes.length} bytes`)
  }
  return decodeAll(bytes, 'presence message', (decoder) => {
    if (decoding.readUint8(decoder) !== version) throw new RangeError('Another version')
    const device = readBytes(decoder, 32)
    const clientCounter = decoding.readVarUint(decoder)
    const number = decoding.readVarUint(decoder)
    const keyId = readBytes(decoder, 32)
    const nonce = readBytes(decoder, nonceBytes)
    const head = bytes.subarray(0, decoder.pos)
    const sealed = decoding.readVarUint8Array(decoder)
    const signed = bytes.subarray(0, decoder.pos)
    const signature = readBytes(decoder, signatureBytes)
    return { device, clientCounter, number, keyId, nonce, sealed, head, signed, signature }
  })
}

/** Whose a message is, without opening it. Fails with `BAD_ENCODING`, and with `BAD_SEAL` where that device has not signed it. */
export function readPresence(bytes: Uint8Array, space: Uint8Array): SealedPresence {
  const { device, clientCounter, number, signed, signature } = partsOf(bytes)
  if (!verify(signature, device, label, space, signed)) {
    throw new SkeinError('BAD_SEAL', 'Presence that its device has not signed')
  }
  return { device: toHex(device), clientCounter, number, bytes }
}

/** Opens a message; null where its key is not here. Fails with `BAD_SEAL`, `BAD_ENCODING`. */
export function openPresence(
  { bytes }: SealedPresence,
  space: Uint8Array,
  keyOf: (keyId: Uint8Array) => Uint8Array | null
): Presence | null {
  const { clientCounter, keyId, nonce, sealed, head } = partsOf(bytes)
  const key = keyOf(keyId)
  if (key === null) return null
  const plain = decrypt(key, nonce, additionalData(space, head), sealed)
  return decodeAll(plain, 'presence', (decoder) => ({
    document: toHex(decoding.readUint8Array(decoder, 8)),
    clientCounter,
    update: decoding.readTailAsUint8Array(decoder)
  }))
}

function additionalData(space: Uint8Array, head: Uint8Array): Uint8Array {
  return encoding.encode((encoder) => {
    encoding.writeVarString(encoder, label)
    encoding.writeUint8Array(encoder, space)
    encoding.writeUint8Array(encoder, head)
  })
}
