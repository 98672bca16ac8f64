/**
 * Lets newcomers in: makes invites, and answers those who come by one with a grant. Only this device's own clock and
 * control entries decide; the grant alone has force.
 */
import { equalBytes, fromHex, toHex } from '../bytes.ts'
import { SkeinError } from '../errors.ts'
import { kinds } from '../log/entry.ts'
import type { Platform } from '../platform.ts'
import { offerPairing } from './pairing.ts'
import type { PeerConnection } from './connection.ts'
import type { Channel } from './channel.ts'
import {
  coldOwnerOf,
  encodeGrant,
  encodeInviteEntry,
  encodeInviteRevoke,
  type DeviceRecord,
  type GrantedRole,
  type InviteEntry,
  type LogPosition,
  type Role
} from '../trust/control.ts'
import type { ControlState } from '../trust/control-state.ts'
import { openCopyRequest, type CopyRequest } from '../trust/copy.ts'
import {
  encodePairingAnswer,
  formatInvite,
  inviteKeysOf,
  openPairingRequest,
  parseInvite,
  type PairingAnswer
} from '../trust/invite.ts'
import { mayGrant, wouldRaise, type DeviceId } from '../trust/members.ts'

/** Pairing channels on one connection beyond which invites that are over are not offered any more. */
const maxOffers = 64
/** Devices that ask as copies, beyond which the first is forgotten. */
const maxRequests = 16

export interface InviteOptions {
  /** Default 'writer'. */
  readonly role?: GrantedRole
  /** How many devices it lets in. Default 1. */
  readonly uses?: number
  /** Default: it does not expire. */
  readonly expiresInMs?: number
  /** Where members may be met, for transports that need an address. At most 16. */
  readonly hints?: readonly string[]
}

/** An invite that lets devices in. */
export interface OpenInvite {
  /** Names it to `revokeInvite`: its public key in hex. */
  readonly id: string
  readonly role: GrantedRole
  /** How many devices more it lets in. */
  readonly usesLeft: number
  /** Null: never. */
  readonly expiresAtMs: number | null
  /** Who made it. */
  readonly issuer: DeviceId
}

/** A device that asks to be let in: it comes of a copy of a member's storage, which has become a device of its own. */
export interface Asking {
  readonly device: DeviceId
  /** What it calls itself. */
  readonly name: string
  readonly person: string
  /** The member that it is a copy of. */
  readonly formerly: DeviceId
}

export interface AdmissionOptions {
  readonly platform: Platform
  readonly device: DeviceId
  readonly genesis: Uint8Array
  readonly control: ControlState
  readonly append: (kind: number, body: Uint8Array) => Promise<void>
  /** How far a device's logs are known here. */
  readonly positionOf: (device: Uint8Array) => LogPosition
  readonly onPeerError: (device: DeviceId, error: SkeinError) => void
  /** Ends the cuts that are in force for a device; false where this device may not. */
  readonly lift: (device: DeviceId, role: GrantedRole) => Promise<boolean>
  readonly onAsked: (asking: Asking) => void
  /** A device has proven that it holds the key of a cold owner 1. */
  readonly onRecovering: (device: DeviceId) => void
}

export class Admission {
  readonly #options: AdmissionOptions
  readonly #offersByConnection = new Map<PeerConnection, Map<string, Channel>>()
  #answering: Promise<unknown> = Promise.resolve()
  readonly #requestsByDevice = new Map<DeviceId, CopyRequest>()

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  /** Makes an invite: one line of text. Fails with `NOT_ALLOWED`. */
  async invite({
    role = 'writer',
    uses = 1,
    expiresInMs,
    hints = []
  }: InviteOptions): Promise<string> {
    const { control, platform } = this.#options
    if (!['admin', 'writer', 'reader', 'mirror'].includes(role)) {
      throw new TypeError(`No role that can be granted: ${String(role)}`)
    }
    if (!mayGrant(this.#role, role)) {
      throw new SkeinError(
        'NOT_ALLOWED',
        `This device's role does not allow it to invite as ${role}`
      )
    }
    if (!Number.isSafeInteger(uses) || uses < 1)
      throw new TypeError('`uses` is a whole number from 1')
    if (expiresInMs !== undefined && !(expiresInMs > 0))
      throw new TypeError('`expiresInMs` is above 0')
    if (hints.length > 16) throw new TypeError('There are at most 16 hints')
    const expiresAtMs =
      expiresInMs === undefined ? 0 : Math.ceil(platform.clock.now() + expiresInMs)
    if (!Number.isSafeInteger(expiresAtMs)) throw new TypeError('`expiresInMs` is too large')
    const seed = platform.randomBytes(32)
    const { publicKey } = inviteKeysOf({ seed })
    await this.#options.append(
      kinds.invite,
      encodeInviteEntry({ publicKey, role, uses, expiresAtMs })
    )
    const { space, topicSecret } = control.ring
    return formatInvite({ space, topicSecret, seed, role, expiresAtMs, hints })
  }

  /**
   * Invites that still let someone in, or would if they had not expired: newest first. Who issued one and is a member no
   * longer, or lost the right to, has taken it along.
   */
  get open(): OpenInvite[] {
    const { control, platform } = this.#options
    const now = platform.clock.now()
    return control.issuedInvites
      .filter(({ entry }) => control.inviteFault(entry.publicKey, now) === null)
      .map(({ entry: { publicKey, role, uses, expiresAtMs }, issuer }) => ({
        id: toHex(publicKey),
        role,
        usesLeft: uses - control.usesOf(publicKey),
        expiresAtMs: expiresAtMs === 0 ? null : expiresAtMs,
        issuer
      }))
      .reverse()
  }

  /** Ends an invite, named by its text or its id: it lets nobody in any more. Fails with `INVITE_INVALID`, `NOT_ALLOWED`. */
  async revoke(invite: string): Promise<void> {
    const { control } = this.#options
    const isId = /^[0-9a-f]{64}$/.test(invite)
    const publicKey = isId ? fromHex(invite) : inviteKeysOf(parseInvite(invite)).publicKey
    const entry = control.invite(publicKey)
    if (entry === null) throw new SkeinError('INVITE_INVALID', 'This space has no such invite')
    if (!mayGrant(this.#role, entry.role)) {
      const message = `This device's role does not allow it to take back an invite as ${entry.role}`
      throw new SkeinError('NOT_ALLOWED', message)
    }
    await this.#options.append(kinds.inviteRevoke, encodeInviteRevoke(publicKey))
  }

  /**
   * Offers pairing on a connection, to a member too: by the invite that let it in, since it may have lost the answer, by
   * those to a higher role than it has, and by each to an owner, who is in by the genesis and has to come by some.
   * Harmless to call again.
   */
  offer(connection: PeerConnection): void {
    const { control, platform } = this.#options
    const member = control.members.get(connection.device)
    let offers = this.#offersByConnection.get(connection)
    if (offers === undefined) {
      this.#offersByConnection.set(connection, (offers = new Map()))
      connection.onClose(() => this.#offersByConnection.delete(connection))
    }
    const now = platform.clock.now()
    // Open ones first, then those that are over: who comes by one is told so.
    const isOver = ({ publicKey }: InviteEntry): number =>
      control.inviteFault(publicKey, now) === null ? 0 : 1
    const invites = control.invites.reverse().sort((a, b) => isOver(a) - isOver(b))
    this.#offerRecovery(connection, offers)
    for (const invite of invites) {
      const { publicKey, role } = invite
      const key = toHex(publicKey)
      if (offers.has(key) || !mayGrant(this.#role, role)) continue
      const isOfUse =
        wouldRaise(member?.role ?? null, role) ||
        member?.role === 'owner' ||
        member?.invites.includes(key)
      if (isOfUse !== true) continue
      if (isOver(invite) === 1 && offers.size >= maxOffers) continue
      const answer = (request: Uint8Array): Promise<Uint8Array | null> =>
        this.#answerInTurn(connection, publicKey, request)
      offers.set(key, offerPairing(connection, publicKey, answer))
    }
  }

  /** To whoever holds the key of a cold owner 1: any member hands the space over for it. */
  #offerRecovery(connection: PeerConnection, offers: Map<string, Channel>): void {
    const { control, genesis } = this.#options
    const owner = coldOwnerOf(control.genesis)
    if (owner === null || this.#role === null) return
    const { signKey } = owner
    const key = toHex(signKey)
    if (offers.has(key)) return
    const answer = (request: Uint8Array): Promise<Uint8Array | null> => {
      try {
        this.#openRequest(connection, signKey, request)
      } catch (cause) {
        if (!(cause instanceof SkeinError)) throw cause
        this.#options.onPeerError(connection.device, cause)
        return Promise.resolve(null)
      }
      this.#options.onRecovering(connection.device)
      return Promise.resolve(encodePairingAnswer({ genesis, spaceKey: control.ring.spaceKey }))
    }
    offers.set(key, offerPairing(connection, signKey, answer))
  }

  /** A device that is no member asks to be let in. Fails with `BAD_ENCODING`, `BAD_SEAL`. */
  asked(device: DeviceId, bytes: Uint8Array): void {
    const request = openCopyRequest(bytes, fromHex(device))
    const former = this.#options.control.members.get(toHex(request.former))
    // Of one that was removed nobody has to hear, and who may let nobody in can do nothing about it.
    if (former?.role == null || !mayGrant(this.#role, 'reader')) return
    this.#requestsByDevice.delete(device)
    this.#requestsByDevice.set(device, request)
    for (const oldest of [...this.#requestsByDevice.keys()].slice(0, -maxRequests))
      this.#requestsByDevice.delete(oldest)
    this.#options.onAsked(askingOf(device, request))
  }

  /** Those that have asked since the space was opened, and are not in. */
  get asking(): Asking[] {
    const { members } = this.#options.control
    return [...this.#requestsByDevice]
      .filter(([device]) => members.get(device)?.role == null)
      .map(([device, request]) => askingOf(device, request))
  }

  /** Lets one of those in; by default with the role of the device that it was. Fails with `DEVICE_UNKNOWN`, `NOT_ALLOWED`. */
  async letIn(device: DeviceId, role?: GrantedRole): Promise<void> {
    const { members } = this.#options.control
    const request = this.#requestsByDevice.get(device)
    if (request === undefined)
      throw new SkeinError('DEVICE_UNKNOWN', 'No such device has asked to be let in')
    const former = members.get(toHex(request.former))?.role ?? null
    if (role === undefined && former === null)
      throw new SkeinError('NOT_ALLOWED', 'The device that it comes of has been removed')
    await this.admit(request.record, role ?? (former === 'owner' ? 'admin' : former!))
    this.#requestsByDevice.delete(device)
  }

  /** After a new invite or a new member. */
  update(connections: Iterable<PeerConnection>): void {
    for (const connection of connections) this.offer(connection)
  }

  stop(): void {
    for (const offers of this.#offersByConnection.values()) {
      for (const channel of offers.values()) channel.close()
    }
    this.#offersByConnection.clear()
  }

  get #role(): Role | null {
    return this.#options.control.members.get(this.#options.device)?.role ?? null
  }

  /** One at a time, so that an invite for one lets one in. */
  #answerInTurn(
    connection: PeerConnection,
    publicKey: Uint8Array,
    request: Uint8Array
  ): Promise<Uint8Array | null> {
    const answer = this.#answering.then(async () => {
      try {
        return encodePairingAnswer(await this.#answer(connection, publicKey, request))
      } catch (cause) {
        // Nothing is said to one whose proof does not hold; and one who could not be let in now may ask again.
        const error =
          cause instanceof SkeinError
            ? cause
            : new SkeinError('INVITE_REFUSED', 'Someone could not be let in', { cause })
        this.#options.onPeerError(connection.device, error)
        return null
      }
    })
    this.#answering = answer
    return answer
  }

  async #answer(
    connection: PeerConnection,
    publicKey: Uint8Array,
    request: Uint8Array
  ): Promise<PairingAnswer> {
    const { control, genesis, platform } = this.#options
    const { ring } = control
    const record = this.#openRequest(connection, publicKey, request)
    const handOver = { genesis, spaceKey: ring.spaceKey }
    // Asked again, since the answer was lost on the way: let in already.
    const member = control.members.get(connection.device)
    if (member?.role != null && member.invites.includes(toHex(publicKey))) return handOver
    const fault = control.inviteFault(publicKey, platform.clock.now())
    if (fault !== null) return { refused: fault }
    const { role } = control.invite(publicKey)!
    if (member?.role === 'owner') {
      // It gives the owner nothing that it has not, and the invite is used.
      await this.#grant(member.record, role, publicKey)
      return handOver
    }
    if (!wouldRaise(member?.role ?? null, role)) return handOver
    // Who was removed comes back only by someone who may lift that: another may.
    if (member !== undefined && !(await this.#options.lift(member.device, role)))
      throw new SkeinError('NOT_ALLOWED', 'A higher one has removed the device that asks')
    // A member keeps its record: the salt of its client ids stands in it.
    await this.#grant(member?.role != null ? member.record : record, role, publicKey)
    return handOver
  }

  /** Lets a device in that is not connected, by the record it gave of itself. Fails with `NOT_ALLOWED`. */
  async admit(device: DeviceRecord, role: GrantedRole): Promise<void> {
    if (!mayGrant(this.#role, role)) {
      const message = `This device's role does not allow it to let others in as ${role}`
      throw new SkeinError('NOT_ALLOWED', message)
    }
    const member = this.#options.control.members.get(toHex(device.signKey))
    if (!wouldRaise(member?.role ?? null, role)) return
    if (member !== undefined && !(await this.#options.lift(member.device, role)))
      throw new SkeinError('NOT_ALLOWED', 'A higher one has cut this device')
    await this.#grant(member?.role != null ? member.record : device, role, new Uint8Array())
  }

  /** The device that asks, by a proof that holds on this connection. Fails with `BAD_ENCODING`, `BAD_SEAL`. */
  #openRequest(
    { stream }: PeerConnection,
    publicKey: Uint8Array,
    request: Uint8Array
  ): DeviceRecord {
    const { space } = this.#options.control.ring
    const record = openPairingRequest(request, space, publicKey, stream.handshakeHash)
    if (equalBytes(record.signKey, stream.remotePublicKey)) return record
    const message = 'A device asked to be let in under a key that is not its own'
    throw new SkeinError('BAD_SEAL', message)
  }

  #grant(device: DeviceRecord, role: GrantedRole, invite: Uint8Array): Promise<void> {
    const { control, positionOf } = this.#options
    const sealedKeys = control.ring.sealFor(role, device.signKey, device.boxKey)
    const from = positionOf(device.signKey)
    return this.#options.append(
      kinds.grant,
      encodeGrant({ device, role, from, invite, sealedKeys })
    )
  }
}

function askingOf(device: DeviceId, { record, former }: CopyRequest): Asking {
  return { device, name: record.name, person: record.person, formerly: toHex(former) }
}
