/**
 * Who is a member of a space with which role: a pure function of the set of control entries, evaluated rank by rank,
 * owner 1 first (the rules: `README.md`). No clock and no order of arrival goes into it.
 *
 * An entry that bears on nobody's power to grant or cut is taken in as it comes; any other makes the next look evaluate
 * everything anew: a grant of admin to, or a cut of, someone who has used that power, a lift, a leave of such a one.
 */
import { toHex } from '../bytes.ts'
import { SkeinError } from '../errors.ts'
import { kinds } from '../log/entry.ts'
import { decodeGrant, decodeLeave, type DeviceRecord, type Genesis, type Grant } from './control.ts'
import { contentNumberOf, cutNameOf, decodeCut, decodeLift, type Cut } from './cut.ts'
import {
  adminRank,
  rankAtControl,
  rankOfGrant,
  rankOfOwner,
  rankStandingAt,
  roleOfRank,
  type ControlEntry,
  type DeviceId,
  type LeaveAt,
  type Membership,
  type Standing,
  type StandingCut
} from './members.ts'

/** Evaluates a set of control entries, given in any order. */
export function membersOf(
  genesis: Genesis,
  entries: readonly ControlEntry[],
  forks: readonly ControlFork[] = []
): ReadonlyMap<DeviceId, Membership> {
  const set = new MemberSet(genesis)
  for (const { device, common } of forks) set.fork(device, common)
  for (const entry of entries) set.add(entry)
  return set.members
}

/** A device's control log is proven to have several versions, which are alike up to that length. */
export interface ControlFork {
  readonly device: DeviceId
  readonly common: number
}

/** A cut that no longer counts, and whose device has a role that it would have taken. */
export interface FallenCut {
  readonly device: DeviceId
  readonly issuer: DeviceId
  readonly seq: number
  readonly name: string
}

type Power =
  | { readonly kind: 'grant'; readonly grant: Grant }
  | { readonly kind: 'cut'; readonly cut: Cut; readonly name: string }
  | { readonly kind: 'lift'; readonly cut: string }

/** An entry that has consequences if its author had the power for them. */
interface Op {
  readonly seq: number
  readonly last: number
  readonly power: Power | null
  readonly seen: NonNullable<ControlEntry['seen']>
}

interface NominalGrant extends Standing {
  readonly record: DeviceRecord
  readonly invite: Uint8Array
  /** Of who granted it. */
  readonly issuerRank: number
  readonly isValid: boolean
}

interface NominalCut extends Omit<StandingCut, 'rank'> {
  readonly nominalRank: number
  readonly isValid: boolean
}

/** What the entries say of one device. */
class Party {
  readonly device: DeviceId
  /** Its own entries, by place. */
  readonly ops: Op[] = []
  readonly leaves: LeaveAt[] = []
  grants: NominalGrant[] = []
  validGrants: NominalGrant[] = []
  cuts: NominalCut[] = []
  /** Where versions of its control log part, as far as it is proven that there are several. */
  readonly partings = new Set<number>()
  /** By the rank of those who do, how far they declare to have seen its control log. */
  declared = new Map<number, number>()
  membership: Membership | null = null

  constructor(device: DeviceId) {
    this.device = device
  }
}

export class MemberSet {
  readonly #genesis: Genesis
  readonly #parties = new Map<DeviceId, Party>()
  #members = new Map<DeviceId, Membership>()
  /** The lifts of a cut, by its name. */
  #lifts = new Map<string, { author: DeviceId; rank: number }[]>()
  #fallen: { party: Party; cut: NominalCut }[] = []
  readonly #changed = new Set<Party>()
  #hasCuts = false
  #isStale = true

  constructor(genesis: Genesis) {
    this.#genesis = genesis
    for (const { signKey } of genesis.owners) this.#party(toHex(signKey))
  }

  /** Everyone who was ever granted a role by someone who had, or lost, the power for it. */
  get members(): ReadonlyMap<DeviceId, Membership> {
    if (this.#isStale) this.#evaluate()
    for (const party of this.#changed) this.#conclude(party)
    this.#changed.clear()
    return this.#members
  }

  /** Is there any cut at all? */
  get hasCuts(): boolean {
    return this.#hasCuts
  }

  /** Cuts that had force once, whose devices have more than they leave: their authors were cut, and nobody upholds them. */
  get fallen(): FallenCut[] {
    const { members } = this
    return this.#fallen.flatMap(({ party: { device }, cut }) => {
      const rank = members.get(device)?.rank ?? 0
      const isLifted = this.#isLifted(cut)
      if (isLifted || this.#rankOf(cut) > 0 || rank <= rankOfGrant(cut.role)) return []
      if (rank >= cut.nominalRank) return []
      return [{ device, issuer: cut.issuer, seq: cut.seq, name: cut.name }]
    })
  }

  /** It is proven that there are several versions of a device's control log, alike up to that length. */
  fork(device: DeviceId, common: number): void {
    const party = this.#party(device)
    if (party.partings.has(common)) return
    party.partings.add(common)
    this.#isStale = true
  }

  /**
   * Does an entry of a device stand where versions of its control log have parted? Then it grants nothing, and lifts and
   * upholds no cut, until somebody who may has granted the device its role anew, from further on, or has said by a cut which
   * version stays, and how far.
   */
  isPowerless(device: DeviceId, seq: number, last = seq): boolean {
    if (this.#isStale) this.#evaluate()
    const party = this.#parties.get(device)
    return party !== undefined && this.#isPowerless(party, { seq, last })
  }

  #isPowerless(party: Party, { seq, last }: Pick<Op, 'seq' | 'last'>): boolean {
    const { partings, validGrants } = party
    // Who forks its log anew, having been granted the role anew, loses it anew.
    const parted = Math.max(...[...partings].filter((common) => common <= last))
    if (parted === -Infinity) return false
    const rankThere = this.#nominalRank(party, seq)
    if (this.#standingCuts(party).some(({ control, rank }) => control > last && rank > rankThere))
      return false
    return !validGrants.some(
      ({ rank, from, issuerRank }) =>
        issuerRank > rankThere && rank >= adminRank && from.control > parted && from.control <= seq
    )
  }

  /**
   * Another version of a control log has taken the place of the one that was here, which it is like up to that length: what
   * stood there counts no more, but for cuts and leaves, which count of every version.
   */
  withdraw(device: DeviceId, common: number): void {
    const party = this.#party(device)
    const stays = party.ops.flatMap((op) => {
      if (op.last < common) return [op]
      // What it says it has seen counts for nothing there.
      return op.seq >= common && op.power?.kind === 'cut' ? [{ ...op, seen: [] }] : []
    })
    party.ops.splice(0, party.ops.length, ...stays)
    this.#isStale = true
  }

  /** Takes an entry in; true if it may have changed who is a member. Malformed ones and strangers' count for nothing. */
  add(entry: ControlEntry): boolean {
    const party = this.#party(entry.device)
    const isLeave = entry.kind === kinds.leave && this.#addLeave(party, entry)
    const { seq, last = seq, seen = [] } = entry
    const op: Op = { seq, last, power: powerOf(entry), seen }
    if (op.power === null && op.seen.length === 0) return isLeave
    insert(party.ops, op)
    if (this.#isStale) return true
    return this.#take(party, op) || isLeave
  }

  /** Takes in what a leave ends. */
  #addLeave(party: Party, { seq, body }: ControlEntry): boolean {
    const content = decoded(() => decodeLeave(body))
    if (content === null) return false
    party.leaves.push({ control: seq, content })
    if (party.ops.length > 0) this.#isStale = true
    this.#changed.add(party)
    return true
  }

  #take(party: Party, op: Op): boolean {
    const nominal = this.#nominalRank(party, op.seq)
    if (nominal < adminRank) return false
    const isPowerless = this.#isPowerless(party, op)
    const isValid = this.#rankAt(party, op.seq) === nominal
    const { power } = op
    if (isValid && !isPowerless && op.seen.length > 0) {
      this.#declare(op, nominal)
      // A cut that had fallen may stand again, and its device may have used a power.
      const issuers = new Set(this.#fallen.map(({ cut }) => cut.issuer))
      if (op.seen.some(({ device }) => issuers.has(device))) this.#isStale = true
    }
    if (power === null) return this.#isStale
    if (power.kind === 'lift') this.#isStale = true
    else if (power.kind === 'grant') {
      const rank = rankOfGrant(power.grant.role)
      if (rank >= nominal) return this.#isStale
      const target = this.#addGrant(power.grant, nominal, isValid && !isPowerless)
      // Someone's power begins, and entries that need it are here.
      if (rank >= adminRank && target.ops.length > 0) this.#isStale = true
    } else {
      const target = this.#addCut(party, op.seq, power, nominal, isValid)
      if (target.ops.length > 0 && target.grants.some((grant) => grant.rank >= adminRank))
        this.#isStale = true
    }
    return true
  }

  /** Rank by rank: everything that bears on an entry of one rank was written by a higher one. */
  #evaluate(): void {
    this.#isStale = false
    this.#lifts = new Map()
    this.#fallen = []
    this.#members = new Map()
    for (const party of this.#parties.values()) {
      party.grants = []
      party.validGrants = []
      party.cuts = []
      party.declared = new Map()
      party.membership = null
    }
    const { owners } = this.#genesis
    for (const [index, record] of owners.entries()) {
      const party = this.#party(toHex(record.signKey))
      if (party.grants.length > 0) continue // Named twice.
      this.#give(party, { ...ownerGrant, rank: rankOfOwner(index), record, isValid: true })
    }
    for (const [index, { signKey }] of owners.entries())
      this.#takeRank([this.#party(toHex(signKey))], rankOfOwner(index))
    const admins = [...this.#parties.values()].filter(({ grants }) =>
      grants.some(({ rank }) => rank === adminRank)
    )
    this.#takeRank(admins, adminRank)
    for (const party of this.#parties.values()) this.#changed.add(party)
  }

  #takeRank(parties: readonly Party[], rank: number): void {
    for (const party of parties) {
      for (const op of party.ops) {
        if (this.#nominalRank(party, op.seq) !== rank) continue
        const isPowerless = this.#isPowerless(party, op)
        const isValid = this.#rankAt(party, op.seq) === rank
        if (isValid && !isPowerless) this.#declare(op, rank)
        const { power } = op
        if (power === null) continue
        if (power.kind === 'grant') {
          const isInForce = isValid && !isPowerless
          if (rankOfGrant(power.grant.role) < rank) this.#addGrant(power.grant, rank, isInForce)
        } else if (power.kind === 'cut') this.#addCut(party, op.seq, power, rank, isValid)
        else if (isValid && !isPowerless) {
          const lifts = this.#lifts.get(power.cut) ?? []
          this.#lifts.set(power.cut, [...lifts, { author: party.device, rank }])
        }
      }
    }
  }

  #declare({ seen }: Op, rank: number): void {
    for (const { device, length } of seen) {
      const { declared } = this.#party(device)
      declared.set(rank, Math.max(length, declared.get(rank) ?? 0))
    }
  }

  #addGrant(
    { device: record, role, from, invite }: Grant,
    issuerRank: number,
    isValid: boolean
  ): Party {
    const target = this.#party(toHex(record.signKey))
    const rank = rankOfGrant(role)
    this.#give(target, { role, rank, from, record, invite, issuerRank, isValid })
    return target
  }

  #give(party: Party, grant: NominalGrant): void {
    party.grants.push(grant)
    if (grant.isValid) party.validGrants.push(grant)
    this.#changed.add(party)
  }

  #addCut(
    issuer: Party,
    seq: number,
    { cut, name }: { cut: Cut; name: string },
    nominalRank: number,
    isValid: boolean
  ): Party {
    const target = this.#party(toHex(cut.device))
    const content = new Map<number, number>()
    let control = 0
    for (const { core, length } of cut.keeps) {
      if (core === 'control') control = length
      else content.set(contentNumberOf(core), length)
    }
    const { role, demotion } = cut
    const nominal: NominalCut = {
      ...{ name, issuer: issuer.device, seq, role, control, content, demotion },
      ...{ keeps: cut.keeps.filter(({ length }) => length > 0), nominalRank, isValid }
    }
    target.cuts.push(nominal)
    // It may give back a power that a fork had taken.
    if (target.partings.size > 0) this.#isStale = true
    this.#hasCuts = true
    if (!isValid) this.#fallen.push({ party: target, cut: nominal })
    this.#changed.add(target)
    return target
  }

  #nominalRank({ grants, leaves }: Party, seq: number): number {
    return rankStandingAt(grants, leaves, seq)
  }

  #rankAt(party: Party, seq: number): number {
    const { validGrants: grants, leaves } = party
    return rankAtControl({ grants, leaves, cuts: this.#standingCuts(party) }, seq)
  }

  #standingCuts({ cuts }: Party): StandingCut[] {
    if (cuts.length === 0) return []
    return cuts.flatMap((cut) => {
      const rank = this.#rankOf(cut)
      return rank === 0 || this.#isLifted(cut) ? [] : [{ ...cut, rank }]
    })
  }

  /** What a cut lost with its author's power it keeps as far as those who remain had seen it. */
  #rankOf({ issuer, seq, nominalRank, isValid }: NominalCut): number {
    if (isValid) return nominalRank
    let highest = 0
    for (const [rank, length] of this.#party(issuer).declared)
      if (length > seq) highest = Math.max(highest, rank)
    return Math.min(highest, nominalRank)
  }

  #isLifted({ name, issuer, nominalRank }: NominalCut): boolean {
    const lifts = this.#lifts.get(name) ?? []
    return lifts.some(({ author, rank }) =>
      author === issuer ? rank >= nominalRank : rank > nominalRank
    )
  }

  #conclude(party: Party): void {
    const { device, grants, validGrants, leaves } = party
    if (grants.length === 0) return
    const cuts = this.#standingCuts(party)
    const judged = {
      grants: validGrants.map(({ role, rank, from }) => ({ role, rank, from })).sort(byPlace),
      leaves: [...leaves].sort((a, b) => a.control - b.control),
      cuts: cuts.sort((a, b) => (a.name < b.name ? -1 : 1))
    }
    const rank = rankAtControl(judged, Number.MAX_SAFE_INTEGER)
    const salts = new Map(grants.map(({ record: { salt } }) => [toHex(salt), salt]))
    const invites = new Set(
      grants.flatMap(({ invite }) => (invite.length > 0 ? [toHex(invite)] : []))
    )
    this.#members.set(device, {
      ...judged,
      device,
      record: recordOf(grants),
      role: roleOfRank(rank),
      rank,
      salts: [...salts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, salt]) => salt),
      invites: [...invites].sort(),
      wasReader: grants.some((grant) => grant.rank >= rankOfGrant('reader'))
    })
  }

  #party(device: DeviceId): Party {
    let party = this.#parties.get(device)
    if (party === undefined) this.#parties.set(device, (party = new Party(device)))
    return party
  }
}

const ownerGrant = {
  role: 'owner',
  from: { control: 0, contentCore: 0, content: 0 },
  invite: new Uint8Array(),
  issuerRank: Infinity
} as const

function byPlace(a: Standing, b: Standing): number {
  const [{ from: p }, { from: q }] = [a, b]
  return (
    b.rank - a.rank ||
    p.control - q.control ||
    p.contentCore - q.contentCore ||
    p.content - q.content
  )
}

/** That of the highest valid grant; of equal ones, the one with the smaller bytes. */
function recordOf(grants: readonly NominalGrant[]): DeviceRecord {
  let best = grants[0]!
  for (const grant of grants) {
    const better =
      Number(grant.isValid) - Number(best.isValid) ||
      grant.rank - best.rank ||
      (fingerprint(grant.record) < fingerprint(best.record) ? 1 : 0)
    if (better > 0) best = grant
  }
  return best.record
}

function fingerprint(device: DeviceRecord): string {
  return `${toHex(device.boxKey)}${toHex(device.salt)}${device.name}\0${device.person}`
}

function powerOf({ device, seq, kind, body }: ControlEntry): Power | null {
  if (kind !== kinds.grant && kind !== kinds.cut && kind !== kinds.lift) return null
  return decoded(() => {
    if (kind === kinds.grant) return { kind: 'grant', grant: decodeGrant(body) }
    if (kind === kinds.lift) return { kind: 'lift', cut: decodeLift(body) }
    return { kind: 'cut', cut: decodeCut(body), name: cutNameOf(device, seq, body) }
  })
}

/** Null for what is malformed: it counts for nothing, on every peer alike. */
function decoded<T>(decode: () => T): T | null {
  try {
    return decode()
  } catch (error) {
    if (error instanceof SkeinError) return null
    throw error
  }
}

/** Nearly always at the end: a log is read in its order. */
function insert(ops: Op[], op: Op): void {
  let at = ops.length
  while (at > 0 && ops[at - 1]!.seq > op.seq) at--
  ops.splice(at, 0, op)
}
