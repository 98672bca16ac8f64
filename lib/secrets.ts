/**
 * What only this device knows: its keys, and the keys of its spaces. Format of the secrets file, in Yjs's notation:
 *
 *     secrets   := body • checksum(8)       // of the hash of the body: one changed bit would be another device
 *     body      := varUint(version: 1) • signSeed(32) • boxSeed(32) • varString(name) • varString(person)
 *                  • varUint(n) • (spaceKey(32) • varUint8Array(genesis))*n
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, equalBytes, readBytes } from './bytes.ts'
import { hash } from './crypto.ts'
import { SkeinError } from './errors.ts'

const secretsVersion = 1
const checksumBytes = 8

export interface SpaceSecrets {
  readonly spaceKey: Uint8Array
  readonly genesis: Uint8Array
}

export interface Secrets {
  readonly signSeed: Uint8Array
  readonly boxSeed: Uint8Array
  readonly name: string
  readonly person: string
  readonly spaces: readonly SpaceSecrets[]
}

export function encodeSecrets(secrets: Secrets): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, secretsVersion)
  encoding.writeUint8Array(encoder, secrets.signSeed)
  encoding.writeUint8Array(encoder, secrets.boxSeed)
  encoding.writeVarString(encoder, secrets.name)
  encoding.writeVarString(encoder, secrets.person)
  encoding.writeVarUint(encoder, secrets.spaces.length)
  for (const { spaceKey, genesis } of secrets.spaces) {
    encoding.writeUint8Array(encoder, spaceKey)
    encoding.writeVarUint8Array(encoder, genesis)
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
    if (version !== secretsVersion) throw new RangeError(`A secrets file of version ${version}`)
    const signSeed = readBytes(decoder, 32)
    const boxSeed = readBytes(decoder, 32)
    const name = decoding.readVarString(decoder)
    const person = decoding.readVarString(decoder)
    const spaces: SpaceSecrets[] = []
    for (let left = decoding.readVarUint(decoder); left > 0; left--) {
      const spaceKey = readBytes(decoder, 32)
      spaces.push({ spaceKey, genesis: new Uint8Array(decoding.readVarUint8Array(decoder)) })
    }
    return { signSeed, boxSeed, name, person, spaces }
  })
}

function checksumOf(body: Uint8Array): Uint8Array {
  return hash('skein/secrets', body).subarray(0, checksumBytes)
}
