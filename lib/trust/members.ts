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
export function membersOf(genesis: Genesis, entries: readonly ControlEntry[]): Map<DeviceId, Membership> {
  const byDevice = new Map<DeviceId, ControlEntry[]>()
  for (const entry of entries) {
    const list = byDevice.get(entry.device)
    if (list === undefined) byDevice.set(entry.device, [entry])
    else list.push(entry)
  }
  const building = new Map<DeviceId, Builder>()
  genesis.owners.forEach((record, index) => {
    const device = toHex(record.signKey)
    if (building.has(device)) return
    const builder = new Builder(device, leavesOf(byDevice.get(device) ?? []))
    builder.own(record, ownerRank - index)
    building.set(device, builder)
  })
  // A device's rank comes from strictly higher ones alone, so taking the highest first settles each in one visit.
  const visited = new Set<DeviceId>()
  for (;;) {
    let next: Builder | null = null
    for (const builder of building.values()) {
      if (visited.has(builder.device) || builder.rank < rankOf.admin) continue
      if (next === null || isBefore(builder, next)) next = builder
    }
    if (next === null) break
    visited.add(next.device)
    for (const entry of byDevice.get(next.device) ?? []) {
      const grant = grantIn(entry)
      if (grant === null || next.rankAt(entry.seq) <= rankOf[grant.role]) continue
      if (next.rankAt(entry.seq) < rankOf.admin) continue
      const device = toHex(grant.device.signKey)
      let builder = building.get(device)
      if (builder === undefined) {
        builder = new Builder(device, leavesOf(byDevice.get(device) ?? []))
        building.set(device, builder)
      }
      builder.grant(grant)
    }
  }
  return new Map([...building].map(([device, builder]) => [device, builder.build()]))
}

/** The role that a member's content entry at that position was written under, or null. */
export function roleAtContent(member: Membership, contentCore: number, seq: number): Role | null {
  return highest(
    member.grants.filter((grant) => {
      if (isAfter(grant.from.contentCore, grant.from.content, contentCore, seq)) return false
      return !member.leaves.some(
        ({ content }) =>
          !isAfter(content.contentCore, content.content, contentCore, seq) &&
          !isAfter(grant.from.contentCore, grant.from.content, content.contentCore, content.content - 1)
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

export function mayAdmit(role: Role | null): boolean {
  return role === 'owner' || role === 'admin'
}

/** May a device of this rank grant that role? Only strictly lower ones. */
export function mayGrant(member: Membership, role: GrantedRole): boolean {
  return member.role !== null && member.rank >= rankOf.admin && member.rank > rankOf[role]
}

class Builder {
  readonly device: DeviceId
  rank = 0
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
    this.rank = rank
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
      rankOf[role] > this.rank ||
      (rankOf[role] === this.rank && fingerprint(device) < fingerprint(current))
    if (better) {
      this.#record = device
      this.rank = Math.max(this.rank, rankOf[role])
    }
    this.#grants.push({ role, from, salt: device.salt })
    if (invite.length > 0) this.#invites.add(toHex(invite))
  }

  rankAt(seq: number): number {
    const role = roleAtControl(this.#grants, this.#leaves, seq)
    if (role === null) return 0
    return role === 'owner' ? this.rank : rankOf[role]
  }

  build(): Membership {
    return {
      device: this.device,
      record: this.#record!,
      role: roleAtControl(this.#grants, this.#leaves, Number.MAX_SAFE_INTEGER),
      rank: this.rankAt(Number.MAX_SAFE_INTEGER),
      salts: this.#grants.map((grant) => grant.salt),
      invites: [...this.#invites],
      grants: this.#grants,
      leaves: this.#leaves
    }
  }
}

function roleAtControl(grants: Standing[], leaves: LeaveAt[], seq: number): Role | null {
  return highest(
    grants.filter(
      (grant) =>
        grant.from.control <= seq &&
        !leaves.some((leave) => leave.control < seq && grant.from.control <= leave.control)
    )
  )
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

function isBefore(a: Builder, b: Builder): boolean {
  return a.rank > b.rank || (a.rank === b.rank && a.device < b.device)
}

function fingerprint(device: DeviceRecord): string {
  return `${toHex(device.boxKey)}${toHex(device.salt)}${device.name}\0${device.person}`
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
