/**
 * How a device introduces itself to someone who may let it in without a connection: one line of text, which holds no
 * secret. In Yjs's notation:
 *
 *     introduction := 'skein-device:' • base64url(version(1) • device • signature(64))
 *     signature    := Ed25519 by the device's signing key over ('skein/introduction', device)
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { fromBase64UrlEncoded, toBase64UrlEncoded } from 'lib0/buffer'
import { decodeAll, readBytes } from '../bytes.ts'
import { sign, verify } from '../crypto.ts'
import { SkeinError } from '../errors.ts'
import type { DeviceKeys } from '../transport.ts'
import { readDevice, writeDevice, type DeviceRecord } from './control.ts'

const scheme = 'skein-device:'
const introductionVersion = 1

export function formatIntroduction(device: DeviceRecord, keys: DeviceKeys): string {
  const record = encodeDevice(device)
  const encoder = encoding.createEncoder()
  encoding.writeUint8(encoder, introductionVersion)
  encoding.writeUint8Array(encoder, record)
  encoding.writeUint8Array(encoder, sign(keys, 'skein/introduction', record))
  return scheme + toBase64UrlEncoded(encoding.toUint8Array(encoder))
}

/** Fails with `INVITE_INVALID`. White space around the text is forgiven. */
export function parseIntroduction(text: string): DeviceRecord {
  const trimmed = text.trim()
  try {
    if (!/^skein-device:[\w-]+$/.test(trimmed)) throw new RangeError('Another form')
    const bytes = fromBase64UrlEncoded(trimmed.slice(scheme.length))
    const { device, signature } = decodeAll(bytes, 'introduction', (decoder) => {
      const version = decoding.readUint8(decoder)
      if (version !== introductionVersion)
        throw new RangeError(`An introduction of version ${version}`)
      return { device: readDevice(decoder), signature: readBytes(decoder, 64) }
    })
    if (!verify(signature, device.signKey, 'skein/introduction', encodeDevice(device))) {
      throw new RangeError('Its signature does not hold')
    }
    return device
  } catch (cause) {
    const message =
      'This is no device’s introduction: it is one line that begins with "skein-device:"'
    throw new SkeinError('INVITE_INVALID', message, { cause })
  }
}

function encodeDevice(device: DeviceRecord): Uint8Array {
  const encoder = encoding.createEncoder()
  writeDevice(encoder, device)
  return encoding.toUint8Array(encoder)
}
