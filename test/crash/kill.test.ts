/**
 * kill -9 while a device writes, again and again: the store opens each time, every acknowledged edit is there, none
 * twice, and a peer that receives everything over a private DHT never sees two versions of a log.
 *
 *   CRASH_CYCLES=100 TEST_DEADLINE_MS=1200000 npm test -- crash/kill     the long form; 10 cycles otherwise
 *   SEED=…                                                               repeats a run's moments
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { runDht } from '../../adapters/dht.ts'
import { hyperswarm } from '../../adapters/hyperswarm.ts'
import { Skein } from '../../lib/index.ts'
import { eventually } from '../events.ts'
import { DeviceProcess } from './device.ts'
import { Acknowledged, random, scratch, seedOf } from './lab.ts'

const cycles = Number(process.env['CRASH_CYCLES'] ?? 10)
const documents = ['plans', 'minutes', 'ideas', 'list']

const test = suite('kill -9')

test('every acknowledged edit survives kill -9 at any moment, and no log forks', async () => {
  const choose = random(seedOf('crash/kill'))
  using folder = scratch('kill')
  const dht = await runDht()
  const { bootstrap } = dht
  await using alice = new DeviceProcess({
    folder: `${folder.path}/alice`,
    name: 'alice',
    documents,
    bootstrap
  })
  await using bob = new Skein({
    storage: `${folder.path}/bob`,
    name: 'bob',
    transports: [hyperswarm({ bootstrap })]
  })
  const { id } = await alice.open()
  await alice.ask({ do: 'create' }, 'done')
  const { invite } = await alice.ask({ do: 'invite' }, 'invite')
  await bob.ready()
  const space = await bob.join(invite)
  let forks = 0
  let met = 0
  space.on('fork', () => forks++)
  space.on('peers', ({ added }) => (met += added.length))
  const faultsAtBob: string[] = []
  space.on('peer-error', ({ error }) => faultsAtBob.push(String(error)))
  await alice.kill()

  const acknowledged = new Acknowledged()
  let killedWhileOpening = 0
  alice.on((report) => {
    if (report.kind === 'saved') acknowledged.add(report.document, report.token)
  })
  for (let cycle = 0; cycle < cycles; cycle++) {
    // One in six is killed while it opens, perhaps in the middle of taking back what the last kill cost.
    if (choose() < 1 / 6) {
      killedWhileOpening++
      alice.start()
      await alice.next('opening')
      await after(choose() * 150)
      await alice.kill()
    }
    const { texts, readOnly, ...opened } = await alice.open()
    // Another device, or none of its spaces: then the folder is not the one it was.
    assert.equal(
      opened,
      { kind: 'open', id, spaces: 1 },
      `after cycle ${cycle}: ${alice.failures.join()}`
    )
    assert.equal(acknowledged.faultsIn(texts), [], `after cycle ${cycle}`)
    assert.not(readOnly)
    const wanted = acknowledged.count + Math.floor(1 + choose() * 300)
    const enough = new Promise<void>((resolve) => {
      const stop = alice.on(() => {
        if (acknowledged.count < wanted) return
        stop()
        resolve()
      })
    })
    alice.tell({ do: 'write', run: cycle, padding: choose() < 0.2 ? 2_000 : 10 })
    await enough
    // Not at the moment of an acknowledgement, where nothing is being written.
    await after(choose() * 20)
    await alice.kill()
  }

  const { texts } = await alice.open()
  assert.equal(acknowledged.faultsIn(texts), [], 'after the last kill')
  for (const [name, text] of Object.entries(texts)) {
    const document = await bob.space(space.id).open(name)
    await eventually(() => document.doc.getText().toJSON() === text, {
      deadlineMs: 20_000,
      what: `alice's text of ${name} at bob's`
    })
  }
  assert.equal(alice.failures, [])
  assert.equal(faultsAtBob, [])
  assert.is(forks, 0)
  assert.ok(met > 0, 'bob never met alice')
  await alice.close()
  await bob.close()
  await dht.close()
  console.log(
    `${cycles} cycles, ${killedWhileOpening} kills while opening, ${acknowledged.count} acknowledged edits, ` +
      `0 lost, bob met alice ${met} times`
  )
})

test.run()

/** The moment of a kill is the one thing here that is a matter of time. */
function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
