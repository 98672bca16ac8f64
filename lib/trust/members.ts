/**
 * What a member is, and what its role is at a place of its logs. The rules are in `README.md`; who is a member is worked
 * out in `member-set.ts`.
 */
import type { DeviceRecord, GrantedRole, Leave, LogPosition, Role } from './control.ts'
import type { CutRole, Keep } from './cut.ts'

/** A device's signing key in hex. */
export type DeviceId = string

/** A control entry with its author and its position in the author's control log. */
export interface ControlEntry {
  readonly device: DeviceId
  readonly seq: number
  /** Where its last block is, if it has several: they may differ between versions of a log. */
  readonly last?: number
  readonly kind: number
  readonly body: Uint8Array
  /** The lengths of others' control logs that it declares to have seen, those that grew since its author's last entry. */
  readonly seen?: readonly { readonly device: DeviceId; readonly length: number }[]
}

export interface Membership {
  readonly device: DeviceId
  readonly record: DeviceRecord
  /** The role now; null for who has left, was cut, or was let in by a grant that fell. */
  readonly role: Role | null
  readonly rank: number
  /** Every salt that a grant gave it, fallen ones too: the client ids made from them are its own. */
  readonly salts: readonly Uint8Array[]
  /** The invites that its grants answer, in hex. */
  readonly invites: readonly string[]
  /** Valid grants. */
  readonly grants: readonly Standing[]
  readonly leaves: readonly LeaveAt[]
  /** Cuts that count, with the rank that they have. */
  readonly cuts: readonly StandingCut[]
  /** Was it ever granted reader or above, validly or not: may it hold content keys? */
  readonly wasReader: boolean
}

/** A role that holds from a position on. */
export interface Standing {
  readonly role: Role
  readonly rank: number
  readonly from: LogPosition
}

export interface LeaveAt {
  readonly control: number
  readonly content: Leave
}

export interface StandingCut {
  readonly name: string
  readonly issuer: DeviceId
  readonly seq: number
  readonly rank: number
  readonly role: CutRole
  readonly control: number
  /** What is kept of each content log, by its number; of one that is not named, nothing. */
  readonly content: ReadonlyMap<number, number>
  /** The same, with what tells which version of a log it means, and without those of which nothing is kept. */
  readonly keeps: readonly Keep[]
  readonly demotion: string | null
}

/** Ranks compare roles: whoever has the higher one may grant and cut the lower. */
const ownerRank = 1_000
export const adminRank = 4
const rankOf: Record<GrantedRole | 'none', number> = {
  none: 0,
  mirror: 1,
  reader: 2,
  writer: adminRank - 1,
  admin: adminRank
}
const roleOf = ['none', 'mirror', 'reader', 'writer', 'admin'] as const

/** The rank of the owner that stands there in the genesis, from 0. */
export function rankOfOwner(index: number): number {
  return ownerRank - index
}

export function rankOfGrant(role: GrantedRole | 'none'): number {
  return rankOf[role]
}

export function roleOfRank(rank: number): Role | null {
  if (rank > adminRank) return 'owner'
  const role = roleOf[rank]!
  return role === 'none' ? null : role
}

type Judged = Pick<Membership, 'grants' | 'leaves'> & Partial<Pick<Membership, 'cuts'>>

/** The role that a member's control entry at that position was written under, or null. */
export function roleAtControl(member: Judged, seq: number): Role | null {
  return roleOfRank(rankAtControl(member, seq))
}

/** The same as a rank, 0 for none. */
export function rankAtControl({ grants, leaves, cuts = [] }: Judged, seq: number): number {
  const standing = rankStandingAt(grants, leaves, seq)
  return lowered(standing, cuts, (cut) => cut.control <= seq)
}

/** The highest rank of grants that stand at a position of the control log, whatever cuts there are; 0 for none. */
export function rankStandingAt(
  grants: readonly Standing[],
  leaves: readonly LeaveAt[],
  seq: number
): number {
  let highest = 0
  for (const { rank, from } of grants) {
    if (rank <= highest || from.control > seq) continue
    if (leaves.some(({ control }) => control < seq && from.control <= control)) continue
    highest = rank
  }
  return highest
}

/** The role that a member's content entry at that position was written under, or null. */
export function roleAtContent(member: Judged, contentCore: number, seq: number): Role | null {
  const { grants, leaves, cuts = [] } = member
  let standing = 0
  for (const { rank, from } of grants) {
    if (rank <= standing || isAfter(from.contentCore, from.content, contentCore, seq)) continue
    const isLeft = leaves.some(
      ({ control, content }) =>
        from.control <= control && !isAfter(content.contentCore, content.content, contentCore, seq)
    )
    if (!isLeft) standing = rank
  }
  const rank = lowered(standing, cuts, (cut) => (cut.content.get(contentCore) ?? 0) <= seq)
  return roleOfRank(rank)
}

/**
 * How far a content log of that length is kept: up to the end of its last block at whose place the member may write. What
 * lies before counts too, as the past of what is kept.
 */
export function keptContent(member: Membership, contentCore: number, length: number): number {
  const { grants, leaves, cuts } = member
  if (leaves.length === 0 && cuts.length === 0 && grants.some(isFromTheStart)) return length
  // Between these places the role is the same.
  const bounds = new Set([0])
  const add = (core: number, place: number): void => {
    if (core <= contentCore) bounds.add(core === contentCore ? place : 0)
  }
  for (const { from } of grants) add(from.contentCore, from.content)
  for (const { content } of leaves) add(content.contentCore, content.content)
  for (const cut of cuts) add(contentCore, cut.content.get(contentCore) ?? 0)
  let end = length
  for (const from of [...bounds].filter((place) => place < length).sort((a, b) => b - a)) {
    if (mayWrite(roleAtContent(member, contentCore, from))) return end
    end = from
  }
  return 0
}

function isFromTheStart({ role, from }: Standing): boolean {
  return mayWrite(role) && from.contentCore === 0 && from.content === 0
}

/** The cuts that lower the member's role now. */
export function cutsInForce({ grants, leaves, cuts }: Membership): StandingCut[] {
  return applying(rankStandingAt(grants, leaves, Number.MAX_SAFE_INTEGER), cuts)
}

export function mayWrite(role: Role | null): boolean {
  return role === 'owner' || role === 'admin' || role === 'writer'
}

/** May a device with this role hold the content keys? */
export function mayRead(role: Role | null): boolean {
  return mayWrite(role) || role === 'reader'
}

function mayAdmit(role: Role | null): boolean {
  return role === 'owner' || role === 'admin'
}

/** May a device with this role grant that one? Only admins and above, and only what is strictly lower. */
export function mayGrant(role: Role | null, granted: GrantedRole): boolean {
  return mayAdmit(role) && (role === 'owner' || granted !== 'admin')
}

/** Would being granted that role raise a device that has this one? */
export function wouldRaise(role: Role | null, granted: GrantedRole): boolean {
  return role === null || (role !== 'owner' && rankOf[granted] > rankOf[role])
}

function lowered(
  standing: number,
  cuts: readonly StandingCut[],
  isBehind: (cut: StandingCut) => boolean
): number {
  if (standing === 0 || cuts.length === 0) return standing
  let rank = standing
  for (const cut of applying(standing, cuts.filter(isBehind)))
    rank = Math.min(rank, rankOf[cut.role])
  return rank
}

/** Those that apply where these lie behind: of a rank above, or above what the demotion leaves that they build on. */
function applying(standing: number, behind: readonly StandingCut[]): StandingCut[] {
  const applied = new Map<string, StandingCut>()
  for (let before = -1; before < applied.size;) {
    before = applied.size
    for (const cut of behind) {
      const demotion = cut.demotion === null ? undefined : applied.get(cut.demotion)
      const against = Math.min(standing, demotion === undefined ? standing : rankOf[demotion.role])
      if (cut.rank > against) applied.set(cut.name, cut)
    }
  }
  return [...applied.values()]
}

/** Is position a after position b? */
function isAfter(coreA: number, lengthA: number, coreB: number, lengthB: number): boolean {
  return coreA > coreB || (coreA === coreB && lengthA > lengthB)
}
