/**
 * Invites: the line of text that is handed on, and the proof by which its holder asks to be let in. In Yjs's notation:
 *
 *     invite    := 'skein:' • base64url(version(1) • space(32) • topicSecret(32) • seed(32) • role(1)
 *                  • varUint(expiresAtMs, 0 = never) • varUint(n) • varString(hint)*n • checksum(4))
 *     request   := version(1) • device • signature(64)
 *     signature := Ed25519 by the invite key over ('skein/pair', space, invite public key, device, handshakeHash)
 *     answer    := 0 • varUint8Array(genesis) • spaceKey(32)  |  1 • varString(error code)
 *
 * The grant that a member writes in answer alone has force; the proof is bound to one connection, and useless to anyone
 * who sees it.
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, readBytes } from '../bytes.ts'
import { keyedHash, sign, signKeysFrom, verify } from '../crypto.ts'
import { SkeinError, type ErrorCode } from '../errors.ts'
import type { DeviceKeys } from '../transport.ts'
import {
  readDevice,
  readRole,
  roleCodeOf,
  writeDevice,
  type DeviceRecord,
  type GrantedRole
} from './control.ts'
import { formatLine, parseLine, type TextLine } from './text-line.ts'

const scheme = 'skein:'
const form: TextLine = { scheme, label: 'skein/invite-checksum', what: 'an invite' }
const recoveryScheme = 'skein-recovery:'
const inviteVersion = 1
const pairingVersion = 1
const maxHints = 16

export interface Invite {
  readonly space: Uint8Array
  readonly topicSecret: Uint8Array
  readonly seed: Uint8Array
  readonly role: GrantedRole
  /** 0 = never. */
  readonly expiresAtMs: number
  /** Where members may be met, for transports that need an address: `host:port` of a private DHT, a URL. */
  readonly hints: readonly string[]
}

/** What a cold owner 1 is made of, and where its space is met. */
export type RecoveryKey = Pick<Invite, 'space' | 'topicSecret' | 'seed'>

export function formatInvite(invite: Invite): string {
  const encoder = encoding.createEncoder()
  encoding.writeUint8(encoder, inviteVersion)
  encoding.writeUint8Array(encoder, invite.space)
  encoding.writeUint8Array(encoder, invite.topicSecret)
  encoding.writeUint8Array(encoder, invite.seed)
  encoding.writeUint8(encoder, roleCodeOf(invite.role))
  encoding.writeVarUint(encoder, invite.expiresAtMs)
  encoding.writeVarUint(encoder, invite.hints.length)
  for (const hint of invite.hints) encoding.writeVarString(encoder, hint)
  return formatLine(form, encoding.toUint8Array(encoder))
}

/** A recovery key as text, to be printed: the same as an invite, with the seed of owner 1's keys. */
export function formatRecoveryKey({ space, topicSecret, seed }: RecoveryKey): string {
  const none = { role: 'admin', expiresAtMs: 0, hints: [] } as const
  return recoveryScheme + formatInvite({ space, topicSecret, seed, ...none }).slice(scheme.length)
}

/** Fails with `INVITE_INVALID`. */
export function parseRecoveryKey(text: string): Invite {
  const trimmed = text.trim()
  if (!trimmed.startsWith(recoveryScheme)) {
    throw new SkeinError('INVITE_INVALID', `A recovery key begins with "${recoveryScheme}"`)
  }
  return parseInvite(scheme + trimmed.slice(recoveryScheme.length))
}

/** Fails with `INVITE_INVALID`. White space around the text is forgiven. */
export function parseInvite(text: string): Invite {
  const bytes = parseLine(form, text)
  try {
    return decodeAll(bytes, 'invite', (decoder) => {
      const version = decoding.readUint8(decoder)
      if (version !== inviteVersion) throw new RangeError(`An invite of version ${version}`)
      const space = readBytes(decoder, 32)
      const topicSecret = readBytes(decoder, 32)
      const seed = readBytes(decoder, 32)
      const role = readRole(decoder)
      const expiresAtMs = decoding.readVarUint(decoder)
      const count = decoding.readVarUint(decoder)
      if (count > maxHints) throw new RangeError(`${count} hints`)
      const hints = Array.from({ length: count }, () => decoding.readVarString(decoder))
      return { space, topicSecret, seed, role, expiresAtMs, hints }
    })
  } catch (cause) {
    throw new SkeinError('INVITE_INVALID', 'This invite cannot be read by this version', { cause })
  }
}

export function inviteKeysOf(invite: Pick<Invite, 'seed'>): DeviceKeys {
  return signKeysFrom(invite.seed)
}

/** Names the pairing channel of one invite on one connection. */
export function pairingChannelId(
  invitePublicKey: Uint8Array,
  handshakeHash: Uint8Array
): Uint8Array {
  return keyedHash(invitePublicKey, 'skein/pairing-channel', handshakeHash)
}

export function encodePairingRequest(
  invite: Invite,
  device: DeviceRecord,
  handshakeHash: Uint8Array
): Uint8Array {
  const keys = inviteKeysOf(invite)
  const record = encodeDevice(device)
  const encoder = encoding.createEncoder()
  encoding.writeUint8(encoder, pairingVersion)
  encoding.writeUint8Array(encoder, record)
  const signature = sign(keys, 'skein/pair', invite.space, keys.publicKey, record, handshakeHash)
  encoding.writeUint8Array(encoder, signature)
  return encoding.toUint8Array(encoder)
}

/** The device that asks. Fails with `BAD_ENCODING`, or `BAD_SEAL` when the proof does not hold on this connection. */
export function openPairingRequest(
  bytes: Uint8Array,
  space: Uint8Array,
  invitePublicKey: Uint8Array,
  handshakeHash: Uint8Array
): DeviceRecord {
  const { device, signature } = decodeAll(bytes, 'pairing request', (decoder) => {
    const version = decoding.readUint8(decoder)
    if (version !== pairingVersion) throw new RangeError(`Pairing of version ${version}`)
    return { device: readDevice(decoder), signature: readBytes(decoder, 64) }
  })
  const record = encodeDevice(device)
  if (
    !verify(signature, invitePublicKey, 'skein/pair', space, invitePublicKey, record, handshakeHash)
  ) {
    throw new SkeinError('BAD_SEAL', 'The proof of an invite does not hold')
  }
  return device
}

export type PairingAnswer =
  { readonly genesis: Uint8Array; readonly spaceKey: Uint8Array } | { readonly refused: ErrorCode }

const refusals: readonly ErrorCode[] = [
  'INVITE_EXPIRED',
  'INVITE_USED_UP',
  'INVITE_REVOKED',
  'INVITE_REFUSED'
]

export function encodePairingAnswer(answer: PairingAnswer): Uint8Array {
  const encoder = encoding.createEncoder()
  if ('refused' in answer) {
    encoding.writeUint8(encoder, 1)
    encoding.writeVarString(encoder, answer.refused)
  } else {
    encoding.writeUint8(encoder, 0)
    encoding.writeVarUint8Array(encoder, answer.genesis)
    encoding.writeUint8Array(encoder, answer.spaceKey)
  }
  return encoding.toUint8Array(encoder)
}

/** Fails with `BAD_ENCODING`. A refusal that is not known here reads as `INVITE_REFUSED`. */
export function decodePairingAnswer(bytes: Uint8Array): PairingAnswer {
  return decodeAll(bytes, 'pairing answer', (decoder): PairingAnswer => {
    const tag = decoding.readUint8(decoder)
    if (tag === 0) {
      const genesis = new Uint8Array(decoding.readVarUint8Array(decoder))
      return { genesis, spaceKey: readBytes(decoder, 32) }
    }
    if (tag !== 1) throw new RangeError(`An answer of kind ${tag}`)
    const code = decoding.readVarString(decoder)
    return { refused: refusals.find((known) => known === code) ?? 'INVITE_REFUSED' }
  })
}

function encodeDevice(device: DeviceRecord): Uint8Array {
  const encoder = encoding.createEncoder()
  writeDevice(encoder, device)
  return encoding.toUint8Array(encoder)
}
