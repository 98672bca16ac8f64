/** Two members that only know a third one connect to each other, introduced by it over the connections they have. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { webrtc } from '../../adapters/webrtc.ts'
import { listen, websocket } from '../../adapters/websocket.ts'
import { Skein, SkeinError, type Introduction } from '../../lib/index.ts'
import {
  Introducer,
  type IntroducerOptions,
  type IntroducingPeer
} from '../../lib/sync/introducer.ts'
import { waitMs, until } from '../devices.ts'
import { deadline } from '../events.ts'
import { wrtc } from '../wrtc.ts'

const test = suite('introducer')

test('two devices that dial the same third one connect directly, and stay so when it goes', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-introducer-'))
  const port = await listen()
  const carol = new Skein({ storage: join(folder, 'carol'), transports: [websocket({ port })] })
  const [alice, bob] = ['alice', 'bob'].map(
    (name) =>
      new Skein({
        storage: join(folder, name),
        name,
        transports: [websocket({ urls: [port.url] }), webrtc({ wrtc })]
      })
  ) as [Skein, Skein]
  try {
    const met = Promise.all(
      [alice, bob].map(
        (skein) =>
          new Promise<void>((resolve) => {
            skein.on('connection', ({ transport }) => transport === 'webrtc' && resolve())
          })
      )
    )
    const space = await carol.createSpace({ name: 'Notes' })
    const [atAlice, atBob] = await Promise.all(
      [alice, bob].map(async (skein) => skein.join(await space.invite()))
    )
    await deadline(met, waitMs, 'alice and bob are connected by WebRTC')
    await carol.close()
    await port.close()

    const [note, same] = [await atAlice!.open('ideas'), await atBob!.open('ideas')]
    const text = same.doc.getText('body')
    note.doc.getText('body').insert(0, 'with nobody between us')
    await deadline(
      until(
        (look) => {
          text.observe(look)
          return () => text.unobserve(look)
        },
        () => text.toString() === 'with nobody between us'
      ),
      waitMs,
      "alice's text at bob's"
    )
    assert.equal(alice.peers, [bob.id])
  } finally {
    await Promise.all([alice.close(), bob.close(), carol.close()])
    await port.close()
    await rm(folder, { recursive: true })
  }
})

/** Devices by numbers; what they send goes through `deliver`. */
class Net {
  readonly introducers = new Map<string, Introducer>()
  readonly linked = new Set<string>()
  readonly calls: string[] = []
  readonly timers: { atMs: number; run: () => void }[] = []
  nowMs = 0

  add(name: string, options: Partial<IntroducerOptions> = {}): Introducer {
    const peers = (): IntroducingPeer[] =>
      [...this.introducers.keys()]
        .filter((other) => this.isLinked(name, other))
        .map((other) => this.peer(name, other))
    const introducer = new Introducer({
      clock: {
        now: () => this.nowMs,
        soon: (run) => run(),
        after: (delayMs, run) => {
          const timer = { atMs: this.nowMs + delayMs, run }
          this.timers.push(timer)
          return () => void this.timers.splice(this.timers.indexOf(timer) >>> 0, 1)
        }
      },
      me: name,
      peers,
      isConnected: (other) => this.isLinked(name, other),
      near: ({ device }) =>
        new Set([...this.introducers.keys()].filter((other) => this.isLinked(device, other))),
      isMember: () => true,
      transport: () => ({
        call: () => Promise.resolve(this.introduction(name)),
        answer: (line) => {
          this.calls.push(`${name} answers ${line}`)
          return Promise.resolve(`answer to ${line}`)
        }
      }),
      ...options
    })
    this.introducers.set(name, introducer)
    return introducer
  }

  peer(from: string, to: string): IntroducingPeer {
    return {
      device: to,
      sendIntroduction: (bytes) => {
        this.introducers.get(to)!.receive(this.peer(to, from), bytes)
      }
    }
  }

  introduction(name: string): Introduction {
    let end = (): void => {}
    const ended = new Promise<void>((resolve) => (end = resolve))
    return {
      text: `call of ${name}`,
      complete: (answer) => {
        this.calls.push(`${name} takes ${answer}`)
        return Promise.resolve()
      },
      close: end,
      ended
    }
  }

  link(a: string, b: string): void {
    this.linked.add(`${a} ${b}`).add(`${b} ${a}`)
    for (const introducer of this.introducers.values()) introducer.changed()
  }

  isLinked(a: string, b: string): boolean {
    return this.linked.has(`${a} ${b}`)
  }

  /** Lets the time go on to each timer in turn, with what follows from it. */
  async pass(ms: number): Promise<void> {
    const endMs = this.nowMs + ms
    for (;;) {
      const [next] = this.timers.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)
      if (next === undefined) break
      this.timers.splice(this.timers.indexOf(next), 1)
      this.nowMs = next.atMs
      next.run()
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.nowMs = endMs
  }
}

const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(64)) as [
  string,
  string,
  string,
  string
]

test('the smaller key calls, once, through a peer that has both', async () => {
  const net = new Net()
  for (const name of [a, b, c]) net.add(name)
  net.link(a, c)
  net.link(b, c)
  await net.pass(1_000)
  assert.equal(net.calls, [`${b} answers call of ${a}`, `${a} takes answer to call of ${a}`])
})

test('nobody is called who is connected, is no member, or takes no introductions', async () => {
  const net = new Net()
  net.add(a, { isMember: (device) => device !== b })
  for (const name of [b, c]) net.add(name)
  net.add(d, { transport: () => null })
  net.link(a, c)
  net.link(b, c)
  net.link(d, c)
  net.link(b, d)
  await net.pass(1_000)
  assert.equal(net.calls, [])
})

test('a call that comes to nothing is made again, later and later', async () => {
  const net = new Net()
  for (const name of [a, b, c]) net.add(name)
  net.link(a, c)
  net.link(b, c)
  const count = (): number => net.calls.filter((call) => call.includes('answers')).length
  await net.pass(40_000)
  assert.is(count(), 2)
  await net.pass(10 * 60_000)
  assert.ok(count() > 5 && count() < 12, `${count()} calls in eleven minutes`)
})

test('a peer passes on only what its author sent it', () => {
  const net = new Net()
  for (const name of [a, b, c, d]) net.add(name)
  net.link(c, d)
  net.link(b, c)
  const forged = message(0, a, b)
  net.introducers.get(c)!.receive(net.peer(c, d), forged)
  assert.equal(net.calls, [])
})

test('calls beyond what a device answers are refused', async () => {
  const net = new Net()
  const refused: number[] = []
  const bob = net.add(b)
  const flooding: IntroducingPeer = {
    device: c,
    sendIntroduction: (bytes) => void (bytes[1] === 2 && refused.push(bytes[1]))
  }
  for (let i = 0; i < 100; i++) bob.receive(flooding, message(0, a, b))
  await net.pass(1)
  assert.is(net.calls.length, 4)
  assert.is(refused.length, 96)
})

test('what is no introduction ends the connection, and another version is passed over', () => {
  const net = new Net()
  const bob = net.add(b)
  const peer = net.peer(b, b)
  for (const bytes of [message(3, a, b), message(0, a, b).subarray(0, 60)]) {
    assert.throws(
      () => bob.receive(peer, bytes),
      (error: unknown) => error instanceof SkeinError && error.code === 'BAD_ENCODING'
    )
  }
  bob.receive(peer, Uint8Array.of(2, 9, 9))
})

function message(kind: number, from: string, to: string): Uint8Array {
  const devices = Buffer.from(from + to, 'hex')
  const line = Buffer.from('line')
  return Uint8Array.from([1, kind, ...devices, 1, line.length, ...line])
}

test.run()
