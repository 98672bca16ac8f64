/**
 * What connects two memory transports: a connection is two ends and a wire each way, a queue of bytes that come when
 * they are due. Which wires there are, and when they are delayed, held, swallowed or cut, is `adapters/memory.ts`'s affair.
 */
import { Duplex } from 'streamx'
import type { Clock } from '../../lib/index.ts'

export type WireClock = Pick<Clock, 'now' | 'after'>

/** Bytes that may be under way in one direction before the sender has to wait. */
const WINDOW_BYTES = 256 * 1024

/** One connection: two ends, and a wire each way. */
export class Link {
  readonly keys: [string, string]
  readonly ends: [End, End]
  readonly #wires: [Wire, Wire]

  /** `onclose` is called as each of the ends closes. */
  constructor(keys: [string, string], there: Wire, back: Wire, onclose: () => void) {
    this.keys = keys
    this.#wires = [there, back]
    this.ends = [new End(there, back), new End(back, there)]
    there.receiver = this.ends[1]
    back.receiver = this.ends[0]
    for (const end of this.ends) end.on('close', onclose)
  }

  pump(): void {
    for (const wire of this.#wires) wire.pump()
  }

  cut(): void {
    for (const wire of this.#wires) wire.drop()
    for (const end of this.ends) end.destroy(new Error('The connection was cut'))
  }
}

/** One end of a connection: a byte stream. */
export class End extends Duplex {
  readonly #out: Wire
  readonly #in: Wire

  constructor(out: Wire, back: Wire) {
    super()
    this.#out = out
    this.#in = back
    // Its owner hears of the error from the secure stream.
    this.on('error', () => {})
  }

  override _write(bytes: unknown, done: (error: Error | null) => void): void {
    this.#out.send(bytes as Uint8Array, () => done(null))
  }

  override _final(done: (error: Error | null) => void): void {
    this.#out.end()
    done(null)
  }

  override _read(done: (error: Error | null) => void): void {
    this.#in.allow()
    done(null)
  }

  /** Not called when both directions have come to their ends by themselves. */
  override _predestroy(): void {
    this.#in.drop()
    this.#out.close()
  }
}

/** What the network does to bytes on their way from one device to another. */
export interface Direction {
  delayMs: number | null
  isPaused: boolean
  swallows: boolean
}

type Parcel = { readonly bytes: Uint8Array | null; readonly dueAt: number }

/** One direction of a connection. */
export class Wire {
  receiver: End | null = null
  readonly #clock: WireClock
  readonly #everywhere: Direction
  readonly #direction: Direction
  #parcels: Parcel[] = []
  #byteLength = 0
  #hasLost = false
  #isClosing = false
  #isDropped = false
  #mayPush = true
  #sent: (() => void) | null = null
  #cancel: (() => void) | null = null

  constructor(clock: WireClock, everywhere: Direction, direction: Direction) {
    this.#clock = clock
    this.#everywhere = everywhere
    this.#direction = direction
  }

  /** Calls `done` when there is room for more. */
  send(bytes: Uint8Array, done: () => void): void {
    this.#byteLength += bytes.length
    this.#sent = done
    this.#add(bytes)
    this.#makeRoom()
  }

  end(): void {
    this.#add(null)
  }

  /** The sender is gone: what is under way is lost, and the receiver hears of it when bytes sent now would arrive. */
  close(): void {
    if (this.#isClosing || this.#isDropped) return
    this.#isClosing = true
    this.#lose()
    this.#add(null)
  }

  /** The receiver has read what it had. */
  allow(): void {
    this.#mayPush = true
    if (this.#parcels.length > 0) this.#schedule()
  }

  /** Nobody receives any more. */
  drop(): void {
    this.#isDropped = true
    this.#cancel?.()
    this.#cancel = null
    this.#lose()
  }

  /** Looks again at what is under way, after the network's state has changed. */
  pump(): void {
    if (this.#parcels.length > 0) this.#schedule()
  }

  #add(bytes: Uint8Array | null): void {
    if (this.#direction.swallows) this.#hasLost = true
    if (this.#hasLost || this.#isDropped) {
      this.#byteLength = 0
      return
    }
    const delayMs = this.#direction.delayMs ?? this.#everywhere.delayMs ?? 0
    const dueAt = Math.max(this.#clock.now() + delayMs, this.#parcels.at(-1)?.dueAt ?? 0)
    this.#parcels.push({ bytes, dueAt })
    this.#schedule()
  }

  #schedule(): void {
    const [next] = this.#parcels
    if (next === undefined || this.#cancel !== null) return
    this.#cancel = this.#clock.after(Math.max(0, next.dueAt - this.#clock.now()), () => {
      this.#cancel = null
      this.#deliver()
    })
  }

  #deliver(): void {
    const now = this.#clock.now()
    const { receiver } = this
    while (receiver !== null && !this.#direction.isPaused && !this.#everywhere.isPaused) {
      const [next] = this.#parcels
      if (next === undefined) return
      if (next.dueAt > now) return this.#schedule()
      if (this.#isClosing) return receiver.destroy()
      if (!this.#mayPush) return
      this.#parcels.shift()
      this.#byteLength -= next.bytes?.length ?? 0
      this.#mayPush = receiver.push(next.bytes)
      this.#makeRoom()
    }
  }

  #makeRoom(): void {
    if (this.#byteLength > WINDOW_BYTES) return
    const sent = this.#sent
    this.#sent = null
    sent?.()
  }

  #lose(): void {
    this.#parcels = []
    this.#byteLength = 0
    this.#makeRoom()
  }
}

export const realTime: WireClock = {
  now: () => performance.timeOrigin + performance.now(),
  after(delayMs, callback) {
    if (delayMs === 0) {
      // A timer would take a millisecond, a microtask would keep timers from running.
      const immediate = setImmediate(callback)
      return () => clearImmediate(immediate)
    }
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  }
}
