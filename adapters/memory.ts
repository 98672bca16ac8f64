/**
 * The transport inside one process: for tests and examples, and the reference for adapters of your own. Handshakes and
 * encryption are real; the wire is a queue, and its network can delay, hold, lose and cut it without touching a peer.
 */
import {
  Emitter,
  secureStream,
  SkeinError,
  type Connection,
  type DeviceKeys,
  type SecureStream,
  type Transport
} from '../lib/index.ts'
import { Link, realTime, Wire, type Direction, type End, type WireClock } from './memory/wire.ts'

export interface MemoryNetworkOptions {
  /** Times delays and back-off. Default: real time, which keeps the process alive while something is due. */
  readonly clock?: WireClock
  /** How long bytes take, each way, where `setDelay` says nothing else. Default 0. */
  readonly delayMs?: number
  /** The wait before a lost connection is dialled again; doubles while it keeps being lost. Default 20. */
  readonly redialMs?: number
  /** Where doubling stops. Default 1_000. */
  readonly maxRedialMs?: number
  /** Silence after which a connection counts as dead, by real time; 0 is never. Default 20_000. */
  readonly silenceMs?: number
}

/** A transport on `network`. Only transports of one network meet: without one, it is alone. */
export function memory(network: MemoryNetwork = new MemoryNetwork()): Transport {
  return network.transport()
}

/** Where memory transports meet, and the control of the wires between them. Devices are named by public keys. */
export class MemoryNetwork {
  readonly #options: Required<MemoryNetworkOptions>
  readonly #stationsByTopic = new Map<string, Set<Station>>()
  readonly #pairs = new Map<string, Pair>()
  readonly #links = new Set<Link>()
  readonly #directionsByKeys = new Map<string, Direction>()
  readonly #everywhere: Direction
  #groupByKey: Map<string, number> | null = null
  #stationCount = 0

  constructor(options: MemoryNetworkOptions = {}) {
    const { clock = realTime, delayMs = 0, redialMs = 20, maxRedialMs = 1_000 } = options
    const { silenceMs = 20_000 } = options
    this.#options = { clock, delayMs, redialMs, maxRedialMs, silenceMs }
    this.#everywhere = { delayMs, isPaused: false, swallows: false }
  }

  transport(): Transport {
    return new MemoryTransport({
      add: (device, announce) => {
        const { silenceMs } = this.#options
        return new Station(this.#stationCount++, device, silenceMs, announce)
      },
      join: (station, topic) => this.#join(station, topic),
      leave: (station, topic) => this.#leave(station, topic)
    })
  }

  /** Bytes take `delayMs` from now on: everywhere, or from one device to another. Their order stays. */
  setDelay(delayMs: number, from?: Uint8Array, to?: Uint8Array): void {
    this.#direction(from, to).delayMs = delayMs
  }

  /** Holds all that is under way, both ways: everywhere, or between two devices. */
  pause(a?: Uint8Array, b?: Uint8Array): void {
    this.#direction(a, b).isPaused = this.#direction(b, a).isPaused = true
  }

  /** Ends a `pause` with the same arguments: what was held arrives, in order. */
  resume(a?: Uint8Array, b?: Uint8Array): void {
    this.#direction(a, b).isPaused = this.#direction(b, a).isPaused = false
    this.#pump()
  }

  /**
   * Half-open: what `from` sends to `to` vanishes, the end of the connection too, and nobody is told. A connection that
   * has lost bytes never works again; after `swallow(from, to, false)` those dialled from then on do.
   */
  swallow(from: Uint8Array, to: Uint8Array, swallows = true): void {
    this.#direction(from, to).swallows = swallows
  }

  /** Breaks the connection of two devices, now and at both ends. It is dialled again. */
  cut(a: Uint8Array, b: Uint8Array): void {
    const keys = [hex(a), hex(b)]
    for (const link of this.#links) {
      if (link.keys.every((key) => keys.includes(key))) link.cut()
    }
  }

  /**
   * Breaks the connections between groups of devices, and lets none be made until `heal`. Devices in no group are
   * together in one more.
   */
  partition(groups: Uint8Array[][]): void {
    this.#groupByKey = new Map(groups.flatMap((keys, i) => keys.map((key) => [hex(key), i])))
    for (const link of this.#links) {
      if (!this.#isTogether(link.keys)) link.cut()
    }
    this.#meet()
  }

  /** Ends every partition, pause and swallowing, and dials at once. Delays stay. */
  heal(): void {
    this.#groupByKey = null
    for (const direction of [this.#everywhere, ...this.#directionsByKeys.values()]) {
      direction.isPaused = direction.swallows = false
    }
    this.#pump()
    for (const pair of this.#pairs.values()) {
      pair.losses = 0
      pair.stopWaiting()
    }
    this.#meet()
  }

  #join(station: Station, topic: string): void {
    station.topics.add(topic)
    const stations = this.#stationsByTopic.get(topic) ?? new Set()
    this.#stationsByTopic.set(topic, stations)
    for (const other of stations) {
      if (other !== station && other.key !== station.key) this.#meetAs(this.#pair(station, other))
    }
    stations.add(station)
  }

  #leave(station: Station, topic: string): void {
    station.topics.delete(topic)
    const stations = this.#stationsByTopic.get(topic)
    stations?.delete(station)
    if (stations?.size === 0) this.#stationsByTopic.delete(topic)
    for (const pair of this.#pairs.values()) {
      if (pair.hasTopic) continue
      pair.stopWaiting()
      if (pair.link === null) this.#pairs.delete(pair.id)
    }
  }

  #pair(a: Station, b: Station): Pair {
    // The device of the smaller key dials, so that there are never two connections to choose from.
    const pair = a.key < b.key ? new Pair([a, b]) : new Pair([b, a])
    const known = this.#pairs.get(pair.id)
    if (known === undefined) this.#pairs.set(pair.id, pair)
    return known ?? pair
  }

  #meet(): void {
    for (const pair of this.#pairs.values()) this.#meetAs(pair)
  }

  /** Sees to it that the two are connected, or will be, if they may. */
  #meetAs(pair: Pair): void {
    if (pair.link !== null || pair.isWaiting || !this.#mayMeet(pair)) return
    const { clock, redialMs, maxRedialMs } = this.#options
    const delayMs = pair.losses === 0 ? 0 : Math.min(redialMs * 2 ** (pair.losses - 1), maxRedialMs)
    pair.wait(clock, delayMs, () => {
      if (this.#mayMeet(pair)) this.#dial(pair)
    })
  }

  #mayMeet(pair: Pair): boolean {
    const [a, b] = pair.stations
    return pair.hasTopic && this.#isTogether([a.key, b.key])
  }

  #isTogether([a, b]: [string, string]): boolean {
    const groups = this.#groupByKey
    return groups === null || groups.get(a) === groups.get(b)
  }

  #dial(pair: Pair): void {
    const { clock } = this.#options
    const [a, b] = pair.stations
    const startedAt = clock.now()
    const link = new Link(
      [a.key, b.key],
      new Wire(clock, this.#everywhere, this.#directionOf(a.key, b.key)),
      new Wire(clock, this.#everywhere, this.#directionOf(b.key, a.key)),
      () => {
        if (link.ends.every((end) => end.destroyed)) this.#links.delete(link)
        if (pair.link !== link) return
        // One end at least is gone. The other may not know: a new connection takes its place.
        pair.link = null
        pair.losses = clock.now() - startedAt < this.#options.maxRedialMs ? pair.losses + 1 : 1
        if (pair.hasTopic) this.#meetAs(pair)
        else this.#pairs.delete(pair.id)
      }
    )
    pair.link = link
    this.#links.add(link)
    void a.shakeHands(link.ends[0], b, true)
    void b.shakeHands(link.ends[1], a, false)
  }

  #direction(from: Uint8Array | undefined, to: Uint8Array | undefined): Direction {
    if (from === undefined || to === undefined) return this.#everywhere
    return this.#directionOf(hex(from), hex(to))
  }

  #directionOf(from: string, to: string): Direction {
    const keys = `${from} ${to}`
    let direction = this.#directionsByKeys.get(keys)
    if (direction === undefined) {
      direction = { delayMs: null, isPaused: false, swallows: false }
      this.#directionsByKeys.set(keys, direction)
    }
    return direction
  }

  #pump(): void {
    for (const link of this.#links) link.pump()
  }
}

/** What a transport asks of its network. */
interface Registry {
  add(device: DeviceKeys, announce: (connection: Connection) => void): Station
  join(station: Station, topic: string): void
  leave(station: Station, topic: string): void
}

class MemoryTransport extends Emitter<{ connection: Connection }> implements Transport {
  readonly name = 'memory'
  readonly #registry: Registry
  #station: Station | null = null
  #closing: Promise<void> | null = null

  constructor(registry: Registry) {
    super()
    this.#registry = registry
  }

  async open(device: DeviceKeys): Promise<void> {
    this.#assertNotClosed()
    if (this.#station !== null) throw new TypeError('open() is called once')
    this.#station = this.#registry.add(device, (connection) => this.emit('connection', connection))
  }

  async join(topic: Uint8Array): Promise<void> {
    this.#registry.join(this.#opened(), hexOfTopic(topic))
  }

  async leave(topic: Uint8Array): Promise<void> {
    this.#registry.leave(this.#opened(), hexOfTopic(topic))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const station = this.#station
    if (station === null) return
    for (const topic of [...station.topics]) this.#registry.leave(station, topic)
    await station.close()
  }

  #opened(): Station {
    this.#assertNotClosed()
    if (this.#station === null) throw new TypeError('open() comes before anything else')
    return this.#station
  }

  #assertNotClosed(): void {
    if (this.#closing !== null) throw new SkeinError('CLOSED', 'The memory transport is closed')
  }
}

/** One open transport, as its network sees it. */
class Station {
  readonly id: number
  readonly key: string
  readonly topics = new Set<string>()
  readonly #device: DeviceKeys
  readonly #silenceMs: number
  readonly #announce: (connection: Connection) => void
  readonly #ends = new Set<End>()
  readonly #streamsByStation = new Map<Station, SecureStream>()
  #isClosed = false

  constructor(
    id: number,
    device: DeviceKeys,
    silenceMs: number,
    announce: (connection: Connection) => void
  ) {
    this.id = id
    this.key = hex(device.publicKey)
    this.#device = device
    this.#silenceMs = silenceMs
    this.#announce = announce
  }

  async shakeHands(end: End, remote: Station, isInitiator: boolean): Promise<void> {
    this.#ends.add(end)
    end.on('close', () => this.#ends.delete(end))
    let stream: SecureStream
    try {
      stream = await secureStream(end, {
        device: this.#device,
        isInitiator,
        remotePublicKey: remote.#device.publicKey,
        timeoutMs: this.#silenceMs
      })
    } catch {
      // The end has closed with it, so the network dials again.
      return
    }
    await this.#replace(remote, stream)
    if (this.#isClosed || stream.destroyed) return
    if (this.#silenceMs > 0) {
      stream.setKeepAlive(this.#silenceMs / 4)
      stream.setTimeout(this.#silenceMs)
    }
    this.#announce({ stream })
  }

  /** A connection that the other side has given up, and that this side did not know to be dead, makes room first. */
  async #replace(remote: Station, stream: SecureStream): Promise<void> {
    const old = this.#streamsByStation.get(remote)
    this.#streamsByStation.set(remote, stream)
    stream.on('close', () => {
      if (this.#streamsByStation.get(remote) === stream) this.#streamsByStation.delete(remote)
    })
    if (old === undefined) return
    await new Promise<void>((resolve) => {
      old.on('close', resolve)
      old.destroy(new SkeinError('TRANSPORT_FAILED', 'A newer connection has replaced this one'))
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const closed = [...this.#ends].map((end) => {
      return new Promise((resolve) => {
        end.on('close', () => resolve(undefined))
        end.destroy()
      })
    })
    await Promise.all(closed)
  }
}

/** Two transports that have met, connected or about to be. The first one dials. */
class Pair {
  readonly stations: [Station, Station]
  link: Link | null = null
  /** Connections lost in a row, each soon after it was dialled. */
  losses = 0
  #cancel: (() => void) | null = null

  constructor(stations: [Station, Station]) {
    this.stations = stations
  }

  get id(): string {
    return this.stations.map((station) => station.id).join(' ')
  }

  get hasTopic(): boolean {
    const [a, b] = this.stations
    return [...a.topics].some((topic) => b.topics.has(topic))
  }

  get isWaiting(): boolean {
    return this.#cancel !== null
  }

  wait(clock: WireClock, delayMs: number, callback: () => void): void {
    this.#cancel = clock.after(delayMs, () => {
      this.#cancel = null
      callback()
    })
  }

  stopWaiting(): void {
    this.#cancel?.()
    this.#cancel = null
  }
}

function hexOfTopic(topic: Uint8Array): string {
  if (topic.length !== 32) throw new TypeError(`A topic has 32 bytes, not ${topic.length}`)
  return hex(topic)
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
