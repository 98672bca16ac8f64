/**
 * How a mirror is named to those who may use it. In Yjs's notation:
 *
 *     address := 'skein-mirror:' • base64url(version(1) • device(32) • secret(32) • varUint(n) • varString(hint)*n
 *                • checksum(4))
 *
 * The secret is the mirror's own: who knows it finds the mirror, as members find each other by a space's topic secret, and
 * may ask it to keep a space. It opens nothing else.
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, readBytes } from '../bytes.ts'
import { keyedHash } from '../crypto.ts'
import { SkeinError } from '../errors.ts'
import { formatLine, parseLine, type TextLine } from './text-line.ts'

const form: TextLine = {
  scheme: 'skein-mirror:',
  label: 'skein/mirror-address',
  what: 'a mirror’s address'
}
const addressVersion = 1
const maxHints = 16

export interface MirrorAddress {
  /** The mirror's signing key. */
  readonly device: Uint8Array
  readonly secret: Uint8Array
  /** Where it may be met, for transports that need an address. */
  readonly hints: readonly string[]
}

export function formatMirrorAddress({ device, secret, hints }: MirrorAddress): string {
  if (hints.length > maxHints) throw new TypeError(`There are at most ${maxHints} hints`)
  const encoder = encoding.createEncoder()
  encoding.writeUint8(encoder, addressVersion)
  encoding.writeUint8Array(encoder, device)
  encoding.writeUint8Array(encoder, secret)
  encoding.writeVarUint(encoder, hints.length)
  for (const hint of hints) encoding.writeVarString(encoder, hint)
  return formatLine(form, encoding.toUint8Array(encoder))
}

/** Fails with `INVITE_INVALID`. White space around the text is forgiven. */
export function parseMirrorAddress(text: string): MirrorAddress {
  const bytes = parseLine(form, text)
  try {
    return decodeAll(bytes, 'address of a mirror', (decoder) => {
      const version = decoding.readUint8(decoder)
      if (version !== addressVersion) throw new RangeError(`An address of version ${version}`)
      const device = readBytes(decoder, 32)
      const secret = readBytes(decoder, 32)
      const count = decoding.readVarUint(decoder)
      if (count > maxHints) throw new RangeError(`${count} hints`)
      const hints = Array.from({ length: count }, () => decoding.readVarString(decoder))
      return { device, secret, hints }
    })
  } catch (cause) {
    const message = 'This mirror’s address cannot be read by this version'
    throw new SkeinError('INVITE_INVALID', message, { cause })
  }
}

/** The secret of the device whose keys are made of that seed. */
export function mirrorSecretOf(signSeed: Uint8Array): Uint8Array {
  return keyedHash(signSeed, 'skein/mirror-secret')
}

/** Names the channel on which a mirror is asked, on one connection. */
export function mirrorChannelId(secret: Uint8Array, handshakeHash: Uint8Array): Uint8Array {
  return keyedHash(secret, 'skein/mirror-channel', handshakeHash)
}
