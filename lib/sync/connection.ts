/** One connection to one device, over whichever transport; all spaces that both are in share it. */
import Protomux from 'protomux'
import { toHex } from '../bytes.ts'
import { SkeinError } from '../errors.ts'
import type { SecureStream } from '../transport.ts'
import type { Clock } from '../platform.ts'
import type { DeviceId } from '../trust/members.ts'
import { Greeting, type GreetingOptions } from './greeting.ts'
import { Meter, type Standing } from './standing.ts'

// Someone who disappears without a word is noticed within 30 s: no stream stays silent for longer than 5 s.
const keepAliveMs = 5_000
const silenceMs = 20_000

export interface PeerConnectionOptions extends GreetingOptions {
  readonly clock: Clock
  readonly standing: Standing
  readonly onError: (device: DeviceId, error: SkeinError) => void
}

export class PeerConnection {
  readonly device: DeviceId
  readonly transport: string
  readonly stream: SecureStream
  readonly mux: Protomux
  /** What both sides have shown that they know. */
  readonly greeting: Greeting
  /** Channels of spaces, or for pairing, that both sides have opened. */
  openChannels = 0
  readonly #options: PeerConnectionOptions
  readonly #meter: Meter
  readonly #onClose: (() => void)[] = []

  constructor(stream: SecureStream, transport: string, options: PeerConnectionOptions) {
    this.stream = stream
    this.transport = transport
    this.device = toHex(stream.remotePublicKey)
    this.#options = options
    this.#meter = new Meter(options.clock)
    stream.on('error', () => {}) // A lost connection is told by 'close', and dialled again by its transport.
    stream.on('close', () => {
      for (const listener of this.#onClose) listener()
    })
    this.mux = Protomux.from(stream)
    // A muxer made first keeps hypercore from setting these itself.
    stream.setKeepAlive(keepAliveMs)
    stream.setTimeout(silenceMs)
    this.greeting = new Greeting(this, options)
  }

  get isClosed(): boolean {
    return this.stream.destroyed
  }

  /** Calls back when it has ended: each space wants to know, and Node warns of a stream with more than ten listeners. */
  onClose(listener: () => void): void {
    this.#onClose.push(listener)
  }

  /** Ends the connection because the peer broke the protocol. */
  fail(cause: unknown): void {
    const error =
      cause instanceof SkeinError
        ? cause
        : new SkeinError('BAD_ENCODING', 'A peer sent what it must not send', { cause })
    this.#end(error, false)
  }

  /** A message came, on a channel of ours. False, and the end of the connection, where that is more than anyone may send. */
  meter(bytes: number): boolean {
    if (this.isClosed) return false
    if (this.#meter.take(bytes)) return true
    this.#end(new SkeinError('BAD_ENCODING', 'A peer sent too much at a time'), true)
    return false
  }

  #end(error: SkeinError, isFlood: boolean): void {
    if (this.isClosed) return
    const { onError, standing } = this.#options
    onError(this.device, error)
    const banned = standing.fault(this.device, isFlood)
    if (banned !== null) onError(this.device, banned)
    this.stream.destroy()
  }

  close(): void {
    this.stream.destroy()
  }
}

/**
 * Of two connections between the same pair, the one that both sides keep: a fixed order of transports decides, then the
 * smaller handshake hash, which both know.
 */
export function preferred(a: PeerConnection, b: PeerConnection): PeerConnection {
  const rankA = transportRank(a.transport)
  const rankB = transportRank(b.transport)
  if (rankA !== rankB) return rankA < rankB ? a : b
  if (a.transport !== b.transport) return a.transport < b.transport ? a : b
  return toHex(a.stream.handshakeHash) <= toHex(b.stream.handshakeHash) ? a : b
}

const order = ['memory', 'lan', 'hyperswarm', 'webrtc', 'websocket']

function transportRank(name: string): number {
  const rank = order.indexOf(name)
  return rank < 0 ? order.length : rank
}
