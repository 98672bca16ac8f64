/**
 * The keys of content, as far as control entries hand them to this device: which of them may be used now, and who lacks
 * one. The rule is in `README.md`.
 */
import { equalBytes, toHex } from '../bytes.ts'
import type { BoxKeys } from '../crypto.ts'
import { keyIdOf, kinds } from '../log/entry.ts'
import { decodeGrant, type Genesis } from './control.ts'
import { decodeCut } from './cut.ts'
import { decodeEpoch, decodeKeyShare, encodeEpoch, lackingIn, type Epoch } from './epoch.ts'
import { openHandedKeys, type KeyRing } from './keys.ts'
import { membersOf, type ControlFork } from './member-set.ts'
import {
  mayRead,
  mayWrite,
  roleAtControl,
  type ControlEntry,
  type DeviceId,
  type Membership
} from './members.ts'

export interface EpochsOptions {
  readonly genesis: Genesis
  readonly ring: KeyRing
  readonly device: Uint8Array
  readonly box: BoxKeys
  readonly members: () => ReadonlyMap<DeviceId, Membership>
  /** What an entry proves of somebody's control log. */
  readonly forkBy: (entry: ControlEntry) => ControlFork | null
}

/** So often a device says so of epochs of one author: thousands of junk do not make everyone write as many entries. */
const maxLacking = 16

interface Issued {
  readonly issuer: DeviceId
  readonly seq: number
  readonly epoch: Epoch
  /** Who was out by what it took into account; worked out when it is asked for. */
  out: ReadonlySet<DeviceId> | null
}

/** A member that lacks a key. */
export interface Gap {
  readonly member: Membership
  readonly epochId: Uint8Array
  /** Who made the epoch. */
  readonly issuer: DeviceId
}

export class Epochs {
  readonly #options: EpochsOptions
  #entries: ControlEntry[] = []
  readonly #issued: Issued[] = []
  /** Worked out when they are asked for, anew after each entry: every edit asks. */
  #usable: readonly Issued[] | null = null
  #all: readonly Issued[] | null = null
  /** By device, the grants and key shares that hand it keys. */
  readonly #handed = new Map<DeviceId, { author: DeviceId; seq: number }[]>()
  /** By device and epoch, where it says that it cannot open the key that it was handed. */
  readonly #lacking = new Map<string, number[]>()
  /** What each author had seen of others' control logs, at which of its entries. */
  readonly #seen = new Map<DeviceId, { seq: number; device: DeviceId; length: number }[]>()

  constructor(options: EpochsOptions) {
    this.#options = options
  }

  /** Takes a control entry; true if that changed which keys are here. Fails with `BAD_ENCODING`. */
  add(entry: ControlEntry): boolean {
    const { device, seq, kind, body, seen = [] } = entry
    this.#entries.push(entry)
    this.#usable = null
    this.#all = null
    const seenBefore = this.#seen.get(device) ?? []
    if (seen.length > 0) {
      this.#seen.set(device, seenBefore)
      for (const one of seen) seenBefore.push({ seq, ...one })
    }
    if (kind === kinds.grant) return this.#addGrant(device, seq, body)
    if (kind === kinds.epoch) return this.#addEpoch(device, seq, decodeEpoch(body))
    if (kind === kinds.keyShare) return this.#addShare(device, seq, body)
    if (kind !== kinds.cut) return false
    const { epoch } = decodeCut(body)
    return epoch.length > 0 && this.#addEpoch(device, seq, decodeEpoch(epoch))
  }

  /** These entries count no more; the keys that came by them stay. */
  withdraw(isGone: (entry: ControlEntry) => boolean): void {
    this.#entries = this.#entries.filter((entry) => !isGone(entry))
    for (const issued of this.#issued) issued.out = null
    this.#usable = null
    this.#all = null
  }

  /** The key that new content is sealed under, or null while this device holds none that may be used. */
  get usableKey(): Uint8Array | null {
    this.#usable ??= this.#bySeniority(this.#issued.filter((issued) => this.#mayBeUsed(issued)))
    return this.#firstHeld(this.#usable)
  }

  /** Any key that this device holds, the last resort of who may not write: what it wrote is kept, and read by itself. */
  get anyKey(): Uint8Array | null {
    this.#all ??= this.#bySeniority([...this.#issued])
    return this.#firstHeld(this.#all)
  }

  /** Takes the keys that were handed to another device whose box key is at hand: a cold owner. */
  adopt(device: Uint8Array, box: BoxKeys): void {
    for (const { epoch } of this.#issued) this.#openEpoch(epoch, device, box)
  }

  /** A new epoch for everyone who may read, except `without`, as an entry's body. */
  make(
    author: DeviceId,
    randomBytes: (length: number) => Uint8Array,
    without: ReadonlySet<DeviceId> = new Set()
  ): Uint8Array {
    const { ring, members } = this.#options
    const key = randomBytes(32)
    const readers = [...members().values()].filter(
      ({ device, role }) => mayRead(role) && !without.has(device)
    )
    const seen = new Map<DeviceId, number>()
    for (const { device, seq } of this.#entries) {
      if (device !== author) seen.set(device, Math.max(seen.get(device) ?? 0, seq + 1))
    }
    return encodeEpoch({
      epochId: keyIdOf(key),
      sealed: readers.map(({ record: { signKey, boxKey } }) => ({
        signKey,
        sealedKey: ring.sealEpochKeyTo(key, signKey, boxKey)
      })),
      earlierKeys: ring.sealEarlierKeys(key, randomBytes),
      seen
    })
  }

  /**
   * Members that no entry hands a key that this device holds. One that may not be used, or never might, is handed over too:
   * members may have written under it while its author was in for all they knew, and that counts.
   */
  get gaps(): Gap[] {
    const { ring, members } = this.#options
    const gaps: Gap[] = []
    for (const issued of this.#issued) {
      const { epoch, issuer } = issued
      const mightRead = members().get(issuer)?.wasReader === true
      if (ring.epochKey(epoch.epochId) === null || !mightRead) continue
      const named = new Set(epoch.sealed.map(({ signKey }) => toHex(signKey)))
      for (const member of members().values()) {
        if (!mayRead(member.role) || member.device === issuer) continue
        const givers = this.#giversSince(member.device, issued)
        const isHanded =
          givers === null
            ? named.has(member.device) || this.#wasHanded(member.device, issued)
            : givers.isEnough || givers.devices.has(toHex(this.#options.device))
        if (!isHanded) gaps.push({ member, epochId: epoch.epochId, issuer })
      }
    }
    return gaps
  }

  /** Epochs whose keys this device was handed and cannot open, and of which it has yet to say so, or to say so again. */
  get unopened(): Uint8Array[] {
    const { ring, members } = this.#options
    const me = toHex(this.#options.device)
    if (!mayRead(members().get(me)?.role ?? null)) return []
    const saidOf = new Map<DeviceId, number>()
    return this.#issued.flatMap((issued) => {
      const { epoch, issuer } = issued
      const said = saidOf.get(issuer) ?? 0
      saidOf.set(issuer, said + (this.#lackingOf(me, issued)?.length ?? 0))
      if (issuer === me || ring.epochKey(epoch.epochId) !== null || said >= maxLacking) return []
      if (members().get(issuer)?.wasReader !== true) return []
      const isNamed = epoch.sealed.some(({ signKey }) => toHex(signKey) === me)
      const isHanded = this.#giversSince(me, issued)?.isEnough
      return (isHanded ?? (isNamed || this.#wasHanded(me, issued))) ? [epoch.epochId] : []
    })
  }

  #lackingOf(device: DeviceId, { epoch }: Issued): number[] | undefined {
    return this.#lacking.get(`${device} ${toHex(epoch.epochId)}`)
  }

  /**
   * Who has handed keys to a device since it first said that it cannot open one; null where it never did. Of those who do it
   * no two may be the same for each time that it says so: one who hands it junk again does not keep the others from it.
   */
  #giversSince(
    device: DeviceId,
    issued: Issued
  ): { devices: ReadonlySet<DeviceId>; isEnough: boolean } | null {
    const said = this.#lackingOf(device, issued)
    if (said === undefined) return null
    const first = Math.min(...said)
    const since = (this.#handed.get(device) ?? []).filter(({ author, seq }) =>
      (this.#seen.get(author) ?? []).some(
        (one) => one.seq <= seq && one.device === device && one.length > first
      )
    )
    const devices = new Set(since.map(({ author }) => author))
    return { devices, isEnough: devices.size >= said.length }
  }

  /** Was the device granted its role, or handed keys, by someone who had seen that epoch? */
  #wasHanded(device: DeviceId, { issuer, seq }: Issued): boolean {
    const givers = this.#handed.get(device) ?? []
    return givers.some((giver) => {
      if (giver.author === issuer) return giver.seq > seq
      const seen = this.#seen.get(giver.author) ?? []
      return seen.some((one) => one.seq <= giver.seq && one.device === issuer && one.length > seq)
    })
  }

  #mayBeUsed(issued: Issued): boolean {
    const { members } = this.#options
    if (!this.#wasWriter(issued) || !mayWrite(members().get(issued.issuer)?.role ?? null))
      return false
    const out = outOf(members())
    if (out.size === 0) return true
    issued.out ??= this.#outBy(issued)
    for (const device of out) if (!issued.out.has(device)) return false
    return true
  }

  #outBy({ issuer, seq, epoch: { seen } }: Issued): ReadonlySet<DeviceId> {
    const before = this.#entries.filter((entry) =>
      entry.device === issuer ? entry.seq <= seq : entry.seq < (seen.get(entry.device) ?? 0)
    )
    const forks = before.flatMap((entry) => this.#options.forkBy(entry) ?? [])
    return outOf(membersOf(this.#options.genesis, before, forks))
  }

  #wasWriter({ issuer, seq }: Issued): boolean {
    const member = this.#options.members().get(issuer)
    return member !== undefined && mayWrite(roleAtControl(member, seq))
  }

  #bySeniority(issued: Issued[]): readonly Issued[] {
    const { members } = this.#options
    const rankOf = ({ issuer }: Issued): number => members().get(issuer)?.rank ?? 0
    issued.sort((a, b) => rankOf(b) - rankOf(a) || b.seq - a.seq || (a.issuer < b.issuer ? -1 : 1))
    return issued
  }

  #firstHeld(issued: readonly Issued[]): Uint8Array | null {
    for (const { epoch } of issued) {
      const key = this.#options.ring.epochKey(epoch.epochId)
      if (key !== null) return key
    }
    return null
  }

  #addGrant(author: DeviceId, seq: number, body: Uint8Array): boolean {
    const grant = decodeGrant(body)
    this.#noteHanded(grant.device.signKey, author, seq)
    if (!equalBytes(grant.device.signKey, this.#options.device)) return false
    return this.#takeHanded(grant.sealedKeys)
  }

  #addShare(author: DeviceId, seq: number, body: Uint8Array): boolean {
    const share = decodeKeyShare(body)
    const { device, sealedKeys } = share
    if (toHex(device) === author) {
      for (const epoch of lackingIn(share)) {
        const key = `${author} ${epoch}`
        this.#lacking.set(key, [...(this.#lacking.get(key) ?? []), seq])
      }
      return true
    }
    this.#noteHanded(device, author, seq)
    if (!equalBytes(device, this.#options.device)) return false
    this.#takeHanded(sealedKeys)
    return true
  }

  #noteHanded(device: Uint8Array, author: DeviceId, seq: number): void {
    const id = toHex(device)
    const handed = this.#handed.get(id)
    if (handed === undefined) this.#handed.set(id, [{ author, seq }])
    else handed.push({ author, seq })
  }

  #takeHanded(sealedKeys: Uint8Array): boolean {
    const { ring, device, box } = this.#options
    const handed = openHandedKeys(sealedKeys, ring.space, device, box)
    if (handed === null || !equalBytes(handed.spaceKey, ring.spaceKey)) return false
    return handed.epochKeys.map((key) => ring.addEpochKey(key)).includes(true)
  }

  #addEpoch(issuer: DeviceId, seq: number, epoch: Epoch): boolean {
    this.#issued.push({ issuer, seq, epoch, out: null })
    const { device, box } = this.#options
    this.#openEpoch(epoch, device, box)
    return true
  }

  #openEpoch(epoch: Epoch, device: Uint8Array, box: BoxKeys): void {
    const { ring } = this.#options
    const mine = epoch.sealed.find(({ signKey }) => equalBytes(signKey, device))
    if (mine === undefined) return
    const key = ring.openEpochKey(mine.sealedKey, device, box)
    if (key === null || !equalBytes(keyIdOf(key), epoch.epochId)) return
    ring.addEpochKey(key)
    for (const earlier of ring.openEarlierKeys(key, epoch.earlierKeys)) ring.addEpochKey(earlier)
  }
}

/** Who may once have held keys and may not any more. */
function outOf(members: ReadonlyMap<DeviceId, Membership>): Set<DeviceId> {
  const out = new Set<DeviceId>()
  for (const { device, role, wasReader } of members.values())
    if (wasReader && !mayRead(role)) out.add(device)
  return out
}
