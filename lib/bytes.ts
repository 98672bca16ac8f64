/** Comparing and naming byte strings, and reading encoded ones without ever throwing anything but `BAD_ENCODING`. */
import * as decoding from 'lib0/decoding'
import { fromHexString, toHexString } from 'lib0/buffer'
import { SkeinError } from './errors.ts'

export { fromHexString as fromHex, toHexString as toHex }

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/**
 * Runs `read` over all of `bytes`. Fails with `BAD_ENCODING`, naming `what`, if they end early, have bytes left over, or
 * hold what `read` refuses.
 */
export function decodeAll<T>(
  bytes: Uint8Array,
  what: string,
  read: (decoder: decoding.Decoder) => T
): T {
  const decoder = decoding.createDecoder(bytes)
  let value: T
  try {
    value = read(decoder)
  } catch (cause) {
    throw new SkeinError('BAD_ENCODING', `Not a valid ${what}`, { cause })
  }
  if (decoding.hasContent(decoder)) {
    throw new SkeinError('BAD_ENCODING', `Bytes are left over behind a ${what}`)
  }
  return value
}

/** A copy of the next `length` bytes: what is kept must not pin the block it came in. */
export function readBytes(decoder: decoding.Decoder, length: number): Uint8Array {
  return new Uint8Array(decoding.readUint8Array(decoder, length))
}

/**
 * Random ones added to byte strings of one length, so that their number, the next power of two from `least` on, says
 * little, and their order nothing.
 */
export function filledUp(
  strings: readonly Uint8Array[],
  least: number,
  random: () => Uint8Array
): Uint8Array[] {
  let count = least
  while (count < strings.length) count *= 2
  const more = Array.from({ length: count - strings.length }, random)
  return [...strings, ...more]
    .map((bytes) => ({ bytes, hex: toHexString(bytes) }))
    .sort((a, b) => (a.hex < b.hex ? -1 : 1))
    .map(({ bytes }) => bytes)
}

/** One byte string of several, in a row. */
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}
