/**
 * A byte stream over a medium of messages that nobody can pause: a WebSocket in a page, an RTCDataChannel. The reader
 * lends the writer a window, so that one who waits makes the other wait, and no more than a window is ever in a buffer:
 *
 *     binary message    bytes of the stream, at most `chunkBytes`
 *     text message      so many more bytes may come, in decimal
 *
 * What breaks these rules ends the stream, and nothing else.
 */
import { Duplex } from 'streamx'
import { SkeinError } from './errors.ts'

/** What carries the messages: whole, in order, none lost. `send` may throw, which ends the stream. */
export interface MessageMedium {
  send(message: Uint8Array | string): void
  close(): void
}

export interface MessageStreamOptions {
  /** The largest message that is sent. Default 16 KiB: what every data channel takes. */
  readonly chunkBytes?: number
}

/** Both ends begin with it; larger than delay times bandwidth of most links. */
const windowBytes = 1024 * 1024
/** Room is told of once so much of it has come together. */
const creditBytes = windowBytes / 8

/** Its owner passes on what comes: `receive` each message, `ended` once when the medium is closed. */
export class MessageStream extends Duplex {
  readonly #medium: MessageMedium
  readonly #chunkBytes: number
  /** Bytes that may be sent before the other end makes room. */
  #credit = windowBytes
  /** Bytes that may come. */
  #room = windowBytes
  #consumed = 0
  #inbox: Uint8Array[] = []
  #mayPush = true
  #isEnding = false
  #unsent: Uint8Array = new Uint8Array()
  #sent: (() => void) | null = null
  /** Called after each message that came, before anything is read of it. */
  onHeard: (() => void) | null = null

  constructor(medium: MessageMedium, { chunkBytes = 16 * 1024 }: MessageStreamOptions = {}) {
    super()
    this.#medium = medium
    this.#chunkBytes = chunkBytes
    // Its owner hears of the error from the secure stream.
    this.on('error', () => {})
  }

  /** One message of the medium, whatever it may be. */
  receive(message: unknown): void {
    if (this.destroying) return
    if (typeof message === 'string') return this.#credited(message)
    const bytes = bytesOf(message)
    if (bytes === null || bytes.length === 0) return this.#refuse('bytes or a number')
    this.#room -= bytes.length
    if (this.#room < 0) return this.#refuse('no more bytes than there is room for')
    this.#inbox.push(bytes)
    this.#deliver()
    this.onHeard?.()
  }

  /** The medium is closed: what came before is still read. */
  ended(): void {
    this.#isEnding = true
    if (this.#inbox.length === 0) this.destroy()
  }

  override _write(bytes: unknown, done: (error: Error | null) => void): void {
    this.#unsent = bytes as Uint8Array
    this.#sent = () => done(null)
    this.#send()
  }

  override _final(done: (error: Error | null) => void): void {
    this.#medium.close()
    done(null)
  }

  override _read(done: (error: Error | null) => void): void {
    this.#mayPush = true
    this.#deliver()
    done(null)
  }

  /** Frees a write that waits for room, or the stream would wait for it. */
  override _predestroy(): void {
    this.#inbox = []
    this.#medium.close()
    const sent = this.#sent
    this.#sent = null
    sent?.()
  }

  #send(): void {
    while (this.#unsent.length > 0 && this.#credit > 0) {
      const length = Math.min(this.#unsent.length, this.#chunkBytes, this.#credit)
      if (!this.#hand(this.#unsent.subarray(0, length))) return
      this.#unsent = this.#unsent.subarray(length)
      this.#credit -= length
    }
    if (this.#unsent.length > 0) return
    const sent = this.#sent
    this.#sent = null
    sent?.()
  }

  #hand(message: Uint8Array | string): boolean {
    try {
      this.#medium.send(message)
      return true
    } catch (cause) {
      this.destroy(new SkeinError('TRANSPORT_FAILED', 'A message could not be sent', { cause }))
      return false
    }
  }

  #credited(text: string): void {
    const bytes = /^[1-9]\d{0,6}$/.test(text) ? Number(text) : Infinity
    if (this.#credit + bytes > windowBytes) return this.#refuse('room for what was sent')
    this.#credit += bytes
    this.#send()
  }

  #deliver(): void {
    while (this.#mayPush) {
      const bytes = this.#inbox.shift()
      if (bytes === undefined) break
      this.#mayPush = this.push(bytes)
      this.#consumed += bytes.length
    }
    if (this.#isEnding) {
      if (this.#inbox.length === 0) this.destroy()
    } else if (this.#consumed >= creditBytes) {
      const bytes = this.#consumed
      this.#consumed = 0
      this.#room += bytes
      this.#hand(String(bytes))
    }
  }

  #refuse(expected: string): void {
    this.destroy(new SkeinError('BAD_ENCODING', `A peer sent another message than ${expected}`))
  }
}

function bytesOf(message: unknown): Uint8Array | null {
  if (message instanceof Uint8Array) return message
  return message instanceof ArrayBuffer ? new Uint8Array(message) : null
}
