/**
 * The port as a signalling server. SIGNALLING_FRAMES sets how many malformed frames are sent to it (default 2_000).
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { WebSocket } from 'ws'
import { listen, type WebSocketPort } from '../../adapters/websocket.ts'
import { deadline, eventually } from '../events.ts'
import { hostileFrame, randomFrom } from '../fuzz/signalling-frames.ts'

const frames = Number(process.env['SIGNALLING_FRAMES'] ?? 2_000)

/** Of the stock clients. */
const room = 'stock'

const test = suite('signalling')

test('two stock y-webrtc clients meet through the port', async () => {
  await using port = await listening()
  // One after the other: where both hear the other's announcement, both call, and stock clients may then miss each other.
  const watching = await client(port)
  watching.send({ type: 'subscribe', topics: [room] })
  await watching.settled()
  await using alice = stockClient(port.port.url, 'alice ')
  await eventually(() => watching.got.length > 0, {
    deadlineMs: 30_000,
    what: 'alice announces herself'
  })
  watching.socket.close()
  await using bob = stockClient(port.port.url, 'bob ')
  await deadline(Promise.all([alice.has('bob '), bob.has('alice ')]), 30_000, 'both texts')
})

test('a message goes to all in its room and to nobody else', async () => {
  await using port = await listening()
  const [alice, bob, carol] = [await client(port), await client(port), await client(port)]
  alice.send({ type: 'subscribe', topics: ['one'] })
  bob.send({ type: 'subscribe', topics: ['one', 'two'] })
  carol.send({ type: 'subscribe', topics: ['two'] })
  await Promise.all([alice, bob, carol].map((each) => each.settled()))
  alice.send({ type: 'publish', topic: 'one', data: { hello: true } })
  const message = { type: 'publish', topic: 'one', data: { hello: true }, clients: 2 }
  await Promise.all([alice.settled(), bob.settled(), carol.settled()])
  await eventually(() => bob.got.length === 1)
  assert.equal([alice.got, bob.got, carol.got], [[message], [message], []])

  bob.send({ type: 'unsubscribe', topics: ['one'] })
  await bob.settled()
  alice.send({ type: 'publish', topic: 'one', data: 2 })
  await alice.settled()
  await bob.settled()
  assert.is(alice.got.at(-1)!['clients'], 1)
  assert.is(bob.got.length, 1)
  for (const each of [alice, bob, carol]) each.socket.close()
  await eventually(() => port.port.introduced === 0)
})

test(`${frames} malformed frames end no more than their own connections`, async () => {
  await using port = await listening()
  const [alice, bob] = [await client(port), await client(port)]
  for (const each of [alice, bob]) each.send({ type: 'subscribe', topics: ['room'] })
  await Promise.all([alice.settled(), bob.settled()])
  const random = randomFrom(5)
  let socket: WebSocket | null = null
  for (let sent = 0; sent < frames; sent++) {
    // Who sends too many, or too large ones, is let go; then the next one comes.
    if (socket === null || socket.readyState !== WebSocket.OPEN) {
      socket = new WebSocket(port.port.url)
      socket.on('error', () => {})
      await Promise.race([once(socket, 'open'), once(socket, 'close')])
    }
    const frame = hostileFrame(random, 'elsewhere')
    await new Promise<void>((resolve) => socket!.send(frame, () => resolve()))
  }
  socket?.terminate()
  alice.send({ type: 'publish', topic: 'room', data: 'still here' })
  await eventually(() => bob.got.length > 0, { deadlineMs: 20_000 })
  assert.is(bob.got.at(-1)!['data'], 'still here')
  for (const each of [alice, bob]) each.socket.close()
})

test('who floods the port, or does not read, is let go', async () => {
  await using port = await listening()
  const alice = await client(port)
  const closed = once(alice.socket, 'close')
  for (let i = 0; i < 2_000; i++) alice.send({ type: 'publish', topic: 'nobody', data: i })
  await deadline(closed, 10_000, 'the end of the flood')
})

async function listening(): Promise<{ port: WebSocketPort } & AsyncDisposable> {
  const port = await listen()
  return { port, [Symbol.asyncDispose]: () => port.close() }
}

/** A client that collects what it gets. */
async function client({ port }: { port: WebSocketPort }) {
  const socket = new WebSocket(port.url)
  socket.on('error', () => {})
  await once(socket, 'open')
  const got: Record<string, unknown>[] = []
  let pongs = 0
  socket.on('message', (data) => {
    const message = JSON.parse(String(data as Buffer)) as Record<string, unknown>
    if (message['type'] === 'pong') pongs++
    else got.push(message)
  })
  let pings = 0
  const send = (message: object): void => socket.send(JSON.stringify(message))
  return {
    socket,
    got,
    send,
    /** What was sent before has been handled. */
    async settled(): Promise<void> {
      send({ type: 'ping' })
      const wanted = ++pings
      await eventually(() => pongs >= wanted)
    }
  }
}

function stockClient(url: string, text: string) {
  const child = fork(fileURLToPath(new URL('./stock-client.ts', import.meta.url)), [
    url,
    room,
    text
  ])
  const exited = once(child, 'exit')
  let seen = ''
  child.on('message', (now) => (seen = String(now)))
  return {
    has: (part: string) => eventually(() => seen.includes(part), { deadlineMs: 30_000 }),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
    }
  }
}

test.run()
