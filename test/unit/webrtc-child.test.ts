/** WebRTC in Node with its engine in a process of its own: what a transport promises, and what a crash of the engine does. */
import { spawn } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { testTransport } from '../../adapters/testing.ts'
import { webrtc, type WebRtcTransport } from '../../adapters/webrtc.ts'
import { listen } from '../../adapters/websocket.ts'
import { Skein, SkeinError, type Connection, type Transport } from '../../lib/index.ts'
import { scratch } from '../crash/lab.ts'
import { until, waitMs, whenText } from '../devices.ts'
import { deadline, eventually, once } from '../events.ts'
import { deviceKeys } from './hyperswarm-device.ts'

const test = suite('webrtc in a process of its own')

const wrtc = '@roamhq/wrtc'
const topic = new Uint8Array(32).fill(9)
const rendezvous = { name: topic, key: new Uint8Array(32).fill(8) }

testTransport(test, {
  async create() {
    const port = await listen()
    const make = (): WebRtcTransport => webrtc({ signalling: [port.url], wrtc })
    return { a: make(), b: make(), c: make(), end: () => port.close() }
  }
})

test('devices introduced by two texts meet, and what is no text is refused', async () => {
  const [alice, bob] = [webrtc({ wrtc }), webrtc({ wrtc })]
  await joinAs(alice, 'alice')
  await joinAs(bob, 'bob')
  const met = Promise.all([nextConnection(alice), nextConnection(bob)])
  const call = await alice.call()
  await fails(bob.answer('hello'), 'BAD_ENCODING')
  await fails(call.complete('hello'), 'BAD_ENCODING')
  await call.complete(await bob.answer(call.text))
  const [atAlice, atBob] = await met
  assert.equal([...atAlice.stream.handshakeHash], [...atBob.stream.handshakeHash])
  const given = await alice.call()
  given.close()
  await deadline(given.ended, waitMs, 'the end of a call')
  await Promise.all([alice.close(), bob.close()])
})

test('an engine that is not installed, or is none, is named', async () => {
  for (const name of ['no-such-engine', fileURLToPath(import.meta.resolve('yjs'))]) {
    const transport = webrtc({ wrtc: name })
    await fails(transport.open(deviceKeys('alice')), 'TRANSPORT_FAILED', name)
    await transport.close()
  }
})

test('an engine that is killed takes nothing along: it is begun anew, and nothing is lost', async () => {
  using place = scratch('webrtc-child')
  const port = await listen()
  const open = (name: string): Skein =>
    new Skein({
      storage: `${place.path}/${name}`,
      name,
      transports: [webrtc({ signalling: [port.url], wrtc })]
    })
  const [alice, bob] = [open('alice'), open('bob')]
  try {
    await Promise.all([alice.ready(), bob.ready()])
    const before = engines()
    assert.is(before.length, 2)
    const space = await alice.createSpace({ name: 'Notes' })
    const joined = await bob.join(await space.invite(), { timeoutMs: waitMs })
    const note = await space.open('ideas')
    const body = note.doc.getText('body')
    body.insert(0, 'one')
    const same = await joined.open('ideas')
    await whenText(same.doc, 'one')
    for (const word of [' two', ' three']) {
      for (const pid of engines()) process.kill(pid, 'SIGKILL')
      await until(
        (listener) => space.on('peers', listener),
        () => space.peers.length === 0
      )
      body.insert(body.length, word)
      await deadline(note.saved({ peers: 1 }), waitMs, `bob holds "${word}"`)
    }
    await whenText(same.doc, 'one two three')
    assert.is(engines().length, 2)
    assert.not.ok(engines().some((pid) => before.includes(pid)))
  } finally {
    await Promise.all([alice.close(), bob.close()])
    await port.close()
  }
  assert.equal(engines(), [])
})

test('the engine ends with its device, however that ends', async () => {
  const source = `
    import { webrtc } from '${new URL('../../adapters/webrtc.ts', import.meta.url).href}'
    const transport = webrtc({ wrtc: '@roamhq/wrtc' })
    await transport.open({ publicKey: new Uint8Array(32), secretKey: new Uint8Array(64) })
    console.log('open')`
  const args = ['-C', 'source', '--import', 'tsx', '--input-type=module', '--eval', source]
  const child = spawn(process.execPath, args, {
    cwd: fileURLToPath(new URL('../..', import.meta.url))
  })
  await deadline(
    new Promise((resolve) => child.stdout.once('data', resolve)),
    waitMs,
    'an open transport'
  )
  assert.is(engines(child.pid).length, 1)
  const [engine] = engines(child.pid)
  child.kill('SIGKILL')
  await eventually(() => !isRunning(engine!), { deadlineMs: waitMs })
})

/** Processes with an engine that a process has begun, this one by default. */
function engines(parent = process.pid): number[] {
  const pids = readdirSync('/proc').map(Number).filter(Boolean)
  return pids.filter((pid) => {
    const [command, stat] = [read(`/proc/${pid}/cmdline`), read(`/proc/${pid}/stat`)]
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const isGone = fields[0] === 'Z'
    return command.includes('engine-process') && Number(fields[1]) === parent && !isGone
  })
}

function isRunning(pid: number): boolean {
  return read(`/proc/${pid}/cmdline`).includes('engine-process')
}

/** '' where the process has just ended. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

async function joinAs(transport: Transport, name: string): Promise<void> {
  await transport.open(deviceKeys(name))
  await transport.join(topic, rendezvous)
}

function nextConnection(transport: Transport): Promise<Connection> {
  return once<Connection>(
    (listener) => transport.on('connection', listener),
    waitMs,
    'a connection'
  )
}

async function fails(promise: Promise<unknown>, code: string, text = ''): Promise<void> {
  const error = await promise.then(
    () => null,
    (cause: unknown) => cause
  )
  assert.ok(error instanceof SkeinError && error.code === code, String(error))
  assert.match(error.message, text)
}

test.run()
