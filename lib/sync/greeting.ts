/**
 * How two devices find what they have in common, and a stranger finds nothing. Once connected, each greets the other with a
 * tag for every key that it knows: those of its spaces, and of the invites it comes by. Who knows a key too recognizes its
 * tag, and opens the channel; to everyone else it is as random as the tags that fill the greeting up. So what a device
 * opens depends on what the other has shown that it knows, and one with spaces and one without look alike. Who lets
 * others in by invites does not greet with these: who comes by one shows it first. In Yjs's notation:
 *
 *     channel    := protomux 'skein/greeting/1'
 *     0 greeting := salt(16) • tag(16)*   // 64 tags, or the next power of two, in the order of their bytes
 *
 *     tag        := the beginning of a keyed hash of handshake, sender and salt under the key
 */
import type Protomux from 'protomux'
import { filledUp, joinBytes, toHex } from '../bytes.ts'
import { SkeinError } from '../errors.ts'
import type { SecureStream } from '../transport.ts'
import { greetingTag } from '../trust/keys.ts'

const protocol = 'skein/greeting/1'
const saltBytes = 16
const tagBytes = 16
const minTags = 64
/** More spaces are not found: the other side has to greet with them. */
const maxTags = 4_096
/** What a greeting counts for, as it is looked at for each key: some 60 a second, and 1,000 at once. */
const costBytes = 64 * 1024

export interface GreetingOptions {
  readonly randomBytes: (length: number) => Uint8Array
  /** The keys that this device greets with. */
  readonly keys: () => readonly Uint8Array[]
}

/** The connection that it is made on. */
export interface GreetingConnection {
  readonly stream: SecureStream
  readonly mux: Protomux
  meter(bytes: number): boolean
  fail(cause: unknown): void
}

interface Waiting {
  readonly key: Uint8Array
  readonly onKnown: () => void
}

export class Greeting {
  readonly #connection: GreetingConnection
  readonly #options: GreetingOptions
  readonly #waiting = new Set<Waiting>()
  #send: (greeting: Uint8Array) => void = () => {}
  #salt = new Uint8Array(saltBytes)
  /** What the other side greeted with last, in hex. */
  #tags = new Set<string>()

  constructor(connection: GreetingConnection, options: GreetingOptions) {
    this.#connection = connection
    this.#options = options
    const channel = connection.mux.createChannel({ protocol })
    if (channel === null) return
    const message = channel.addMessage<Uint8Array>({ onmessage: (bytes) => this.#receive(bytes) })
    this.#send = (greeting) => void message.send(greeting)
    channel.open()
  }

  /** Greets, or again where there is a key that was not there before. */
  greet(): void {
    const { keys, randomBytes } = this.#options
    const { handshakeHash, publicKey } = this.#connection.stream
    const salt = randomBytes(saltBytes)
    const tagsByHex = new Map<string, Uint8Array>()
    for (const key of keys().slice(0, maxTags)) {
      const tag = greetingTag(key, handshakeHash, publicKey, salt)
      tagsByHex.set(toHex(tag), tag)
    }
    const tags = filledUp([...tagsByHex.values()], minTags, () => randomBytes(tagBytes))
    this.#send(joinBytes([salt, ...tags]))
  }

  /** Calls back once the other side has greeted with that key, and each time that it does again. Returns what ends it. */
  whenKnown(key: Uint8Array, onKnown: () => void): () => void {
    const waiting = { key, onKnown }
    this.#waiting.add(waiting)
    if (this.#isKnown(key)) onKnown()
    return () => this.#waiting.delete(waiting)
  }

  #isKnown(key: Uint8Array): boolean {
    if (this.#tags.size === 0) return false
    const { handshakeHash, remotePublicKey } = this.#connection.stream
    return this.#tags.has(toHex(greetingTag(key, handshakeHash, remotePublicKey, this.#salt)))
  }

  #receive(bytes: Uint8Array): void {
    if (!this.#connection.meter(Math.max(bytes.length, costBytes))) return
    const length = bytes.length - saltBytes
    if (length < 0 || length % tagBytes !== 0 || length > maxTags * tagBytes) {
      const error = new SkeinError('BAD_ENCODING', `A greeting of ${bytes.length} bytes`)
      return this.#connection.fail(error)
    }
    this.#salt = bytes.slice(0, saltBytes)
    this.#tags = new Set()
    for (let at = saltBytes; at < bytes.length; at += tagBytes) {
      this.#tags.add(toHex(bytes.subarray(at, at + tagBytes)))
    }
    for (const { key, onKnown } of [...this.#waiting]) if (this.#isKnown(key)) onKnown()
  }
}
