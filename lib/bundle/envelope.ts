/**
 * The outside of a bundle: a space on a USB stick, or in an envelope. In Yjs's notation:
 *
 *     bundle    := header • chunk*
 *     header    := 'SKEINBDL' • version(1) • salt(32) • varUint(n) • varUint8Array(slot)*n
 *     slot      := X25519 sealed box to a device's box key, of
 *                  varString('skein/bundle-slot') • device(32) • salt(32) • spaceKey(32) • varUint8Array(genesis)
 *     chunk     := XChaCha20-Poly1305(65,536 bytes of the inside), 16 bytes longer; the last is filled up with zeros
 *     key       := keyed hash under the space key ('skein/bundle', salt)
 *     nonce     := uint64 of the chunk's number, little-endian • zeros(16)
 *     AAD       := varString('skein/bundle-chunk') • hash('skein/bundle-header', header) • varUint(number) • last(1)
 *
 * Every chunk is as long as every other, and nothing outside names a space, a device or a log: who holds no key sees that
 * it is a bundle, how long it is to 64 KiB, and for how many newcomers it is. The key is used for one bundle alone, since
 * its salt is random. What lies inside is in `contents.ts`.
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, equalBytes, joinBytes, readBytes } from '../bytes.ts'
import {
  decrypt,
  encrypt,
  hash,
  keyedHash,
  nonceBytes,
  openSealed,
  sealTo,
  type BoxKeys
} from '../crypto.ts'
import { SkeinError } from '../errors.ts'

const magic = new TextEncoder().encode('SKEINBDL')
const bundleVersion = 1
const saltBytes = 32
const chunkBytes = 65_536
const sealedBytes = chunkBytes + 16
const maxSlots = 64
const maxSlotBytes = 64 * 1024

/** What opens a space's bundles, and makes a newcomer one who has the space. */
export interface BundleKeys {
  readonly spaceKey: Uint8Array
  readonly genesis: Uint8Array
}

/** A device that a bundle is made for, though it is no member yet. */
export interface Recipient {
  readonly signKey: Uint8Array
  readonly boxKey: Uint8Array
}

/** Seals what comes into a bundle, piece by piece. */
export async function* sealBundle(
  inside: AsyncIterable<Uint8Array>,
  keys: BundleKeys,
  recipients: readonly Recipient[],
  randomBytes: (length: number) => Uint8Array
): AsyncGenerator<Uint8Array, void, void> {
  const salt = randomBytes(saltBytes)
  const header = encodeHeader(
    salt,
    recipients.map((recipient) => sealSlot(recipient, salt, keys))
  )
  yield header
  const sealer = new Chunks(keys.spaceKey, salt, header)
  let waiting: Uint8Array[] = []
  let bytes = 0
  for await (const part of inside) {
    waiting.push(part)
    bytes += part.length
    if (bytes <= chunkBytes) continue
    const joined = joinBytes(waiting)
    let at = 0
    // One is kept back: it may be the last.
    for (; joined.length - at > chunkBytes; at += chunkBytes) {
      yield sealer.seal(joined.subarray(at, at + chunkBytes), false)
    }
    waiting = [joined.subarray(at)]
    bytes = joined.length - at
  }
  const last = new Uint8Array(chunkBytes)
  last.set(joinBytes(waiting))
  yield sealer.seal(last, true)
}

/** A bundle that is being read: first its header, then, with the right key, what lies inside. */
export class BundleReader {
  readonly #source: ByteSource
  readonly #header: Uint8Array
  readonly #salt: Uint8Array
  readonly #slots: readonly Uint8Array[]
  #first: Uint8Array | null = null

  private constructor(
    source: ByteSource,
    header: Uint8Array,
    salt: Uint8Array,
    slots: readonly Uint8Array[]
  ) {
    this.#source = source
    this.#header = header
    this.#salt = salt
    this.#slots = slots
  }

  /** Fails with `BUNDLE_INVALID` for what is no bundle of this version. */
  static async open(source: AsyncIterable<Uint8Array>): Promise<BundleReader> {
    const bytes = new ByteSource(source)
    const start = await bytes.read(magic.length + 1 + saltBytes)
    if (start === null || !equalBytes(start.subarray(0, magic.length), magic)) {
      throw new SkeinError('BUNDLE_INVALID', 'This is no bundle: it does not begin as one')
    }
    const version = start[magic.length]
    if (version !== bundleVersion) {
      throw new SkeinError(
        'BUNDLE_INVALID',
        `This is a bundle of version ${version}; this program reads version ${bundleVersion}`
      )
    }
    const parts = [start]
    const count = await readUint(bytes, parts, maxSlots, 'slots')
    const slots: Uint8Array[] = []
    for (let i = 0; i < count; i++) {
      const length = await readUint(bytes, parts, maxSlotBytes, 'bytes in a slot')
      const slot = await bytes.read(length)
      if (slot === null) throw cutShort('in its header')
      parts.push(slot)
      slots.push(slot)
    }
    return new BundleReader(bytes, joinBytes(parts), start.subarray(magic.length + 1), slots)
  }

  /** What a slot hands to this device, if there is one for it. Fails with `BUNDLE_INVALID` where that does not hold. */
  keysFor(device: Uint8Array, box: BoxKeys): BundleKeys | null {
    for (const slot of this.#slots) {
      const plain = openSealed(box, slot)
      if (plain === null) continue
      try {
        return decodeAll(plain, 'slot of a bundle', (decoder) => {
          const isRight =
            decoding.readVarString(decoder) === 'skein/bundle-slot' &&
            equalBytes(readBytes(decoder, 32), device) &&
            equalBytes(readBytes(decoder, saltBytes), this.#salt)
          if (!isRight) throw new RangeError('It is for another device, or of another bundle')
          const spaceKey = readBytes(decoder, 32)
          return { spaceKey, genesis: new Uint8Array(decoding.readVarUint8Array(decoder)) }
        })
      } catch (cause) {
        throw new SkeinError(
          'BUNDLE_INVALID',
          'What this bundle hands to this device does not hold',
          { cause }
        )
      }
    }
    return null
  }

  /** Does the key of this space open it? */
  async isOf(spaceKey: Uint8Array): Promise<boolean> {
    this.#first ??= await this.#source.read(sealedBytes)
    if (this.#first === null) throw cutShort('before its first chunk')
    const chunks = new Chunks(spaceKey, this.#salt, this.#header)
    return chunks.open(this.#first, 0, false) !== null || chunks.open(this.#first, 0, true) !== null
  }

  /** What lies inside, as it was put in, with zeros behind it. Fails with `BUNDLE_INVALID`, naming the place. */
  async *inside(spaceKey: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
    const chunks = new Chunks(spaceKey, this.#salt, this.#header)
    let next = this.#first ?? (await this.#source.read(sealedBytes))
    this.#first = null
    for (let number = 0; ; number++) {
      const from = this.#header.length + number * sealedBytes
      if (next === null) throw cutShort(`at byte ${from + this.#source.left}`)
      const chunk = next
      next = await this.#source.read(sealedBytes)
      const isLast = next === null
      const plain = chunks.open(chunk, number, isLast)
      if (plain === null) {
        const isCut = isLast && chunks.open(chunk, number, false) !== null
        if (isCut) throw cutShort(`at byte ${from + sealedBytes + this.#source.left}`)
        const place = `bytes ${from}–${from + sealedBytes - 1}`
        throw new SkeinError(
          'BUNDLE_INVALID',
          `This bundle was changed or damaged: ${place} do not hold`
        )
      }
      if (isLast && this.#source.left > 0)
        throw cutShort(`at byte ${from + sealedBytes + this.#source.left}`)
      yield plain
      if (isLast) return
    }
  }
}

/** Seals and opens the chunks of one bundle. */
class Chunks {
  readonly #key: Uint8Array
  readonly #headerHash: Uint8Array
  #number = 0

  constructor(spaceKey: Uint8Array, salt: Uint8Array, header: Uint8Array) {
    this.#key = keyedHash(spaceKey, 'skein/bundle', salt)
    this.#headerHash = hash('skein/bundle-header', header)
  }

  seal(plain: Uint8Array, isLast: boolean): Uint8Array {
    const number = this.#number++
    return encrypt(this.#key, nonceOf(number), this.#additionalData(number, isLast), plain)
  }

  open(sealed: Uint8Array, number: number, isLast: boolean): Uint8Array | null {
    try {
      return decrypt(this.#key, nonceOf(number), this.#additionalData(number, isLast), sealed)
    } catch (error) {
      if (error instanceof SkeinError) return null
      throw error
    }
  }

  #additionalData(number: number, isLast: boolean): Uint8Array {
    const encoder = encoding.createEncoder()
    encoding.writeVarString(encoder, 'skein/bundle-chunk')
    encoding.writeUint8Array(encoder, this.#headerHash)
    encoding.writeVarUint(encoder, number)
    encoding.writeUint8(encoder, isLast ? 1 : 0)
    return encoding.toUint8Array(encoder)
  }
}

/** Bytes that come in pieces, read by length. */
class ByteSource {
  readonly #iterator: AsyncIterator<Uint8Array>
  #buffer: Uint8Array = new Uint8Array()

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]()
  }

  /** Bytes that came and are fewer than what was asked for. */
  get left(): number {
    return this.#buffer.length
  }

  /** Null where there are fewer; those are left. */
  async read(length: number): Promise<Uint8Array | null> {
    const parts = [this.#buffer]
    let bytes = this.#buffer.length
    while (bytes < length) {
      const { value, done } = await this.#iterator.next()
      if (done === true) break
      parts.push(value)
      bytes += value.length
    }
    const joined = parts.length === 1 ? this.#buffer : joinBytes(parts)
    if (bytes < length) {
      this.#buffer = joined
      return null
    }
    this.#buffer = joined.subarray(length)
    return new Uint8Array(joined.subarray(0, length))
  }
}

function encodeHeader(salt: Uint8Array, slots: readonly Uint8Array[]): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeUint8Array(encoder, magic)
  encoding.writeUint8(encoder, bundleVersion)
  encoding.writeUint8Array(encoder, salt)
  encoding.writeVarUint(encoder, slots.length)
  for (const slot of slots) encoding.writeVarUint8Array(encoder, slot)
  return encoding.toUint8Array(encoder)
}

function sealSlot({ signKey, boxKey }: Recipient, salt: Uint8Array, keys: BundleKeys): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeVarString(encoder, 'skein/bundle-slot')
  encoding.writeUint8Array(encoder, signKey)
  encoding.writeUint8Array(encoder, salt)
  encoding.writeUint8Array(encoder, keys.spaceKey)
  encoding.writeVarUint8Array(encoder, keys.genesis)
  return sealTo(boxKey, encoding.toUint8Array(encoder))
}

async function readUint(
  source: ByteSource,
  parts: Uint8Array[],
  max: number,
  what: string
): Promise<number> {
  let value = 0
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = await source.read(1)
    if (byte === null) throw cutShort('in its header')
    parts.push(byte)
    value |= (byte[0]! & 127) << shift
    if (byte[0]! < 128) {
      if (value <= max) return value
      break
    }
  }
  throw new SkeinError(
    'BUNDLE_INVALID',
    `The header of this bundle is damaged: it has too many ${what}`
  )
}

function nonceOf(number: number): Uint8Array {
  const nonce = new Uint8Array(nonceBytes)
  new DataView(nonce.buffer).setBigUint64(0, BigInt(number), true)
  return nonce
}

function cutShort(where: string): SkeinError {
  return new SkeinError('BUNDLE_INVALID', `This bundle is not whole: it ends ${where}`)
}
