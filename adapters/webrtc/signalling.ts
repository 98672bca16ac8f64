/**
 * A connection to a signalling server, y-webrtc's own with a guard around it. y-webrtc trusts what comes: frames that are no
 * JSON, answers from unknown peers, undecryptable data each end a Node process. So no frame reaches it that is not of
 * one of our rooms, sealed by someone who knows its key, and in order. y-webrtc knows rooms by name in the whole process;
 * here they have a name of chance there, and their own only on the wire, so that several transports live side by side.
 */
import { SignalingConn } from 'y-webrtc'
import type { Rendezvous } from '../../lib/index.ts'
import { maxSealedChars, seal, unseal } from './seal.ts'

const maxFrameChars = maxSealedChars + 1024

/** A room as the guard sees it. */
export interface SealedRoom {
  /** In y-webrtc. */
  readonly alias: string
  /** On the wire. */
  readonly wireName: string
  readonly rendezvous: Rendezvous
  /**
   * Called with what a member, or a holder of an invite, has sent. Calls `pass`, now or later, with what y-webrtc is to hear.
   */
  hear(data: unknown, conn: SealedSignalling, pass: (data: object) => void): void
}

interface Frame {
  readonly type?: unknown
  readonly topic?: unknown
  readonly topics?: unknown
  readonly data?: unknown
}

export class SealedSignalling extends SignalingConn {
  readonly #rooms: ReadonlySet<SealedRoom>

  /** `rooms` may change. */
  constructor(url: string, rooms: ReadonlySet<SealedRoom>) {
    super(url)
    this.#rooms = rooms
  }

  /** Only our own rooms, by their names on the wire, and what is said in them sealed. */
  override send(frame: Frame): void {
    if (this.ws?.readyState !== 1) return // Said again once it is open.
    if (frame.type === 'publish') {
      const room = this.#find(({ alias }) => alias === frame.topic)
      if (room === undefined) return
      const { wireName, rendezvous } = room
      super.send({ type: 'publish', topic: wireName, data: seal(rendezvous, frame.data) })
    } else if (Array.isArray(frame.topics)) {
      const aliases: unknown[] = frame.topics
      const topics = [...this.#rooms]
        .filter(({ alias }) => aliases.includes(alias))
        .map(({ wireName }) => wireName)
      if (topics.length > 0) super.send({ type: frame.type, topics })
    } else super.send(frame)
  }

  override emit(event: string, args: unknown[]): void {
    if (event === 'message') return this.#receive(args[0])
    if (event === 'connect') this.#guard()
    super.emit(event, args as never[])
  }

  /** Keeps frames from lib0's client that would throw in it. */
  #guard(): void {
    const socket = this.ws
    const inner = socket?.onmessage?.bind(socket)
    if (socket === null || inner === undefined) return
    socket.onmessage = (event) => {
      const { data } = event as { data: unknown }
      if (typeof data === 'string' && data.length <= maxFrameChars && isJson(data)) inner(event)
    }
  }

  #receive(frame: unknown): void {
    const { type, topic, data } = (frame ?? {}) as Frame
    if (type !== 'publish') return
    const room = this.#find(({ wireName }) => wireName === topic)
    const heard = room === undefined ? undefined : unseal(room.rendezvous, data)
    if (heard === undefined) return
    room!.hear(heard, this, (passed) => {
      try {
        super.emit('message', [
          { type: 'publish', topic: room!.alias, data: passed },
          this
        ] as never)
      } catch {
        // Of the right form, and nothing that the engine can make sense of: the sender is let down, nobody else.
      }
    })
  }

  #find(test: (room: SealedRoom) => boolean): SealedRoom | undefined {
    return [...this.#rooms].find(test)
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
