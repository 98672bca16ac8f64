/**
 * The block format of both logs: how an entry is encoded, padded, sealed and spread over blocks. In Yjs's protocol
 * notation:
 *
 *     block     := version(1 byte: 1) • keyId(32) • nonce(24) • sealed
 *     sealed    := XChaCha20-Poly1305(fragment • zeros up to the size bucket)
 *     AAD       := varString('skein/block') • version • space(32) • device(32) • varString(core) • varUint(seq) • keyId(32)
 *     fragment  := flags(1) • varUint(kind) • varUint(timeMs) • varUint(number of deps) • dep* • varUint8Array(body)
 *     dep       := log(8) • varUint(length) • treeHash(8)
 *     flags     := 1: the body goes on in the next block · 2: this block goes on with the body of the one before
 *
 * `keyId` is the full hash of the key, and stands in the AAD: XChaCha20-Poly1305 does not commit to its key, so without
 * it one block could be made that opens under two keys as two different entries. `seq` stands in the AAD, so a block is
 * sealed for one place in one log. An entry over 1 MiB goes over several blocks, which follow each other; only the
 * first has deps. `kind` is odd for *critical* kinds: who does not know one must not write on (design: log.md).
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, toHex, fromHex } from '../bytes.ts'
import { decrypt, encryptInto, hash, keyBytes, nonceBytes, tagBytes } from '../crypto.ts'
import { SkeinError } from '../errors.ts'

const blockVersion = 1
/** The largest body of an entry, in bytes. */
export const maxBodyBytes = 16 * 1024 * 1024
const maxFragmentBytes = 1024 * 1024 - 4096
const maxDeps = 100_000
const smallestBucket = 64
const headerBytes = 1 + 32 + nonceBytes
const goesOn = 1
const continues = 2

/** Kinds of entries. Odd ones are critical. */
export const kinds = {
  genesis: 1,
  grant: 3,
  cut: 5,
  lift: 7,
  leave: 9,
  epoch: 11,
  keyShare: 12,
  invite: 14,
  inviteRevoke: 16,
  roll: 17,
  forkProof: 19,
  edit: 33,
  event: 34,
  import: 35,
  checkpoint: 36,
  file: 38
} as const

/** Which of a device's cores in a space. */
export type CoreName = 'control' | `content/${number}`

/** The name of a log of a device, where a message has it. Throws `RangeError` for what is none: for `decodeAll`. */
export function readCoreName(decoder: decoding.Decoder): CoreName {
  const core = decoding.readVarString(decoder)
  if (core !== 'control' && !/^content\/\d{1,9}$/.test(core))
    throw new RangeError('A log of no kind')
  return core as CoreName
}

/** The first 8 bytes of a core's key, in hex: names a log within its space. */
export type LogId = string

/** What an author had delivered of another log when it wrote. */
export interface Dep {
  readonly log: LogId
  readonly length: number
  /** The first 8 bytes of the log's tree hash at that length, in hex. */
  readonly treeHash: string
}

export interface Entry {
  readonly kind: number
  /** By the author's clock, which may be wrong. */
  readonly timeMs: number
  readonly deps: readonly Dep[]
  readonly body: Uint8Array
}

/** Where a block stands; part of what its seal protects. */
export interface Place {
  readonly space: Uint8Array
  readonly device: Uint8Array
  readonly core: CoreName
  readonly seq: number
}

/** One block's part of an entry. */
export interface Fragment extends Entry {
  readonly goesOn: boolean
  readonly continues: boolean
}

/** A key's name: a commitment to it. */
export function keyIdOf(key: Uint8Array): Uint8Array {
  return hash('skein/key-id', key)
}

/**
 * Seals an entry for the place given and, if it is long, those that follow: one block each.
 * Fails with `ENTRY_TOO_LARGE`.
 */
export function sealEntry(
  { kind, timeMs, deps, body }: Entry,
  { space, device, core, seq }: Place,
  key: Uint8Array,
  randomBytes: (length: number) => Uint8Array
): Uint8Array[] {
  if (body.length > maxBodyBytes) {
    throw new SkeinError(
      'ENTRY_TOO_LARGE',
      `An entry has at most ${maxBodyBytes} bytes; this one has ${body.length}`
    )
  }
  if (key.length !== keyBytes) throw new TypeError(`A key has ${keyBytes} bytes`)
  const keyId = knownKeyId(key)
  const blocks: Uint8Array[] = []
  let at = 0
  do {
    const end = Math.min(body.length, at + maxFragmentBytes)
    const isWhole = at === 0 && end === body.length
    const fragment: Fragment = {
      kind,
      timeMs,
      deps: at === 0 ? deps : [],
      body: isWhole ? body : body.subarray(at, end),
      goesOn: end < body.length,
      continues: at > 0
    }
    const here = { space, device, core, seq: seq + blocks.length }
    blocks.push(sealBlock(fragment, here, key, keyId, randomBytes(nonceBytes)))
    at = end
  } while (at < body.length)
  return blocks
}

/** The id of the key that a block is sealed under. Fails with `BAD_ENCODING`. */
export function keyIdOfBlock(block: Uint8Array): Uint8Array {
  if (block.length < headerBytes || block[0] !== blockVersion) {
    throw new SkeinError('BAD_ENCODING', `Not a block of version ${blockVersion}`)
  }
  return block.subarray(1, 33)
}

/** Fails with `BAD_ENCODING` or `BAD_SEAL`. */
export function openBlock(block: Uint8Array, place: Place, key: Uint8Array): Fragment {
  const keyId = keyIdOfBlock(block)
  const plain = decrypt(
    key,
    block.subarray(33, headerBytes),
    additionalData(place, keyId),
    block.subarray(headerBytes)
  )
  return decodeFragment(plain)
}

/** Puts the fragments of one log together, in order. */
export class EntryAssembler {
  #parts: Fragment[] = []
  #bytes = 0

  /**
   * Takes the next block's fragment. Returns an entry when it is complete, null when more is to come. A fragment that
   * does not fit what came before fails with `BAD_ENCODING` and is dropped with it; the next entry starts clean.
   */
  add(fragment: Fragment): Entry | null {
    const first = this.#parts[0]
    if (fragment.continues !== (first !== undefined)) {
      this.reset()
      if (fragment.continues) throw new SkeinError('BAD_ENCODING', 'A block continues no entry')
      // What came before never ended, and counts for nothing; this one begins an entry of its own.
    }
    const begun = this.#parts[0]
    if (begun !== undefined && begun.kind !== fragment.kind) {
      this.reset()
      throw new SkeinError('BAD_ENCODING', 'A block continues an entry of another kind')
    }
    this.#bytes += fragment.body.length
    if (this.#bytes > maxBodyBytes) {
      this.reset()
      throw new SkeinError('BAD_ENCODING', 'An entry is larger than an entry may be')
    }
    this.#parts.push(fragment)
    if (fragment.goesOn) return null
    const parts = this.#parts
    const head = parts[0]!
    this.reset()
    return {
      kind: head.kind,
      timeMs: head.timeMs,
      deps: head.deps,
      body: parts.length === 1 ? head.body : joined(parts)
    }
  }

  reset(): void {
    this.#parts = []
    this.#bytes = 0
  }

  get isEmpty(): boolean {
    return this.#parts.length === 0
  }
}

function joined(parts: Fragment[]): Uint8Array {
  const body = new Uint8Array(parts.reduce((sum, part) => sum + part.body.length, 0))
  let at = 0
  for (const part of parts) {
    body.set(part.body, at)
    at += part.body.length
  }
  return body
}

function sealBlock(
  fragment: Fragment,
  place: Place,
  key: Uint8Array,
  keyId: Uint8Array,
  nonce: Uint8Array
): Uint8Array {
  const padded = padFragment(fragment)
  const block = new Uint8Array(headerBytes + padded.length + tagBytes)
  block[0] = blockVersion
  block.set(keyId, 1)
  block.set(nonce, 33)
  encryptInto(block.subarray(headerBytes), key, nonce, additionalData(place, keyId), padded)
  return block
}

const keyIds = new WeakMap<Uint8Array, Uint8Array>()

/** As `keyIdOf`, of a key that nobody writes over. */
function knownKeyId(key: Uint8Array): Uint8Array {
  let id = keyIds.get(key)
  if (id === undefined) keyIds.set(key, (id = keyIdOf(key)))
  return id
}

/** PADMÉ (Nikitin et al., PURBs, 2019): at most 12 % longer, and a length says only O(log log) bits of itself. */
function bucketOf(length: number): number {
  if (length <= smallestBucket) return smallestBucket
  const exponent = Math.floor(Math.log2(length))
  const kept = Math.floor(Math.log2(exponent)) + 1
  const unit = 2 ** (exponent - kept)
  return Math.ceil(length / unit) * unit
}

const additionalDataHead = encoding.encode((encoder) => {
  encoding.writeVarString(encoder, 'skein/block')
  encoding.writeUint8(encoder, blockVersion)
})
const coreNames = new Map<CoreName, Uint8Array>()
/** Written over with every block, as most of the time would go into making new ones. Nobody keeps what they hold. */
const [scratch, fragmentScratch] = [encoding.createEncoder(), encoding.createEncoder()]

function additionalData(place: Place, keyId: Uint8Array): Uint8Array {
  const encoder = begin(scratch)
  encoding.writeUint8Array(encoder, additionalDataHead)
  encoding.writeUint8Array(encoder, place.space)
  encoding.writeUint8Array(encoder, place.device)
  encoding.writeUint8Array(encoder, encodedName(place.core))
  encoding.writeVarUint(encoder, place.seq)
  encoding.writeUint8Array(encoder, keyId)
  return written(encoder)
}

function encodedName(core: CoreName): Uint8Array {
  let name = coreNames.get(core)
  if (name === undefined) {
    name = encoding.encode((encoder) => encoding.writeVarString(encoder, core))
    coreNames.set(core, name)
  }
  return name
}

function begin(encoder: encoding.Encoder): encoding.Encoder {
  encoder.cpos = 0
  encoder.bufs = []
  return encoder
}

/** Without a copy, where it went into one buffer. */
function written(encoder: encoding.Encoder): Uint8Array {
  if (encoder.bufs.length > 0) return encoding.toUint8Array(encoder)
  return encoder.cbuf.subarray(0, encoder.cpos)
}

/** Up to its bucket’s size. */
function padFragment(fragment: Fragment): Uint8Array {
  const isLong = fragment.body.length > 64 * 1024
  const encoder = isLong ? encoding.createEncoder() : begin(fragmentScratch)
  writeFragment(encoder, fragment)
  const length = encoding.length(encoder)
  const paddedLength = bucketOf(length)
  if (encoder.bufs.length === 0 && paddedLength <= encoder.cbuf.length) {
    return encoder.cbuf.subarray(0, paddedLength).fill(0, length)
  }
  const padded = new Uint8Array(paddedLength)
  padded.set(encoding.toUint8Array(encoder))
  return padded
}

function writeFragment(encoder: encoding.Encoder, fragment: Fragment): void {
  encoding.writeUint8(
    encoder,
    (fragment.goesOn ? goesOn : 0) | (fragment.continues ? continues : 0)
  )
  encoding.writeVarUint(encoder, fragment.kind)
  encoding.writeVarUint(encoder, fragment.timeMs)
  encoding.writeVarUint(encoder, fragment.deps.length)
  for (const dep of fragment.deps) {
    encoding.writeUint8Array(encoder, fromHex(dep.log))
    encoding.writeVarUint(encoder, dep.length)
    encoding.writeUint8Array(encoder, fromHex(dep.treeHash))
  }
  encoding.writeVarUint8Array(encoder, fragment.body)
}

function decodeFragment(plain: Uint8Array): Fragment {
  return decodeAll(plain, 'entry', (decoder) => {
    const flags = decoding.readUint8(decoder)
    if (flags > (goesOn | continues)) throw new RangeError(`Unknown flags ${flags}`)
    const kind = decoding.readVarUint(decoder)
    const timeMs = decoding.readVarUint(decoder)
    const count = decoding.readVarUint(decoder)
    if (count > maxDeps) throw new RangeError(`${count} deps`)
    if (count > 0 && (flags & continues) > 0) throw new RangeError('Deps behind the first block')
    const deps: Dep[] = []
    for (let i = 0; i < count; i++) {
      const log = toHex(decoding.readUint8Array(decoder, 8))
      const length = decoding.readVarUint(decoder)
      deps.push({ log, length, treeHash: toHex(decoding.readUint8Array(decoder, 8)) })
    }
    // Of bytes that nobody else has: no copy.
    const body = decoding.readVarUint8Array(decoder)
    for (; decoder.pos < plain.length; decoder.pos++) {
      if (plain[decoder.pos] !== 0) throw new RangeError('Padding is not zero')
    }
    return {
      kind,
      timeMs,
      deps,
      body,
      goesOn: (flags & goesOn) > 0,
      continues: (flags & continues) > 0
    }
  })
}
