/**
 * Connects devices by WebSocket: one listens (in Node), the others have its address, in a page as well. Keys are proven and
 * everything encrypted by Noise within, so `ws:` hides as much as `wss:`; browsers demand `wss:` of pages served over
 * `https:`. The same port introduces browsers to each other: see `listen`.
 *
 * What the network, or a proxy before the port, sees: addresses, times and amounts. No topics, no keys, no content.
 */
import {
  Emitter,
  MeetingPoint,
  secureStream,
  SkeinError,
  type Connection,
  type DeviceKeys,
  type Transport
} from '../lib/index.ts'
import { dial, type Link } from './websocket/link.ts'
import type { WebSocketPort } from './websocket/port.ts'

export { listen, WebSocketPort, type ListenOptions } from './websocket/port.ts'

export interface WebSocketOptions {
  /** Where other devices listen: `ws://host:port` or `wss://host/path`. */
  readonly urls?: readonly string[]
  /** Where this device listens: what `listen` gave. It stays open when the transport is closed. */
  readonly port?: WebSocketPort
  /** Connections at a time that come by the port; more are refused. Default 256. */
  readonly maxPeers?: number
}

/** Waits before an address is dialled again: doubling from the first to the last, each with a quarter of chance. */
const firstWaitMs = 100
const lastWaitMs = 30_000
/** After a connection that lasted so long, the waits begin with the first one again. */
const steadyMs = 10_000
const handshakeMs = 10_000

/** A transport over WebSockets. It dials every address, once a topic is joined, and takes whom the port brings. */
export function websocket(options: WebSocketOptions): Transport {
  return new WebSocketTransport(options)
}

class WebSocketTransport extends Emitter<{ connection: Connection }> implements Transport {
  readonly name = 'websocket'
  readonly #urls: readonly string[]
  readonly #port: WebSocketPort | undefined
  readonly #maxPeers: number
  readonly #links = new Set<Link>()
  readonly #waitsByUrl = new Map<string, ReturnType<typeof setTimeout> | null>()
  #device: DeviceKeys | null = null
  #meeting: MeetingPoint | null = null
  #incoming = 0
  #isClosed = false
  #release: () => void = () => {}

  constructor({ urls = [], port, maxPeers = 256 }: WebSocketOptions) {
    super()
    for (const url of urls) {
      if (!/^wss?:$/.test(URL.canParse(url) ? new URL(url).protocol : '')) {
        throw new TypeError(
          `A WebSocket's address is ws://… or wss://…, not ${JSON.stringify(url)}`
        )
      }
    }
    this.#urls = [...new Set(urls)]
    this.#port = port
    this.#maxPeers = maxPeers
  }

  async open(device: DeviceKeys): Promise<void> {
    if (this.#device !== null) throw new TypeError('open() is called once')
    this.#device = device
    this.#meeting = new MeetingPoint({
      publicKey: device.publicKey,
      onConnection: (connection) => this.emit('connection', connection)
    })
    this.#release = this.#port?.onPeer((link) => void this.#greet(link)) ?? (() => {})
  }

  async join(topic: Uint8Array): Promise<void> {
    this.#joined(topic).join(topic)
    // Dialling goes on by itself: nobody waits for an address that may be dead.
    for (const url of this.#urls) if (!this.#waitsByUrl.has(url)) void this.#keepDialling(url)
  }

  async leave(topic: Uint8Array): Promise<void> {
    this.#joined(topic).leave(topic)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#release()
    for (const timer of this.#waitsByUrl.values()) if (timer !== null) clearTimeout(timer)
    this.#meeting?.close()
    for (const link of this.#links) link.close()
  }

  #joined(topic: Uint8Array): MeetingPoint {
    if (this.#isClosed) throw new SkeinError('CLOSED', 'The websocket transport is closed')
    if (this.#meeting === null) throw new TypeError('open() comes before anything else')
    if (topic.length !== 32) throw new TypeError(`A topic has 32 bytes, not ${topic.length}`)
    return this.#meeting
  }

  /** Dials the address until the transport is closed, or nothing is looked for any more. */
  async #keepDialling(url: string): Promise<void> {
    let waitMs = firstWaitMs
    this.#waitsByUrl.set(url, null)
    while (!this.#isClosed && this.#meeting!.topics.size > 0) {
      const dialledAt = Date.now()
      const isOwn = await this.#dial(url)
      // An address of this device's own port, in a list that several devices share.
      if (isOwn) return
      if (this.#isClosed) return
      if (Date.now() - dialledAt >= steadyMs) waitMs = firstWaitMs
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs * (0.75 + Math.random() / 2))
        this.#waitsByUrl.set(url, timer)
      })
      waitMs = Math.min(2 * waitMs, lastWaitMs)
    }
    this.#waitsByUrl.delete(url)
  }

  /** Resolves when the connection has ended, or none came about; to true where it led to this device itself. */
  async #dial(url: string): Promise<boolean> {
    const link = await dial(url, handshakeMs)
    return link !== null && (await this.#meet(link, true))
  }

  async #greet(link: Link): Promise<void> {
    if (this.#incoming >= this.#maxPeers) return link.close()
    this.#incoming++
    try {
      await this.#meet(link, false)
    } finally {
      this.#incoming--
    }
  }

  /** Resolves when the link has ended; to true where it led to this device itself. */
  async #meet(link: Link, isInitiator: boolean): Promise<boolean> {
    if (this.#isClosed) {
      link.close()
      return false
    }
    this.#links.add(link)
    void link.ended.then(() => this.#links.delete(link))
    const options = { device: this.#device!, isInitiator, timeoutMs: handshakeMs }
    const deadline = AbortSignal.timeout(handshakeMs)
    // A handshake that fails ends the link; the next one may succeed.
    const stream = await secureStream(link.stream, { ...options, signal: deadline }).catch(
      () => null
    )
    if (stream === null) return false
    const isOther = !this.#isClosed && this.#meeting!.add(stream)
    if (this.#isClosed) stream.destroy()
    await link.ended
    return !isOther && !this.#isClosed
  }
}
