/**
 * The primitives Skein stands on, all libsodium's (https://doc.libsodium.org): BLAKE2b, Ed25519, X25519 sealed boxes,
 * XChaCha20-Poly1305. Which key signs or seals what under which label is listed in `trust/README.md`.
 */
import sodium from 'sodium-universal'
import * as encoding from 'lib0/encoding'
import { SkeinError } from './errors.ts'
import type { DeviceKeys } from './transport.ts'

const hashBytes = 32
export const keyBytes = 32
export const nonceBytes = 24
export const saltBytes = 16
export const signatureBytes = 64
export const tagBytes = 16
const sealedBoxBytes = 48

export interface BoxKeys {
  readonly publicKey: Uint8Array
  readonly secretKey: Uint8Array
}

/** BLAKE2b-256 over the label and the parts, each preceded by its length, so that no two lists of parts collide. */
export function hash(label: string, ...parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(hashBytes)
  sodium.crypto_generichash(out, framed(label, parts))
  return out
}

/** Keyed BLAKE2b-256: a MAC, and the way keys are derived from keys. */
export function keyedHash(key: Uint8Array, label: string, ...parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(hashBytes)
  sodium.crypto_generichash(out, framed(label, parts), key)
  return out
}

export function signKeysFrom(seed: Uint8Array): DeviceKeys {
  const publicKey = new Uint8Array(32)
  const secretKey = new Uint8Array(64)
  sodium.crypto_sign_seed_keypair(publicKey, secretKey, seed)
  return { publicKey, secretKey }
}

export function boxKeysFrom(seed: Uint8Array): BoxKeys {
  const publicKey = new Uint8Array(32)
  const secretKey = new Uint8Array(32)
  sodium.crypto_box_seed_keypair(publicKey, secretKey, seed)
  return { publicKey, secretKey }
}

export function sign(keys: DeviceKeys, label: string, ...parts: Uint8Array[]): Uint8Array {
  const signature = new Uint8Array(signatureBytes)
  sodium.crypto_sign_detached(signature, framed(label, parts), keys.secretKey)
  return signature
}

export function verify(
  signature: Uint8Array,
  publicKey: Uint8Array,
  label: string,
  ...parts: Uint8Array[]
): boolean {
  if (signature.length !== signatureBytes || publicKey.length !== 32) return false
  return sodium.crypto_sign_verify_detached(signature, framed(label, parts), publicKey)
}

/** Encrypts to a box key; only its holder can open it, and the sender is not named. */
export function sealTo(boxPublicKey: Uint8Array, message: Uint8Array): Uint8Array {
  const out = new Uint8Array(message.length + sealedBoxBytes)
  sodium.crypto_box_seal(out, message, boxPublicKey)
  return out
}

/** Null when the box was sealed to another key or has been altered. */
export function openSealed(keys: BoxKeys, sealed: Uint8Array): Uint8Array | null {
  if (sealed.length < sealedBoxBytes) return null
  const out = new Uint8Array(sealed.length - sealedBoxBytes)
  return sodium.crypto_box_seal_open(out, sealed, keys.publicKey, keys.secretKey) ? out : null
}

/** Authenticated encryption; the result is 16 bytes longer than the message. */
export function encrypt(
  key: Uint8Array,
  nonce: Uint8Array,
  additionalData: Uint8Array,
  message: Uint8Array
): Uint8Array {
  const out = new Uint8Array(message.length + tagBytes)
  encryptInto(out, key, nonce, additionalData, message)
  return out
}

/** As `encrypt`, into `out`, which is as long as that says. */
export function encryptInto(
  out: Uint8Array,
  key: Uint8Array,
  nonce: Uint8Array,
  additionalData: Uint8Array,
  message: Uint8Array
): void {
  sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(out, message, additionalData, null, nonce, key)
}

/** Fails with `BAD_SEAL`. */
export function decrypt(
  key: Uint8Array,
  nonce: Uint8Array,
  additionalData: Uint8Array,
  sealed: Uint8Array
): Uint8Array {
  if (sealed.length < tagBytes) throw new SkeinError('BAD_SEAL', 'Sealed bytes are too short')
  const out = new Uint8Array(sealed.length - tagBytes)
  try {
    sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(out, null, sealed, additionalData, nonce, key)
  } catch (cause) {
    throw new SkeinError('BAD_SEAL', 'Sealed bytes do not open here', { cause })
  }
  return out
}

/** A key out of a passphrase, by Argon2id (RFC 9106). Takes a while, and as much memory as it says, on purpose. */
export function passphraseKey(
  passphrase: string,
  salt: Uint8Array,
  passes: number,
  memoryKib: number
): Uint8Array {
  const key = new Uint8Array(keyBytes)
  const { crypto_pwhash_ALG_ARGON2ID13: algorithm } = sodium
  const password = new TextEncoder().encode(passphrase)
  sodium.crypto_pwhash(key, password, salt, passes, memoryKib * 1024, algorithm)
  return key
}

function framed(label: string, parts: Uint8Array[]): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeVarString(encoder, label)
  for (const part of parts) encoding.writeVarUint8Array(encoder, part)
  return encoding.toUint8Array(encoder)
}
