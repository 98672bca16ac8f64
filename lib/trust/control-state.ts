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
  type InviteEntry,
  type Role
} from './control.ts'
import { openHandedKeys, type KeyRing } from './keys.ts'
import {
  mayGrant,
  mayWrite,
  membersOf,
  roleAtControl,
  type ControlEntry,
  type DeviceId,
  type Membership
} from './members.ts'

const knownKinds: ReadonlySet<number> = new Set([
  kinds.genesis,
  kinds.grant,
  kinds.leave,
  kinds.epoch,
  kinds.invite,
  kinds.inviteRevoke
])

/** Where an entry stands: what it may say depends on its author's role there. */
interface Position {
  readonly issuer: DeviceId
  readonly seq: number
}

interface IssuedInvite extends Position {
  readonly entry: InviteEntry
}

export class ControlState {
  readonly genesis: Genesis
  readonly ring: KeyRing
  readonly #device: Uint8Array
  readonly #box: BoxKeys
  readonly #entries: ControlEntry[] = []
  #members: Map<DeviceId, Membership>
  /** Anyone can write an entry with a key that another's invite has. */
  readonly #invitesByKey = new Map<string, IssuedInvite[]>()
  readonly #revocations: (Position & { key: string })[] = []
  readonly #epochs: (Position & { id: Uint8Array })[] = []
  readonly #unknownCriticals: (Position & { kind: number })[] = []

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
    const unknown = this.#unknownCriticals.find((entry) => this.#roleAt(entry) !== null)
    return unknown?.kind ?? null
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
    const { device: issuer, seq, kind } = entry
    if (!knownKinds.has(kind) && kind % 2 === 1) this.#unknownCriticals.push({ issuer, seq, kind })
    return changed
  }

  /**
   * The key that content is sealed under now, or null while none is here. Members' keys come first; until keys are
   * rotated, that of someone who has left serves on where there is no other.
   */
  get contentKey(): Uint8Array | null {
    const usable = this.#epochs.filter((epoch) => mayWrite(this.#roleAt(epoch)))
    usable.sort((a, b) => this.#bySeniority(a, b))
    for (const { id } of usable) {
      const key = this.ring.epochKey(id)
      if (key !== null) return key
    }
    return null
  }

  /** The invite of that public key, if it was issued by someone who might. */
  invite(publicKey: Uint8Array): InviteEntry | null {
    return this.#issued(toHex(publicKey))?.entry ?? null
  }

  /** Invites that were ever issued, open or not, by those who might. */
  get invites(): InviteEntry[] {
    return [...this.#invitesByKey.keys()].flatMap((key) => this.#issued(key)?.entry ?? [])
  }

  /** Why an invite lets nobody in, or null if it does. The time is this device's, which alone decides about its grant. */
  inviteFault(publicKey: Uint8Array, nowMs: number): ErrorCode | null {
    const key = toHex(publicKey)
    const invite = this.#issued(key)
    if (invite === null) return 'INVITE_REFUSED'
    const { entry, issuer } = invite
    if (!mayGrant(this.#members.get(issuer)?.role ?? null, entry.role)) return 'INVITE_REVOKED'
    const isRevoked = this.#revocations.some(
      (revocation) => revocation.key === key && mayGrant(this.#roleAt(revocation), entry.role)
    )
    if (isRevoked) return 'INVITE_REVOKED'
    if (entry.expiresAtMs > 0 && nowMs >= entry.expiresAtMs) return 'INVITE_EXPIRED'
    let used = 0
    for (const member of this.#members.values()) if (member.invites.includes(key)) used++
    return used >= entry.uses ? 'INVITE_USED_UP' : null
  }

  /** Of several with one key, the most senior issuer's counts. */
  #issued(key: string): IssuedInvite | null {
    const issued = this.#invitesByKey.get(key) ?? []
    const valid = issued.filter((invite) => mayGrant(this.#roleAt(invite), invite.entry.role))
    valid.sort((a, b) => this.#bySeniority(a, b))
    return valid[0] ?? null
  }

  /** The role that an entry was written under: what was written while powerless stays powerless. */
  #roleAt({ issuer, seq }: Position): Role | null {
    const member = this.#members.get(issuer)
    return member === undefined ? null : roleAtControl(member, seq)
  }

  #bySeniority(a: Position, b: Position): number {
    const rankOf = ({ issuer }: Position): number => this.#members.get(issuer)?.rank ?? 0
    return rankOf(b) - rankOf(a) || b.seq - a.seq || (a.issuer < b.issuer ? -1 : 1)
  }

  /** True if that changed which keys are here. */
  #read({ device, seq, kind, body }: ControlEntry): boolean {
    if (kind === kinds.invite) {
      const entry = decodeInviteEntry(body)
      const key = toHex(entry.publicKey)
      const issued = this.#invitesByKey.get(key) ?? []
      this.#invitesByKey.set(key, [...issued, { issuer: device, seq, entry }])
    } else if (kind === kinds.inviteRevoke) {
      this.#revocations.push({ issuer: device, seq, key: toHex(decodeInviteRevoke(body)) })
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
