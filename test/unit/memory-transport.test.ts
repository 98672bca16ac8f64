import { connect, createServer, type Socket } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import sodium from 'sodium-universal'
import { memory, MemoryNetwork, type MemoryNetworkOptions } from '../../adapters/memory.ts'
import { testTransport } from '../../adapters/testing.ts'
import { SkeinError } from '../../lib/errors.ts'
import { secureStream } from '../../lib/secure-stream.ts'
import type { Connection, DeviceKeys, SecureStream, Transport } from '../../lib/transport.ts'
import { deadline, eventually } from '../events.ts'

const test = suite('memory transport')

testTransport(test, {
  async create() {
    const network = new MemoryNetwork()
    return { a: memory(network), b: memory(network), c: memory(network) }
  }
})

test('transports without a common network do not meet', async () => {
  const network = new MemoryNetwork()
  const transports = [memory(), memory(network), memory(network)]
  let count = 0
  for (const transport of transports) {
    transport.on('connection', () => count++)
    await transport.open(deviceKeys())
    await transport.join(topic)
  }
  await eventually(() => count === 2)
  for (const transport of transports) await transport.close()
  assert.is(count, 2)
})

test('a message takes as long as its direction says', async () => {
  await using two = await twoDevices()
  const { network, alice, bob } = two
  network.setDelay(60, alice.keys.publicKey, bob.keys.publicKey)
  const startedAt = performance.now()
  alice.stream.write(bytesOf('slow'))
  await bob.receives('slow')
  assert.ok(performance.now() - startedAt >= 59)
  bob.stream.write(bytesOf('quick'))
  await alice.receives('quick')
  network.setDelay(0)
  network.setDelay(0, alice.keys.publicKey, bob.keys.publicKey)
})

test('a paused wire holds what is sent, and then hands it on in order', async () => {
  await using two = await twoDevices()
  const { network, alice, bob } = two
  network.pause(alice.keys.publicKey, bob.keys.publicKey)
  for (const word of ['one', 'two', 'three']) alice.stream.write(bytesOf(word))
  await turns(20)
  assert.equal(bob.messages, [])
  network.resume(alice.keys.publicKey, bob.keys.publicKey)
  await bob.receives('three')
  assert.equal(bob.messages, ['one', 'two', 'three'])
})

test('a cut ends the connection at both ends, and it is dialled again', async () => {
  await using two = await twoDevices()
  const { network, alice, bob } = two
  const [atAlice, atBob] = [alice.stream, bob.stream]
  network.cut(bob.keys.publicKey, alice.keys.publicKey)
  await eventually(() => atAlice.destroyed && atBob.destroyed)
  await two.connected()
  assert.is.not(alice.stream, atAlice)
})

test('a partition keeps two apart until it is healed', async () => {
  await using two = await twoDevices({ redialMs: 1, maxRedialMs: 1 })
  const { network, alice, bob } = two
  network.partition([[alice.keys.publicKey], [bob.keys.publicKey]])
  await eventually(() => alice.stream.destroyed && bob.stream.destroyed)
  const count = alice.count
  await bob.transport.leave(topic)
  await bob.transport.join(topic)
  await turns(200)
  assert.is(alice.count, count)
  network.heal()
  await two.connected()
})

test('a half-open connection is noticed by its silence, and dialled again', async () => {
  await using two = await twoDevices({ silenceMs: 200 })
  const { network, alice, bob } = two
  const [atAlice, atBob] = [alice.stream, bob.stream]
  network.swallow(alice.keys.publicKey, bob.keys.publicKey)
  alice.stream.write(bytesOf('lost'))
  await eventually(() => atAlice.destroyed && atBob.destroyed)
  network.swallow(alice.keys.publicKey, bob.keys.publicKey, false)
  await two.connected()
  alice.stream.write(bytesOf('found'))
  await bob.receives('found')
  assert.equal(bob.messages, ['found'])
})

test('a new connection takes the place of one that only the other side knew to be dead', async () => {
  await using two = await twoDevices()
  const { network, alice, bob } = two
  const atBob = bob.stream
  network.swallow(alice.keys.publicKey, bob.keys.publicKey)
  alice.stream.destroy()
  await eventually(() => alice.stream.destroyed)
  assert.not(atBob.destroyed)
  network.swallow(alice.keys.publicKey, bob.keys.publicKey, false)
  await two.connected()
  assert.ok(atBob.destroyed)
  assert.is.not(bob.stream, atBob)
})

test('a connection that is lost again and again is dialled ever more slowly, always alike', async () => {
  const waits: number[] = []
  const clock = {
    now: () => 0,
    after(delayMs: number, callback: () => void) {
      if (delayMs > 0) waits.push(delayMs)
      const immediate = setImmediate(callback)
      return () => clearImmediate(immediate)
    }
  }
  await using two = await twoDevices({ clock, redialMs: 10, maxRedialMs: 50 })
  for (let i = 0; i < 5; i++) {
    const { stream } = two.alice
    two.network.cut(two.alice.keys.publicKey, two.bob.keys.publicKey)
    await eventually(() => stream.destroyed)
    await two.connected()
  }
  assert.equal(waits, [10, 20, 40, 50, 50])
})

test('a secure stream can be made over a TCP socket', async () => {
  await using pair = await socketPair()
  const [alice, bob] = [deviceKeys(), deviceKeys()]
  const [atAlice, atBob] = await Promise.all([
    secureStream(pair.client, { device: alice, isInitiator: true, remotePublicKey: bob.publicKey }),
    secureStream(pair.server, { device: bob, isInitiator: false })
  ])
  assert.equal(Buffer.from(atBob.remotePublicKey), Buffer.from(alice.publicKey))
  assert.equal(Buffer.from(atAlice.handshakeHash), Buffer.from(atBob.handshakeHash))
  const messages = read(atBob)
  write(atAlice, bytesOf('through'))
  await eventually(() => messages.includes('through'))
})

test('a secure stream fails for another key than the expected one', async () => {
  await using pair = await socketPair()
  const [alice, bob, carol] = [deviceKeys(), deviceKeys(), deviceKeys()]
  const responding = secureStream(pair.server, { device: bob, isInitiator: false })
  const error = await failure(
    secureStream(pair.client, {
      device: alice,
      isInitiator: true,
      remotePublicKey: carol.publicKey
    })
  )
  assert.is(error.code, 'TRANSPORT_FAILED')
  assert.match(error.message, 'another key')
  // Bob may have had the last handshake message before alice left.
  const stream = await responding.catch(() => null)
  await eventually(() => stream === null || stream.destroyed)
})

test('a secure stream fails when the other end talks nonsense, leaves, or says nothing', async () => {
  for (const [behave, options] of [
    [(socket: Socket) => socket.write(Buffer.alloc(1_000, 1)), {}],
    [(socket: Socket) => socket.write(Buffer.from([48, 0, 0, ...Buffer.alloc(48, 7)])), {}],
    [(socket: Socket) => socket.destroy(), {}],
    [() => {}, { timeoutMs: 30 }]
  ] as const) {
    await using pair = await socketPair()
    const made = secureStream(pair.server, {
      device: deviceKeys(),
      isInitiator: false,
      timeoutMs: 200,
      ...options
    })
    behave(pair.client)
    assert.is((await failure(made)).code, 'TRANSPORT_FAILED')
    assert.ok(pair.server.destroyed)
  }
})

test('a secure stream fails when it is aborted, and over a stream that is closed', async () => {
  await using pair = await socketPair()
  const abort = new AbortController()
  const options = { device: deviceKeys(), isInitiator: false, signal: abort.signal }
  const made = secureStream(pair.server, options)
  abort.abort()
  assert.is((await failure(made)).code, 'ABORTED')
  assert.is((await failure(secureStream(pair.server, options))).code, 'ABORTED')
  const closed = secureStream(pair.server, { device: deviceKeys(), isInitiator: false })
  assert.is((await failure(closed)).code, 'TRANSPORT_FAILED')
})

const topic = new Uint8Array(32).fill(7)

/** The part of a secure stream that carries messages. */
interface Messages extends SecureStream {
  write(message: Uint8Array): boolean
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'close', listener: () => void): unknown
  on(event: 'data', listener: (message: Uint8Array) => void): unknown
}

/** A device that reads every connection; `stream` is the latest. */
class Device {
  readonly keys = deviceKeys()
  readonly transport: Transport
  readonly messages: string[] = []
  count = 0
  #latest: Messages | null = null

  constructor(transport: Transport) {
    this.transport = transport
    transport.on('connection', ({ stream }: Connection) => {
      this.count++
      this.#latest = stream as Messages
      this.#latest.on('data', (message) => this.messages.push(Buffer.from(message).toString()))
    })
  }

  get stream(): Messages {
    assert.ok(this.#latest, 'there is a connection')
    return this.#latest
  }

  get isConnected(): boolean {
    return this.#latest?.destroyed === false
  }

  async receives(word: string): Promise<void> {
    await eventually(() => this.messages.includes(word))
  }
}

async function twoDevices(options: MemoryNetworkOptions = {}) {
  const network = new MemoryNetwork(options)
  const [alice, bob] = [new Device(memory(network)), new Device(memory(network))]
  for (const device of [alice, bob]) {
    await device.transport.open(device.keys)
    await device.transport.join(topic)
  }
  const connected = (): Promise<void> => {
    return eventually(() => {
      if (!alice.isConnected || !bob.isConnected) return false
      return Buffer.from(alice.stream.handshakeHash).equals(bob.stream.handshakeHash)
    })
  }
  await connected()
  return {
    network,
    alice,
    bob,
    connected,
    async [Symbol.asyncDispose]() {
      await deadline(
        Promise.all([alice.transport.close(), bob.transport.close()]),
        1_000,
        'the close'
      )
    }
  }
}

async function socketPair() {
  const listener = createServer()
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const address = listener.address()
  assert.ok(address !== null && typeof address === 'object')
  const accepted = new Promise<Socket>((resolve) => listener.once('connection', resolve))
  const client = connect(address.port, '127.0.0.1')
  // A socket that nobody has wrapped yet may be reset.
  client.on('error', () => {})
  const server = await deadline(accepted, 20_000, 'the socket')
  return {
    client,
    server,
    async [Symbol.asyncDispose]() {
      client.destroy()
      server.destroy()
      await new Promise((resolve) => listener.close(resolve))
    }
  }
}

function deviceKeys(): DeviceKeys {
  const [publicKey, secretKey, seed] = [32, 64, 32].map((length) => new Uint8Array(length))
  assert.ok(publicKey && secretKey && seed)
  sodium.randombytes_buf(seed)
  sodium.crypto_sign_seed_keypair(publicKey, secretKey, seed)
  return { publicKey, secretKey }
}

function read(stream: SecureStream): string[] {
  const messages: string[] = []
  ;(stream as Messages).on('data', (message) => messages.push(Buffer.from(message).toString()))
  return messages
}

function write(stream: SecureStream, message: Uint8Array): void {
  ;(stream as Messages).write(message)
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** Lets everything that is due happen, so many times. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

async function failure(promise: Promise<unknown>): Promise<SkeinError> {
  const error = await deadline(
    promise.then(
      () => null,
      (error: unknown) => error
    ),
    2_000,
    'a failure'
  )
  assert.instance(error, SkeinError)
  return error as SkeinError
}

test.run()
