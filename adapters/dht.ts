/**
 * A private DHT for networks that do not reach the public one: one node, to which the devices' `hyperswarm` adapters
 * are pointed. It sees which addresses look for which topics, and no content.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import DHT from 'hyperdht'
import { SkeinError } from '../lib/index.ts'

export interface DhtAddress {
  readonly host: string
  readonly port: number
}

export interface PrivateDht extends DhtAddress {
  /** What the `hyperswarm` adapter takes as its `bootstrap`. */
  readonly bootstrap: DhtAddress[]
  close(): Promise<void>
}

export interface DhtOptions {
  /** A UDP port. Default 0: any that is free. */
  readonly port?: number
  /** This machine's IPv4 address that the devices reach. Default '127.0.0.1': this machine alone. */
  readonly host?: string
}

export interface ProbeOptions {
  /** The nodes of a private DHT, over IPv4. Default: the public one. */
  readonly bootstrap?: readonly DhtAddress[]
  /** Default 5_000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** What a machine sees of a DHT. */
export interface DhtProbe {
  /** A node answered. */
  readonly isReached: boolean
  /** Until the first answer. */
  readonly roundTripMs: number
  /** This machine's address as others see it, as far as they agree. */
  readonly publicAddress: DhtAddress | null
  /**
   * Who may reach this machine: anyone (`none`); anyone it holds a hole open for (`consistent`); nobody behind a NAT like
   * its own (`random`: each peer sees another port). `unknown`: too few nodes answered.
   */
  readonly nat: 'none' | 'consistent' | 'random' | 'unknown'
}

/** Asks a DHT whether it answers, and what it sees of this machine. Fails with `ABORTED`. */
export async function probeDht(options: ProbeOptions = {}): Promise<DhtProbe> {
  const { bootstrap, timeoutMs = 5_000, signal } = options
  const patience = AbortSignal.any([
    AbortSignal.timeout(timeoutMs),
    ...(signal === undefined ? [] : [signal])
  ])
  const isLoopback = bootstrap?.every((node) => node.host.startsWith('127.')) ?? false
  const dht = new DHT({
    ...(bootstrap === undefined ? {} : { bootstrap: [...bootstrap] }),
    ...(isLoopback ? { host: '127.0.0.1', ephemeral: true, firewalled: false } : {})
  })
  const late = once(patience, 'abort').then(() => null)
  try {
    const sinceMs = performance.now()
    const answered =
      bootstrap === undefined
        ? dht.fullyBootstrapped().then(() => dht.nodes.length > 0)
        : Promise.any(bootstrap.map((node) => dht.ping(node))).then(() => true)
    // It fails when no node answers.
    const isReached = (await Promise.race([answered.catch(() => false), late])) === true
    const roundTripMs = performance.now() - sinceMs
    if (isReached) await Promise.race([dht.fullyBootstrapped().catch(() => {}), late])
    if (signal?.aborted === true) {
      throw new SkeinError('ABORTED', 'The call was aborted', { cause: signal.reason })
    }
    const { host, port, firewalled, randomized } = dht
    const isSeen = isReached && host !== null
    return {
      isReached,
      roundTripMs,
      publicAddress: isSeen && port > 0 ? { host, port } : null,
      nat: !isSeen ? 'unknown' : randomized ? 'random' : firewalled ? 'consistent' : 'none'
    }
  } finally {
    await dht.destroy({ force: true }).catch(() => {}) // It may never have been bound.
  }
}

/** Resolves when devices can use it. Fails with `TRANSPORT_FAILED` when the port is taken or the address not ours. */
export async function runDht(options: DhtOptions = {}): Promise<PrivateDht> {
  const { port: wantedPort = 0, host = '127.0.0.1' } = options
  if (host === '0.0.0.0') throw new TypeError('host must be an address that devices reach')

  const port = await probePort(host, wantedPort)
  // The address is the one that it tells others, `host` the one that it listens on.
  const dht = DHT.bootstrapper(port, host, { host })
  try {
    await dht.ready()
  } catch (error) {
    // Where binding failed, `destroy` fails too, and leaves a watcher behind.
    await dht.destroy().catch(() => {})
    dht.io.networkInterfaces.destroy()
    throw unavailable(host, port, error)
  }
  return { host, port, bootstrap: [{ host, port }], close: () => dht.destroy() }
}

/** The port, or one that is free for 0. */
async function probePort(host: string, port: number): Promise<number> {
  const socket = createSocket('udp4')
  try {
    socket.bind({ address: host, port, exclusive: true })
    await once(socket, 'listening')
    return socket.address().port
  } catch (error) {
    throw unavailable(host, port, error)
  } finally {
    socket.close()
  }
}

function unavailable(host: string, port: number, cause: unknown): SkeinError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  const reason =
    code === 'EADDRINUSE'
      ? `UDP port ${port} of ${host} is taken`
      : `UDP port ${port} of ${host} cannot be used (${String(code ?? cause)})`
  return new SkeinError('TRANSPORT_FAILED', `A DHT node cannot run: ${reason}`, { cause })
}
