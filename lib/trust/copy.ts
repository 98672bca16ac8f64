/**
 * Copies of a device's storage that run at a time, and the word by which one run proves to another that it is there. In
 * Yjs's notation:
 *
 *     letter    := version(1 byte: 1) • to(16) • from(16) • asks(1 byte: 0, 1) • varUint(n) • copy(16)*n • signature(64)
 *     signature := Ed25519 by the device over ('skein/copy', all before it)
 *
 * A run of a device has a name of its own, made at random when it begins. One folder is open in one process at a time: so
 * whoever gets a letter to its present run, signed by its own device and from another run, knows that a copy of its storage
 * is in use. Nobody else can write one, and none of before is to this run.
 *
 * A copy may become a device of its own, with new keys. The device that it was signs that it comes of it:
 *
 *     proof     := Ed25519 by the former device over ('skein/renewed', signKey)
 *     request   := version(1 byte: 1) • device • former(32) • proof(64)       // to be let in; device: see control.ts
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, equalBytes, fromHex, readBytes, toHex } from '../bytes.ts'
import { sign, verify } from '../crypto.ts'
import { SkeinError } from '../errors.ts'
import type { DeviceKeys } from '../transport.ts'
import { readDevice, writeDevice, type DeviceRecord } from './control.ts'

const letterVersion = 1
const requestVersion = 1
export const runBytes = 16
/** A letter names the last copies. */
export const maxCopies = 64

/** What a run says of its storage. */
export interface Copied {
  /** It has not been answered yet how much the device has written. */
  readonly asks: boolean
  /** What names each time that the storage was found to be a copy, the last one last, in hex; at most `maxCopies`. */
  readonly copies: readonly string[]
}

export interface Letter extends Copied {
  /** Runs, in hex. */
  readonly to: string
  readonly from: string
}

export function encodeLetter(letter: Letter, keys: DeviceKeys): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeUint8(encoder, letterVersion)
  encoding.writeUint8Array(encoder, fromHex(letter.to))
  encoding.writeUint8Array(encoder, fromHex(letter.from))
  encoding.writeUint8(encoder, letter.asks ? 1 : 0)
  encoding.writeVarUint(encoder, letter.copies.length)
  for (const copy of letter.copies) encoding.writeUint8Array(encoder, fromHex(copy))
  const said = encoding.toUint8Array(encoder)
  encoding.writeUint8Array(encoder, sign(keys, 'skein/copy', said))
  return encoding.toUint8Array(encoder)
}

/** To whom a letter is, in hex; it may be anybody's. Fails with `BAD_ENCODING`. */
export function addresseeOf(bytes: Uint8Array): string {
  return readLetter(bytes).letter.to
}

/** A letter of a device to one of its runs. Fails with `BAD_ENCODING`, or `BAD_SEAL` where the device did not sign it. */
export function openLetter(bytes: Uint8Array, device: Uint8Array): Letter {
  const { letter, signature } = readLetter(bytes)
  const said = bytes.subarray(0, bytes.length - signature.length)
  if (verify(signature, device, 'skein/copy', said)) return letter
  throw new SkeinError('BAD_SEAL', 'A letter of another run of this device is not signed by it')
}

/**
 * Of two runs of one device, does the first step aside? Exactly one does, as both see it alike, and none that was never
 * found to be a copy: the copy of the other one's storage; of two copies of a third, the one that is not answered yet, or
 * else the one of the greater name. Where nothing tells them apart, neither.
 */
export function stepsAside(mine: Copied, other: Copied): boolean {
  const [myLast, othersLast] = [mine.copies.at(-1), other.copies.at(-1)]
  if (myLast === undefined || myLast === othersLast) return false
  if (othersLast === undefined || mine.copies.includes(othersLast)) return true
  if (other.copies.includes(myLast)) return false
  return mine.asks === other.asks ? myLast > othersLast : mine.asks
}

function readLetter(bytes: Uint8Array): { letter: Letter; signature: Uint8Array } {
  return decodeAll(bytes, 'letter of another run', (decoder) => {
    const version = decoding.readUint8(decoder)
    if (version !== letterVersion) throw new RangeError(`A letter of version ${version}`)
    const to = toHex(readBytes(decoder, runBytes))
    const from = toHex(readBytes(decoder, runBytes))
    const asks = decoding.readUint8(decoder) === 1
    const count = decoding.readVarUint(decoder)
    if (count > maxCopies) throw new RangeError(`${count} copies`)
    const copies = Array.from({ length: count }, () => toHex(readBytes(decoder, runBytes)))
    return { letter: { to, from, asks, copies }, signature: readBytes(decoder, 64) }
  })
}

/** Says that the device of that public signing key comes of the one whose keys these are. */
export function proofOfRenewal(signKey: Uint8Array, former: DeviceKeys): Uint8Array {
  return sign(former, 'skein/renewed', signKey)
}

/** A device that comes of a copy of another's storage, and asks to be let in. */
export interface CopyRequest {
  readonly record: DeviceRecord
  /** Its public signing key. */
  readonly former: Uint8Array
}

export function encodeCopyRequest({ record, former }: CopyRequest, proof: Uint8Array): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeUint8(encoder, requestVersion)
  writeDevice(encoder, record)
  encoding.writeUint8Array(encoder, former)
  encoding.writeUint8Array(encoder, proof)
  return encoding.toUint8Array(encoder)
}

/**
 * The request of the device of that public signing key. Fails with `BAD_ENCODING`, or `BAD_SEAL` where it is another's or
 * the former device has not signed that it comes of it.
 */
export function openCopyRequest(bytes: Uint8Array, signKey: Uint8Array): CopyRequest {
  const { proof, ...request } = decodeAll(bytes, 'request of a copy', (decoder) => {
    const version = decoding.readUint8(decoder)
    if (version !== requestVersion) throw new RangeError(`A request of version ${version}`)
    const record = readDevice(decoder)
    return { record, former: readBytes(decoder, 32), proof: readBytes(decoder, 64) }
  })
  const isRight =
    equalBytes(request.record.signKey, signKey) &&
    verify(proof, request.former, 'skein/renewed', signKey)
  if (isRight) return request
  throw new SkeinError(
    'BAD_SEAL',
    'A device asks to be let in as the copy of one that it is not of'
  )
}
