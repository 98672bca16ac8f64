/**
 * The transport contract as a test suite; the runner is injected. A test of an adapter begins with it:
 * `testTransport(test, { create })`, where `test(name, run)` is uvu's, node:test's or any other runner's.
 */
import sodium from 'sodium-universal'
import { SkeinError, type DeviceKeys, type SecureStream, type Transport } from '../lib/index.ts'

/** Transports that are not open yet, and that can reach each other. Made anew for each test. */
export interface TransportMeeting {
  readonly a: Transport
  readonly b: Transport
  /** Not needed where `supports.threeDevices` is false. */
  readonly c?: Transport
  /** Called when the test is over and the transports are closed. */
  end?(): Promise<void>
}

/** What a medium cannot do is declared, and its tests are left out. Default: all true. */
export interface TransportSupport {
  /** Two connections at once. */
  readonly threeDevices?: boolean
  /** A lost connection comes back without a person's help. */
  readonly redial?: boolean
}

export interface TransportTestOptions {
  readonly create: () => Promise<TransportMeeting>
  readonly supports?: TransportSupport
  /** How long anything may take. Default 15_000. */
  readonly deadlineMs?: number
}

const MEBIBYTE = 1024 * 1024

export function testTransport(
  test: (name: string, run: () => Promise<void>) => void,
  options: TransportTestOptions
): void {
  const { create, supports = {}, deadlineMs = 15_000 } = options
  const { threeDevices = true, redial = true } = supports
  const contract = (name: string, run: (meeting: Meeting) => Promise<void>) => {
    test(`transport: ${name}`, async () => {
      const made = await create()
      const meeting = new Meeting(made, deadlineMs)
      try {
        await run(meeting)
      } finally {
        await meeting.close()
        await made.end?.()
      }
    })
  }

  for (const order of ['a first', 'b first', 'both at once'] as const) {
    contract(`two devices meet and prove their keys, ${order}`, async (meeting) => {
      const { alice, bob } = await meeting.open()
      const topic = randomBytes(32)
      if (order === 'both at once') await Promise.all([alice.join(topic), bob.join(topic)])
      else
        for (const device of order === 'a first' ? [alice, bob] : [bob, alice])
          await device.join(topic)
      const [atAlice, atBob] = await meeting.connected(alice, bob)

      expect(isEqual(atAlice.publicKey, alice.keys.publicKey), "alice's end has her key")
      expect(isEqual(atBob.publicKey, bob.keys.publicKey), "bob's end has his key")
      expect(isEqual(atAlice.remotePublicKey, bob.keys.publicKey), "alice's end knows bob's key")
      expect(isEqual(atBob.remotePublicKey, alice.keys.publicKey), "bob's end knows alice's key")
      expect(atAlice.handshakeHash.length === 64, 'the handshake hash has 64 bytes')
      expect(atAlice.isInitiator !== atBob.isInitiator, 'one end is the initiator')
    })
  }

  contract(
    'joining resolves when nobody is there, and again for the same topic',
    async (meeting) => {
      const { alice } = await meeting.open()
      const topic = randomBytes(32)
      await meeting.soon(alice.join(topic), 'the first join')
      await meeting.soon(alice.join(topic), 'the second join')
      await meeting.soon(alice.leave(topic), 'the end of the search')
      await meeting.soon(alice.leave(topic), 'the end of no search')
    }
  )

  contract('a topic has 32 bytes', async (meeting) => {
    const { alice } = await meeting.open()
    const error = await failure(alice.join(randomBytes(31)))
    expect(error instanceof TypeError, `joining another is a TypeError, not ${String(error)}`)
  })

  contract('messages arrive whole and in order, both ways at once', async (meeting) => {
    const { alice, bob } = await meeting.open()
    const [atAlice, atBob] = await meeting.meet(alice, bob)
    const fromAlice = Array.from({ length: 2_000 }, (_, i) => numbered(i, 4 + (i % 1_500)))
    const fromBob = Array.from({ length: 2_000 }, (_, i) => numbered(i, 4 + ((i * 7) % 300)))
    const gotByBob = meeting.read(atBob)
    const gotByAlice = meeting.read(atAlice)
    await meeting.soon(
      Promise.all([writeAll(atAlice, fromAlice), writeAll(atBob, fromBob)]),
      'room for all messages'
    )
    await meeting.until(
      () => gotByBob.length >= 2_000 && gotByAlice.length >= 2_000,
      'all messages'
    )
    expect(isSame(gotByBob, fromAlice), 'bob has what alice sent, message by message')
    expect(isSame(gotByAlice, fromBob), 'alice has what bob sent, message by message')
  })

  contract(
    'a message of 8 MiB arrives, and a reader who waits makes the writer wait',
    async (meeting) => {
      const { alice, bob } = await meeting.open()
      const [atAlice, atBob] = await meeting.meet(alice, bob)
      const large = Array.from({ length: 6 }, (_, i) => numbered(i, 8 * MEBIBYTE))
      let isWritten = false
      const writing = writeAll(atAlice, large).then(() => (isWritten = true))
      // Bob does not read yet. That the other way goes on shows that there was time to write.
      const small = Array.from({ length: 500 }, (_, i) => numbered(i, 1_000))
      const gotByAlice = meeting.read(atAlice)
      await meeting.soon(writeAll(atBob, small), "room for bob's messages")
      await meeting.until(() => gotByAlice.length === small.length, "bob's messages")
      expect(!isWritten, 'alice waits: 48 MiB are not taken while nobody reads')

      const gotByBob = meeting.read(atBob)
      await meeting.until(() => gotByBob.length === large.length, 'the large messages')
      expect(isSame(gotByBob, large), 'bob has what alice sent, message by message')
      await meeting.soon(writing, 'the end of writing')
    }
  )

  contract(
    'close ends every connection, at both ends, and can be called again',
    async (meeting) => {
      const { alice, bob } = await meeting.open()
      const [atAlice, atBob] = await meeting.meet(alice, bob)
      await meeting.soon(
        Promise.all([alice.transport.close(), alice.transport.close()]),
        'the close'
      )
      expect(atAlice.destroyed, "alice's end is closed with the transport")
      await meeting.until(() => bob.streamsTo(alice).length === 0, "the close of bob's end")
      expect(atBob.destroyed, "bob's end is closed")
      await meeting.soon(alice.transport.close(), 'another close')
    }
  )

  contract('nothing can be joined after close', async (meeting) => {
    const { alice, bob } = await meeting.open()
    await bob.join(randomBytes(32))
    for (const device of [alice, bob]) {
      await meeting.soon(device.transport.close(), 'the close')
      const error = await failure(device.join(randomBytes(32)))
      expect(
        error instanceof SkeinError && error.code === 'CLOSED',
        `join fails with CLOSED, not with ${String(error)}`
      )
    }
  })

  contract('a transport that was never open can be closed', async (meeting) => {
    await meeting.soon(meeting.made.a.close(), 'the close')
  })

  if (redial) {
    for (const closer of ['a', 'b'] as const) {
      contract(`a connection that ${closer} loses is dialled again, twice`, async (meeting) => {
        const { alice, bob } = await meeting.open()
        let [atAlice, atBob] = await meeting.meet(alice, bob)
        for (let i = 0; i < 2; i++) {
          const hash = atAlice.handshakeHash
          if (closer === 'a') atAlice.destroy()
          else atBob.destroy(new Error('bob drops alice'))
          await meeting.until(() => atAlice.destroyed && atBob.destroyed, 'the close of both ends')
          ;[atAlice, atBob] = await meeting.connected(alice, bob)
          expect(!isEqual(atAlice.handshakeHash, hash), 'the handshake is another one')
        }
      })
    }
  }

  if (!threeDevices) return

  contract('three devices in one topic are all connected', async (meeting) => {
    const { alice, bob, carol } = await meeting.openThree()
    const topic = randomBytes(32)
    for (const device of [alice, bob, carol]) await device.join(topic)
    await meeting.connected(alice, bob)
    await meeting.connected(bob, carol)
    await meeting.connected(alice, carol)
  })

  contract('two devices in two topics have one connection', async (meeting) => {
    const { alice, bob, carol } = await meeting.openThree()
    const [atAlice] = await meeting.meet(alice, bob)
    const topic = randomBytes(32)
    await Promise.all([alice.join(topic), bob.join(topic)])
    // When both have found carol there, they have found each other too.
    await carol.join(topic)
    await meeting.connected(alice, carol)
    await meeting.connected(bob, carol)
    const [now] = await meeting.connected(alice, bob)
    expect(isEqual(now.handshakeHash, atAlice.handshakeHash), 'the connection is the first one')
    expect(alice.announced === 2, `alice has two connections in all, not ${alice.announced}`)
  })

  contract('devices without a common topic do not meet', async (meeting) => {
    const { alice, bob, carol } = await meeting.openThree()
    const [one, other] = [randomBytes(32), randomBytes(32)]
    await alice.join(one)
    await bob.join(other)
    await carol.join(one)
    await carol.join(other)
    await meeting.connected(alice, carol)
    await meeting.connected(bob, carol)
    expect(alice.announced === 1 && bob.announced === 1, 'alice and bob know only carol')
  })

  contract('leave ends the search, and what is open stays open', async (meeting) => {
    const { alice, bob, carol } = await meeting.openThree()
    const topic = randomBytes(32)
    const [atAlice, atBob] = await meeting.meet(alice, bob, topic)
    await meeting.soon(alice.leave(topic), 'the end of the search')
    await carol.join(topic)
    await meeting.connected(bob, carol)
    expect(alice.streamsTo(carol).length === 0, 'alice does not meet carol')
    expect(!atAlice.destroyed && !atBob.destroyed, 'alice and bob are still connected')
    const gotByBob = meeting.read(atBob)
    await writeAll(atAlice, [numbered(1, 100)])
    await meeting.until(() => gotByBob.length === 1, "alice's message")

    if (redial) {
      const before = alice.announced
      // They may be connected again before alice hears of her end.
      const ending = [atAlice, ...carol.streamsTo(bob)]
      atBob.destroy()
      for (const stream of bob.streamsTo(carol)) stream.destroy()
      await meeting.until(() => ending.every((stream) => stream.destroyed), 'the close')
      await meeting.connected(bob, carol)
      expect(alice.announced === before, 'bob is back with carol, and has not dialled alice')
    }
    await alice.join(topic)
    await meeting.connected(alice, bob)
    await meeting.connected(alice, carol)
  })

  contract('a device that was closed is met again when it is back', async (meeting) => {
    const { alice, bob } = await meeting.open()
    const topic = randomBytes(32)
    await meeting.meet(alice, bob, topic)
    await meeting.soon(bob.transport.close(), 'the close')
    const again = await meeting.add(meeting.made.c, bob.keys)
    await again.join(topic)
    await meeting.connected(alice, again)
  })
}

/** One device of a test, and what its transport has announced. */
class Device {
  readonly transport: Transport
  readonly keys: DeviceKeys
  readonly streams = new Set<MessageStream>()
  announced = 0

  constructor(transport: Transport, keys: DeviceKeys) {
    this.transport = transport
    this.keys = keys
  }

  join(topic: Uint8Array): Promise<void> {
    return this.transport.join(topic, { name: digest(topic, 1), key: digest(topic, 2) })
  }

  leave(topic: Uint8Array): Promise<void> {
    return this.transport.leave(topic)
  }

  streamsTo(other: Device): MessageStream[] {
    return [...this.streams].filter((stream) => {
      return isEqual(stream.remotePublicKey, other.keys.publicKey)
    })
  }
}

/** The devices of one test, and waiting for what happens between them. */
class Meeting {
  readonly made: TransportMeeting
  readonly #deadlineMs: number
  readonly #devices: Device[] = []
  readonly #waiting = new Set<() => void>()

  constructor(made: TransportMeeting, deadlineMs: number) {
    this.made = made
    this.#deadlineMs = deadlineMs
  }

  async open(): Promise<{ alice: Device; bob: Device }> {
    return { alice: await this.add(this.made.a), bob: await this.add(this.made.b) }
  }

  async openThree(): Promise<{ alice: Device; bob: Device; carol: Device }> {
    return { ...(await this.open()), carol: await this.add(this.made.c) }
  }

  async add(transport: Transport | undefined, keys = deviceKeys()): Promise<Device> {
    expect(transport !== undefined, 'create() makes a third transport, c')
    const device = new Device(transport, keys)
    this.#devices.push(device)
    transport.on('connection', ({ stream }) => {
      const opened = stream as MessageStream
      device.announced++
      device.streams.add(opened)
      opened.on('error', () => {
        // Connections end in errors too; the close is what counts.
      })
      opened.on('close', () => {
        device.streams.delete(opened)
        this.#change()
      })
      this.#change()
    })
    await this.soon(transport.open(keys), 'the transport to open')
    return device
  }

  async meet(
    a: Device,
    b: Device,
    topic = randomBytes(32)
  ): Promise<[MessageStream, MessageStream]> {
    await a.join(topic)
    await b.join(topic)
    return this.connected(a, b)
  }

  /** The two ends of the one connection, when there is exactly one. */
  async connected(a: Device, b: Device): Promise<[MessageStream, MessageStream]> {
    let ends: [MessageStream, MessageStream] | undefined
    const isConnected = (): boolean => {
      const [atA, ...moreAtA] = a.streamsTo(b)
      const [atB, ...moreAtB] = b.streamsTo(a)
      if (atA === undefined || atB === undefined || moreAtA.length + moreAtB.length > 0)
        return false
      ends = [atA, atB]
      return isEqual(atA.handshakeHash, atB.handshakeHash)
    }
    await this.until(isConnected, 'one connection, the same at both ends')
    return ends!
  }

  /** Collects the messages that arrive from now on. */
  read(stream: MessageStream): Uint8Array[] {
    const messages: Uint8Array[] = []
    stream.on('data', (message) => {
      messages.push(message)
      this.#change()
    })
    return messages
  }

  /** Looks again whenever something has happened. */
  async until(check: () => boolean, what: string): Promise<void> {
    let look: () => void = () => {}
    const seen = new Promise<void>((resolve) => {
      look = () => {
        if (check()) resolve()
      }
    })
    this.#waiting.add(look)
    look()
    try {
      await this.soon(seen, what)
    } finally {
      this.#waiting.delete(look)
    }
  }

  /** The promise's value, in time. */
  async soon<T>(promise: Promise<T>, what: string): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<never>((_, reject) => {
      const message = `Within ${this.#deadlineMs} ms there was not: ${what}`
      timer = setTimeout(() => reject(new Error(message)), this.#deadlineMs)
    })
    try {
      return await Promise.race([promise, late])
    } finally {
      clearTimeout(timer)
    }
  }

  async close(): Promise<void> {
    const { a, b, c } = this.made
    await this.soon(Promise.all([a.close(), b.close(), c?.close()]), 'every transport to close')
  }

  #change(): void {
    for (const look of this.#waiting) look()
  }
}

/** What Protomux uses of a stream besides: messages, one `data` event each. */
interface MessageStream extends SecureStream {
  write(message: Uint8Array): boolean
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'close' | 'drain', listener: () => void): unknown
  on(event: 'data', listener: (message: Uint8Array) => void): unknown
}

/** Resolves when the stream has room again after the last one. */
async function writeAll(stream: MessageStream, messages: Uint8Array[]): Promise<void> {
  let onDrain: () => void = () => {}
  stream.on('drain', () => onDrain())
  for (const message of messages) {
    if (stream.write(message)) continue
    await new Promise<void>((resolve) => (onDrain = resolve))
  }
}

/** `length` bytes that begin with the number and differ from place to place. */
function numbered(number: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 4; i < length; i++) bytes[i] = (i * 31 + (i >>> 8) + number) & 255
  new DataView(bytes.buffer).setUint32(0, number)
  return bytes
}

function deviceKeys(): DeviceKeys {
  const [publicKey, secretKey] = [new Uint8Array(32), new Uint8Array(64)]
  sodium.crypto_sign_seed_keypair(publicKey, secretKey, randomBytes(32))
  return { publicKey, secretKey }
}

/** Stands for what the library derives from a space's secret: the same for the same topic. */
function digest(topic: Uint8Array, use: number): Uint8Array {
  const out = new Uint8Array(32)
  sodium.crypto_generichash(out, Uint8Array.of(...topic, use))
  return out
}

function randomBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  sodium.randombytes_buf(bytes)
  return bytes
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('Expected a failure')
}

function isSame(these: Uint8Array[], those: Uint8Array[]): boolean {
  return (
    these.length === those.length &&
    these.every((bytes, i) => isEqual(bytes, those[i] ?? new Uint8Array()))
  )
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

function expect(isTrue: boolean, what: string): asserts isTrue {
  if (!isTrue) throw new Error(`Expected: ${what}`)
}
