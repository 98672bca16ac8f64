/**
 * A protomux channel that is opened once the other side has shown that it knows the key by which it is found, or has opened
 * it; and again after the other closed it: a space may be joined, or an invite made, long after two devices connected.
 * Messages are byte strings of a bounded size.
 */
import Protomux from 'protomux'
import type { Channel as MuxChannel, Message } from 'protomux'
import { SkeinError } from '../errors.ts'
import type { PeerConnection } from './connection.ts'

export interface ChannelOptions {
  readonly protocol: string
  readonly id: Uint8Array
  /** Who has not greeted with it does not see that this side has the channel. */
  readonly key: Uint8Array
  /** One handler a message type, in order. What one throws ends the connection. */
  readonly messages: readonly ((bytes: Uint8Array) => void)[]
  readonly maxMessageBytes: number
  readonly onOpen: () => void
  readonly onClose: () => void
}

export class Channel {
  readonly #connection: PeerConnection
  readonly #mux: Protomux
  readonly #options: ChannelOptions
  #channel: MuxChannel | null = null
  #messages: Message<Uint8Array>[] = []
  #isOpen = false
  #isClosed = false
  readonly #stopWaiting: () => void

  constructor(connection: PeerConnection, options: ChannelOptions) {
    this.#connection = connection
    this.#mux = connection.mux
    this.#options = options
    this.#mux.pair({ protocol: options.protocol, id: options.id }, () => this.#create())
    this.#stopWaiting = connection.greeting.whenKnown(options.key, () => this.#create())
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Sends a message of that type; says false, and does nothing, while the channel is not open. */
  send(type: number, bytes: Uint8Array): boolean {
    if (!this.#isOpen) return false
    this.#messages[type]!.send(bytes)
    return true
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#stopWaiting()
    this.#mux.unpair({ protocol: this.#options.protocol, id: this.#options.id })
    this.#channel?.close()
  }

  #create(): void {
    if (this.#isClosed || this.#channel !== null) return
    const { protocol, id } = this.#options
    const channel = this.#mux.createChannel({
      protocol,
      id,
      onopen: () => {
        this.#isOpen = true
        this.#connection.openChannels++
        this.#options.onOpen()
      },
      onclose: () => {
        const wasOpen = this.#isOpen
        if (wasOpen) this.#connection.openChannels--
        this.#isOpen = false
        this.#channel = null
        if (wasOpen) this.#options.onClose()
      }
    })
    if (channel === null) return
    this.#channel = channel
    this.#messages = this.#options.messages.map((handle) =>
      channel.addMessage<Uint8Array>({ onmessage: (bytes) => this.#receive(handle, bytes) })
    )
    channel.open()
  }

  /** A peer's bytes never throw into the app: what breaks the protocol ends the connection. */
  #receive(handle: (bytes: Uint8Array) => void, bytes: Uint8Array): void {
    if (!this.#connection.meter(bytes.length)) return
    try {
      if (bytes.length > this.#options.maxMessageBytes) {
        throw new SkeinError('BAD_ENCODING', `A message of ${bytes.length} bytes`)
      }
      handle(new Uint8Array(bytes))
    } catch (error) {
      this.#connection.fail(error)
    }
  }
}
