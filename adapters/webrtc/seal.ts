/**
 * What peers tell each other through a signalling server, sealed: XChaCha20-Poly1305 with a random nonce under the
 * rendezvous key, bound to the room, in base64. The server, and whoever else is in the room, can neither read nor write it.
 */
import sodium from 'sodium-universal'
import { fromBase64, toBase64 } from 'lib0/buffer'
import type { Rendezvous } from '../../lib/index.ts'

const nonceBytes = 24
const tagBytes = 16
/** An SDP has about 700 bytes. */
export const maxSealedChars = 32 * 1024

export function seal({ name, key }: Rendezvous, data: unknown): string {
  const plain = new TextEncoder().encode(JSON.stringify(data))
  const out = new Uint8Array(nonceBytes + plain.length + tagBytes)
  const nonce = out.subarray(0, nonceBytes)
  sodium.randombytes_buf(nonce)
  const sealed = out.subarray(nonceBytes)
  sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, plain, name, null, nonce, key)
  return toBase64(out)
}

/** Undefined where it was not sealed for this room. */
export function unseal({ name, key }: Rendezvous, text: unknown): unknown {
  if (typeof text !== 'string' || text.length > maxSealedChars) return undefined
  try {
    const bytes = Uint8Array.from(fromBase64(text))
    if (bytes.length < nonceBytes + tagBytes) return undefined
    const [nonce, sealed] = [bytes.subarray(0, nonceBytes), bytes.subarray(nonceBytes)]
    const plain = new Uint8Array(sealed.length - tagBytes)
    sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(plain, null, sealed, name, nonce, key)
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(plain))
  } catch {
    return undefined // Anyone can send to the room: what does not open is not for us.
  }
}
