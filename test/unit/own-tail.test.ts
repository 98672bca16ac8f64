/** When a copy of a device has its answer: what members claim, and what its own signature bears out. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { platform } from '../../adapters/node/platform.ts'
import { signKeysFrom } from '../../lib/crypto.ts'
import { OwnTail } from '../../lib/log/own-tail.ts'
import type { Log } from '../../lib/log/log.ts'
import { LogStore } from '../../lib/log/store.ts'
import { HandClock } from './hand-clock.ts'

const test = suite('own tail')

const [bob, carol] = ['b0b', 'ca401']

/** Two logs of two blocks each in a store of their own, and the question about them. */
async function asking(): Promise<
  AsyncDisposable & { clock: HandClock; log: Log; tail: OwnTail; answers: number[] }
> {
  const folder = await mkdtemp(join(tmpdir(), 'skein-own-tail-'))
  const storage = await platform.openStorage(folder)
  const store = new LogStore(storage, platform.clock)
  await store.ready()
  const keys = signKeysFrom(new Uint8Array(32).fill(0x11))
  const space = new Uint8Array(32).fill(0x33)
  const logs: Log[] = []
  for (const core of ['control', 'content/0'] as const) {
    const log = await store.open({ space, device: keys.publicKey, core }, keys)
    await log.append([new Uint8Array([1]), new Uint8Array([2])])
    logs.push(log)
  }
  const log = logs[1]!
  const clock = new HandClock()
  const answers: number[] = []
  const isSettledBy = (): boolean => true
  const tail = new OwnTail({ clock, logs, isSettledBy, onAnswered: () => answers.push(log.length) })
  return {
    clock,
    log,
    tail,
    answers,
    async [Symbol.asyncDispose]() {
      tail.stop()
      await store.close()
      await storage.close()
      await rm(folder, { recursive: true })
    }
  }
}

test('nobody connected is no answer, however long that is so', async () => {
  await using asked = await asking()
  asked.clock.pass(3_600_000)
  assert.equal(asked.answers, [])
})

test('a member that holds nothing more is an answer, once', async () => {
  await using asked = await asking()
  asked.tail.came([bob])
  assert.equal(asked.answers, [])
  asked.tail.heard(bob, [{ log: asked.log.id, length: 2 }])
  asked.tail.heard(bob, [])
  assert.equal(asked.answers, [2])
})

test('one that holds more is an answer when the log is known to be as long', async () => {
  await using asked = await asking()
  asked.tail.heard(bob, [{ log: asked.log.id, length: 4 }])
  await asked.log.append([new Uint8Array([3])])
  assert.equal(asked.answers, [])
  await asked.log.append([new Uint8Array([4])])
  assert.equal(asked.answers, [4])
})

test('all who are connected are waited for, and who has gone is not', async () => {
  await using asked = await asking()
  asked.tail.came([bob, carol])
  asked.tail.heard(bob, [])
  assert.equal(asked.answers, [])
  asked.tail.heard(carol, [{ log: asked.log.id, length: 3 }])
  assert.equal(asked.answers, [])
  asked.tail.gone([carol])
  assert.equal(asked.answers, [2])
})

test('who leaves without a word has answered nothing', async () => {
  await using asked = await asking()
  asked.tail.came([bob])
  asked.tail.heard(bob, [{ log: asked.log.id, length: 3 }])
  asked.tail.gone([bob])
  asked.clock.pass(3_600_000)
  assert.equal(asked.answers, [])
})

test('a claim that no signature bears out, and silence, hold it up for a minute and no more', async () => {
  await using asked = await asking()
  asked.tail.came([bob])
  asked.tail.heard(carol, [{ log: asked.log.id, length: Number.MAX_SAFE_INTEGER }])
  asked.clock.pass(59_999)
  assert.equal(asked.answers, [])
  asked.clock.pass(1)
  assert.equal(asked.answers, [2])
})

test('who comes later is waited for as long', async () => {
  await using asked = await asking()
  asked.tail.came([bob])
  asked.clock.pass(59_000)
  asked.tail.came([carol])
  asked.clock.pass(59_000)
  assert.equal(asked.answers, [])
  asked.tail.heard(carol, [{ log: asked.log.id, length: 3 }])
  await asked.log.append([new Uint8Array([3])])
  assert.equal(asked.answers, [3])
})

test.run()
