/**
 * Connects browsers, and Node with a WebRTC engine, directly to each other. y-webrtc's rooms, signalling and ICE introduce
 * them; then each connection is a data channel of its own with Noise in it.
 *
 * What a signalling server sees: addresses, and which of its clients are in a room of the same name, which says nothing
 * of the space and is not its topic. What is said in the room is sealed. A STUN server sees addresses; a TURN server
 * passes encrypted bytes on.
 */
import { RtcChild } from '#webrtc-child'
import {
  Emitter,
  MeetingPoint,
  secureStream,
  SkeinError,
  type Connection,
  type DeviceKeys,
  type Introduction,
  MessageStream,
  type MessageMedium,
  type Rendezvous,
  type Transport
} from '../lib/index.ts'
import { unansweredMs } from './webrtc/by-hand.ts'
import { Rooms, type Introducing } from './webrtc/rooms.ts'
import { engineOr, type IceServer } from './webrtc/rtc.ts'

export type { IceServer, Introduction as Call }

export interface WebRtcOptions {
  /** Signalling servers, `ws://…` or `wss://…`: any Node peer's port (see `listen`), or any of y-webrtc's. Default: none. */
  readonly signalling?: readonly string[]
  /**
   * STUN and TURN servers. Default: none, which connects devices in one network, or with addresses that all can reach.
   */
  readonly iceServers?: readonly IceServer[]
  /**
   * In Node: the engine, `@roamhq/wrtc` or `node-datachannel/polyfill`, which your app has installed. Named, it runs in a
   * process of its own, so that a crash of it takes nothing down; given as what `import` gives, it runs in this one.
   * Default: the page's own.
   */
  readonly wrtc?: string | object
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

type OnStream = (stream: MessageStream, isInitiator: boolean) => void

/**
 * A transport over WebRTC. Making it fails with `TRANSPORT_FAILED` where there is no WebRTC; opening it, where the engine
 * that was named cannot be found or loaded.
 */
export function webrtc(options: WebRtcOptions = {}): WebRtcTransport {
  const { signalling = [], iceServers = [], maxPeers = 64, wrtc } = options
  for (const url of signalling) {
    if (!/^wss?:$/.test(URL.canParse(url) ? new URL(url).protocol : '')) {
      throw new TypeError(`A signalling server is ws://… or wss://…, not ${JSON.stringify(url)}`)
    }
  }
  const settings = { urls: [...new Set(signalling)], iceServers, maxPeers }
  if (typeof wrtc === 'string') {
    if (RtcChild === null) throw new TypeError('In a page, `wrtc` names no package')
    const Child = RtcChild
    return new RoomsTransport((onStream) => new Child({ ...settings, engine: wrtc, onStream }))
  }
  const engine = engineOr(wrtc)
  if (engine === null) {
    const message = 'No WebRTC here: in Node, name an engine as `wrtc`'
    throw new SkeinError('TRANSPORT_FAILED', message)
  }
  const streamOver = (medium: MessageMedium): MessageStream => new MessageStream(medium)
  return new RoomsTransport((onStream) => new Rooms({ ...settings, engine, streamOver, onStream }))
}

class RoomsTransport extends Emitter<{ connection: Connection }> implements WebRtcTransport {
  readonly name = 'webrtc'
  readonly #introducing: Introducing
  readonly #streams = new Set<MessageStream>()
  #device: DeviceKeys | null = null
  #meeting: MeetingPoint | null = null
  #isClosed = false

  constructor(introducing: (onStream: OnStream) => Introducing) {
    super()
    this.#introducing = introducing((stream, isInitiator) => void this.#meet(stream, isInitiator))
  }

  async open(device: DeviceKeys): Promise<void> {
    if (this.#device !== null) throw new TypeError('open() is called once')
    this.#device = device
    this.#meeting = new MeetingPoint({
      publicKey: device.publicKey,
      onConnection: (connection) => this.emit('connection', connection)
    })
    await this.#introducing.open()
  }

  async join(topic: Uint8Array, rendezvous?: Rendezvous): Promise<void> {
    const meeting = this.#opened()
    checkTopic(topic)
    if (rendezvous === undefined) throw new TypeError('webrtc needs a rendezvous with each topic')
    meeting.join(topic)
    await this.#introducing.join(topic, rendezvous)
  }

  async leave(topic: Uint8Array): Promise<void> {
    const meeting = this.#opened()
    checkTopic(topic)
    meeting.leave(topic)
    await this.#introducing.leave(topic)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#meeting?.close()
    for (const stream of this.#streams) stream.destroy()
    await this.#introducing.close()
  }

  async call(): Promise<Introduction> {
    this.#opened()
    return this.#introducing.call()
  }

  async answer(text: string, { timeoutMs = unansweredMs } = {}): Promise<string> {
    this.#opened()
    return (await this.#introducing.answer(text, timeoutMs)).text
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

function checkTopic(topic: Uint8Array): void {
  if (topic.length !== 32) throw new TypeError(`A topic has 32 bytes, not ${topic.length}`)
}
