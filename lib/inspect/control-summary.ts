/** What a control entry says, in words and figures that may be shown: no keys but public ones. */
import { toHex } from '../bytes.ts'
import { kinds, type Entry } from '../log/entry.ts'
import {
  decodeGenesis,
  decodeGrant,
  decodeInviteEntry,
  decodeInviteRevoke,
  decodeLeave
} from '../trust/control.ts'
import { decodeCut, decodeLift } from '../trust/cut.ts'
import { decodeEpoch, decodeKeyShare } from '../trust/epoch.ts'
import { decodeForkProof } from '../trust/fork-proof.ts'
import type { DeviceId } from '../trust/members.ts'

/** `text` is one line; `details` is what JSON can hold. */
export interface ControlSummary {
  readonly text: string
  readonly details: Readonly<Record<string, unknown>>
}

/** Fails with `BAD_ENCODING`. */
export function controlSummaryOf(
  { kind, body }: Entry,
  nameOf: (device: DeviceId) => string
): ControlSummary {
  switch (kind) {
    case kinds.genesis: {
      const { name, owners } = decodeGenesis(body)
      const details = { space: name, owners: owners.map((owner) => toHex(owner.signKey)) }
      return { text: `makes the space ${JSON.stringify(name)}`, details }
    }
    case kinds.grant: {
      const { device, role, from, invite } = decodeGrant(body)
      const id = toHex(device.signKey)
      const { name, person } = device
      const details = { device: id, name, person, role, from, invite: toHex(invite) }
      return { text: `lets ${nameOf(id)} in as ${role}`, details }
    }
    case kinds.cut: {
      const { device, role, keeps } = decodeCut(body)
      const id = toHex(device)
      const details = {
        device: id,
        role,
        keeps: keeps.map(({ core, length }) => ({ core, length }))
      }
      const text = role === 'none' ? `removes ${nameOf(id)}` : `makes ${nameOf(id)} a ${role}`
      return { text, details }
    }
    case kinds.lift: {
      const cut = decodeLift(body)
      return { text: `ends the cut ${cut.slice(0, 8)}`, details: { cut } }
    }
    case kinds.keyShare: {
      const { device: signKey, sealedKeys } = decodeKeyShare(body)
      const device = toHex(signKey)
      // No box has this length.
      const text = sealedKeys.length % 32 === 0 ? 'says what cannot be opened by' : 'hands keys to'
      return { text: `${text} ${nameOf(device)}`, details: { device } }
    }
    case kinds.leave: {
      const { content } = decodeLeave(body)
      return { text: 'leaves', details: { contentLength: content } }
    }
    case kinds.epoch: {
      const { epochId, sealed } = decodeEpoch(body)
      const devices = sealed.map(({ signKey }) => toHex(signKey))
      const id = toHex(epochId)
      return {
        text: `gives out the content key ${id.slice(0, 8)} to ${devices.map(nameOf).join(', ')}`,
        details: { key: id, devices }
      }
    }
    case kinds.invite: {
      const { publicKey, role, uses, expiresAtMs } = decodeInviteEntry(body)
      const key = toHex(publicKey)
      const details = {
        invite: key,
        role,
        uses,
        expiresAtMs: expiresAtMs === 0 ? null : expiresAtMs
      }
      const count = uses === 1 ? 'one device' : `${uses} devices`
      return { text: `invites ${count} as ${role} (${key.slice(0, 8)})`, details }
    }
    case kinds.inviteRevoke: {
      const key = toHex(decodeInviteRevoke(body))
      return { text: `takes the invite ${key.slice(0, 8)} back`, details: { invite: key } }
    }
    case kinds.forkProof: {
      const { device, core, held, other } = decodeForkProof(body)
      const id = toHex(device)
      const log = `${nameOf(id)}’s ${core === 'control' ? 'control' : 'content'} log`
      const { common, length } = held
      const details = { device: id, core, common, holds: length, other: other.length }
      const text = `proves that ${log} has two versions from block ${common} on, and holds the one of ${length}`
      return { text, details }
    }
    default:
      return { text: `${body.length} bytes`, details: { body: toHex(body) } }
  }
}
