/**
 * Reads the values of a Yjs V1 update from bytes that somebody else wrote. Accepts no more than Yjs's own decoder does,
 * and fails with `BAD_ENCODING` on everything that this would misread or choke on. Nothing is allocated by a length that
 * is merely claimed.
 */
import { SkeinError } from '../errors.ts'

/** Equal on all peers, or one refuses what another applies: not options. */
export const readerLimits = {
  /** Of objects and arrays in each other. */
  maxNesting: 64,
  /** Of objects and arrays in one update: two bytes of it can take sixty of memory. */
  maxContainers: 250_000
} as const

// The tags of lib0's `any`.
const [anyUndefined, anyInteger, anyFloat32, anyFloat64, anyBigint] = [127, 125, 124, 123, 122]
const [anyFalse, anyTrue, anyString, anyObject, anyArray, anyBytes] = [121, 120, 119, 118, 117, 116]
const anyNull = 126

export class UpdateReader {
  readonly #bytes: Uint8Array
  #position = 0
  #containers = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Bytes not read yet. */
  get left(): number {
    return this.#bytes.length - this.#position
  }

  byte(): number {
    const byte = this.#bytes[this.#position++]
    if (byte === undefined) throw malformed('ends early')
    return byte
  }

  /** A `varUint` below 2^53. */
  uint(): number {
    let value = this.byte()
    if (value < 128) return value
    value &= 127
    for (let factor = 128; ; factor *= 128) {
      const byte = this.byte()
      value += (byte & 127) * factor
      // Also where it is padded: lib0 reads 0 × Infinity from enough zeros, which is no number.
      if (value > Number.MAX_SAFE_INTEGER || factor > 2 ** 49)
        throw malformed('has a number over 2^53')
      if (byte < 128) return value
    }
  }

  /** A number of things that take `bytesEach` or more, of which `max` are allowed. */
  count(bytesEach: number, max: number, things: string): number {
    const count = this.uint()
    if (count > max) throw malformed(`has ${count} ${things}, over ${max}`)
    if (count * bytesEach > this.left) throw malformed('ends early')
    return count
  }

  /** Skips a byte array. */
  skipBytes(): void {
    this.#skip(this.uint())
  }

  /** Skips a string and returns its length as Yjs counts it, in UTF-16 units. */
  textLength(): number {
    const end = this.#endOfString()
    const units = utf16Length(this.#bytes, this.#position, end)
    if (units < 0) throw malformed('has a string that is not UTF-8')
    this.#position = end
    return units
  }

  string(): string {
    const end = this.#endOfString()
    try {
      const string = utf8.decode(this.#bytes.subarray(this.#position, end))
      this.#position = end
      return string
    } catch (cause) {
      throw malformed('has a string that is not UTF-8', cause)
    }
  }

  /** A string that becomes the key of a plain object somewhere: `__proto__` would set what others inherit. */
  key(): string {
    const key = this.string()
    if (key === '__proto__') throw malformed('has a key __proto__')
    return key
  }

  /** Skips a value in lib0's `any` encoding. */
  skipAny(depth = 1): void {
    const tag = this.byte()
    switch (tag) {
      case anyUndefined:
      case anyNull:
      case anyTrue:
      case anyFalse:
        return
      case anyInteger:
        return this.#skipInteger()
      case anyFloat32:
        return this.#skip(4)
      case anyFloat64:
      case anyBigint:
        return this.#skip(8)
      case anyString:
        this.textLength()
        return
      case anyBytes:
        return this.skipBytes()
      case anyObject:
      case anyArray: {
        const isObject = tag === anyObject
        this.#enter(depth)
        for (let left = this.count(isObject ? 2 : 1, Infinity, 'values'); left > 0; left--) {
          if (isObject) this.key()
          this.skipAny(depth + 1)
        }
        return
      }
      default:
        throw malformed(`has a value of unknown type ${tag}`)
    }
  }

  /** Skips an `any` that is an object; `skipValue` gets each key and skips its value. */
  skipObject(skipValue: (key: string) => void): void {
    if (this.byte() !== anyObject) throw malformed('has something else in place of an object')
    this.#enter(1)
    for (let left = this.count(2, Infinity, 'values'); left > 0; left--) skipValue(this.key())
  }

  /** Skips an `any` that is `true` or `false`. */
  skipBoolean(): void {
    const tag = this.byte()
    if (tag !== anyTrue && tag !== anyFalse)
      throw malformed('has something else in place of a boolean')
  }

  /** Skips a string of JSON; the word `undefined` will do where `mayBeUndefined`. */
  skipJson({ mayBeUndefined = false } = {}): void {
    const text = this.string()
    if (mayBeUndefined && text === 'undefined') return
    this.#scanJson(text)
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch (cause) {
      throw malformed('has a string that is not JSON', cause)
    }
    if (suspiciousJson.test(text)) checkJson(value)
  }

  /** Counts and nests before anything is built of it. */
  #scanJson(text: string): void {
    let depth = 0
    let inString = false
    for (let i = 0; i < text.length; i++) {
      const c = text.charCodeAt(i)
      if (inString) {
        if (c === 0x5c) i++
        else if (c === 0x22) inString = false
      } else if (c === 0x22) inString = true
      else if (c === 0x5b || c === 0x7b) this.#enter(++depth)
      else if (c === 0x5d || c === 0x7d) depth--
    }
  }

  #enter(depth: number): void {
    if (depth > readerLimits.maxNesting)
      throw malformed(`nests deeper than ${readerLimits.maxNesting}`)
    if (++this.#containers > readerLimits.maxContainers) {
      throw malformed(`has more than ${readerLimits.maxContainers} objects and arrays`)
    }
  }

  /** A `varInt`: its first byte has a sign and six bits. */
  #skipInteger(): void {
    const first = this.byte()
    if (first < 128) return
    const higher = this.uint()
    if (higher > (Number.MAX_SAFE_INTEGER - (first & 63)) / 64)
      throw malformed('has a number over 2^53')
  }

  #endOfString(): number {
    const length = this.uint()
    if (length > this.left) throw malformed('ends early')
    return this.#position + length
  }

  #skip(length: number): void {
    if (length > this.left) throw malformed('ends early')
    this.#position += length
  }
}

export function malformed(what: string, cause?: unknown): SkeinError {
  return new SkeinError('BAD_ENCODING', `The update ${what}`, { cause })
}

// As lib0 decodes.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** What may hold a `__proto__` or a number that parses as infinite, which is written again as null. */
const suspiciousJson = /__proto__|\\u|[eE]\+?\d{3}|\d{300}/

function checkJson(value: unknown): void {
  if (typeof value === 'number' && !Number.isFinite(value))
    throw malformed('has an infinite number')
  if (typeof value !== 'object' || value === null) return
  if (Object.hasOwn(value, '__proto__')) throw malformed('has a key __proto__')
  for (const inner of Object.values(value)) checkJson(inner)
}

/** UTF-16 units that the UTF-8 in [from, to) decodes to, -1 if it is not valid (as a `fatal` TextDecoder says). */
function utf16Length(bytes: Uint8Array, from: number, to: number): number {
  let units = 0
  for (let i = from; i < to; units++) {
    const lead = bytes[i]!
    if (lead < 0x80) {
      i++
      continue
    }
    const width = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0
    if (width === 0 || i + width > to) return -1
    for (let k = 1; k < width; k++) if ((bytes[i + k]! & 0xc0) !== 0x80) return -1
    const second = bytes[i + 1]!
    // Too long a form, half a surrogate pair, beyond U+10FFFF.
    if (lead === 0xe0 && second < 0xa0) return -1
    if (lead === 0xed && second > 0x9f) return -1
    if (lead === 0xf0 && second < 0x90) return -1
    if (lead === 0xf4 && second > 0x8f) return -1
    if (width === 4) units++
    i += width
  }
  return units
}
