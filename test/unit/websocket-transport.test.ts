import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { WebSocket, WebSocketServer } from 'ws'
import { testTransport } from '../../adapters/testing.ts'
import { listen, websocket, type WebSocketPort } from '../../adapters/websocket.ts'
import { equalBytes } from '../../lib/bytes.ts'
import { SkeinError } from '../../lib/errors.ts'
import type { Connection, Transport } from '../../lib/transport.ts'
import { eventually, once } from '../events.ts'
import { deviceKeys } from './hyperswarm-device.ts'

const test = suite('websocket transport')

const topic = new Uint8Array(32).fill(9)
const rendezvous = { name: topic, key: topic }

// Both roles: a only listens, b listens and dials, c only dials.
testTransport(test, {
  async create() {
    const [portA, portB] = [await listen(), await listen()]
    return {
      a: websocket({ port: portA }),
      b: websocket({ port: portB, urls: [portA.url] }),
      c: websocket({ urls: [portA.url, portB.url] }),
      async end() {
        await Promise.all([portA.close(), portB.close()])
      }
    }
  }
})

// Each dials each, and itself, at once: one connection comes of it.
testTransport((name, run) => test(`${name}, when all dial all`, run), {
  async create() {
    const ports = [await listen(), await listen(), await listen()]
    const urls = ports.map(({ url }) => url)
    const [a, b, c] = ports.map((port) => websocket({ port, urls }))
    return { a: a!, b: b!, c: c!, end: async () => void (await Promise.all(ports.map(closed))) }
  }
})

test('an address that is not there yet is dialled until it is', async () => {
  const gone = await listen()
  await gone.close()
  const bob = websocket({ urls: [gone.url] })
  await joinAs(bob, 'bob')
  const port = await listen({ port: Number(new URL(gone.url).port) })
  const alice = websocket({ port })
  const met = nextConnection(alice)
  await joinAs(alice, 'alice')
  assert.ok(equalBytes((await met).stream.remotePublicKey, deviceKeys('bob').publicKey))
  await Promise.all([alice.close(), bob.close()])
  await port.close()
})

test('what is no peer keeps nobody away', async () => {
  await using port = await listening()
  const alice = websocket({ port: port.port })
  await joinAs(alice, 'alice')
  const bad: WebSocket[] = []
  // Text before the handshake, credit nobody owes, bytes that are no handshake, and too large a message.
  for (const message of ['hello', '9999999', '-1', new Uint8Array(0), new Uint8Array(65_537)]) {
    const socket = new WebSocket(port.port.url, ['skein.1'])
    socket.on('error', () => {})
    socket.on('open', () => socket.send(message))
    bad.push(socket)
  }
  await eventually(() => bad.every(({ readyState }) => readyState === WebSocket.CLOSED))
  const bob = websocket({ urls: [port.port.url] })
  const met = nextConnection(alice)
  await joinAs(bob, 'bob')
  await met
  await Promise.all([alice.close(), bob.close()])
})

test('a server that speaks another language is dialled again, and hurts nobody', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await new Promise((resolve) => server.on('listening', resolve))
  const address = server.address() as { port: number }
  let dialled = 0
  server.on('connection', (socket) => {
    dialled++
    socket.send(JSON.stringify({ hello: 'world' }))
    socket.send(Buffer.alloc(1_000_000))
  })
  const bob = websocket({ urls: [`ws://127.0.0.1:${address.port}`] })
  await joinAs(bob, 'bob')
  await eventually(() => dialled >= 2, { deadlineMs: 20_000 })
  await bob.close()
  await new Promise((resolve) => server.close(resolve))
})

test('what cannot work fails clearly', async () => {
  await using port = await listening()
  const taken = await listen({ port: port.port.port }).catch((error: unknown) => error)
  assert.ok(taken instanceof SkeinError && taken.code === 'TRANSPORT_FAILED')
  for (const url of ['', 'nowhere', 'http://127.0.0.1:1']) {
    assert.throws(
      () => websocket({ urls: [url] }),
      (error: unknown) => error instanceof TypeError
    )
  }
  const [one, other] = [websocket({ port: port.port }), websocket({ port: port.port })]
  await one.open(deviceKeys('alice'))
  assert.instance(await other.open(deviceKeys('bob')).catch((error: unknown) => error), TypeError)
  await one.close()
})

async function listening(): Promise<{ port: WebSocketPort } & AsyncDisposable> {
  const port = await listen()
  return { port, [Symbol.asyncDispose]: () => port.close() }
}

function closed(port: WebSocketPort): Promise<void> {
  return port.close()
}

async function joinAs(transport: Transport, name: string): Promise<void> {
  await transport.open(deviceKeys(name))
  await transport.join(topic, rendezvous)
}

function nextConnection(transport: Transport): Promise<Connection> {
  return once<Connection>(
    (listener) => transport.on('connection', listener),
    15_000,
    'a connection'
  )
}

test.run()
