/**
 * For transports whose medium knows devices but no topics, or several ways to one device (an address, a room for each
 * topic): decides over proven connections which of them are of use. Both ends tell which topics they look in, in a form
 * that only who knows a topic can read, and one connection to each device with a topic in common is announced; others are
 * kept in reserve until then. Messages, before a connection is announced:
 *
 *     topics(tags)  := 0 • byteArray[32]*    tag = keyed hash of handshake and sender under a topic; filled up with
 *                                            random ones to 64, or the next power of two, in the order of their bytes
 *     go()          := 1                     this one: from the device with the smaller key, and back as its answer
 *     not()         := 2                     the answer of one that has no such topic any more
 */
import { platform } from '#platform'
import { equalBytes, filledUp, joinBytes, toHex } from './bytes.ts'
import { keyedHash } from './crypto.ts'
import { SkeinError } from './errors.ts'
import type { Connection, SecureStream } from './transport.ts'

const kinds = { topics: 0, go: 1, not: 2 } as const
const tagBytes = 32
const minTags = 64
const maxTopics = 4_096
/** A device that changes its topics more often than this on one connection begins it anew. */
const maxMessages = 10_000

const keepAliveMs = 5_000
const silenceMs = 20_000

export interface MeetingPointOptions {
  readonly publicKey: Uint8Array
  readonly onConnection: (connection: Connection) => void
  /** Connections without a common topic that are kept; of more, the oldest are ended. Default 64. */
  readonly maxReserved?: number
  /** Default: the platform's. */
  readonly randomBytes?: (length: number) => Uint8Array
}

/** A topic is named by its 64 hex digits. */
export class MeetingPoint {
  readonly topics = new Map<string, Uint8Array>()
  readonly #options: MeetingPointOptions
  readonly #guests = new Set<Guest>()

  constructor(options: MeetingPointOptions) {
    this.#options = options
  }

  join(topic: Uint8Array): void {
    this.topics.set(toHex(topic), topic)
    this.#changed()
  }

  leave(topic: Uint8Array): void {
    if (this.topics.delete(toHex(topic))) this.#changed()
  }

  /** Takes a connection that has proven its keys, and that nobody has read from. False where it is to this device itself. */
  add(stream: SecureStream): boolean {
    if (equalBytes(stream.remotePublicKey, this.#options.publicKey)) {
      stream.destroy()
      return false
    }
    const guest = new Guest(stream, this.#options.publicKey, {
      randomBytes: this.#options.randomBytes ?? ((length) => platform.randomBytes(length)),
      mayGo: () => this.#mayGo(guest),
      onConnection: () => this.#announce(guest)
    })
    this.#guests.add(guest)
    stream.on('close', () => {
      this.#guests.delete(guest)
      for (const other of this.#guests) other.consider()
    })
    guest.tell(this.topics.values())
    const { maxReserved = 64 } = this.#options
    const reserved = [...this.#guests].filter(({ state }) => state === 'reserved')
    if (reserved.length > maxReserved) reserved[0]!.stream.destroy()
    return true
  }

  close(): void {
    this.topics.clear()
    for (const { stream } of this.#guests) stream.destroy()
  }

  /** One connection a device: not while there is another that is announced, or about to be. */
  #mayGo(guest: Guest): boolean {
    return ![...this.#guests].some(
      (other) => other !== guest && other.device === guest.device && other.state !== 'reserved'
    )
  }

  #announce(guest: Guest): void {
    // The device with the smaller key says which one it is; one from before has ended over there, unheard.
    for (const other of this.#guests) {
      if (other !== guest && other.device === guest.device && other.state === 'announced') {
        other.stream.destroy()
      }
    }
    this.#options.onConnection({ stream: guest.stream })
  }

  #changed(): void {
    for (const guest of this.#guests) guest.tell(this.topics.values())
  }
}

/** What is used of a secure stream besides. */
type Messages = SecureStream & {
  write(message: Uint8Array): boolean
  pause(): unknown
  on(event: 'data', listener: (message: Uint8Array) => void): unknown
  off(event: 'data', listener: (message: Uint8Array) => void): unknown
}

interface GuestOptions {
  readonly randomBytes: (length: number) => Uint8Array
  readonly mayGo: () => boolean
  readonly onConnection: () => void
}

/** A connection, announced or not. */
class Guest {
  readonly stream: SecureStream
  readonly device: string
  state: 'reserved' | 'proposed' | 'announced' = 'reserved'
  readonly #messages: Messages
  readonly #options: GuestOptions
  readonly #publicKey: Uint8Array
  readonly #decides: boolean
  readonly #onData = (message: Uint8Array): void => this.#receive(message)
  #topics: Uint8Array[] = []
  #remoteTags = new Set<string>()
  /** The tags of no topic: the same each time, or they could be told from the others, which are. */
  readonly #random: Uint8Array[] = []
  #received = 0

  constructor(stream: SecureStream, publicKey: Uint8Array, options: GuestOptions) {
    this.stream = stream
    this.device = toHex(stream.remotePublicKey)
    this.#messages = stream as Messages
    this.#options = options
    this.#publicKey = publicKey
    this.#decides = toHex(publicKey) < this.device
    stream.on('error', () => {}) // The close tells.
    stream.setKeepAlive(keepAliveMs)
    stream.setTimeout(silenceMs)
    this.#messages.on('data', this.#onData)
  }

  /** Tells the other end which topics this one looks in. */
  tell(topics: Iterable<Uint8Array>): void {
    if (this.state === 'announced' || this.stream.destroyed) return
    this.#topics = [...topics].slice(0, maxTopics)
    const tags = this.#topics.map((topic) => this.#tag(topic, this.#publicKey))
    let used = 0
    const random = (): Uint8Array => (this.#random[used++] ??= this.#options.randomBytes(tagBytes))
    this.#messages.write(
      joinBytes([Uint8Array.of(kinds.topics), ...filledUp(tags, minTags, random)])
    )
    this.consider()
  }

  /** Proposes this connection, where that is this end's to do and the time for it. */
  consider(): void {
    if (!this.#decides || this.state !== 'reserved' || this.stream.destroyed) return
    if (!this.#hasCommonTopic() || !this.#options.mayGo()) return
    this.state = 'proposed'
    this.#messages.write(Uint8Array.of(kinds.go))
  }

  #receive(message: Uint8Array): void {
    const kind = message[0]
    if (++this.#received > maxMessages) return this.#refuse()
    if (kind === kinds.topics) this.#hear(message.subarray(1))
    else if (message.length !== 1) this.#refuse()
    else if (kind === kinds.go && !this.#decides) this.#answer()
    else if (kind === kinds.go && this.state === 'proposed') this.#announce()
    else if (kind === kinds.not && this.state === 'proposed') {
      this.state = 'reserved'
      this.#remoteTags.clear()
    } else this.#refuse()
  }

  #hear(tags: Uint8Array): void {
    if (tags.length % tagBytes !== 0 || tags.length > maxTopics * tagBytes) return this.#refuse()
    this.#remoteTags.clear()
    for (let at = 0; at < tags.length; at += tagBytes) {
      this.#remoteTags.add(toHex(tags.subarray(at, at + tagBytes)))
    }
    this.consider()
  }

  #answer(): void {
    if (this.#hasCommonTopic()) {
      this.#messages.write(Uint8Array.of(kinds.go))
      return this.#announce()
    }
    this.#messages.write(Uint8Array.of(kinds.not))
    this.tell(this.#topics)
  }

  #announce(): void {
    this.state = 'announced'
    this.#messages.off('data', this.#onData)
    // What comes from here on is the new owner's, whenever it begins to read.
    this.#messages.pause()
    this.#options.onConnection()
  }

  #hasCommonTopic(): boolean {
    return this.#topics.some((topic) =>
      this.#remoteTags.has(toHex(this.#tag(topic, this.stream.remotePublicKey)))
    )
  }

  #tag(topic: Uint8Array, sender: Uint8Array): Uint8Array {
    return keyedHash(topic, 'skein/topic-tag', this.stream.handshakeHash, sender)
  }

  #refuse(): void {
    this.stream.destroy(new SkeinError('BAD_ENCODING', 'A peer sent what it must not send'))
  }
}
