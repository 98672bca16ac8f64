/** WebRTC in Node: @roamhq/wrtc, introduced by a Node peer's port, or by hand. */
import { createSocket } from 'node:dgram'
import { once as onceEvent } from 'node:events'
import type { AddressInfo } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { testTransport } from '../../adapters/testing.ts'
import { webrtc, type WebRtcOptions, type WebRtcTransport } from '../../adapters/webrtc.ts'
import { listen } from '../../adapters/websocket.ts'
import { SkeinError } from '../../lib/errors.ts'
import type { Connection, Transport } from '../../lib/transport.ts'
import { deadline, once } from '../events.ts'
import { deviceKeys } from './hyperswarm-device.ts'
import { wrtc } from '../wrtc.ts'

const test = suite('webrtc transport')

const topic = new Uint8Array(32).fill(9)
const rendezvous = { name: topic, key: new Uint8Array(32).fill(8) }

testTransport(test, {
  async create() {
    const port = await listen()
    const [a, b, c] = [device(port.url), device(port.url), device(port.url)]
    return { a, b, c, end: () => port.close() }
  }
})

test('devices introduced by two texts meet, with no server, and only in a common topic', async () => {
  const [alice, bob] = [webrtc({ wrtc }), webrtc({ wrtc })]
  await joinAs(alice, 'alice')
  await joinAs(bob, 'bob')
  const met = Promise.all([nextConnection(alice), nextConnection(bob)])
  const call = await alice.call()
  const answer = await bob.answer(call.text)
  await call.complete(answer)
  const [atAlice, atBob] = await met
  assert.equal(
    Buffer.from(atAlice.stream.handshakeHash).toString('hex'),
    Buffer.from(atBob.stream.handshakeHash).toString('hex')
  )
  assert.ok(call.text.length < 300 && !/\s/.test(call.text), call.text)
  await Promise.all([alice.close(), bob.close()])
})

for (const how of ['by two texts', 'in a room'] as const) {
  test(`devices introduced ${how} ask the ICE servers that the app names`, async () => {
    const server = createSocket('udp4')
    server.bind(0, '127.0.0.1')
    await onceEvent(server, 'listening')
    const { port } = server.address() as AddressInfo
    const iceServers = [{ urls: `stun:127.0.0.1:${port}` }]
    const introducing = await listen()
    const [alice, bob] = [device(introducing.url, { iceServers }), device(introducing.url)]
    try {
      const asked = new Promise<Buffer>((resolve) => server.on('message', resolve))
      await joinAs(alice, 'alice')
      if (how === 'by two texts') await alice.call()
      else await joinAs(bob, 'bob')
      const request = await deadline(asked, 15_000, 'a request')
      // RFC 8489: a binding request, and the magic cookie.
      assert.is(request.readUInt16BE(0), 1)
      assert.is(request.readUInt32BE(4), 0x2112_a442)
    } finally {
      await Promise.all([alice.close(), bob.close()])
      await introducing.close()
      server.close()
    }
  })
}

test('what is no introduction is refused', async () => {
  const alice = webrtc({ wrtc })
  await alice.open(deviceKeys('alice'))
  const call = await alice.call()
  const texts = [
    '',
    'hello',
    'skein-rtc:',
    'skein-rtc:AAAA',
    call.text.slice(0, -1),
    `${call.text}AA`
  ]
  for (const text of texts) await refused(alice.answer(text))
  for (const text of [...texts, call.text]) await refused(call.complete(text))
  call.close()
  await call.ended
  await alice.close()
})

test('a transport that is not possible says so', () => {
  assert.throws(
    () => webrtc(),
    (error: unknown) => error instanceof SkeinError && error.code === 'TRANSPORT_FAILED'
  )
  assert.throws(
    () => webrtc({ wrtc, signalling: ['http://127.0.0.1'] }),
    (error: unknown) => error instanceof TypeError
  )
})

function device(url: string, options: WebRtcOptions = {}): WebRtcTransport {
  return webrtc({ signalling: [url], wrtc, ...options })
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

async function refused(promise: Promise<unknown>): Promise<void> {
  const error = await promise.then(
    () => null,
    (error: unknown) => error
  )
  assert.ok(error instanceof SkeinError && error.code === 'BAD_ENCODING', String(error))
}

test.run()
