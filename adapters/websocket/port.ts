/** The listening side, in Node: a port that peers dial, and that introduces browsers to each other. */
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer, type WebSocket } from 'ws'
import { SkeinError } from '../../lib/index.ts'
import { linkOver, maxMessageBytes, peerProtocol, type Link } from './link.ts'
import { SignallingRooms } from './signalling.ts'

export interface ListenOptions {
  /** Default 0: one that is free. */
  readonly port?: number
  /** The address to listen on. Default '127.0.0.1': this machine alone. */
  readonly host?: string
  /** An HTTP server of yours, listening, in place of `port` and `host`: with pages on the same port, or TLS. */
  readonly server?: Server
  /** Connections at a time, of both kinds; more are refused. Default 1_000. */
  readonly maxConnections?: number
}

/**
 * Listens for peers, for `websocket({ port })`, and introduces browsers: the port speaks y-webrtc's signalling protocol,
 * for Skein's `webrtc` and for any stock y-webrtc client. With no transport on it, it introduces only, and knows no keys.
 * Fails with `TRANSPORT_FAILED` where the port cannot be had.
 *
 * Who introduces sees the addresses of its clients, and which of them are in a room of the same (random) name. What Skein's
 * `webrtc` sends through it is sealed.
 */
export function listen(options: ListenOptions = {}): Promise<WebSocketPort> {
  const { port = 0, host = '127.0.0.1', server, maxConnections = 1_000 } = options
  const common = {
    maxPayload: maxMessageBytes,
    perMessageDeflate: false,
    clientTracking: true,
    handleProtocols: (offered: Set<string>) => offered.has(peerProtocol) && peerProtocol
  }
  return new Promise((resolve, reject) => {
    const sockets = new WebSocketServer({
      ...common,
      ...(server === undefined ? { port, host } : { server })
    })
    const opened = (): void => {
      sockets.off('error', failed)
      sockets.on('error', () => {}) // Of single connections; they close.
      resolve(new WebSocketPort(sockets, maxConnections))
    }
    const failed = (cause: Error): void => {
      const message = `Cannot listen on ${host}, port ${port}: ${cause.message}`
      reject(new SkeinError('TRANSPORT_FAILED', message, { cause }))
    }
    sockets.on('error', failed)
    if (server?.listening === true) opened()
    else sockets.on('listening', opened)
  })
}

/** Connections that say nothing for so long, pings included, are dead. */
const pingMs = 15_000

export class WebSocketPort {
  readonly port: number
  /** As this machine sees it: behind a proxy or a name, use those. */
  readonly url: string
  readonly #sockets: WebSocketServer
  readonly #rooms = new SignallingRooms()
  readonly #alive = new WeakSet<WebSocket>()
  readonly #pinging: ReturnType<typeof setInterval>
  #onPeer: ((link: Link) => void) | null = null

  /** @internal `listen` makes it. */
  constructor(sockets: WebSocketServer, maxConnections: number) {
    const { address, family, port } = sockets.address() as AddressInfo
    this.port = port
    this.url = `ws://${family === 'IPv6' ? `[${address}]` : address}:${port}`
    this.#sockets = sockets
    sockets.on('connection', (socket) => {
      socket.on('error', () => {}) // A frame that is none; the close follows.
      if (sockets.clients.size > maxConnections) return socket.close(1013)
      this.#alive.add(socket)
      socket.on('pong', () => this.#alive.add(socket))
      if (socket.protocol !== peerProtocol) return this.#rooms.add(socket)
      if (this.#onPeer === null) return socket.close(1013)
      this.#onPeer(linkOver(socket))
    })
    this.#pinging = setInterval(() => this.#ping(), pingMs)
    this.#pinging.unref()
  }

  /** Clients that are introduced here at the moment. */
  get introduced(): number {
    return this.#rooms.size
  }

  /** @internal Brings peers to one transport, until the returned function is called. */
  onPeer(listener: (link: Link) => void): () => void {
    if (this.#onPeer !== null) throw new TypeError('The port has a transport already')
    this.#onPeer = listener
    return () => (this.#onPeer = null)
  }

  /** Ends every connection, and lets go of the port. */
  close(): Promise<void> {
    clearInterval(this.#pinging)
    for (const socket of this.#sockets.clients) socket.terminate()
    return new Promise((resolve) => this.#sockets.close(() => resolve()))
  }

  #ping(): void {
    for (const socket of this.#sockets.clients) {
      if (!this.#alive.has(socket)) {
        socket.terminate()
        continue
      }
      this.#alive.delete(socket)
      socket.ping()
    }
  }
}
