/**
 * One rendezvous: a room of y-webrtc, used for announcing, signalling and ICE. Its document stays empty, and its own
 * data channel carries nothing: each connection gets a channel of ours.
 */
import sodium from 'sodium-universal'
import * as Y from 'yjs'
import { WebrtcProvider, type Room as YRoom, type WebrtcConn } from 'y-webrtc'
import type { Rendezvous } from '../../lib/index.ts'
import { openChannel, type RawStream, type StreamOver } from './channel.ts'
import { checkedMessage, type RoomMessage } from './message.ts'
import type { RtcPeerConnection } from './rtc.ts'
import type { SealedRoom, SealedSignalling } from './signalling.ts'

/** A channel that is not open by then is given up. */
const openingMs = 10_000
/** Waits before announcing anew when a peer was lost: doubling from the first to the last. */
const firstWaitMs = 50
const lastWaitMs = 15_000
/** After a connection that lasted so long, the waits begin with the first one again. */
const steadyMs = 10_000
/** Announcements get lost; one is repeated so often. */
const repeatMs = 30_000

export interface RoomOptions<S extends RawStream> {
  readonly rendezvous: Rendezvous
  readonly signalling: Iterable<SealedSignalling>
  /** simple-peer's options. */
  readonly peerOpts: object
  readonly maxPeers: number
  readonly streamOver: StreamOver<S>
  readonly onStream: (stream: S, isInitiator: boolean) => void
}

/** What is used of simple-peer. */
interface SimplePeer {
  readonly initiator: boolean
  readonly destroyed: boolean
  readonly _pc: RtcPeerConnection | undefined
  destroy(): void
  once(event: 'close', listener: () => void): void
  on(event: 'close' | 'data', listener: () => void): void
  removeAllListeners(event: 'data' | 'connect'): void
}

export class Room<S extends RawStream> implements SealedRoom {
  readonly alias: string
  readonly wireName: string
  readonly rendezvous: Rendezvous
  readonly #options: RoomOptions<S>
  readonly #doc = new Y.Doc()
  readonly #repeating: ReturnType<typeof setInterval>
  readonly #provider: WebrtcProvider
  /** Those whose channel is not open yet. */
  readonly #opening = new Set<SimplePeer>()
  #room: YRoom | null = null
  #waitMs = firstWaitMs
  #timer: ReturnType<typeof setTimeout> | null = null
  #isClosed = false

  constructor(options: RoomOptions<S>) {
    this.#options = options
    this.rendezvous = options.rendezvous
    this.wireName = hex(options.rendezvous.name)
    this.alias = randomName()
    this.#provider = new WebrtcProvider(this.alias, this.#doc, {
      signaling: [],
      filterBcConns: false,
      maxConns: options.maxPeers,
      peerOpts: options.peerOpts
    })
    // It would tell every peer of itself every 15 s, on the channel where nothing is ever sent.
    this.#provider.awareness.destroy()
    this.#provider.on('peers', ({ added }) => {
      for (const id of added) {
        const conn = this.#room?.webrtcConns.get(id)
        if (conn !== undefined) this.#connect(conn)
      }
    })
    this.#repeating = setInterval(() => this.#announce(), repeatMs)
  }

  /** Resolves when those who are in the room are told of this one, or will be once a server is there. */
  async open(): Promise<void> {
    await this.#provider.key
    this.#room = this.#provider.room
    // What it would send over BroadcastChannel is of use to nobody, and would open a channel anew after the close.
    if (this.#room !== null) this.#room.mux = () => {}
    for (const conn of this.#options.signalling) {
      conn.send({ type: 'subscribe', topics: [this.alias] })
    }
    this.#announce()
  }

  /** Ends the search. Connections that are open go on. */
  close(): void {
    this.#isClosed = true
    clearInterval(this.#repeating)
    if (this.#timer !== null) clearTimeout(this.#timer)
    for (const conn of this.#options.signalling) {
      conn.send({ type: 'unsubscribe', topics: [this.alias] })
    }
    // The room would end those too whose channels are open.
    this.#room?.webrtcConns.clear()
    for (const peer of this.#opening) peer.destroy()
    this.#doc.destroy()
  }

  hear(data: unknown, conn: SealedSignalling, pass: (data: object) => void): void {
    const room = this.#room
    if (room === null || this.#isClosed) return
    const message = checkedMessage(data, room.peerId)
    if (message === null) return
    if (message.type === 'announce') this.#hearAnnounce(message, room, conn, pass)
    else this.#hearSignal(message, room, pass)
  }

  /** The peer of the smaller id calls: were both to call, y-webrtc would leave them half open for good. */
  #hearAnnounce(
    message: RoomMessage,
    { peerId }: YRoom,
    conn: SealedSignalling,
    pass: (data: object) => void
  ): void {
    if (peerId < message.from) return pass(message)
    // It may be known here, and have lost this one: then it calls anew.
    if ('to' in message) return
    const data = { type: 'announce', from: peerId, to: message.from }
    conn.send({ type: 'publish', topic: this.alias, data })
  }

  #hearSignal(
    message: Extract<RoomMessage, { type: 'signal' }>,
    room: YRoom,
    pass: (data: object) => void
  ): void {
    const { from, signal } = message
    const known = room.webrtcConns.get(from)
    if (signal.type !== 'offer') {
      if (known !== undefined) pass(message)
    } else if (from < room.peerId) {
      if (known === undefined) {
        if (room.webrtcConns.size < this.#options.maxPeers) pass(message)
      } else {
        // It calls anew, having lost what this side has. The entry is gone once y-webrtc has heard of the close.
        const peer = known.peer as SimplePeer
        peer.once('close', () => {
          if (!this.#isClosed && !room.webrtcConns.has(from)) pass(message)
        })
        peer.destroy()
      }
    }
  }

  #connect(conn: WebrtcConn): void {
    const peer = conn.peer as SimplePeer
    peer.removeAllListeners('data')
    peer.removeAllListeners('connect')
    peer.on('data', () => peer.destroy()) // Nothing is ever sent there.
    const startedAt = Date.now()
    peer.on('close', () => this.#lost(startedAt))
    const connection = peer._pc
    if (connection === undefined || peer.destroyed) return
    const { stream, opened } = openChannel(connection, this.#options.streamOver, () =>
      peer.destroy()
    )
    peer.on('close', () => stream.ended())
    const timer = setTimeout(() => peer.destroy(), openingMs)
    this.#opening.add(peer)
    void opened.then((isOpen) => {
      clearTimeout(timer)
      this.#opening.delete(peer)
      if (isOpen) this.#options.onStream(stream, peer.initiator)
    })
  }

  #lost(startedAt: number): void {
    if (this.#isClosed || this.#timer !== null) return
    if (Date.now() - startedAt >= steadyMs) this.#waitMs = firstWaitMs
    this.#timer = setTimeout(
      () => {
        this.#timer = null
        this.#announce()
      },
      this.#waitMs * (0.75 + Math.random() / 2)
    )
    this.#waitMs = Math.min(2 * this.#waitMs, lastWaitMs)
  }

  #announce(): void {
    if (this.#room === null || this.#isClosed) return
    const data = { type: 'announce', from: this.#room.peerId }
    for (const conn of this.#options.signalling) {
      conn.send({ type: 'publish', topic: this.alias, data })
    }
  }
}

function randomName(): string {
  const bytes = new Uint8Array(16)
  sodium.randombytes_buf(bytes)
  return hex(bytes)
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
