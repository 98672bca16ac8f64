/**
 * The bodies of epochs and key shares, in Yjs's protocol notation:
 *
 *     epoch     := epochId(32) • varUint(n) • (signKey(32) • varUint8Array(sealed key))*n • varUint8Array(earlier keys)
 *                  • varUint(m) • (signKey(32) • varUint(length))*m
 *     keyShare  := device(32) • varUint8Array(sealed keys, or, by the device itself: epochId(32)*)
 *
 * The last part of an epoch is the control cut that it took into account: the lengths of others' control logs. Of its
 * author's own log it takes everything into account up to the entry that it stands in. Epochs of before there were cuts
 * end without that part. A key share of a device for itself names epochs whose keys it cannot open, though it was handed
 * them. How keys are sealed is in `keys.ts`.
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, fromHex, joinBytes, readBytes, toHex } from '../bytes.ts'

export interface SealedKey {
  readonly signKey: Uint8Array
  readonly sealedKey: Uint8Array
}

export interface Epoch {
  readonly epochId: Uint8Array
  readonly sealed: readonly SealedKey[]
  /** All keys that its author held, encrypted under this one; or empty. */
  readonly earlierKeys: Uint8Array
  /** By signing key in hex, the lengths of control logs that it took into account. */
  readonly seen: ReadonlyMap<string, number>
}

export interface KeyShare {
  /** Who lacks the keys: a signing key. */
  readonly device: Uint8Array
  readonly sealedKeys: Uint8Array
}

/** A device says of these epochs that it cannot open the keys that it was handed. */
export function encodeLacking(device: Uint8Array, epochIds: readonly Uint8Array[]): Uint8Array {
  return encodeKeyShare({ device, sealedKeys: joinBytes(epochIds) })
}

/** The epochs that a key share of a device for itself names, in hex. */
export function lackingIn({ sealedKeys }: KeyShare): string[] {
  return decodeAll(sealedKeys, 'list of epochs', (decoder) => {
    const epochs: string[] = []
    while (decoding.hasContent(decoder)) epochs.push(toHex(decoding.readUint8Array(decoder, 32)))
    return epochs
  })
}

export function encodeEpoch(epoch: Epoch): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeUint8Array(encoder, epoch.epochId)
  encoding.writeVarUint(encoder, epoch.sealed.length)
  for (const { signKey, sealedKey } of epoch.sealed) {
    encoding.writeUint8Array(encoder, signKey)
    encoding.writeVarUint8Array(encoder, sealedKey)
  }
  encoding.writeVarUint8Array(encoder, epoch.earlierKeys)
  encoding.writeVarUint(encoder, epoch.seen.size)
  for (const [device, length] of epoch.seen) {
    encoding.writeUint8Array(encoder, fromHex(device))
    encoding.writeVarUint(encoder, length)
  }
  return encoding.toUint8Array(encoder)
}

export function decodeEpoch(bytes: Uint8Array): Epoch {
  return decodeAll(bytes, 'epoch', (decoder) => {
    const count = (): number => {
      const value = decoding.readVarUint(decoder)
      // Each takes bytes of its own.
      if (value > bytes.length) throw new RangeError(`${value} of something`)
      return value
    }
    const epochId = readBytes(decoder, 32)
    const sealed = Array.from({ length: count() }, () => ({
      signKey: readBytes(decoder, 32),
      sealedKey: new Uint8Array(decoding.readVarUint8Array(decoder))
    }))
    const earlierKeys = new Uint8Array(decoding.readVarUint8Array(decoder))
    const seen = new Map<string, number>()
    const logs = decoding.hasContent(decoder) ? count() : 0
    for (let left = logs; left > 0; left--) {
      const device = toHex(decoding.readUint8Array(decoder, 32))
      seen.set(device, decoding.readVarUint(decoder))
    }
    return { epochId, sealed, earlierKeys, seen }
  })
}

export function encodeKeyShare(share: KeyShare): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeUint8Array(encoder, share.device)
  encoding.writeVarUint8Array(encoder, share.sealedKeys)
  return encoding.toUint8Array(encoder)
}

export function decodeKeyShare(bytes: Uint8Array): KeyShare {
  return decodeAll(bytes, 'key share', (decoder) => ({
    device: readBytes(decoder, 32),
    sealedKeys: new Uint8Array(decoding.readVarUint8Array(decoder))
  }))
}
