/**
 * What introduces devices by WebRTC, and yields a raw stream for each that was met: rooms, one for each topic, and
 * introductions by hand. It holds no keys of the device. In a page it is where the transport is; in Node, with an engine of
 * native code, in a process of its own (`engine-process.ts`).
 */
import { WebSocket } from 'ws'
import type { Introduction, Rendezvous } from '../../lib/index.ts'
import { answerByHand, callByHand, type ByHand } from './by-hand.ts'
import type { RawStream, StreamOver } from './channel.ts'
import { Room } from './room.ts'
import type { IceServer, RtcEngine } from './rtc.ts'
import { SealedSignalling, type SealedRoom } from './signalling.ts'

export interface RoomsSettings {
  readonly urls: readonly string[]
  readonly iceServers: readonly IceServer[]
  readonly maxPeers: number
}

/** What is asked of it, wherever it is. */
export interface Introducing {
  /** Fails with `TRANSPORT_FAILED` where there is no engine. */
  open(): Promise<void>
  join(topic: Uint8Array, rendezvous: Rendezvous): Promise<void>
  leave(topic: Uint8Array): Promise<void>
  call(): Promise<Introduction>
  /** Fails with `BAD_ENCODING`. */
  answer(text: string, timeoutMs: number): Promise<Omit<Introduction, 'complete'>>
  close(): Promise<void>
}

export interface RoomsOptions<S extends RawStream> extends RoomsSettings {
  readonly engine: RtcEngine
  readonly streamOver: StreamOver<S>
  readonly onStream: (stream: S, isInitiator: boolean) => void
}

export class Rooms<S extends RawStream> implements Introducing {
  readonly #options: RoomsOptions<S>
  readonly #configuration: { iceServers: readonly IceServer[] }
  readonly #signalling = new Set<SealedSignalling>()
  readonly #rooms = new Set<SealedRoom>()
  readonly #roomsByTopic = new Map<string, Room<S>>()
  readonly #calls = new Set<{ close(): void }>()
  #isClosed = false

  constructor(options: RoomsOptions<S>) {
    this.#options = options
    this.#configuration = { iceServers: options.iceServers }
  }

  async open(): Promise<void> {
    const { urls } = this.#options
    // lib0's client, which y-webrtc uses, takes the global one, and Node 20 has none.
    if (urls.length > 0 && !('WebSocket' in globalThis)) Object.assign(globalThis, { WebSocket })
    for (const url of urls) this.#signalling.add(new SealedSignalling(url, this.#rooms))
  }

  async join(topic: Uint8Array, rendezvous: Rendezvous): Promise<void> {
    const key = topic.join()
    const { urls, engine, maxPeers, streamOver, onStream } = this.#options
    if (this.#roomsByTopic.has(key) || urls.length === 0) return
    const room = new Room({
      rendezvous,
      signalling: this.#signalling,
      peerOpts: { wrtc: engine, config: this.#configuration },
      maxPeers,
      streamOver,
      onStream
    })
    this.#roomsByTopic.set(key, room)
    this.#rooms.add(room)
    await room.open()
  }

  async leave(topic: Uint8Array): Promise<void> {
    const key = topic.join()
    const room = this.#roomsByTopic.get(key)
    if (room === undefined) return
    room.close()
    this.#roomsByTopic.delete(key)
    this.#rooms.delete(room)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const room of this.#roomsByTopic.values()) room.close()
    this.#roomsByTopic.clear()
    this.#rooms.clear()
    for (const conn of this.#signalling) conn.destroy()
    for (const call of this.#calls) call.close()
  }

  async call(): Promise<Introduction> {
    return this.#keep(await callByHand(this.#byHand(true)))
  }

  async answer(text: string, timeoutMs: number): Promise<Omit<Introduction, 'complete'>> {
    return this.#keep(await answerByHand(this.#byHand(false), text, timeoutMs))
  }

  #byHand(isInitiator: boolean): ByHand<S> {
    const { engine, streamOver, onStream } = this.#options
    return {
      engine,
      configuration: this.#configuration,
      streamOver,
      onStream: (stream) => onStream(stream, isInitiator)
    }
  }

  #keep<T extends { close(): void; readonly ended: Promise<void> }>(call: T): T {
    this.#calls.add(call)
    void call.ended.then(() => this.#calls.delete(call))
    if (this.#isClosed) call.close()
    return call
  }
}
