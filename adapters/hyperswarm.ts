/**
 * Finds devices by the HyperDHT, the public one or a private one, and connects them by hole punching. Keeps up the
 * search where Hyperswarm alone gives up for ten minutes. Encryption and proof of keys are Hyperswarm's.
 *
 * What the DHT's nodes see: this device's public key, its IP address and its topics. No content.
 */
import DHT from 'hyperdht'
import Hyperswarm, { type PeerDiscoverySession } from 'hyperswarm'
import type SecretStream from '@hyperswarm/secret-stream'
import {
  Emitter,
  SkeinError,
  type Connection,
  type DeviceKeys,
  type Transport
} from '../lib/index.ts'

export interface HyperswarmOptions {
  /**
   * The nodes of a private DHT, as `{ host, port }` or 'host:port', over IPv4: see `runDht`.
   * Default: the public DHT.
   */
  readonly bootstrap?: readonly (string | { readonly host: string; readonly port: number })[]
  /**
   * This machine's address to listen on, where no firewall or NAT lies between the devices.
   * Default: '127.0.0.1' if every bootstrap node is on this machine; else every address, with hole punching.
   */
  readonly host?: string
  /** Connections at a time; more are refused. Default 64. */
  readonly maxPeers?: number
  /** Refuses a device, before it is connected, for which it returns true. Default: none. */
  readonly firewall?: (remotePublicKey: Uint8Array) => boolean
  /** How long `join`, `leave` and `close` wait for the DHT before they go on without it. Default 2_000. */
  readonly patienceMs?: number
  /**
   * How often the topics are announced again. Default 30_000 on a private DHT, whose few nodes forget all when they
   * are started anew; ten minutes, Hyperswarm's own, on the public one.
   */
  readonly announceMs?: number
}

/** A connection on which nothing has come for so long, keep-alives included, is dead. */
const SILENCE_MS = 20_000
/** The same for the first bytes. */
const FIRST_BYTES_MS = 4_000
/** Waits between searches while a device is missed: doubling from the first to the last. */
const FIRST_WAIT_MS = 400
const LAST_WAIT_MS = 30_000
/** After a connection that lasted so long, the waits begin with the first one again. */
const STEADY_MS = 15_000
/** A device gone for longer is left to Hyperswarm's own search, every ten minutes, and to its own return. */
const MISSED_MS = 10 * 60_000

/** A topic that is joined. */
interface Search {
  readonly session: PeerDiscoverySession
  /**
   * Look-ups in a row that have reached the DHT, up to two. Each ends in an announcement, so two devices that join at
   * the same time do not find each other in their first; the one that announced last finds the other in its second.
   */
  lookups: number
}

/** A device that is connected, or was. */
interface Acquaintance {
  readonly stream: SecretStream
  isConnected: boolean
  /** When it was connected, or lost. */
  since: number
  /** Connections lost in a row that were not steady. */
  losses: number
}

/** A transport on the HyperDHT. Fails to open with `TRANSPORT_FAILED` when `host` is none of this machine's. */
export function hyperswarm(options: HyperswarmOptions = {}): Transport {
  return new HyperswarmTransport(options)
}

class HyperswarmTransport extends Emitter<{ connection: Connection }> implements Transport {
  readonly name = 'hyperswarm'
  readonly #bootstrap: { host: string; port: number }[] | undefined
  readonly #host: string | undefined
  readonly #maxPeers: number
  readonly #firewall: (remotePublicKey: Uint8Array) => boolean
  readonly #patienceMs: number
  readonly #announceMs: number
  readonly #searchesByTopic = new Map<string, Search>()
  readonly #acquaintancesByKey = new Map<string, Acquaintance>()
  #swarm: Hyperswarm | null = null
  #opening: Promise<void> | null = null
  #closing: Promise<void> | null = null
  #searchTimer: NodeJS.Timeout | null = null
  #searchAt = 0
  #waitMs = 0
  #announceAt = 0

  constructor(options: HyperswarmOptions) {
    super()
    const { bootstrap, host, maxPeers = 64, firewall = () => false, patienceMs = 2_000 } = options
    const { announceMs = bootstrap === undefined ? Infinity : 30_000 } = options
    this.#bootstrap = bootstrap?.map(parseAddress)
    if (this.#bootstrap?.length === 0) {
      throw new TypeError('bootstrap names at least one node, or is left out for the public DHT')
    }
    const isLoopback = this.#bootstrap?.every((node) => node.host.startsWith('127.')) ?? false
    this.#host = host ?? (isLoopback ? '127.0.0.1' : undefined)
    this.#maxPeers = maxPeers
    this.#firewall = firewall
    this.#patienceMs = patienceMs
    this.#announceMs = announceMs
  }

  open(device: DeviceKeys): Promise<void> {
    if (this.#opening !== null) return Promise.reject(new TypeError('open() is called once'))
    this.#opening = this.#open(device)
    return this.#opening
  }

  async join(topic: Uint8Array): Promise<void> {
    const swarm = this.#opened()
    const key = hexOfTopic(topic)
    if (this.#searchesByTopic.has(key)) return
    const session = swarm.join(topic, { server: true, client: true })
    const search = { session, lookups: 0 }
    this.#searchesByTopic.set(key, search)
    const announced = session.flushed().then((isReached) => {
      if (isReached) search.lookups = 1
      this.#searchIn(isReached ? 0 : FIRST_WAIT_MS)
    })
    try {
      await this.#patiently(announced)
    } catch (cause) {
      this.#searchesByTopic.delete(key)
      this.#assertNotClosed()
      throw new SkeinError('TRANSPORT_FAILED', `Hyperswarm cannot be found: ${String(cause)}`, {
        cause
      })
    }
  }

  async leave(topic: Uint8Array): Promise<void> {
    const swarm = this.#opened()
    if (!this.#searchesByTopic.delete(hexOfTopic(topic))) return
    await this.#patiently(swarm.leave(topic))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #open(device: DeviceKeys): Promise<void> {
    this.#assertNotClosed()
    const dht = new DHT({
      ...(this.#bootstrap === undefined ? {} : { bootstrap: this.#bootstrap }),
      // With `bootstrap` alone, machines with addresses of a reserved range half-open connections that move nothing.
      ...(this.#host === undefined ? {} : { host: this.#host, ephemeral: true, firewalled: false })
    })
    try {
      await dht.bind()
    } catch (cause) {
      // Where binding failed, `destroy` fails too, and leaves a watcher behind.
      await dht.destroy().catch(() => {})
      dht.io.networkInterfaces.destroy()
      const message = `Hyperswarm cannot listen on ${this.#host ?? 'this machine'}: ${String(cause)}`
      throw new SkeinError('TRANSPORT_FAILED', message, { cause })
    }
    const swarm = new Hyperswarm({
      dht,
      keyPair: device,
      maxPeers: this.#maxPeers,
      firewall: (remotePublicKey, payload) => this.#refuses(remotePublicKey, payload !== null)
    })
    this.#swarm = swarm
    swarm.on('connection', (stream) => this.#onconnection(stream))
    swarm.on('ban', (peer) => {
      // Hyperswarm remembers whom the firewall has refused for good. Ours may change its mind, and holds its own list.
      peer.ban(false)
      swarm.peers.delete(hex(peer.publicKey))
    })
  }

  async #close(): Promise<void> {
    // An opening that failed has told its caller.
    await this.#opening?.catch(() => {})
    if (this.#searchTimer !== null) clearTimeout(this.#searchTimer)
    const swarm = this.#swarm
    if (swarm === null) return
    for (const stream of swarm.connections) stream.destroy()
    // It takes its announcements back, and fails when nobody answers: then requests are ended with the DHT's sockets.
    const ended = swarm.destroy().catch(() => {})
    await this.#patiently(ended)
    await swarm.dht.destroy({ force: true })
    await ended
  }

  /** Hyperswarm's own limit holds for the connections that this side dials, and it knows no topic of those that come. */
  #refuses(remotePublicKey: Uint8Array, isIncoming: boolean): boolean {
    if (this.#closing !== null || this.#firewall(remotePublicKey)) return true
    if (!isIncoming) return false
    if (this.#searchesByTopic.size === 0) return true
    // One that is connected may come anew, having lost what this side believes to be open.
    const isConnected = this.#acquaintancesByKey.get(hex(remotePublicKey))?.isConnected === true
    return !isConnected && (this.#swarm?.connections.size ?? 0) >= this.#maxPeers
  }

  #onconnection(stream: SecretStream): void {
    const key = hex(stream.remotePublicKey)
    const losses = this.#acquaintancesByKey.get(key)?.losses ?? 0
    const acquaintance = { stream, isConnected: true, since: Date.now(), losses }
    this.#acquaintancesByKey.set(key, acquaintance)
    // Errors are how streams end here: a time-out, a reset, "Duplicate connection". The close tells.
    stream.on('error', () => {})
    stream.on('close', () => {
      if (this.#acquaintancesByKey.get(key) !== acquaintance) return
      const isSteady = Date.now() - acquaintance.since >= STEADY_MS
      acquaintance.isConnected = false
      acquaintance.since = Date.now()
      acquaintance.losses = isSteady ? 1 : acquaintance.losses + 1
      this.#searchIn(Math.min(FIRST_WAIT_MS * 2 ** (acquaintance.losses - 1), LAST_WAIT_MS))
    })
    stream.setTimeout(SILENCE_MS)
    // Each side says something at once. Hyperswarm lets a device that was killed and is back replace its dead connection
    // only if that one has carried bytes both ways, and one that carries none is half open: both would take 14 s.
    stream.sendKeepAlive()
    const firstBytes = setTimeout(() => {
      if (stream.rawBytesRead === 0) stream.destroy(new Error('Nothing came over the connection'))
    }, FIRST_BYTES_MS)
    stream.on('close', () => clearTimeout(firstBytes))
    this.emit('connection', { stream })
  }

  /** Searches in `waitMs`, or earlier if that is planned. */
  #searchIn(waitMs: number): void {
    if (this.#closing !== null) return
    // Devices that lost each other at one time do not all search at one time.
    const jitteredMs = waitMs * (0.75 + Math.random() / 2)
    const searchAt = Date.now() + jitteredMs
    if (this.#searchTimer !== null) {
      if (this.#searchAt <= searchAt) return
      clearTimeout(this.#searchTimer)
    }
    this.#waitMs = waitMs
    this.#searchAt = searchAt
    this.#searchTimer = setTimeout(() => {
      this.#searchTimer = null
      void this.#search()
    }, jitteredMs)
  }

  /** Looks up the topics that are not settled, or all where that is due. A look-up dials whom it finds. */
  async #search(): Promise<void> {
    const isAnnouncing = Date.now() >= this.#announceAt
    if (isAnnouncing) this.#announceAt = Date.now() + this.#announceMs
    const isDue = isAnnouncing || this.#isMissing()
    const searches = [...this.#searchesByTopic.values()].filter(
      ({ lookups }) => isDue || lookups < 2
    )
    const lookups = searches.map(async (search) => {
      // It fails when nobody answers, or when the topic is left meanwhile.
      const isReached = await search.session.refresh().catch(() => false)
      search.lookups = isReached === false ? 0 : search.lookups + 1
    })
    await Promise.all(lookups)

    const { size } = this.#searchesByTopic
    if (size > 0 && (searches.some((search) => search.lookups === 0) || this.#isMissing())) {
      this.#searchIn(Math.min(Math.max(2 * this.#waitMs, FIRST_WAIT_MS), LAST_WAIT_MS))
    }
    if (searches.some((search) => search.lookups === 1)) this.#searchIn(0)
    if (size > 0 && this.#announceMs < Infinity) this.#searchIn(this.#announceAt - Date.now())
  }

  #isMissing(): boolean {
    for (const [key, { isConnected, since }] of this.#acquaintancesByKey) {
      if (!isConnected && Date.now() - since > MISSED_MS) this.#acquaintancesByKey.delete(key)
    }
    return [...this.#acquaintancesByKey.values()].some(({ isConnected }) => !isConnected)
  }

  /** Waits for the DHT, but not for ever: offline, the search goes on by itself. */
  async #patiently(promise: Promise<unknown>): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#patienceMs)
    })
    try {
      await Promise.race([promise, late])
    } finally {
      clearTimeout(timer)
    }
  }

  #opened(): Hyperswarm {
    this.#assertNotClosed()
    if (this.#swarm === null) throw new TypeError('open() comes before anything else')
    return this.#swarm
  }

  #assertNotClosed(): void {
    if (this.#closing !== null) throw new SkeinError('CLOSED', 'The hyperswarm transport is closed')
  }
}

function parseAddress(address: string | { readonly host: string; readonly port: number }): {
  host: string
  port: number
} {
  const [name = '', portText] = typeof address === 'string' ? address.split(':') : [address.host]
  const port = typeof address === 'string' ? Number(portText) : address.port
  // Told apart from other machines by its address.
  const host = name === 'localhost' ? '127.0.0.1' : name
  if (host === '' || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new TypeError(`A bootstrap node is 'host:port', not ${JSON.stringify(address)}`)
  }
  return { host, port }
}

function hexOfTopic(topic: Uint8Array): string {
  if (topic.length !== 32) throw new TypeError(`A topic has 32 bytes, not ${topic.length}`)
  return hex(topic)
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
