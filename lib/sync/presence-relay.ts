/**
 * Brings presence to everyone, also to those who are not connected to whose it is: each device tells its peers whom it is
 * connected to, and passes a message on, once, to peers that are not connected to its author. A mirror does so as well; it
 * reads none.
 *
 * What concerns presence is bounded: messages a second by author and by connection, and what is kept to tell newcomers.
 */
import type { Clock } from '../platform.ts'
import type { DeviceId } from '../trust/members.ts'
import type { SealedPresence } from './presence-message.ts'

const maxMessagesByAuthor = 50
const maxMessagesByPeer = 500
/** Numbers of a session that are remembered; older ones are not taken any more. */
const rememberedNumbers = 64
const keptOfSession = 8
const maxSessions = 1_000
/** As long as y-protocols shows a state that is not renewed. */
const keptMs = 30_000
const nobody: ReadonlySet<DeviceId> = new Set()

/** A peer, as far as presence goes. */
export interface PresencePeer {
  readonly device: DeviceId
  sendPresence(bytes: Uint8Array): void
  sendNear(devices: readonly DeviceId[]): void
}

export interface PresenceRelayOptions {
  readonly clock: Clock
  readonly me: DeviceId
  readonly peers: () => readonly PresencePeer[]
  /** May the device be present at all? */
  readonly isPresent: (device: DeviceId) => boolean
  /** Fails with `BAD_ENCODING`, `BAD_SEAL`: then the peer that sent it is to blame. */
  readonly read: (bytes: Uint8Array) => SealedPresence
  readonly onPresence: (presence: SealedPresence) => void
  /** Devices that neither this one nor a peer is connected to any more. */
  readonly onGone: (devices: DeviceId[]) => void
}

interface Session {
  readonly numbers: number[]
  kept: { readonly presence: SealedPresence; readonly atMs: number }[]
}

export class PresenceRelay {
  readonly #options: PresenceRelayOptions
  readonly #sessions = new Map<string, Session>()
  readonly #nearByPeer = new Map<PresencePeer, ReadonlySet<DeviceId>>()
  readonly #countByDevice = new Map<string, number>()
  #second = 0
  #reached = new Set<DeviceId>()

  constructor(options: PresenceRelayOptions) {
    this.#options = options
  }

  /** Sends this device's own. */
  send({ bytes }: SealedPresence): void {
    for (const peer of this.#options.peers()) peer.sendPresence(bytes)
  }

  /** Takes what a peer sent or passed on. Fails where it is no message that its author has signed. */
  receive(from: PresencePeer, bytes: Uint8Array): void {
    if (!this.#isWithinRate(`peer ${from.device}`, maxMessagesByPeer)) return
    const presence = this.#options.read(bytes)
    const { device } = presence
    if (device === this.#options.me || !this.#options.isPresent(device)) return
    if (!this.#isNew(presence) || !this.#isWithinRate(device, maxMessagesByAuthor)) return
    for (const peer of this.#options.peers()) {
      if (peer !== from && this.#lacks(peer, device)) peer.sendPresence(bytes)
    }
    this.#options.onPresence(presence)
  }

  /** A peer has told whom it is connected to. */
  nearChanged(peer: PresencePeer, devices: readonly DeviceId[]): void {
    this.#nearByPeer.set(peer, new Set(devices))
    this.#lookWhoIsGone()
  }

  /** Whom a peer has said to be connected to. */
  near(peer: PresencePeer): ReadonlySet<DeviceId> {
    return this.#nearByPeer.get(peer) ?? nobody
  }

  /** Peers came or went. */
  peersChanged(): void {
    const peers = this.#options.peers()
    for (const peer of this.#nearByPeer.keys())
      if (!peers.includes(peer)) this.#nearByPeer.delete(peer)
    const near = [...new Set(peers.map(({ device }) => device))]
    for (const peer of peers) peer.sendNear(near)
    this.#lookWhoIsGone()
  }

  /** Tells a peer who asks what is known of those that it is not connected to. */
  asked(peer: PresencePeer): void {
    const nowMs = this.#options.clock.now()
    for (const { kept } of this.#sessions.values()) {
      for (const { presence, atMs } of kept) {
        const isFresh = Math.abs(nowMs - atMs) < keptMs
        if (isFresh && this.#lacks(peer, presence.device)) peer.sendPresence(presence.bytes)
      }
    }
  }

  #lacks(peer: PresencePeer, author: DeviceId): boolean {
    if (peer.device === author) return false
    return !this.near(peer).has(author)
  }

  #isNew(presence: SealedPresence): boolean {
    const { device, clientCounter, number } = presence
    const name = `${device}/${clientCounter}`
    let session = this.#sessions.get(name)
    if (session === undefined) {
      if (this.#sessions.size >= maxSessions) {
        const [oldest] = this.#sessions.keys()
        this.#sessions.delete(oldest!)
      }
      this.#sessions.set(name, (session = { numbers: [], kept: [] }))
    }
    const { numbers } = session
    const isOld = numbers.length === rememberedNumbers && number < numbers[0]!
    if (isOld || numbers.includes(number)) return false
    numbers.push(number)
    numbers.sort((a, b) => a - b)
    if (numbers.length > rememberedNumbers) numbers.shift()
    session.kept = [...session.kept, { presence, atMs: this.#options.clock.now() }].slice(
      -keptOfSession
    )
    return true
  }

  #isWithinRate(name: string, max: number): boolean {
    const second = Math.floor(this.#options.clock.now() / 1000)
    if (second !== this.#second) this.#countByDevice.clear()
    this.#second = second
    const count = (this.#countByDevice.get(name) ?? 0) + 1
    this.#countByDevice.set(name, count)
    return count <= max
  }

  #lookWhoIsGone(): void {
    const reached = new Set(this.#options.peers().map(({ device }) => device))
    for (const near of this.#nearByPeer.values()) for (const device of near) reached.add(device)
    const gone = [...this.#reached].filter((device) => !reached.has(device))
    this.#reached = reached
    // They begin anew when they come back, maybe with a clock that was set back.
    for (const name of this.#sessions.keys()) {
      if (gone.includes(name.slice(0, name.indexOf('/')))) this.#sessions.delete(name)
    }
    if (gone.length > 0) this.#options.onGone(gone)
  }
}
