/** What a room of y-webrtc does by the clock, of which a transport's connections must notice nothing. */
import { clock } from '../shifted-clock.ts'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { webrtc } from '../../adapters/webrtc.ts'
import { listen } from '../../adapters/websocket.ts'
import type { Connection, Transport } from '../../lib/transport.ts'
import { once } from '../events.ts'
import { wrtc } from '../wrtc.ts'
import { deviceKeys } from './hyperswarm-device.ts'

const test = suite('a webrtc room')

/** What y-webrtc does every 3 s is done every 10 ms here, at a clock that runs as much ahead. */
const [intervalMs, hereMs] = [3_000, 10]
const every = globalThis.setInterval
globalThis.setInterval = ((callback: () => void, ms: number, ...args: []) =>
  every(callback, ms === intervalMs ? hereMs : ms, ...args)) as typeof setInterval

test('a connection that it has made goes on for as long as it lasts', async () => {
  const port = await listen()
  const signalling = [port.url]
  const [alice, bob] = [webrtc({ wrtc, signalling }), webrtc({ wrtc, signalling })]
  let ticking: ReturnType<typeof setInterval> | undefined
  try {
    const met = Promise.all([nextConnection(alice), nextConnection(bob)])
    await joinAs(alice, 'alice')
    await joinAs(bob, 'bob')
    const [{ stream }] = await met
    const lasts = new Promise<string>((resolve) => {
      stream.on('close', () => resolve('it has ended'))
      let ticks = 0
      ticking = every(() => {
        clock.aheadMs += intervalMs
        if (++ticks === 200) resolve('it lasts')
      }, hereMs)
    })
    assert.is(await lasts, 'it lasts')
  } finally {
    clearInterval(ticking)
    await Promise.all([alice.close(), bob.close()])
    await port.close()
  }
})

async function joinAs(transport: Transport, name: string): Promise<void> {
  const topic = new Uint8Array(32).fill(9)
  await transport.open(deviceKeys(name))
  await transport.join(topic, { name: topic, key: new Uint8Array(32).fill(8) })
}

function nextConnection(transport: Transport): Promise<Connection> {
  return once<Connection>(
    (listener) => transport.on('connection', listener),
    15_000,
    'a connection'
  )
}

test.run()
