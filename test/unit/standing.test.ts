// Peers that break the protocol, or send more than anyone has reason to: they lose their connection, and then are kept out.
import { randomBytes } from 'node:crypto'
import Protomux from 'protomux'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { platform } from '../../adapters/node/platform.ts'
import { listen, websocket } from '../../adapters/websocket.ts'
import { Skein, type ErrorCode, type SecureStream, type Transport } from '../../lib/index.ts'
import { Meter, Standing } from '../../lib/sync/standing.ts'
import {
  device,
  spaceOf,
  until,
  waitMs,
  whenPeer,
  whenSynced,
  whenText,
  type Device,
  type MuxChannel
} from '../devices.ts'
import { deadline, eventually } from '../events.ts'
import { scratch } from '../crash/lab.ts'

const test = suite('standing')

/** Time that passes when it is told to. */
function movable(): { clock: typeof platform.clock; pass(ms: number): void } {
  let aheadMs = 0
  const { clock } = platform
  return {
    clock: {
      now: () => clock.now() + aheadMs,
      soon: (callback) => clock.soon(callback),
      after: (ms, callback) => clock.after(ms, callback)
    },
    pass: (ms) => (aheadMs += ms)
  }
}

test('the third fault in ten minutes keeps a device out, for twice as long each time', () => {
  const time = movable()
  const standing = new Standing(time.clock)
  const minuteMs = 60_000
  const isOut = (): boolean => standing.bannedUntil('mallory') !== null
  assert.is(standing.fault('mallory', false), null)
  time.pass(11 * minuteMs)
  assert.is(standing.fault('mallory', false), null)
  assert.is(standing.fault('mallory', false), null)
  assert.not.ok(isOut())
  for (const minutes of [1, 2, 4, 8, 16, 32, 60, 60]) {
    assert.is(standing.fault('mallory', true)?.code, 'PEER_BANNED')
    time.pass(minutes * minuteMs - 5_000)
    assert.ok(isOut(), `${minutes} minutes`)
    time.pass(10_000)
    assert.not.ok(isOut())
  }
  assert.is(standing.bannedUntil('alice'), null)
})

test('a burst is let through, a flood is not, and room comes back with time', () => {
  const time = movable()
  const meter = new Meter(time.clock)
  for (let i = 0; i < 19_000; i++) assert.ok(meter.take(100))
  let taken = 0
  while (meter.take(100)) taken++
  assert.ok(taken < 3_000)
  time.pass(10_000)
  for (let i = 0; i < 9_000; i++) assert.ok(meter.take(100))
  const large = new Meter(time.clock)
  let bytes = 0
  while (large.take(1_000_000)) bytes += 1_000_000
  assert.ok(bytes > 60e6 && bytes < 70e6)
})

test('a member that sends what is malformed is out after the third time, alone, and comes back in time', async () => {
  const network = new MemoryNetwork()
  const time = movable()
  await using alice = await device('alice', network, { clock: time.clock })
  await using bob = await device('bob', network)
  await using mallory = await device('mallory', network)
  const space = await spaceOf(alice, bob, mallory)
  const codes = errorsOf(alice, mallory.id)
  for (let fault = 0; fault < 3; fault++) {
    await whenPeer(space, mallory)
    await eventually(() => spaceChannel(mallory, alice) !== undefined, { deadlineMs: waitMs })
    spaceChannel(mallory, alice)!.messages[0]!.send(Uint8Array.of(1, 2, 3))
    await eventually(() => codes.filter((code) => code === 'BAD_ENCODING').length > fault, {
      deadlineMs: waitMs
    })
  }
  assert.equal(codes, ['BAD_ENCODING', 'BAD_ENCODING', 'BAD_ENCODING', 'PEER_BANNED'])
  await whenPeer(space, mallory, false)
  // It dials again, and is not let in; bob is not concerned.
  const note = await space.open('ideas')
  note.doc.getText('body').insert(0, 'on we go')
  await whenText((await bob.space.open('ideas')).doc, 'on we go')
  assert.equal(space.peers, [bob.id])
  await mallory.restart()
  assert.not.ok(space.peers.includes(mallory.id))
  time.pass(61_000)
  await mallory.restart()
  await whenPeer(space, mallory)
  await whenSynced(mallory.space)
})

test('over sockets: a flood of messages, and channels that nobody knows, end with whoever sent them', async () => {
  using place = scratch('standing')
  await using port = await portOf()
  const open = (name: string, transport: Transport): Skein =>
    new Skein({ storage: `${place.path}/${name}`, name, transports: [transport] })
  const streams: SecureStream[] = []
  const dialling = websocket({ urls: [port.url] })
  dialling.on('connection', ({ stream }) => streams.push(stream))
  await using alice = open('alice', websocket({ port }))
  await using bob = open('bob', websocket({ urls: [port.url] }))
  await using mallory = open('mallory', dialling)
  const space = await alice.createSpace({ name: 'Notes' })
  const bobs = await bob.join(await space.invite(), { timeoutMs: waitMs })
  await mallory.join(await space.invite(), { timeoutMs: waitMs })
  const codes: ErrorCode[] = []
  alice.on('peer-error', ({ device, error }) => device === mallory.id && codes.push(error.code))

  // A stranger to the space could do this much.
  const mux = Protomux.from(streams.at(-1)!)
  for (let i = 0; i < 20_000; i++) {
    const channel = mux.createChannel({
      protocol: 'skein/space/1',
      id: randomBytes(32),
      onclose() {}
    })
    channel?.open()
    if (i % 500 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await synced(space, bobs, 'through it all')

  const channel = [...(mux as unknown as Iterable<MuxChannel>)].find(
    ({ protocol, opened, closed }) => protocol === 'skein/space/1' && opened && !closed
  )!
  for (let i = 0; i < 60_000 && !streams.at(-1)!.destroyed; i++) {
    channel.messages[2]!.send(randomBytes(8))
    if (i % 500 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await eventually(() => codes.includes('PEER_BANNED'), { deadlineMs: waitMs })
  await until(
    (listener) => space.on('peers', listener),
    () => !space.peers.includes(mallory.id)
  )
  await synced(space, bobs, 'and afterwards')
  assert.ok(space.peers.includes(bob.id))
})

test('a large first sync, and many documents opened at once, are no flood', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  await bob.skein.close()
  const names = Array.from({ length: 1_500 }, (_, i) => `note ${i}`)
  for (const name of names) {
    const document = await space.open(name)
    document.doc.getText('body').insert(0, name)
    await document.close()
  }
  await space.saved()
  await bob.start()
  const codes = [...errorsOf(alice, bob.id), ...errorsOf(bob, alice.id)]
  await whenSynced(bob.space)
  const open = await Promise.all(names.slice(0, 300).map((name) => bob.space.open(name)))
  for (const { doc, awareness } of open) {
    awareness.setLocalStateField('user', { name: 'bob' })
    doc.getText('body').insert(0, '! ')
  }
  await deadline(bob.space.saved({ peers: 1 }), waitMs, 'alice has it all')
  assert.equal(codes, [])
  assert.equal(space.peers, [bob.id])
})

test('over sockets: a device with many spaces draws no warning of Node’s', async () => {
  using place = scratch('standing')
  await using port = await portOf()
  const open = (name: string, transport: Transport): Skein =>
    new Skein({ storage: `${place.path}/${name}`, name, transports: [transport] })
  await using alice = open('alice', websocket({ port }))
  await using bob = open('bob', websocket({ urls: [port.url] }))
  const warnings: string[] = []
  const warn = (warning: Error): number => warnings.push(`${warning.name}: ${warning.message}`)
  process.on('warning', warn)
  for (let i = 0; i < 12; i++) await alice.createSpace({ name: `Notes ${i}` })
  const space = alice.spaces()[0]!
  await synced(space, await bob.join(await space.invite(), { timeoutMs: waitMs }), 'all is there')
  process.off('warning', warn)
  assert.equal(warnings, [])
})

function errorsOf(device: Device, of: string): ErrorCode[] {
  const codes: ErrorCode[] = []
  device.skein.on('peer-error', ({ device: peer, error }) => peer === of && codes.push(error.code))
  return codes
}

function spaceChannel(from: Device, to: Device): MuxChannel | undefined {
  return from.channelsTo(to).find(({ protocol, opened }) => protocol === 'skein/space/1' && opened)
}

async function portOf(): Promise<Awaited<ReturnType<typeof listen>> & AsyncDisposable> {
  const port = await listen()
  return Object.assign(port, { [Symbol.asyncDispose]: () => port.close() })
}

type OpenSpace = ReturnType<Skein['space']>

async function synced(a: OpenSpace, b: OpenSpace, name: string): Promise<void> {
  const note = await a.open(name)
  note.doc.getText('body').insert(0, name)
  await whenText((await b.open(name)).doc, name)
}

test.run()
