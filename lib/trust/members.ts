/**
 * Who is a member of a space with which role: a pure function of the set of control entries, evaluated rank by rank,
 * owner 1 first. No clock and no order of arrival goes into it. An entry counts if its author's role at its position
 * in the author's log allows it; what was written while powerless stays powerless.
 */
import { toHex } from '../bytes.ts'
import { kinds } from '../log/entry.ts'
import {
  decodeGrant,
  decodeLeave,
  type DeviceRecord,
  type Genesis,
  type Grant,
  type GrantedRole,
  type Leave,
  type LogPosition,
  type Role
} from './control.ts'

/** A device's signing key in hex. */
export type DeviceId = string

/** A control entry with its author and its position in the author's control log. */
export interface ControlEntry {
  readonly device: DeviceId
  readonly seq: number
  readonly kind: number
  readonly body: Uint8Array
}

export interface Membership {
  readonly device: DeviceId
  readonly record: DeviceRecord
  /** The highest role that stands now, null once the device has left. */
  readonly role: Role | null
  readonly rank: number
  /** Every salt that a valid grant gave it: the client ids made from them are its own. */
  readonly salts: readonly Uint8Array[]
  /** The invites that its grants answer, in hex. */
  readonly invites: readonly string[]
  readonly grants: readonly Standing[]
  readonly leaves: readonly LeaveAt[]
}

/** A role that holds from a position on. */
interface Standing {
  readonly role: Role
  readonly from: LogPosition
  readonly salt: Uint8Array
}

interface LeaveAt {
  readonly control: number
  readonly content: Leave
}

/** Ranks compare roles: whoever has the higher one may grant the lower. */
const ownerRank = 1_000
const rankOf: Record<GrantedRole, number> = { mirror: 1, reader: 2, writer: 3, admin: 4 }

/**
 * Evaluates the set of control entries. Entries that are malformed, or that their author's role does not allow, count
 * for nothing. O(entries · log entries).
 */
export function membersOf(
  genesis: Genesis,
  entries: readonly ControlEntry[]
): Map<DeviceId, Membership> {
  const logs = logsOf(entries)
  const building = new Map<DeviceId, Builder>()
  const builderOf = (device: DeviceId): Builder => {
    let builder = building.get(device)
    if (builder === undefined) {
      builder = new Builder(device, leavesOf(logs.get(device) ?? []))
      building.set(device, builder)
    }
    return builder
  }
  const takeGrantsOf = (author: Builder, role: Role): void => {
    for (const entry of logs.get(author.device) ?? []) {
      if (author.roleAt(entry.seq) !== role) continue
      const grant = grantIn(entry)
      if (grant !== null && isAbove(role, grant.role))
        builderOf(toHex(grant.device.signKey)).grant(grant)
    }
  }
  genesis.owners.forEach((record, index) => {
    const device = toHex(record.signKey)
    if (!building.has(device)) builderOf(device).own(record, ownerRank - index)
  })
  // Owners are owners by the genesis alone, and admins by owners alone: each pass settles what the next one builds on.
  for (const owner of [...building.values()]) takeGrantsOf(owner, 'owner')
  const admins = [...building.values()].sort((a, b) => (a.device < b.device ? -1 : 1))
  for (const admin of admins) takeGrantsOf(admin, 'admin')
  return new Map([...building].map(([device, builder]) => [device, builder.build()]))
}

/** The role that a member's control entry at that position was written under, or null. */
export function roleAtControl(
  { grants, leaves }: Pick<Membership, 'grants' | 'leaves'>,
  seq: number
): Role | null {
  return highest(
    grants.filter(
      (grant) =>
        grant.from.control <= seq &&
        !leaves.some((leave) => leave.control < seq && grant.from.control <= leave.control)
    )
  )
}

/** The role that a member's content entry at that position was written under, or null. */
export function roleAtContent(member: Membership, contentCore: number, seq: number): Role | null {
  return highest(
    member.grants.filter((grant) => {
      if (isAfter(grant.from.contentCore, grant.from.content, contentCore, seq)) return false
      return !member.leaves.some(
        ({ control, content }) =>
          grant.from.control <= control &&
          !isAfter(content.contentCore, content.content, contentCore, seq)
      )
    })
  )
}

/** True if some grant gives the device a role at a later content position than this one, so that waiting is in vain. */
export function isPassedOver(member: Membership, contentCore: number, seq: number): boolean {
  return (
    roleAtContent(member, contentCore, seq) === null &&
    member.grants.some((grant) =>
      isAfter(grant.from.contentCore, grant.from.content, contentCore, seq)
    )
  )
}

export function mayWrite(role: Role | null): boolean {
  return role === 'owner' || role === 'admin' || role === 'writer'
}

function mayAdmit(role: Role | null): boolean {
  return role === 'owner' || role === 'admin'
}

/** May a device with this role grant that one? Only admins and above, and only what is strictly lower. */
export function mayGrant(role: Role | null, granted: GrantedRole): boolean {
  return mayAdmit(role) && isAbove(role, granted)
}

function isAbove(role: Role | null, granted: GrantedRole): boolean {
  return role === 'owner' || (role !== null && rankOf[role] > rankOf[granted])
}

/** Would being granted that role raise a device that has this one? */
export function wouldRaise(role: Role | null, granted: GrantedRole): boolean {
  return role === null || (role !== 'owner' && rankOf[granted] > rankOf[role])
}

class Builder {
  readonly device: DeviceId
  #ownerRank = 0
  /** The highest that was ever granted: whose record names the device. */
  #recordRank = 0
  #record: DeviceRecord | null = null
  readonly #grants: Standing[] = []
  readonly #leaves: LeaveAt[]
  readonly #invites = new Set<string>()

  constructor(device: DeviceId, leaves: LeaveAt[]) {
    this.device = device
    this.#leaves = leaves
  }

  own(record: DeviceRecord, rank: number): void {
    this.#record = record
    this.#ownerRank = this.#recordRank = rank
    this.#grants.push({
      role: 'owner',
      from: { control: 0, contentCore: 0, content: 0 },
      salt: record.salt
    })
  }

  grant({ device, role, from, invite }: Grant): void {
    // The record of the highest grant names the device; between equals the smaller key material, so that order of
    // arrival has no say.
    const current = this.#record
    const better =
      current === null ||
      rankOf[role] > this.#recordRank ||
      (rankOf[role] === this.#recordRank && fingerprint(device) < fingerprint(current))
    if (better) {
      this.#record = device
      this.#recordRank = rankOf[role]
    }
    this.#grants.push({ role, from, salt: device.salt })
    if (invite.length > 0) this.#invites.add(toHex(invite))
  }

  roleAt(seq: number): Role | null {
    return roleAtControl({ grants: this.#grants, leaves: this.#leaves }, seq)
  }

  build(): Membership {
    const role = this.roleAt(Number.MAX_SAFE_INTEGER)
    return {
      device: this.device,
      record: this.#record!,
      role,
      rank: role === null ? 0 : role === 'owner' ? this.#ownerRank : rankOf[role],
      salts: this.#grants.map((grant) => grant.salt),
      invites: [...this.#invites],
      grants: this.#grants,
      leaves: this.#leaves
    }
  }
}

function highest(standing: readonly Standing[]): Role | null {
  let role: Role | null = null
  for (const grant of standing) {
    if (grant.role === 'owner') return 'owner'
    if (role === null || rankOf[grant.role] > rankOf[role as GrantedRole]) role = grant.role
  }
  return role
}

/** Is position a after position b? */
function isAfter(coreA: number, lengthA: number, coreB: number, lengthB: number): boolean {
  return coreA > coreB || (coreA === coreB && lengthA > lengthB)
}

function fingerprint(device: DeviceRecord): string {
  return `${toHex(device.boxKey)}${toHex(device.salt)}${device.name}\0${device.person}`
}

/** The entries by author, in the order of their logs, whatever order they came in. */
function logsOf(entries: readonly ControlEntry[]): Map<DeviceId, ControlEntry[]> {
  const logs = new Map<DeviceId, ControlEntry[]>()
  for (const entry of [...entries].sort((a, b) => a.seq - b.seq)) {
    const log = logs.get(entry.device)
    if (log === undefined) logs.set(entry.device, [entry])
    else log.push(entry)
  }
  return logs
}

function grantIn(entry: ControlEntry): Grant | null {
  if (entry.kind !== kinds.grant) return null
  try {
    return decodeGrant(entry.body)
  } catch {
    return null // A malformed entry counts for nothing, on every peer alike.
  }
}

function leavesOf(entries: readonly ControlEntry[]): LeaveAt[] {
  return entries.flatMap((entry) => {
    if (entry.kind !== kinds.leave) return []
    try {
      return [{ control: entry.seq, content: decodeLeave(entry.body) }]
    } catch {
      return [] // As above.
    }
  })
}
