/**
 * Connects browsers, and Node with a WebRTC engine, directly to each other. y-webrtc's rooms, signalling and ICE introduce
 * them; then each connection is a data channel of its own with Noise in it.
 *
 * What a signalling server sees: addresses, and which of its clients are in a room of the same name, which says nothing
 * of the space and is not its topic. What is said in the room is sealed. A STUN server sees addresses; a TURN server
 * passes encrypted bytes on.
 */
import { WebSocket } from 'ws'
import {
  Emitter,
  MeetingPoint,
  secureStream,
  SkeinError,
  type Connection,
  type DeviceKeys,
  type Introduction,
  type MessageStream,
  type Rendezvous,
  type Transport
} from '../lib/index.ts'
import { callByHand, answerByHand, unansweredMs } from './webrtc/by-hand.ts'
import { Room } from './webrtc/room.ts'
import { engineOr, type IceServer, type RtcEngine } from './webrtc/rtc.ts'
import { SealedSignalling, type SealedRoom } from './webrtc/signalling.ts'

export type { IceServer, Introduction as Call }

export interface WebRtcOptions {
  /** Signalling servers, `ws://…` or `wss://…`: any Node peer's port (see `listen`), or any of y-webrtc's. Default: none. */
  readonly signalling?: readonly string[]
  /**
   * STUN and TURN servers. Default: none, which connects devices in one network, or with addresses that all can reach.
   */
  readonly iceServers?: readonly IceServer[]
  /** In Node: the engine, `@roamhq/wrtc` or `node-datachannel/polyfill`. Default: the page's own. */
  readonly wrtc?: object
  /** Connections at a time in each room; more are not called, nor answered. Default 64. */
  readonly maxPeers?: number
}

export interface WebRtcTransport extends Transport {
  /**
   * Begins an introduction by hand, with no server: `text` goes to the other device, by chat or as a QR code, and what
   * `answer` makes of it there comes back into `complete`.
   */
  call(): Promise<Introduction>
  /** The answer to another device's `call`: one line of text. Fails with `BAD_ENCODING` for what is none. */
  answer(text: string, options?: { readonly timeoutMs?: number }): Promise<string>
}

const handshakeMs = 10_000

/** A transport over WebRTC. Making it fails with `TRANSPORT_FAILED` where there is no WebRTC. */
export function webrtc(options: WebRtcOptions = {}): WebRtcTransport {
  const engine = engineOr(options.wrtc)
  if (engine === null) {
    const message = 'No WebRTC here: in Node, pass an engine as `wrtc`'
    throw new SkeinError('TRANSPORT_FAILED', message)
  }
  return new RoomsTransport(options, engine)
}

class RoomsTransport extends Emitter<{ connection: Connection }> implements WebRtcTransport {
  readonly name = 'webrtc'
  readonly #urls: readonly string[]
  readonly #engine: RtcEngine
  readonly #configuration: { iceServers: readonly IceServer[] }
  readonly #maxPeers: number
  readonly #signalling = new Set<SealedSignalling>()
  readonly #rooms = new Set<SealedRoom>()
  readonly #roomsByTopic = new Map<string, Room>()
  readonly #streams = new Set<MessageStream>()
  readonly #calls = new Set<{ close(): void }>()
  #device: DeviceKeys | null = null
  #meeting: MeetingPoint | null = null
  #isClosed = false

  constructor(options: WebRtcOptions, engine: RtcEngine) {
    super()
    const { signalling = [], iceServers = [], maxPeers = 64 } = options
    for (const url of signalling) {
      if (!/^wss?:$/.test(URL.canParse(url) ? new URL(url).protocol : '')) {
        throw new TypeError(`A signalling server is ws://… or wss://…, not ${JSON.stringify(url)}`)
      }
    }
    this.#urls = [...new Set(signalling)]
    this.#engine = engine
    this.#configuration = { iceServers }
    this.#maxPeers = maxPeers
  }

  async open(device: DeviceKeys): Promise<void> {
    if (this.#device !== null) throw new TypeError('open() is called once')
    this.#device = device
    this.#meeting = new MeetingPoint({
      publicKey: device.publicKey,
      onConnection: (connection) => this.emit('connection', connection)
    })
    // lib0's client, which y-webrtc uses, takes the global one, and Node 20 has none.
    if (this.#urls.length > 0 && !('WebSocket' in globalThis)) {
      Object.assign(globalThis, { WebSocket })
    }
    for (const url of this.#urls) this.#signalling.add(new SealedSignalling(url, this.#rooms))
  }

  async join(topic: Uint8Array, rendezvous?: Rendezvous): Promise<void> {
    const meeting = this.#opened()
    const key = keyOfTopic(topic)
    if (rendezvous === undefined) throw new TypeError('webrtc needs a rendezvous with each topic')
    meeting.join(topic)
    if (this.#roomsByTopic.has(key) || this.#urls.length === 0) return
    const room = new Room({
      rendezvous,
      signalling: this.#signalling,
      peerOpts: { wrtc: this.#engine, config: this.#configuration },
      maxPeers: this.#maxPeers,
      onStream: (stream, isInitiator) => void this.#meet(stream, isInitiator)
    })
    this.#roomsByTopic.set(key, room)
    this.#rooms.add(room)
    await room.open()
  }

  async leave(topic: Uint8Array): Promise<void> {
    const meeting = this.#opened()
    const key = keyOfTopic(topic)
    meeting.leave(topic)
    const room = this.#roomsByTopic.get(key)
    if (room === undefined) return
    room.close()
    this.#roomsByTopic.delete(key)
    this.#rooms.delete(room)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const room of this.#roomsByTopic.values()) room.close()
    this.#roomsByTopic.clear()
    this.#rooms.clear()
    for (const conn of this.#signalling) conn.destroy()
    this.#meeting?.close()
    for (const call of this.#calls) call.close()
    for (const stream of this.#streams) stream.destroy()
  }

  async call(): Promise<Introduction> {
    this.#opened()
    const call = await callByHand(this.#engine, this.#configuration, (stream) => {
      void this.#meet(stream, true)
    })
    return this.#keep(call)
  }

  async answer(text: string, { timeoutMs = unansweredMs } = {}): Promise<string> {
    this.#opened()
    const onStream = (stream: MessageStream): void => void this.#meet(stream, false)
    const [engine, configuration] = [this.#engine, this.#configuration]
    const answered = await answerByHand(engine, configuration, text, timeoutMs, onStream)
    return this.#keep(answered).text
  }

  #keep<T extends { close(): void; readonly ended: Promise<void> }>(call: T): T {
    this.#calls.add(call)
    void call.ended.then(() => this.#calls.delete(call))
    if (this.#isClosed) call.close()
    return call
  }

  async #meet(raw: MessageStream, isInitiator: boolean): Promise<void> {
    this.#streams.add(raw)
    raw.on('close', () => this.#streams.delete(raw))
    const signal = AbortSignal.timeout(handshakeMs)
    const options = { device: this.#device!, isInitiator, timeoutMs: handshakeMs, signal }
    // A handshake that fails ends the connection, and the room calls anew.
    const stream = await secureStream(raw, options).catch(() => null)
    if (stream === null) return
    if (this.#isClosed) stream.destroy()
    else this.#meeting!.add(stream)
  }

  #opened(): MeetingPoint {
    if (this.#isClosed) throw new SkeinError('CLOSED', 'The webrtc transport is closed')
    if (this.#meeting === null) throw new TypeError('open() comes before anything else')
    return this.#meeting
  }
}

function keyOfTopic(topic: Uint8Array): string {
  if (topic.length !== 32) throw new TypeError(`A topic has 32 bytes, not ${topic.length}`)
  return topic.join()
}
