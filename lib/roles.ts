/**
 * What this device may do about others' roles: grant, demote, remove, let in again. It only writes entries; what they
 * do is worked out from the set of all, on every device alike (`trust/README.md`).
 */
import { fromHex, toHex } from './bytes.ts'
import { SkeinError } from './errors.ts'
import { kinds, type CoreName } from './log/entry.ts'
import type { Feed } from './log/feed.ts'
import {
  encodeGrant,
  type DeviceRecord,
  type GrantedRole,
  type LogPosition
} from './trust/control.ts'
import type { ControlState } from './trust/control-state.ts'
import { encodeCut, encodeLift, type CutRole, type Keep } from './trust/cut.ts'
import {
  adminRank,
  cutsInForce,
  rankOfGrant,
  rankStandingAt,
  type DeviceId,
  type Membership,
  type StandingCut
} from './trust/members.ts'

export interface RolesOptions {
  readonly device: DeviceId
  readonly control: ControlState
  readonly feed: Feed
  readonly randomBytes: (length: number) => Uint8Array
  readonly positionOf: (device: Uint8Array) => LogPosition
  /** Adds an entry to this device's control log. */
  readonly append: (kind: number, body: Uint8Array) => Promise<void>
}

/** A person's devices all carry its name. */
export type Who = DeviceId | { readonly person: string }

const grantable = ['admin', 'writer', 'reader', 'mirror']

export class Roles {
  readonly #options: RolesOptions

  constructor(options: RolesOptions) {
    this.#options = options
  }

  /** See `Space.grant`. */
  async grant(device: DeviceId, role: GrantedRole): Promise<void> {
    if (!grantable.includes(role))
      throw new TypeError(`No role that can be granted: ${String(role)}`)
    const target = this.#known(device)
    const wanted = rankOfGrant(role)
    if (wanted === target.rank) return
    this.#assertAbove(target.rank, `change the role of ${target.record.name}`)
    this.#assertAbove(wanted, `make anyone ${role}`)
    if (wanted < target.rank) return this.#cut([target], cutRoleOf(role))
    if (!(await this.lift(device, role)))
      throw notAllowed(`A higher one has cut ${target.record.name}, and alone may lift that`)
    await this.give(target.record, role)
  }

  /**
   * Ends the cuts that are in force for a device that is let in again with that role; false, and nothing done, where this
   * device may not.
   */
  async lift(device: DeviceId, role: GrantedRole): Promise<boolean> {
    const target = this.#known(device)
    const inForce = cutsInForce(target)
    if (inForce.length === 0) return true
    if (!inForce.every((cut) => this.#mayLift(cut))) return false
    const standing = rankStandingAt(target.grants, target.leaves, Number.MAX_SAFE_INTEGER)
    // Without the cuts it would have more than it is to get.
    if (standing > rankOfGrant(role)) await this.#cut([target], cutRoleOf(role))
    for (const { name } of inForce) await this.#options.append(kinds.lift, encodeLift(name))
    return true
  }

  /** See `Space.remove`. */
  async remove(who: Who): Promise<void> {
    const targets = typeof who === 'string' ? [this.#known(who)] : this.#devicesOf(who.person)
    const present = targets.filter(({ role }) => role !== null)
    for (const { device, rank, record } of present) {
      if (device === this.#options.device)
        throw notAllowed('A device does not remove itself: it leaves')
      this.#assertAbove(rank, `remove ${record.name}`)
    }
    await this.#cut(present, 'none')
  }

  /** Gives a role to a device that may not be known here. */
  async give(device: DeviceRecord, role: GrantedRole): Promise<void> {
    const { control, positionOf, append } = this.#options
    const sealedKeys = control.ring.sealFor(role, device.signKey, device.boxKey)
    const from = positionOf(device.signKey)
    const invite = new Uint8Array()
    await append(kinds.grant, encodeGrant({ device, role, from, invite, sealedKeys }))
  }

  /** All together, so that the keys that one's cut carries are not sealed to the next. */
  async #cut(targets: readonly Membership[], role: CutRole): Promise<void> {
    const { device, control, randomBytes, append } = this.#options
    const mayRead = rankOfGrant(role) >= rankOfGrant('reader')
    const without = new Set(mayRead ? [] : targets.map((target) => target.device))
    for (const target of targets) {
      const keeps = await this.#keepsOf(target.record.signKey)
      const epoch = mayRead ? new Uint8Array() : control.epochs.make(device, randomBytes, without)
      const body = { device: fromHex(target.device), role, keeps, epoch }
      await append(kinds.cut, encodeCut({ ...body, demotion: this.#demotionOf(target) }))
    }
  }

  /** All that has been delivered here of its logs stays. */
  async #keepsOf(device: Uint8Array): Promise<Keep[]> {
    const { feed } = this.#options
    const id = toHex(device)
    const keeps: Keep[] = []
    for (const log of feed.logs) {
      if (toHex(log.name.device) !== id) continue
      const length = feed.deliveredOf(log.id)
      const treeHash = length === 0 ? null : await log.treeHashAt(length)
      if (treeHash !== null) keeps.push({ core: log.name.core, length, treeHash })
    }
    return keeps.sort((a, b) => orderOf(a.core) - orderOf(b.core))
  }

  /** The cut that left an equal, or a higher one, less than this device has; null if none is needed. */
  #demotionOf(target: Membership): string | null {
    const standing = rankStandingAt(target.grants, target.leaves, Number.MAX_SAFE_INTEGER)
    if (standing < this.#rank) return null
    const below = cutsInForce(target).filter(({ role }) => rankOfGrant(role) < this.#rank)
    return below[0]?.name ?? null
  }

  #mayLift({ issuer, rank }: StandingCut): boolean {
    return issuer === this.#options.device ? this.#rank >= rank : this.#rank > rank
  }

  get #rank(): number {
    return this.#options.control.members.get(this.#options.device)?.rank ?? 0
  }

  #assertAbove(rank: number, what: string): void {
    if (this.#rank >= adminRank && this.#rank > rank) return
    throw notAllowed(`This device’s role does not allow it to ${what}`)
  }

  #known(device: DeviceId): Membership {
    const member = this.#options.control.members.get(device)
    if (member !== undefined) return member
    throw new SkeinError('DEVICE_UNKNOWN', `No device ${device} was ever let into this space`)
  }

  #devicesOf(person: string): Membership[] {
    const devices = [...this.#options.control.members.values()].filter(
      ({ record }) => record.person === person
    )
    if (devices.length > 0) return devices
    throw new SkeinError('DEVICE_UNKNOWN', `No device of ${JSON.stringify(person)} is known here`)
  }
}

/** A cut leaves writer at the most, so an owner is never made an admin. */
function cutRoleOf(role: GrantedRole): CutRole {
  if (role === 'admin') throw notAllowed('An owner is made a writer at the most')
  return role
}

function orderOf(core: CoreName): number {
  return core === 'control' ? -1 : Number(core.slice('content/'.length))
}

function notAllowed(message: string): SkeinError {
  return new SkeinError('NOT_ALLOWED', message)
}
