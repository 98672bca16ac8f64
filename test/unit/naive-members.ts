/**
 * The rules of `lib/trust/README.md` ("Members are a function of the set of control entries") once more, as plainly as can
 * be: facts instead of bytes, every question answered by looking at all of them, nothing remembered but which facts of the
 * higher ranks have force. It shares no code with the library.
 */

export type NaiveRole = 'none' | 'mirror' | 'reader' | 'writer' | 'admin'

const order: NaiveRole[] = ['none', 'mirror', 'reader', 'writer', 'admin']
const admin = 4

/** A place: in the control log, or in a content core. */
export type NaivePlace =
  { readonly control: number } | { readonly core: number; readonly content: number }

export interface Fact {
  readonly by: string
  readonly seq: number
  /** Of its last block. */
  readonly last: number
  readonly seen: readonly { readonly device: string; readonly length: number }[]
  readonly says:
    | {
        readonly kind: 'grant'
        readonly to: string
        readonly role: NaiveRole
        readonly control: number
        readonly core: number
        readonly content: number
      }
    | {
        readonly kind: 'cut'
        readonly name: string
        readonly of: string
        readonly role: NaiveRole
        readonly control: number
        /** What is kept of each content core. */
        readonly content: readonly number[]
        readonly demotion: string | null
      }
    | { readonly kind: 'lift'; readonly cut: string }
    | { readonly kind: 'leave'; readonly core: number; readonly content: number }
    | { readonly kind: 'other' }
}

/** Versions of a device's control log are alike up to that length, and no further. */
export interface NaiveFork {
  readonly device: string
  readonly common: number
}

export class NaiveMembers {
  readonly #owners: readonly string[]
  readonly #facts: readonly Fact[]
  /** Facts whose authors had the rank for them as entries were written, with that rank. */
  readonly #nominal = new Map<Fact, number>()
  /** Those of them that have force. */
  readonly #force = new Set<Fact>()
  /** Those of these that rule 8 leaves the power to grant, lift and uphold. */
  readonly #power = new Set<Fact>()
  readonly #forks: readonly NaiveFork[]

  constructor(owners: readonly string[], facts: readonly Fact[], forks: readonly NaiveFork[] = []) {
    this.#owners = owners
    this.#facts = facts
    this.#forks = forks
    for (const rank of [...owners.map((_, i) => 1000 - i), admin]) {
      const ofRank = facts.filter(
        (fact) => this.#standing(fact.by, { control: fact.seq }, false) === rank
      )
      const strong = ofRank.filter((fact) => this.rankAt(fact.by, { control: fact.seq }) === rank)
      for (const fact of ofRank) this.#nominal.set(fact, rank)
      const powerful = strong.filter(({ by, seq, last }) => !this.isPowerless(by, seq, last))
      for (const fact of strong) this.#force.add(fact)
      for (const fact of powerful) this.#power.add(fact)
    }
  }

  /** 1000 less its index for an owner, 4 admin … 0 none. */
  rankAt(device: string, place: NaivePlace): number {
    const standing = this.#standing(device, place, true)
    if (standing === 0) return 0
    const left = this.#cutsBehind(device, place)
      .filter((cut) => this.#applies(cut, device, place, standing, []))
      .map((cut) => (cut.says.kind === 'cut' ? order.indexOf(cut.says.role) : admin))
    return Math.min(standing, ...left)
  }

  /** Everyone with a role now. */
  get roles(): Record<string, number> {
    const devices = new Set(this.#owners)
    for (const { says } of this.#facts) if (says.kind === 'grant') devices.add(says.to)
    const roles: Record<string, number> = {}
    for (const device of [...devices].sort()) {
      const rank = this.rankAt(device, { control: 1e9 })
      if (rank > 0) roles[device] = rank
    }
    return roles
  }

  /** Rule 8. */
  isPowerless(device: string, seq: number, last = seq): boolean {
    const before = this.#forks.filter((fork) => fork.device === device && fork.common <= last)
    return (
      before.some(({ common }) => !this.#isGrantedAnew(device, common, seq)) &&
      !this.#isMeantByACut(device, seq, last)
    )
  }

  #isGrantedAnew(device: string, common: number, seq: number): boolean {
    return [...this.#power].some(
      (fact) =>
        fact.says.kind === 'grant' &&
        fact.says.to === device &&
        fact.says.role === 'admin' &&
        fact.says.control > common &&
        fact.says.control <= seq &&
        this.#nominal.get(fact)! > Math.max(admin, this.#standing(device, { control: seq }, false))
    )
  }

  #isMeantByACut(device: string, seq: number, last: number): boolean {
    const rank = this.#standing(device, { control: seq }, false)
    return this.#facts.some(
      (fact) =>
        fact.says.kind === 'cut' &&
        fact.says.of === device &&
        fact.says.control > last &&
        !this.#isLifted(fact) &&
        this.#cutRank(fact) > rank
    )
  }

  /** Rule 1. */
  #standing(device: string, place: NaivePlace, onlyValid: boolean): number {
    const ranks = [0]
    const index = this.#owners.indexOf(device)
    if (index >= 0 && !this.#isLeft(device, 0, place)) ranks.push(1000 - index)
    for (const fact of this.#facts) {
      const { says } = fact
      if (says.kind !== 'grant' || says.to !== device) continue
      const nominal = this.#nominal.get(fact) ?? 0
      if (nominal < admin || order.indexOf(says.role) >= nominal) continue
      if (onlyValid && !this.#power.has(fact)) continue
      if (this.#begins(says, place) && !this.#isLeft(device, says.control, place))
        ranks.push(order.indexOf(says.role))
    }
    return Math.max(...ranks)
  }

  #begins(grant: { control: number; core: number; content: number }, place: NaivePlace): boolean {
    if ('control' in place) return grant.control <= place.control
    if (grant.core !== place.core) return grant.core < place.core
    return grant.content <= place.content
  }

  #isLeft(device: string, grantedFrom: number, place: NaivePlace): boolean {
    return this.#facts.some(({ by, seq, says }) => {
      if (says.kind !== 'leave' || by !== device || seq < grantedFrom) return false
      if ('control' in place) return seq < place.control
      return says.core < place.core || (says.core === place.core && says.content <= place.content)
    })
  }

  /** Rule 2. */
  #cutsBehind(device: string, place: NaivePlace): Fact[] {
    return this.#facts.filter((fact) => {
      const { says } = fact
      if (says.kind !== 'cut' || says.of !== device || this.#isLifted(fact)) return false
      const kept = 'control' in place ? says.control : (says.content[place.core] ?? 0)
      return kept <= ('control' in place ? place.control : place.content)
    })
  }

  #applies(
    cut: Fact,
    device: string,
    place: NaivePlace,
    standing: number,
    asked: readonly Fact[]
  ): boolean {
    const rank = this.#cutRank(cut)
    if (rank > standing) return true
    return this.#cutsBehind(device, place).some(
      (other) =>
        cut.says.kind === 'cut' &&
        other.says.kind === 'cut' &&
        other.says.name === cut.says.demotion &&
        !asked.includes(other) &&
        rank > order.indexOf(other.says.role) &&
        this.#applies(other, device, place, standing, [...asked, cut])
    )
  }

  /** Rule 5. */
  #cutRank(cut: Fact): number {
    const nominal = this.#nominal.get(cut) ?? 0
    if (this.#force.has(cut)) return nominal
    const seers = [...this.#power].filter(({ seen }) =>
      seen.some(({ device, length }) => device === cut.by && length > cut.seq)
    )
    return Math.min(nominal, Math.max(0, ...seers.map((fact) => this.#nominal.get(fact)!)))
  }

  /** Rule 6. */
  #isLifted(cut: Fact): boolean {
    const rank = this.#nominal.get(cut) ?? 0
    return [...this.#power].some(({ by, says }, _, power) => {
      if (says.kind !== 'lift' || cut.says.kind !== 'cut' || says.cut !== cut.says.name)
        return false
      const own = this.#nominal.get(power.find((fact) => fact.says === says)!)!
      return by === cut.by ? own >= rank : own > rank
    })
  }
}
