/**
 * What a peer may send on a channel, and what may come by signalling, ends at most that one connection. TRANSPORT_FUZZ sets
 * how many malformed messages of each kind are sent (default 3_000), TRANSPORT_SEED the seed.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { WebSocketServer } from 'ws'
import { webrtc } from '../../adapters/webrtc.ts'
import { seal, unseal } from '../../adapters/webrtc/seal.ts'
import { listen } from '../../adapters/websocket.ts'
import { MeetingPoint } from '../../lib/meeting-point.ts'
import { MessageStream } from '../../lib/message-stream.ts'
import { secureStream } from '../../lib/secure-stream.ts'
import type { Connection, SecureStream, Transport } from '../../lib/transport.ts'
import { deadline, eventually, once } from '../events.ts'
import { deviceKeys } from '../unit/hyperswarm-device.ts'
import { hostileData, hostileFrame, randomFrom } from './signalling-frames.ts'
import { wrtc } from '../wrtc.ts'

const count = Number(process.env['TRANSPORT_FUZZ'] ?? 3_000)
const seed = Number(process.env['TRANSPORT_SEED'] ?? 1)

const test = suite('fuzzed transports')

const topic = new Uint8Array(32).fill(9)
const rendezvous = { name: topic, key: new Uint8Array(32).fill(8) }
const room = Buffer.from(topic).toString('hex')

test(`${count} malformed messages on channels end nothing but their channels`, async () => {
  const random = randomFrom(seed)
  let [stream, ended] = [channel(), 0]
  for (let i = 0; i < count; i++) {
    stream.receive(hostileMessage(random))
    if (!stream.destroying) continue
    ended++
    stream = channel()
  }
  assert.ok(ended > count / 10, `${ended} channels were ended`)
})

test(`${count} malformed messages behind the handshake keep no other device away`, async () => {
  const random = randomFrom(seed)
  const met: Connection[] = []
  const alice = deviceKeys('alice')
  const meeting = new MeetingPoint({
    publicKey: alice.publicKey,
    onConnection: (connection) => met.push(connection)
  })
  meeting.join(topic)
  // One whose key is smaller than alice's, and one whose key is larger: each has a part of its own in the agreement.
  const names = ['mallory', 'trudy', 'oscar', 'eve', 'craig']
  let [sent, connection] = [0, 0]
  while (sent < count) {
    const mallory = deviceKeys(names[connection++ % names.length]!)
    const [atAlice, atMallory] = await connected(alice, mallory)
    meeting.add(atAlice)
    for (let i = 0; i < 50 && !atAlice.destroyed; i++, sent++) {
      ;(atMallory as Writable).write(hostileAgreement(random))
      if (i % 10 === 9) await new Promise((resolve) => setImmediate(resolve))
    }
    atMallory.destroy()
  }
  assert.is(met.filter(({ stream }) => !stream.destroyed).length <= 1, true)
  const bob = deviceKeys('bob')
  const atBobs = new MeetingPoint({ publicKey: bob.publicKey, onConnection: () => {} })
  atBobs.join(topic)
  const [atAlice, atBob] = await connected(alice, bob)
  meeting.add(atAlice)
  atBobs.add(atBob)
  await eventually(() => met.some(({ stream }) => stream === atAlice))
  meeting.close()
  atBobs.close()
})

test(`${count} hostile frames, sealed ones among them, keep nobody from being introduced`, async () => {
  const random = randomFrom(seed)
  const port = await listen()
  let sent = 0
  let isDone: () => void = () => {}
  const done = new Promise<void>((resolve) => (isDone = resolve))
  // A server that lies, and knows the rendezvous, as any holder of an invite does.
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await new Promise((resolve) => server.on('listening', resolve))
  server.on('connection', (socket) => {
    let peer = 'nobody'
    socket.on('message', (data) => {
      const frame = JSON.parse(String(data as Buffer)) as { data?: unknown }
      const said = unseal(rendezvous, frame.data) as { from?: string } | undefined
      if (said?.from !== undefined) peer = said.from
    })
    const go = async (): Promise<void> => {
      while (sent < count && socket.readyState === socket.OPEN) {
        for (let i = 0; i < 50; i++, sent++) socket.send(frameFor(peer))
        await new Promise<void>((resolve) => socket.send('', () => setImmediate(resolve)))
      }
      if (sent >= count) isDone()
    }
    void go()
  })
  const frameFor = (peer: string): string | Uint8Array => {
    if (random() < 0.5) return hostileFrame(random, room)
    const data = hostileData(random)
    if (random() < 0.7 && typeof data === 'object' && data !== null)
      Object.assign(data, { to: peer })
    return JSON.stringify({ type: 'publish', topic: room, data: seal(rendezvous, data) })
  }
  const { port: lying } = server.address() as { port: number }
  const signalling = [`ws://127.0.0.1:${lying}`, port.url]
  const alice = webrtc({ wrtc, signalling })
  await joinAs(alice, 'alice')
  await deadline(done, 60_000 + count, 'all hostile frames')
  const bob = webrtc({ wrtc, signalling: [port.url] })
  const met = Promise.all([nextConnection(alice), nextConnection(bob)])
  await joinAs(bob, 'bob')
  await met
  await Promise.all([alice.close(), bob.close()])
  for (const socket of server.clients) socket.terminate()
  await new Promise((resolve) => server.close(resolve))
  await port.close()
})

type Writable = SecureStream & { write(message: Uint8Array): boolean }

function channel(): MessageStream {
  const stream = new MessageStream({ send: () => {}, close: () => {} })
  stream.resume()
  return stream
}

/** Credit that nobody owes, text, nothing, objects, and now and then bytes as they should be. */
function hostileMessage(random: () => number): unknown {
  const values: unknown[] = ['', '0', '-1', '1e9', '1', '131072', '١', null, undefined, {}, [], 5]
  const kind = random()
  if (kind < 0.4) return values[Math.floor(random() * values.length)]
  if (kind < 0.45) return new Uint8Array(0)
  if (kind < 0.5) return new Uint8Array(2 * 1024 * 1024)
  return Uint8Array.from({ length: 1 + random() * 100 }, () => random() * 256).buffer
}

function hostileAgreement(random: () => number): Uint8Array {
  const kind = random()
  if (kind < 0.3) return Uint8Array.of(random() * 4)
  const length = kind < 0.6 ? 1 + 32 * Math.floor(random() * 8) : random() * 300
  const bytes = Uint8Array.from({ length }, () => random() * 256)
  if (kind < 0.9 && bytes.length > 0) bytes[0] = Math.floor(random() * 3)
  return bytes
}

/** Two ends of a connection in memory, keys proven. */
function connected(
  a: ReturnType<typeof deviceKeys>,
  b: ReturnType<typeof deviceKeys>
): Promise<[SecureStream, SecureStream]> {
  const ends: MessageStream[] = []
  const end = (other: number): MessageStream =>
    new MessageStream({
      send(message) {
        const copy = typeof message === 'string' ? message : message.slice()
        setImmediate(() => ends[other]!.receive(copy))
      },
      close: () => setImmediate(() => ends[other]!.ended())
    })
  ends.push(end(1), end(0))
  return Promise.all([
    secureStream(ends[0]!, { device: a, isInitiator: true }),
    secureStream(ends[1]!, { device: b, isInitiator: false })
  ])
}

async function joinAs(transport: Transport, name: string): Promise<void> {
  await transport.open(deviceKeys(name))
  await transport.join(topic, rendezvous)
}

function nextConnection(transport: Transport): Promise<Connection> {
  return once<Connection>(
    (listener) => transport.on('connection', listener),
    20_000,
    'a connection'
  )
}

test.run()
