/**
 * What a space's control entries say, as far as they are here: members, open invites, epoch keys. Everything in it is
 * a function of the set of entries added, in whatever order they came.
 */
import { equalBytes, toHex } from '../bytes.ts'
import { hash, type BoxKeys } from '../crypto.ts'
import { SkeinError, type ErrorCode } from '../errors.ts'
import { EntryAssembler, kinds, openBlock, type Entry, type LogId } from '../log/entry.ts'
import {
  decodeGenesis,
  decodeInviteEntry,
  decodeInviteRevoke,
  spaceIdOf,
  type Genesis,
  type InviteEntry,
  type Role
} from './control.ts'
import { Epochs } from './epochs.ts'
import {
  byStrength,
  declarationOf,
  readForkProof,
  type Declaration,
  type ForkProof
} from './fork-proof.ts'
import type { LogName } from '../log/log.ts'
import type { KeyRing } from './keys.ts'
import { MemberSet, type ControlFork, type FallenCut } from './member-set.ts'
import {
  cutsInForce,
  mayGrant,
  roleAtControl,
  type ControlEntry,
  type DeviceId,
  type Membership
} from './members.ts'

const knownKinds: ReadonlySet<number> = new Set([
  kinds.genesis,
  kinds.grant,
  kinds.cut,
  kinds.lift,
  kinds.leave,
  kinds.epoch,
  kinds.keyShare,
  kinds.invite,
  kinds.inviteRevoke,
  kinds.forkProof
])

/** Of a control log that has several versions, entries that count in each. */
const countsOfEachVersion: ReadonlySet<number> = new Set([
  kinds.cut,
  kinds.leave,
  kinds.epoch,
  kinds.keyShare,
  kinds.inviteRevoke
])

/** Where an entry stands: what it may say depends on its author's role there. */
interface Position {
  readonly issuer: DeviceId
  readonly seq: number
  /** Of its last block. */
  readonly last: number
}

interface IssuedInvite extends Position {
  readonly entry: InviteEntry
}

/** What an entry changed. */
export interface ControlChange {
  readonly members: boolean
  readonly keys: boolean
  /** The log that it proves to have two versions. */
  readonly forked: ForkProof | null
}

export class ControlState {
  readonly genesis: Genesis
  readonly ring: KeyRing
  readonly epochs: Epochs
  readonly #set: MemberSet
  /** Anyone can write an entry with a key that another's invite has. */
  readonly #invitesByKey = new Map<string, IssuedInvite[]>()
  readonly #revocations: (Position & { key: string })[] = []
  #unknownCriticals: (Position & { kind: number })[] = []
  readonly #addedByName = new Map<string, ControlEntry>()
  /** By author and place of the entries that prove them. */
  readonly #controlForks = new Map<string, ControlFork>()
  readonly #forkProofs = new Map<LogId, (Position & { readonly proof: ForkProof })[]>()
  /** Logs of which a proof that they fork is here, which waits for its turn. */
  readonly #foreseen = new Set<LogId>()
  /** Cuts that took a role from someone here, by name. */
  readonly #inForce = new Set<string>()

  /** Fails with `BAD_ENCODING` when the genesis is not that of the space. */
  constructor(genesisBytes: Uint8Array, ring: KeyRing, device: Uint8Array, box: BoxKeys) {
    if (!equalBytes(spaceIdOf(genesisBytes), ring.space)) {
      throw new SkeinError('BAD_ENCODING', 'A genesis is not that of the space')
    }
    this.genesis = decodeGenesis(genesisBytes)
    this.ring = ring
    this.#set = new MemberSet(this.genesis)
    this.epochs = new Epochs({
      genesis: this.genesis,
      ring,
      device,
      box,
      members: () => this.members,
      forkBy: ({ device, seq }) => this.#controlForks.get(`${device} ${seq}`) ?? null
    })
  }

  get members(): ReadonlyMap<DeviceId, Membership> {
    return this.#set.members
  }

  /** A critical kind of entry that this version does not know: it must not write on, and says so. */
  get unknownCritical(): number | null {
    const unknown = this.#unknownCriticals.find((entry) => this.#roleAt(entry) !== null)
    return unknown?.kind ?? null
  }

  /** Takes an entry; says what it changed. An entry that is malformed changes nothing. */
  add(entry: ControlEntry): ControlChange {
    // Of a log that forked, the same entry may come in several ways.
    const name = entryNameOf(entry)
    if (this.#addedByName.has(name)) return { members: false, keys: false, forked: null }
    this.#addedByName.set(name, entry)
    let members = this.#set.add(entry)
    let keys = false
    let forked: ForkProof | null = null
    try {
      keys = this.epochs.add(entry)
      this.#readInvite(entry)
      if (entry.kind === kinds.forkProof) {
        forked = this.#readForkProof(entry)
        if (forked.name.core === 'control') {
          const fork = { device: toHex(forked.device), common: forked.common }
          this.#controlForks.set(`${entry.device} ${entry.seq}`, fork)
        }
        const more = this.#takeFork(forked)
        members ||= more.members
        keys ||= more.keys
      }
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error // Malformed: counts for nothing, on every peer alike.
    }
    const { device: issuer, seq, last = seq, kind } = entry
    if (!knownKinds.has(kind) && kind % 2 === 1)
      this.#unknownCriticals.push({ issuer, seq, last, kind })
    return { members, keys, forked }
  }

  /**
   * Another version of a device's control log has taken the place of the one that was here, which it is like up to that
   * length. What stood there counts no more, as for those who never held it; but for what counts of each version.
   */
  withdraw(device: DeviceId, common: number): void {
    const isGone = ({
      seq,
      last = seq,
      kind
    }: Pick<ControlEntry, 'seq' | 'last' | 'kind'>): boolean =>
      last >= common && (seq < common || !countsOfEachVersion.has(kind))
    this.#set.withdraw(device, common)
    for (const [name, entry] of this.#addedByName)
      if (entry.device === device && isGone(entry)) this.#addedByName.delete(name)
    this.epochs.withdraw((entry) => entry.device === device && isGone(entry))
    const stays = ({ issuer, last }: Position): boolean => issuer !== device || last < common
    for (const [key, issued] of this.#invitesByKey)
      this.#invitesByKey.set(key, issued.filter(stays))
    // That a log forked is proven all the same.
    for (const [log, proofs] of this.#forkProofs) this.#forkProofs.set(log, proofs.filter(stays))
    this.#unknownCriticals = this.#unknownCriticals.filter(stays)
  }

  /** Where it stands that a control log has several versions. */
  get controlForks(): Position[] {
    return [...this.#controlForks.keys()].map((place) => {
      const [issuer, seq] = place.split(' ') as [string, string]
      return { issuer, seq: Number(seq), last: Number(seq) }
    })
  }

  /** Is it proven that this log has two versions? */
  isForked(log: LogId): boolean {
    return this.#forkProofs.has(log) || this.#foreseen.has(log)
  }

  /** The body of an entry that is yet to be added: true if it proves a fork that was not known. */
  foresee(body: Uint8Array): boolean {
    try {
      const { log } = readForkProof(body, this.ring.space)
      if (this.isForked(log)) return false
      this.#foreseen.add(log)
      return true
    } catch (error) {
      if (error instanceof SkeinError) return false
      throw error
    }
  }

  /** What members, but for its author, have declared to hold of a log with several versions: the strongest first. */
  declarations({ id, name }: { readonly id: LogId; readonly name: LogName }): Declaration[] {
    const author = toHex(name.device)
    const declared = (this.#forkProofs.get(id) ?? []).flatMap(({ issuer, proof }) => {
      const rank = this.members.get(issuer)?.rank ?? 0
      return rank === 0 || issuer === author ? [] : [declarationOf(proof, issuer, rank)]
    })
    const member = this.members.get(author)
    for (const { issuer, rank, keeps } of member === undefined ? [] : cutsInForce(member)) {
      const kept = keeps.find(({ core }) => core === name.core)
      if (kept === undefined) continue
      const { length, treeHash } = kept
      declared.push({ issuer, rank, isCut: true, length, treeHash })
    }
    return declared.sort(byStrength)
  }

  /** Cuts that were in force here when this was last asked and have fallen since: whom they removed is back. */
  takeReturned(): FallenCut[] {
    const { members } = this.#set
    if (!this.#set.hasCuts) return []
    const { fallen } = this.#set
    const returned = fallen.filter(({ name }) => this.#inForce.delete(name))
    for (const member of members.values()) {
      for (const { name } of cutsInForce(member)) this.#inForce.add(name)
    }
    return returned
  }

  /** The key that content is sealed under now, or null while none is here that may be used. */
  get contentKey(): Uint8Array | null {
    return this.epochs.usableKey
  }

  /** The invite of that public key, if it was issued by someone who might. */
  invite(publicKey: Uint8Array): InviteEntry | null {
    return this.#issued(toHex(publicKey))?.entry ?? null
  }

  /** Invites that were ever issued, open or not, by those who might. */
  get invites(): InviteEntry[] {
    return this.issuedInvites.map(({ entry }) => entry)
  }

  /** The same, with who issued them. */
  get issuedInvites(): IssuedInvite[] {
    return [...this.#invitesByKey.keys()].flatMap((key) => this.#issued(key) ?? [])
  }

  /** How many members came by an invite. */
  usesOf(publicKey: Uint8Array): number {
    const key = toHex(publicKey)
    return [...this.members.values()].filter(({ invites }) => invites.includes(key)).length
  }

  /** Why an invite lets nobody in, or null if it does. The time is this device's, which alone decides about its grant. */
  inviteFault(publicKey: Uint8Array, nowMs: number): ErrorCode | null {
    const key = toHex(publicKey)
    const invite = this.#issued(key)
    if (invite === null) return 'INVITE_REFUSED'
    const { entry, issuer } = invite
    if (!mayGrant(this.members.get(issuer)?.role ?? null, entry.role)) return 'INVITE_REVOKED'
    const isRevoked = this.#revocations.some(
      (revocation) => revocation.key === key && mayGrant(this.#roleAt(revocation), entry.role)
    )
    if (isRevoked) return 'INVITE_REVOKED'
    if (entry.expiresAtMs > 0 && nowMs >= entry.expiresAtMs) return 'INVITE_EXPIRED'
    return this.usesOf(publicKey) >= entry.uses ? 'INVITE_USED_UP' : null
  }

  /** Of several with one key, the most senior issuer's counts. */
  #issued(key: string): IssuedInvite | null {
    const issued = this.#invitesByKey.get(key) ?? []
    const valid = issued.filter(
      (invite) =>
        mayGrant(this.#roleAt(invite), invite.entry.role) &&
        !this.#set.isPowerless(invite.issuer, invite.seq, invite.last)
    )
    valid.sort((a, b) => this.#bySeniority(a, b))
    return valid[0] ?? null
  }

  /** The role that an entry was written under: what was written while powerless stays powerless. */
  #roleAt({ issuer, seq }: Pick<Position, 'issuer' | 'seq'>): Role | null {
    const member = this.members.get(issuer)
    return member === undefined ? null : roleAtControl(member, seq)
  }

  #bySeniority(a: IssuedInvite, b: IssuedInvite): number {
    const rankOf = ({ issuer }: IssuedInvite): number => this.members.get(issuer)?.rank ?? 0
    return rankOf(b) - rankOf(a) || b.seq - a.seq || (a.issuer < b.issuer ? -1 : 1)
  }

  /**
   * What every version of a control log says of cuts and keys counts: it comes with the proofs, whichever of them stays.
   * What it grants does not.
   */
  #takeFork({ name, common, blocks }: ForkProof): { members: boolean; keys: boolean } {
    if (name.core !== 'control') return { members: false, keys: false }
    const device = toHex(name.device)
    this.#set.fork(device, common)
    const assembler = new EntryAssembler()
    let keys = false
    let from = common
    for (const [i, block] of blocks.entries()) {
      let entry: Entry | null = null
      try {
        const place = { ...name, seq: common + i }
        entry = assembler.add(openBlock(block, place, this.ring.spaceKey))
      } catch (error) {
        if (!(error instanceof SkeinError)) throw error
        assembler.reset() // Malformed: nothing on any device.
      }
      if (entry !== null && countsOfEachVersion.has(entry.kind)) {
        const { kind, body } = entry
        // What it says it has seen counts for nothing there.
        keys = this.add({ device, seq: from, last: common + i, kind, body, seen: [] }).keys || keys
      }
      if (assembler.isEmpty) from = common + i + 1
    }
    return { members: true, keys }
  }

  #readForkProof({ device: issuer, seq, last = seq, body }: ControlEntry): ForkProof {
    const proof = readForkProof(body, this.ring.space)
    const proofs = this.#forkProofs.get(proof.log) ?? []
    this.#forkProofs.set(proof.log, [...proofs, { issuer, seq, last, proof }])
    return proof
  }

  #readInvite({ device, seq, last = seq, kind, body }: ControlEntry): void {
    if (kind === kinds.invite) {
      const entry = decodeInviteEntry(body)
      const key = toHex(entry.publicKey)
      const issued = this.#invitesByKey.get(key) ?? []
      this.#invitesByKey.set(key, [...issued, { issuer: device, seq, last, entry }])
    } else if (kind === kinds.inviteRevoke) {
      const of = toHex(decodeInviteRevoke(body))
      this.#revocations.push({ issuer: device, seq, last, key: of })
    }
  }
}

/** The same for the same entry at the same place. */
function entryNameOf({ device, seq, kind, body }: ControlEntry): string {
  return `${device} ${seq} ${kind} ${toHex(hash('skein/control-entry', body).subarray(0, 16))}`
}
