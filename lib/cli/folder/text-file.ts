/** Bytes and texts: what is text, and the one way from one to the other and back, byte for byte. */
import { hashOf } from './disk-file.ts'

/** Not of text that only looks like it: a byte order mark is kept, as is every line's ending. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

/** Valid UTF-8 without a NUL; null for everything else. */
export function textOf(bytes: Uint8Array): string | null {
  if (bytes.includes(0)) return null
  try {
    return decoder.decode(bytes)
  } catch {
    return null // Not UTF-8: that is the question.
  }
}

export function bytesOf(text: string): Uint8Array {
  return encoder.encode(text)
}

export function hashOfText(text: string): string {
  return hashOf(bytesOf(text))
}
