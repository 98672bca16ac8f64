import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import createTestnet from '@hyperswarm/testnet'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { runDht, type DhtAddress } from '../../adapters/dht.ts'
import { hyperswarm, type HyperswarmOptions } from '../../adapters/hyperswarm.ts'
import { testTransport } from '../../adapters/testing.ts'
import { SkeinError } from '../../lib/errors.ts'
import type { Connection, SecureStream, Transport } from '../../lib/transport.ts'
import { deadline, eventually, once } from '../events.ts'
import { deviceKeys, joinAs } from './hyperswarm-device.ts'

const test = suite('hyperswarm transport')

testTransport(test, {
  async create() {
    const dht = await runDht()
    const [a, b, c] = [device(dht), device(dht), device(dht)]
    return { a, b, c, end: () => dht.close() }
  }
})

test('devices meet on a DHT of several nodes, named as text', async () => {
  const testnet = await createTestnet(3)
  const bootstrap = testnet.bootstrap.map(({ host, port }) => `${host}:${port}`)
  const [alice, bob] = [hyperswarm({ bootstrap }), hyperswarm({ bootstrap })]
  const met = Promise.all([nextConnection(alice), nextConnection(bob)])
  await joinAs(alice, 'alice')
  await joinAs(bob, 'bob')
  const [atAlice, atBob] = await met
  assert.equal(hashOf(atAlice), hashOf(atBob))
  await Promise.all([alice.close(), bob.close()])
  await testnet.destroy()
})

// Which of two connections Hyperswarm keeps depends on who has the smaller key.
for (const name of ['bob', 'grace']) {
  test(`${name} is connected again within seconds of being killed and started again`, async () => {
    const dht = await runDht()
    const alice = device(dht)
    await joinAs(alice, 'alice')
    let hello = nextHello(alice, name)
    await using remote = startDevice(name, dht)
    for (let i = 0; i < 2; i++) {
      await hello
      hello = nextHello(alice, name)
      await remote.kill()
      remote.start()
      await remote.hasJoined()
      await deadline(hello, 20_000, 'a new connection')
    }
    await alice.close()
    await dht.close()
  })
}

test('devices meet once the DHT is there, and joining has not waited for it', async () => {
  const gone = await runDht()
  await gone.close()
  const [alice, bob] = [device(gone, { patienceMs: 50 }), device(gone, { patienceMs: 50 })]
  const met = Promise.all([nextConnection(alice, 40_000), nextConnection(bob, 40_000)])
  const startedAt = performance.now()
  await joinAs(alice, 'alice')
  await joinAs(bob, 'bob')
  assert.ok(performance.now() - startedAt < 1_000)
  const dht = await runDht({ port: gone.port })
  await met
  await Promise.all([alice.close(), bob.close()])
  await dht.close()
})

test('closing does not wait for a DHT that is gone', async () => {
  const dht = await runDht()
  const alice = device(dht, { patienceMs: 100 })
  await joinAs(alice, 'alice')
  await dht.close()
  await deadline(alice.close(), 2_000, 'the close')
})

test('a DHT that was started anew learns who is there', async () => {
  const before = await runDht()
  const alice = device(before, { announceMs: 300 })
  await joinAs(alice, 'alice')
  await before.close()
  const dht = await runDht({ port: before.port })
  const bob = device(dht, { announceMs: 3_600_000 })
  const met = nextConnection(bob)
  await joinAs(bob, 'bob')
  await met
  await Promise.all([alice.close(), bob.close()])
  await dht.close()
})

test('no more devices are connected than maxPeers', async () => {
  const dht = await runDht()
  const alice = device(dht, { maxPeers: 1 })
  const [bob, carol] = [device(dht), device(dht)]
  const [names, streams] = [new Set<string>(), new Set<SecureStream>()]
  let most = 0
  alice.on('connection', ({ stream }) => {
    streams.add(stream)
    most = Math.max(most, streams.size)
    stream.on('close', () => streams.delete(stream))
    names.add(hex(stream.remotePublicKey))
  })
  const met = nextConnection(alice)
  await joinAs(alice, 'alice')
  await joinAs(bob, 'bob')
  await met
  const bobMeetsCarol = nextConnection(bob)
  await joinAs(carol, 'carol')
  await bobMeetsCarol
  assert.is(names.size, 1)
  // There is room for carol when bob has gone.
  await bob.close()
  await eventually(() => names.size === 2, { deadlineMs: 15_000 })
  assert.is(most, 1)
  await Promise.all([alice.close(), carol.close()])
  await dht.close()
})

test('a firewall keeps a device away for as long as it says', async () => {
  const dht = await runDht()
  let isRefusing = true
  const isBob = (key: Uint8Array): boolean => hex(key) === hex(deviceKeys('bob').publicKey)
  const alice = device(dht, { firewall: (key) => isRefusing && isBob(key), announceMs: 300 })
  const [bob, carol] = [device(dht, { announceMs: 300 }), device(dht)]
  const remotes: Uint8Array[] = []
  alice.on('connection', ({ stream }) => remotes.push(stream.remotePublicKey))
  const met = nextConnection(alice)
  await joinAs(alice, 'alice')
  await joinAs(bob, 'bob')
  await joinAs(carol, 'carol')
  await met
  assert.not(remotes.some(isBob))
  isRefusing = false
  await eventually(() => remotes.some(isBob), { deadlineMs: 15_000 })
  await Promise.all([alice.close(), bob.close(), carol.close()])
  await dht.close()
})

test('what cannot work fails clearly', async () => {
  const dht = await runDht()
  assert.is((await failure(runDht({ port: dht.port }))).code, 'TRANSPORT_FAILED')
  assert.match((await failure(runDht({ port: dht.port }))).message, `port ${dht.port}`)
  assert.is((await failure(runDht({ host: '192.0.2.1' }))).code, 'TRANSPORT_FAILED')
  const elsewhere = device(dht, { host: '192.0.2.1' })
  assert.is((await failure(elsewhere.open(deviceKeys('alice')))).code, 'TRANSPORT_FAILED')
  await elsewhere.close()
  for (const bootstrap of [[], ['127.0.0.1'], [{ host: '', port: 1 }], ['127.0.0.1:99999']]) {
    assert.throws(
      () => hyperswarm({ bootstrap }),
      (error: unknown) => error instanceof TypeError
    )
  }
  await dht.close()
})

function device(dht: { bootstrap: DhtAddress[] }, options: HyperswarmOptions = {}): Transport {
  return hyperswarm({ bootstrap: dht.bootstrap, ...options })
}

function nextConnection(transport: Transport, deadlineMs = 15_000): Promise<Connection> {
  return once<Connection>(
    (listener) => transport.on('connection', listener),
    deadlineMs,
    'a connection'
  )
}

/** Resolves when the device has said hello over a connection that is yet to come. */
function nextHello(transport: Transport, name: string): Promise<void> {
  const hello = new Promise<void>((resolve) => {
    const stop = transport.on('connection', ({ stream }) => {
      if (hex(stream.remotePublicKey) !== hex(deviceKeys(name).publicKey)) return
      ;(stream as SecureStream & { on(event: 'data', listener: () => void): unknown }).on(
        'data',
        () => {
          stop()
          resolve()
        }
      )
    })
  })
  return deadline(hello, 60_000, `a hello of ${name}`)
}

function hashOf({ stream }: Connection): string {
  return hex(stream.handshakeHash)
}

async function failure(promise: Promise<unknown>): Promise<SkeinError> {
  const error = await promise.then(
    () => null,
    (error: unknown) => error
  )
  assert.instance(error, SkeinError)
  return error as SkeinError
}

/** A device in a process of its own, which ends with this one. */
function startDevice(name: string, dht: { bootstrap: DhtAddress[] }) {
  const path = fileURLToPath(new URL('./hyperswarm-device.ts', import.meta.url))
  const start = () => {
    const child = fork(path, [name, JSON.stringify(dht.bootstrap)])
    const joined = new Promise((resolve) => child.once('message', resolve))
    const exited = new Promise((resolve) => child.once('exit', resolve))
    return { child, joined, exited }
  }
  let running = start()
  const kill = async (): Promise<void> => {
    running.child.kill('SIGKILL')
    await deadline(running.exited, 20_000, `the end of ${name}'s process`)
  }
  return {
    kill,
    start: () => void (running = start()),
    hasJoined: () => deadline(running.joined, 30_000, `${name}'s start`),
    [Symbol.asyncDispose]: kill
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

test.run()
