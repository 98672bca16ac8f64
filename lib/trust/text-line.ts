/**
 * What people hand on as one line of text: `scheme • base64url(bytes • checksum(4))`. The checksum is the beginning of a
 * hash under a label of its own, and finds what was mistyped or cut short.
 */
import { fromBase64UrlEncoded, toBase64UrlEncoded } from 'lib0/buffer'
import { equalBytes } from '../bytes.ts'
import { hash } from '../crypto.ts'
import { SkeinError } from '../errors.ts'

const checksumBytes = 4

export interface TextLine {
  readonly scheme: string
  /** Of the hash that the checksum is of. */
  readonly label: string
  /** What it is called: 'invite'. */
  readonly what: string
}

export function formatLine({ scheme, label }: TextLine, bytes: Uint8Array): string {
  const whole = new Uint8Array(bytes.length + checksumBytes)
  whole.set(bytes)
  whole.set(checksumOf(label, bytes), bytes.length)
  return scheme + toBase64UrlEncoded(whole)
}

/** Fails with `INVITE_INVALID`. White space around the text is forgiven. */
export function parseLine({ scheme, label, what }: TextLine, text: string): Uint8Array {
  const trimmed = text.trim()
  if (!trimmed.startsWith(scheme) || !/^[\w-]+$/.test(trimmed.slice(scheme.length))) {
    const message = `${what} begins with "${scheme}" and is one line`
    throw new SkeinError('INVITE_INVALID', message[0]!.toUpperCase() + message.slice(1))
  }
  const encoded = trimmed.slice(scheme.length)
  let whole: Uint8Array
  try {
    whole = fromBase64UrlEncoded(encoded)
  } catch (cause) {
    throw new SkeinError('INVITE_INVALID', `This is not ${what}`, { cause })
  }
  const end = whole.length - checksumBytes
  const bytes = whole.subarray(0, Math.max(0, end))
  const isRight = end >= 0 && equalBytes(checksumOf(label, bytes), whole.subarray(end))
  // Several texts can stand for the same bytes: one alone is taken.
  if (!isRight || toBase64UrlEncoded(whole) !== encoded)
    throw new SkeinError(
      'INVITE_INVALID',
      `${what} is incomplete or mistyped`.replace(/^an? /, 'This ')
    )
  return bytes
}

function checksumOf(label: string, bytes: Uint8Array): Uint8Array {
  return hash(label, bytes).subarray(0, checksumBytes)
}
