/**
 * A stranger learns nothing, not even whether a space is there: over real sockets it opens every channel and sends every
 * message that the protocol has, to a device that has the space and to one that has not, and is answered with the same
 * frames, byte for byte; but for what is random in them.
 */
import { randomBytes } from 'node:crypto'
import Hypercore from 'hypercore'
import Protomux from 'protomux'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { runDht } from '../../adapters/dht.ts'
import { hyperswarm } from '../../adapters/hyperswarm.ts'
import { platform as nodePlatform } from '../../adapters/node/platform.ts'
import { dial } from '../../adapters/websocket/link.ts'
import { listen, websocket } from '../../adapters/websocket.ts'
import { fromHex, joinBytes, toHex } from '../../lib/bytes.ts'
import { signKeysFrom } from '../../lib/crypto.ts'
import {
  MeetingPoint,
  secureStream,
  Skein,
  type DeviceKeys,
  type Platform,
  type SecureStream,
  type Space,
  type Transport
} from '../../lib/index.ts'
import { logKeyOf } from '../../lib/log/log.ts'
import {
  encodePairingRequest,
  formatInvite,
  inviteKeysOf,
  pairingChannelId,
  parseInvite,
  type Invite
} from '../../lib/trust/invite.ts'
import { greetingTag, spaceChannelId, topicOf } from '../../lib/trust/keys.ts'
import { mirrorChannelId } from '../../lib/trust/mirror-address.ts'
import { scratch } from '../crash/lab.ts'
import { rejects, waitMs } from '../devices.ts'
import { deadline, once } from '../events.ts'

const test = suite('a stranger')

/** Lets go of a connection with nothing in common after one second, not fifteen. */
const { clock } = nodePlatform
const platform: Platform = {
  ...nodePlatform,
  clock: {
    ...clock,
    after: (ms, callback) => clock.after(ms === 15_000 ? 1_000 : ms, callback)
  }
}

/** What the stranger knows: nothing of it is a key. */
interface Known {
  readonly space: Uint8Array
  readonly topic: Uint8Array
  /** Of all logs of the space. */
  readonly discoveryKeys: readonly Uint8Array[]
  readonly devices: readonly Uint8Array[]
  /** To a space that neither device is in. */
  readonly elsewhere: Invite
  /** Names the right space and topic; its seed is of no invite. */
  readonly forged: Invite
}

/** Everything that came over a connection, to its end. */
class Recording {
  readonly frames: Uint8Array[] = []
  readonly first: Promise<void>
  readonly ended: Promise<void>

  constructor(stream: SecureStream) {
    const messages = stream as SecureStream & {
      on(event: 'data', listener: (frame: Uint8Array) => void): unknown
    }
    stream.on('error', () => {}) // How it ended is told by its close.
    let hasBegun = (): void => {}
    this.first = new Promise((resolve) => (hasBegun = resolve))
    messages.on('data', (frame) => {
      // Keep-alives come with time.
      if (frame.length === 0) return
      this.frames.push(new Uint8Array(frame))
      hasBegun()
    })
    this.ended = new Promise((resolve) => stream.on('close', resolve))
  }

  /** The frames, in hex; of what is random, only how much there is. */
  get transcript(): string[] {
    return this.frames.map((frame) =>
      frame.length < 512 ? toHex(frame) : `${frame[0]} and ${frame.length - 1} more`
    )
  }
}

interface Writing {
  write(frame: Uint8Array): boolean
}

/**
 * Opens every channel, and sends every message. It greets with the `keys`; `last` is a frame that it sends when all before
 * was answered.
 */
async function speak(
  stream: SecureStream,
  known: Known,
  { keys = [], last }: { keys?: readonly Uint8Array[]; last?: readonly number[] } = {}
): Promise<void> {
  const mux = Protomux.from(stream)
  const open = (protocol: string, id: Uint8Array | null, messages: Uint8Array[] = []): void => {
    const channel = mux.createChannel({ protocol, ...(id === null ? {} : { id }) })
    if (channel === null) return
    const types = Array.from({ length: 10 }, () =>
      channel.addMessage<Uint8Array>({ onmessage() {} })
    )
    channel.open()
    for (const message of messages) for (const type of types) type.send(message)
  }
  const { handshakeHash, publicKey } = stream
  const notKeys = [known.space, known.topic, ...known.discoveryKeys, ...known.devices]
  const salt = randomBytes(16)
  const tags = [...keys, ...notKeys].map((key) => greetingTag(key, handshakeHash, publicKey, salt))
  const greetings = [joinBytes([salt, ...tags]), randomBytes(16), randomBytes(16 + 64 * 16)]
  open('skein/greeting/1', null, [greetings[0]!])
  for (const id of [null, randomBytes(32), ...notKeys, new Uint8Array()]) {
    open('skein/space/1', id, [
      new Uint8Array(),
      randomBytes(24),
      new Uint8Array([1, ...known.space])
    ])
    open('skein/pair/1', id, [randomBytes(100)])
    open('skein/mirror/1', id, [new TextEncoder().encode(formatInvite(known.elsewhere))])
    open('hypercore/alpha', id, [randomBytes(40)])
    open('skein/greeting/1', id, greetings)
    for (const protocol of ['corestore', 'hypercore/beta', 'skein/space/2', '']) open(protocol, id)
  }
  for (const key of notKeys) {
    open('skein/space/1', spaceChannelId(key, handshakeHash))
    open('skein/pair/1', pairingChannelId(key, handshakeHash))
    open('skein/mirror/1', mirrorChannelId(key, handshakeHash))
  }
  for (const invite of [known.elsewhere, known.forged]) {
    const record = {
      signKey: publicKey,
      boxKey: randomBytes(32),
      salt: randomBytes(16),
      name: 'mallory',
      person: 'mallory'
    }
    const request = encodePairingRequest(invite, record, handshakeHash)
    open('skein/pair/1', pairingChannelId(inviteKeysOf(invite).publicKey, handshakeHash), [request])
  }
  // Channels that were never there are closed.
  const raw = stream as SecureStream & Writing
  for (const channel of [200, 201]) raw.write(Uint8Array.of(0, 3, channel))
  if (last === undefined) return
  await new Promise<void>((resolve) =>
    mux.createChannel({ protocol: 'the last', onclose: resolve })!.open()
  )
  raw.write(Uint8Array.from(last))
}

const known = async (space: Space, ...devices: Skein[]): Promise<Known> => {
  const invite = parseInvite(await space.invite({ uses: 3 }))
  const id = fromHex(space.id)
  const { discoveryKey } = Hypercore as unknown as {
    discoveryKey(this: void, key: Uint8Array): Uint8Array
  }
  const cores = ['control', 'content/0'] as const
  return {
    space: id,
    topic: topicOf(invite.topicSecret),
    devices: devices.map((one) => fromHex(one.id)),
    discoveryKeys: devices.flatMap((one) =>
      cores.map((core) => discoveryKey(logKeyOf({ space: id, device: fromHex(one.id), core })))
    ),
    elsewhere: {
      ...invite,
      space: randomBytes(32),
      topicSecret: randomBytes(32),
      seed: randomBytes(32)
    },
    forged: { ...invite, seed: randomBytes(32) }
  }
}

class Place implements AsyncDisposable {
  readonly #folder = scratch('stranger')
  readonly #ends: (() => Promise<unknown>)[] = []

  async device(name: string, ...transports: Transport[]): Promise<Skein> {
    const skein = new Skein({ storage: `${this.#folder.path}/${name}`, name, transports, platform })
    await skein.ready()
    this.#ends.unshift(() => skein.close())
    return skein
  }

  async port(): Promise<Awaited<ReturnType<typeof listen>>> {
    const port = await listen()
    this.#ends.push(() => port.close())
    return port
  }

  ends(end: () => Promise<unknown>): void {
    this.#ends.push(end)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ends) await end()
    this.#folder[Symbol.dispose]()
  }
}

/** The smaller key of two decides which of several connections to use: to both devices it is the smaller, or the larger. */
function strangersKeys(others: readonly Skein[], isSmaller: boolean): DeviceKeys {
  for (;;) {
    const keys = signKeysFrom(randomBytes(32))
    if (others.every(({ id }) => toHex(keys.publicKey) < id === isSmaller)) return keys
  }
}

/** A space with a member, documents, events, many invites, a recovery key; and others beside it. */
async function fill(alice: Skein, bob: Skein): Promise<Space> {
  const space = await alice.createSpace({ name: 'Notes', recovery: true })
  await deadline(bob.join(await space.invite(), { timeoutMs: waitMs }), waitMs, 'bob joins')
  for (let i = 0; i < 40; i++) await space.invite({ uses: i + 1 })
  await space.invite({ expiresInMs: 0.001 })
  const note = await space.open('ideas')
  note.doc.getText('body').insert(0, 'a')
  await note.saved()
  await space.append('event', 1)
  await alice.createSpace({ name: 'Plans', owners: [bob.introduction] })
  await alice.createSpace({ name: 'Photos' })
  return space
}

/** A connection below the agreement on topics; what the stranger says there, `sends`. */
async function beneath(
  url: string,
  device: DeviceKeys,
  sends: readonly Uint8Array[]
): Promise<Recording> {
  const link = (await dial(url, waitMs))!
  const stream = await secureStream(link.stream, { device, isInitiator: true })
  const recording = new Recording(stream)
  await deadline(recording.first, waitMs, 'the device says something')
  for (const message of sends) (stream as SecureStream & Writing).write(message)
  stream.setTimeout(500) // It has nothing more to say, and ends when it hears no more.
  await deadline(recording.ended, waitMs, 'the connection ends')
  return recording
}

test('who knows no topic is answered the same by a device with spaces, and by one without any, over WebSocket', async () => {
  await using place = new Place()
  const [port, other] = [await place.port(), await place.port()]
  const alice = await place.device('alice', websocket({ port }))
  const bob = await place.device('bob', websocket({ urls: [port.url] }))
  const carol = await place.device('carol', websocket({ port: other }))
  const space = await fill(alice, bob)
  const { topic, space: id } = await known(space, alice, bob)
  const tags = [topic, id, randomBytes(32)]
  const says: Uint8Array[][] = [
    [],
    [Uint8Array.of(0)],
    [Uint8Array.of(0, ...tags.flatMap((tag) => [...tag]))],
    [Uint8Array.of(0), Uint8Array.of(1), Uint8Array.of(2)],
    [Uint8Array.of(2)],
    [Uint8Array.of(1)],
    [Uint8Array.of(0, 1, 2)],
    [randomBytes(64)]
  ]
  for (const isSmaller of [true, false]) {
    for (const sends of says) {
      const keys = strangersKeys([alice, carol], isSmaller)
      const [atAlice, atCarol] = await Promise.all(
        [port, other].map(({ url }) => beneath(url, keys, sends))
      )
      assert.equal(atAlice!.transcript, atCarol!.transcript)
    }
  }
})

test('who knows the topic, and all but a key, is answered the same, over WebSocket', async () => {
  await using place = new Place()
  const [port, other] = [await place.port(), await place.port()]
  const alice = await place.device('alice', websocket({ port }))
  const bob = await place.device('bob', websocket({ urls: [port.url] }))
  const carol = await place.device('carol', websocket({ port: other }))
  const space = await fill(alice, bob)
  const knows = await known(space, alice, bob)
  // In the topic, and not in the space.
  const joining = rejects(
    carol.join(formatInvite({ ...knows.forged, seed: randomBytes(32) })),
    'CLOSED'
  )
  const meet = async (
    url: string,
    device: DeviceKeys,
    says: Parameters<typeof speak>[2] = {}
  ): Promise<Recording> => {
    const link = (await dial(url, waitMs))!
    const stream = await secureStream(link.stream, { device, isInitiator: true })
    const recording = new Recording(stream)
    await new Promise<void>((resolve) => {
      const meeting = new MeetingPoint({
        publicKey: device.publicKey,
        onConnection: () => resolve()
      })
      meeting.join(knows.topic)
      meeting.add(stream)
    })
    const spoken = speak(stream, knows, says)
    ;(stream as SecureStream & { resume(): void }).resume()
    await deadline(spoken, waitMs, 'what was said is answered')
    await deadline(recording.ended, waitMs, 'the device lets go')
    return recording
  }
  for (const isSmaller of [true, false]) {
    const keys = strangersKeys([alice, carol], isSmaller)
    const [atAlice, atCarol] = await Promise.all([port, other].map(({ url }) => meet(url, keys)))
    assert.equal(atAlice!.transcript, atCarol!.transcript)
    assert.ok(atAlice!.frames.length > 50, 'it rejects each channel')
  }
  // What breaks the protocol: an answer to what was not asked, a greeting that is cut off, an unknown channel's message.
  for (const last of [
    [0, 2, 77],
    [1, 0, 7],
    [0, 1, 3, 0, 0],
    [0, 0, 255]
  ]) {
    const keys = strangersKeys([alice, carol], true)
    const [atAlice, atCarol] = await Promise.all(
      [port, other].map(({ url }) => meet(url, keys, { last }))
    )
    assert.equal(atAlice!.transcript, atCarol!.transcript)
  }
  // All this is seen of who has a key.
  const { publicKey } = inviteKeysOf(parseInvite(await space.invite()))
  const keys = strangersKeys([alice, carol], true)
  const [atAlice, atCarol] = await Promise.all(
    [port, other].map(({ url }) => meet(url, keys, { keys: [publicKey] }))
  )
  assert.is.not(atAlice!.transcript.join(), atCarol!.transcript.join())
  await carol.close()
  await joining
})

test('over Hyperswarm, too', async () => {
  await using place = new Place()
  const dht = await runDht()
  const { bootstrap } = dht
  place.ends(() => dht.close())
  const alice = await place.device('alice', hyperswarm({ bootstrap }))
  const bob = await place.device('bob', hyperswarm({ bootstrap }))
  const carol = await place.device('carol', hyperswarm({ bootstrap }))
  const space = await fill(alice, bob)
  const knows = await known(space, alice, bob)
  const joining = rejects(
    carol.join(formatInvite({ ...knows.forged, seed: randomBytes(32) })),
    'CLOSED'
  )
  const mallory = hyperswarm({ bootstrap })
  const recordings = new Map<string, Recording>()
  mallory.on('connection', ({ stream }) => {
    const device = toHex(stream.remotePublicKey)
    if (recordings.has(device)) return
    recordings.set(device, new Recording(stream))
    void speak(stream, knows)
  })
  const metBoth = once<unknown>(
    (listener) =>
      mallory.on(
        'connection',
        () => recordings.has(alice.id) && recordings.has(carol.id) && listener(null)
      ),
    waitMs,
    'alice and carol are met'
  )
  await mallory.open(strangersKeys([alice, carol], true))
  await mallory.join(knows.topic)
  await metBoth
  const [atAlice, atCarol] = [alice, carol].map(({ id }) => recordings.get(id)!)
  await deadline(Promise.all([atAlice!.ended, atCarol!.ended]), waitMs, 'the devices let go')
  assert.equal(atAlice!.transcript, atCarol!.transcript)
  assert.ok(atAlice!.frames.length > 50, 'it rejects each channel')
  await mallory.close()
  await carol.close()
  await joining
})

test.run()
