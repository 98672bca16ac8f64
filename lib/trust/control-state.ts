/**
 * What a space's control entries say, as far as they are here: members, open invites, epoch keys. Everything in it is
 * a function of the set of entries added, in whatever order they came.
 */
import { equalBytes, toHex } from '../bytes.ts'
import type { BoxKeys } from '../crypto.ts'
import { SkeinError, type ErrorCode } from '../errors.ts'
import { keyIdOf, kinds } from '../log/entry.ts'
import {
  decodeEpoch,
  decodeGenesis,
  decodeGrant,
  decodeInviteEntry,
  decodeInviteRevoke,
  spaceIdOf,
  type Genesis,
  type InviteEntry
} from './control.ts'
import { openHandedKeys, type KeyRing } from './keys.ts'
import { mayGrant, membersOf, type ControlEntry, type DeviceId, type Membership } from './members.ts'

const knownKinds: ReadonlySet<number> = new Set([
  kinds.genesis,
  kinds.grant,
  kinds.leave,
  kinds.epoch,
  kinds.invite,
  kinds.inviteRevoke
])

interface IssuedInvite {
  readonly issuer: DeviceId
  readonly entry: InviteEntry
}

export class ControlState {
  readonly genesis: Genesis
  readonly ring: KeyRing
  readonly #device: Uint8Array
  readonly #box: BoxKeys
  readonly #entries: ControlEntry[] = []
  #members: Map<DeviceId, Membership>
  readonly #invitesByKey = new Map<string, IssuedInvite>()
  readonly #revocations: { issuer: DeviceId; key: string }[] = []
  #epochs: { issuer: DeviceId; seq: number; id: Uint8Array }[] = []
  #unknownCritical: number | null = null

  /** Fails with `BAD_ENCODING` when the genesis is not that of the space. */
  constructor(genesisBytes: Uint8Array, ring: KeyRing, device: Uint8Array, box: BoxKeys) {
    if (!equalBytes(spaceIdOf(genesisBytes), ring.space)) {
      throw new SkeinError('BAD_ENCODING', 'A genesis is not that of the space')
    }
    this.genesis = decodeGenesis(genesisBytes)
    this.ring = ring
    this.#device = device
    this.#box = box
    this.#members = membersOf(this.genesis, [])
  }

  get members(): ReadonlyMap<DeviceId, Membership> {
    return this.#members
  }

  /** A critical kind of entry that this version does not know: it must not write on, and says so. */
  get unknownCritical(): number | null {
    return this.#unknownCritical
  }

  /** Takes an entry; says what it changed. An entry that is malformed changes nothing. */
  add(entry: ControlEntry): { members: boolean; keys: boolean } {
    this.#entries.push(entry)
    const changed = { members: false, keys: false }
    if (entry.kind === kinds.grant || entry.kind === kinds.leave) {
      this.#members = membersOf(this.genesis, this.#entries)
      changed.members = true
    }
    try {
      changed.keys = this.#read(entry)
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error // Malformed: counts for nothing, on every peer alike.
    }
    if (!knownKinds.has(entry.kind) && entry.kind % 2 === 1) this.#unknownCritical = entry.kind
    return changed
  }

  /** The key that content is sealed under now, or null while none is here. */
  get contentKey(): Uint8Array | null {
    const rankOf = (device: DeviceId): number => this.#members.get(device)?.rank ?? 0
    const usable = this.#epochs.filter(({ issuer }) => rankOf(issuer) > 0)
    usable.sort((a, b) => rankOf(b.issuer) - rankOf(a.issuer) || b.seq - a.seq)
    for (const { id } of usable) {
      const key = this.ring.epochKey(id)
      if (key !== null) return key
    }
    return null
  }

  /** Invites that can still be answered at that time, their public keys in hex. */
  openInvites(nowMs: number): InviteEntry[] {
    return [...this.#invitesByKey.values()]
      .map(({ entry }) => entry)
      .filter((entry) => this.inviteFault(entry.publicKey, nowMs) === null)
  }

  invite(publicKey: Uint8Array): InviteEntry | null {
    return this.#invitesByKey.get(toHex(publicKey))?.entry ?? null
  }

  /** Invites that were ever issued, open or not, by those who might. */
  get invites(): InviteEntry[] {
    return [...this.#invitesByKey.values()].map(({ entry }) => entry)
  }

  /** Why an invite lets nobody in, or null if it does. The time is this device's, which alone decides about its grant. */
  inviteFault(publicKey: Uint8Array, nowMs: number): ErrorCode | null {
    const key = toHex(publicKey)
    const invite = this.#invitesByKey.get(key)
    if (invite === undefined) return 'INVITE_REFUSED'
    const issuer = this.#members.get(invite.issuer)
    if (issuer === undefined || !mayGrant(issuer, invite.entry.role)) return 'INVITE_REVOKED'
    const isRevoked = this.#revocations.some((revocation) => {
      const by = this.#members.get(revocation.issuer)
      return revocation.key === key && by !== undefined && mayGrant(by, invite.entry.role)
    })
    if (isRevoked) return 'INVITE_REVOKED'
    if (invite.entry.expiresAtMs > 0 && nowMs >= invite.entry.expiresAtMs) return 'INVITE_EXPIRED'
    let used = 0
    for (const member of this.#members.values()) if (member.invites.includes(key)) used++
    return used >= invite.entry.uses ? 'INVITE_USED_UP' : null
  }

  /** True if that changed which keys are here. */
  #read({ device, seq, kind, body }: ControlEntry): boolean {
    if (kind === kinds.invite) {
      const entry = decodeInviteEntry(body)
      this.#invitesByKey.set(toHex(entry.publicKey), { issuer: device, entry })
    } else if (kind === kinds.inviteRevoke) {
      this.#revocations.push({ issuer: device, key: toHex(decodeInviteRevoke(body)) })
    } else if (kind === kinds.grant) {
      const grant = decodeGrant(body)
      if (!equalBytes(grant.device.signKey, this.#device)) return false
      const handed = openHandedKeys(grant.sealedKeys, this.ring.space, this.#device, this.#box)
      if (handed === null || !equalBytes(handed.spaceKey, this.ring.spaceKey)) return false
      return handed.epochKeys.map((key) => this.ring.addEpochKey(key)).includes(true)
    } else if (kind === kinds.epoch) {
      const epoch = decodeEpoch(body)
      this.#epochs.push({ issuer: device, seq, id: epoch.epochId })
      const mine = epoch.sealed.find(({ signKey }) => equalBytes(signKey, this.#device))
      if (mine === undefined) return true
      const key = this.ring.openEpochKey(mine.sealedKey, this.#device, this.#box)
      if (key !== null && equalBytes(keyIdOf(key), epoch.epochId)) this.ring.addEpochKey(key)
      return true
    }
    return false
  }
}
