/**
 * Transports that live in a page, used from Node as if they were here: so that a test holds both ends of a connection
 * between a page and Node. Each has a socket to the page; its connections are streams here that a message goes through
 * only when the page's own stream takes it, and the other way round.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { Duplex } from 'streamx'
import { WebSocketServer, type WebSocket } from 'ws'
import { Emitter } from '../../lib/events.ts'
import { SkeinError, type ErrorCode } from '../../lib/errors.ts'
import type {
  Connection,
  DeviceKeys,
  Rendezvous,
  SecureStream,
  Transport
} from '../../lib/transport.ts'
import type { FromPage, ToPage } from './transport-host.ts'

/** What a page connects to, once for each transport that it hosts. */
export class RemoteTransports implements AsyncDisposable {
  readonly #server: WebSocketServer

  private constructor(server: WebSocketServer) {
    this.#server = server
  }

  static async listen(): Promise<RemoteTransports> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0, maxPayload: 64 * 1024 * 1024 })
    await once(server, 'listening')
    return new RemoteTransports(server)
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** `begin` has the page host a transport (`host(url)`). */
  async next(begin: () => Promise<unknown>): Promise<Transport> {
    const [[socket]] = await Promise.all([
      once(this.#server, 'connection') as Promise<[WebSocket]>,
      begin()
    ])
    return new RemoteTransport(socket)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

class RemoteTransport extends Emitter<{ connection: Connection }> implements Transport {
  readonly name = 'webrtc'
  readonly #socket: WebSocket
  readonly #calls = new Map<number, { resolve: () => void; reject: (error: Error) => void }>()
  readonly #streams = new Map<number, RemoteStream>()
  #count = 0

  constructor(socket: WebSocket) {
    super()
    this.#socket = socket
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) this.#streams.get(data.readUInt32BE(0))?.receive(data.subarray(4))
      else this.#receive(JSON.parse(data.toString()) as FromPage)
    })
  }

  open({ publicKey, secretKey }: DeviceKeys): Promise<void> {
    return this.#call('open', publicKey, secretKey)
  }

  join(topic: Uint8Array, rendezvous?: Rendezvous): Promise<void> {
    const { name = new Uint8Array(), key = new Uint8Array() } = rendezvous ?? {}
    return this.#call('join', topic, name, key)
  }

  leave(topic: Uint8Array): Promise<void> {
    return this.#call('leave', topic)
  }

  close(): Promise<void> {
    return this.#call('close')
  }

  #call(method: 'open' | 'join' | 'leave' | 'close', ...bytes: Uint8Array[]): Promise<void> {
    const number = this.#count++
    this.#send({ type: 'call', number, method, bytes: bytes.map((each) => [...each]) })
    return new Promise((resolve, reject) => this.#calls.set(number, { resolve, reject }))
  }

  #receive(message: FromPage): void {
    if (message.type === 'done') {
      const call = this.#calls.get(message.number)!
      this.#calls.delete(message.number)
      const { error } = message
      if (error === null) call.resolve()
      else if (error.code === null) call.reject(new TypeError(error.message))
      else call.reject(new SkeinError(error.code as ErrorCode, error.message))
    } else if (message.type === 'connection') {
      const stream = new RemoteStream(message, {
        write: (bytes) => {
          const frame = Buffer.alloc(4 + bytes.length)
          frame.writeUInt32BE(message.stream)
          frame.set(bytes, 4)
          this.#socket.send(frame)
        },
        taken: (bytes) => this.#send({ type: 'taken', stream: message.stream, bytes }),
        destroy: () => this.#send({ type: 'destroy', stream: message.stream })
      })
      this.#streams.set(message.stream, stream)
      this.emit('connection', { stream: stream as unknown as SecureStream })
    } else if (message.type === 'written') this.#streams.get(message.stream)?.written()
    else this.#streams.get(message.stream)?.destroy()
  }

  #send(message: ToPage): void {
    this.#socket.send(JSON.stringify(message))
  }
}

interface RemoteStreamHost {
  write(bytes: Uint8Array): void
  /** So many bytes have been read here. */
  taken(bytes: number): void
  destroy(): void
}

class RemoteStream extends Duplex {
  readonly publicKey: Uint8Array
  readonly remotePublicKey: Uint8Array
  readonly handshakeHash: Uint8Array
  readonly isInitiator: boolean
  readonly #host: RemoteStreamHost
  #onWritten: (() => void) | null = null
  #unread = 0

  constructor(connection: Extract<FromPage, { type: 'connection' }>, host: RemoteStreamHost) {
    super()
    this.publicKey = Uint8Array.from(connection.publicKey)
    this.remotePublicKey = Uint8Array.from(connection.remotePublicKey)
    this.handshakeHash = Uint8Array.from(connection.handshakeHash)
    this.isInitiator = connection.isInitiator
    this.#host = host
  }

  setKeepAlive(): void {}
  setTimeout(): void {}

  receive(bytes: Uint8Array): void {
    if (this.destroyed) return
    this.#unread += bytes.length
    if (this.push(bytes)) this.#take()
  }

  written(): void {
    this.#onWritten?.()
  }

  override _write(message: unknown, done: (error: null) => void): void {
    this.#onWritten = () => done(null)
    this.#host.write(message as Uint8Array)
  }

  override _read(done: (error: null) => void): void {
    this.#take()
    done(null)
  }

  override _predestroy(): void {
    this.#onWritten?.()
    this.#host.destroy()
  }

  #take(): void {
    if (this.#unread > 0) this.#host.taken(this.#unread)
    this.#unread = 0
  }
}
