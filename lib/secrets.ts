/**
 * What only this device knows: its keys, and the keys of its spaces. Format of the secrets file, in Yjs's notation:
 *
 *     secrets   := body • checksum(8)       // of the hash of the body: one changed bit would be another device
 *     body      := varUint(version: 1) • device • varUint(n) • (spaceKey(32) • varUint8Array(genesis))*n
 *                | varUint(version: 3) • device • varUint(n) • (spaceKey(32) • varUint8Array(genesis) • keys)*n • formerly
 *     device    := signSeed(32) • boxSeed(32) • varString(name) • varString(person)
 *     keys      := varUint(n) • epochKey(32)*n        // what could be read as the device of before
 *     formerly  := device(32) • proof(64) • copy(16)  // see trust/copy.ts
 *
 * Version 3 is of a device whose storage was a copy of another one's; 2 is the sealed form, see secrets-file.ts.
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, equalBytes, readBytes } from './bytes.ts'
import { hash } from './crypto.ts'
import { SkeinError } from './errors.ts'

const secretsVersion = 1
const renewedVersion = 3
const checksumBytes = 8

export interface SpaceSecrets {
  readonly spaceKey: Uint8Array
  readonly genesis: Uint8Array
  /** Of a renewed device: keys of content that it had before, and reads by until it is let in. */
  readonly epochKeys?: readonly Uint8Array[]
}

/** The device that this one was a copy of. */
export interface Formerly {
  /** Its public signing key. */
  readonly device: Uint8Array
  /** Its signature: this device comes of it. */
  readonly proof: Uint8Array
  /** Names the copy; see `Storage.copyIds`. */
  readonly copy: Uint8Array
}

export interface Secrets {
  readonly signSeed: Uint8Array
  readonly boxSeed: Uint8Array
  readonly name: string
  readonly person: string
  readonly spaces: readonly SpaceSecrets[]
  readonly formerly?: Formerly
}

export function encodeSecrets(secrets: Secrets): Uint8Array {
  const encoder = encoding.createEncoder()
  const { formerly } = secrets
  encoding.writeVarUint(encoder, formerly === undefined ? secretsVersion : renewedVersion)
  encoding.writeUint8Array(encoder, secrets.signSeed)
  encoding.writeUint8Array(encoder, secrets.boxSeed)
  encoding.writeVarString(encoder, secrets.name)
  encoding.writeVarString(encoder, secrets.person)
  encoding.writeVarUint(encoder, secrets.spaces.length)
  for (const { spaceKey, genesis, epochKeys = [] } of secrets.spaces) {
    encoding.writeUint8Array(encoder, spaceKey)
    encoding.writeVarUint8Array(encoder, genesis)
    if (formerly === undefined) continue
    encoding.writeVarUint(encoder, epochKeys.length)
    for (const key of epochKeys) encoding.writeUint8Array(encoder, key)
  }
  if (formerly !== undefined) {
    for (const part of [formerly.device, formerly.proof, formerly.copy])
      encoding.writeUint8Array(encoder, part)
  }
  encoding.writeUint8Array(encoder, checksumOf(encoding.toUint8Array(encoder)))
  return encoding.toUint8Array(encoder)
}

/** Fails with `BAD_ENCODING`. */
export function decodeSecrets(bytes: Uint8Array): Secrets {
  const body = bytes.subarray(0, Math.max(0, bytes.length - checksumBytes))
  if (!equalBytes(bytes.subarray(body.length), checksumOf(body))) {
    throw new SkeinError('BAD_ENCODING', 'The checksum of the secrets file is wrong')
  }
  return decodeAll(body, 'secrets file', (decoder) => {
    const version = decoding.readVarUint(decoder)
    const isRenewed = version === renewedVersion
    if (version !== secretsVersion && !isRenewed)
      throw new RangeError(`A secrets file of version ${version}`)
    const signSeed = readBytes(decoder, 32)
    const boxSeed = readBytes(decoder, 32)
    const name = decoding.readVarString(decoder)
    const person = decoding.readVarString(decoder)
    const spaces: SpaceSecrets[] = []
    for (let left = decoding.readVarUint(decoder); left > 0; left--) {
      const spaceKey = readBytes(decoder, 32)
      const genesis = new Uint8Array(decoding.readVarUint8Array(decoder))
      const epochKeys: Uint8Array[] = []
      for (let keys = isRenewed ? decoding.readVarUint(decoder) : 0; keys > 0; keys--)
        epochKeys.push(readBytes(decoder, 32))
      spaces.push(isRenewed ? { spaceKey, genesis, epochKeys } : { spaceKey, genesis })
    }
    const secrets = { signSeed, boxSeed, name, person, spaces }
    if (!isRenewed) return secrets
    const [device, proof] = [readBytes(decoder, 32), readBytes(decoder, 64)]
    return { ...secrets, formerly: { device, proof, copy: readBytes(decoder, 16) } }
  })
}

function checksumOf(body: Uint8Array): Uint8Array {
  return hash('skein/secrets', body).subarray(0, checksumBytes)
}
