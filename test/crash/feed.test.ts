/** The feed over a store that is opened again under it, and with logs that wait. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Emitter } from '../../lib/events.ts'
import { kinds, sealEntry, type Dep } from '../../lib/log/entry.ts'
import { Feed } from '../../lib/log/feed.ts'
import { logIdOf, type Log, type LogEvents } from '../../lib/log/log.ts'
import { deadline, eventually } from '../events.ts'

const test = suite('feed')
const key = new Uint8Array(32).fill(7)

test('reading stops while the store is opened again, goes on after it, and is nobody’s fault', async () => {
  const lab = new Lab()
  const bob = new FakeLog(1)
  bob.write([])
  bob.isAttached = false
  lab.feed.add(bob.asLog, 0)
  await lab.feed.settled()
  assert.is(lab.delivered.length, 0)
  bob.isAttached = true
  bob.progress()
  await lab.feed.settled()
  assert.is(lab.delivered.length, 1)
  assert.equal(lab.faults, [])
})

test('an entry waits for a tree hash that is not to be had now, which is no fork', async () => {
  const lab = new Lab()
  const [bob, carol] = [new FakeLog(1), new FakeLog(2)]
  bob.write([])
  carol.write([{ log: bob.id, length: 1, treeHash: bob.treeHash }])
  lab.feed.add(bob.asLog, 0)
  await lab.feed.settled()
  // Bob's log lost its end when the store was opened again.
  bob.hasTree = false
  lab.feed.add(carol.asLog, 0)
  await lab.feed.settled()
  assert.is(lab.delivered.length, 1)
  bob.isAttached = false
  lab.feed.wake()
  await lab.feed.settled()
  bob.isAttached = true
  bob.hasTree = true
  bob.progress()
  await lab.feed.settled()
  assert.is(lab.delivered.length, 2)
  assert.equal(lab.faults, [])
})

test('a log of which more waits than is read ahead leaves turns to others', async () => {
  const lab = new Lab()
  const [bob, carol] = [new FakeLog(1), new FakeLog(2)]
  const count = 1_500
  for (let i = 0; i < count; i++) {
    carol.write(i === 0 ? [{ log: bob.id, length: 1, treeHash: bob.treeHash }] : [])
  }
  lab.feed.add(carol.asLog, 0)
  await deadline(lab.feed.settled(), 20_000, 'a feed that is done for now')
  assert.is(lab.delivered.length, 0)
  bob.write([])
  lab.feed.add(bob.asLog, 0)
  await eventually(() => lab.delivered.length === count + 1)
})

test.run()

class Lab {
  readonly delivered: string[] = []
  readonly faults: string[] = []
  readonly feed = new Feed({
    keyOf: () => key,
    kept: () => Number.POSITIVE_INFINITY,
    isForked: () => false,
    onProof: () => false,
    declares: () => true,
    deliver: ({ device }) => this.delivered.push(device),
    onPassedOver: () => {},
    onInvalid: (_device, _log, _seq, error) => this.faults.push(String(error)),
    onReadFailed: (error) => this.faults.push(String(error)),
    onForkEvidence: () => this.faults.push('fork'),
    yieldTurn: () => new Promise((resolve) => setImmediate(resolve))
  })
}

/** What `Feed` uses of a log. */
class FakeLog extends Emitter<LogEvents> {
  readonly name: Log['name']
  readonly id: string
  readonly treeHash = '0011223344556677'
  readonly blocks: Uint8Array[] = []
  isAttached = true
  hasTree = true

  constructor(device: number) {
    super()
    this.name = {
      space: new Uint8Array(32),
      device: new Uint8Array(32).fill(device),
      core: 'content/0'
    }
    this.id = logIdOf(this.name)
  }

  get asLog(): Log {
    return this as unknown as Log
  }

  get length(): number {
    return this.blocks.length
  }

  get contiguousLength(): number {
    return this.blocks.length
  }

  write(deps: Dep[]): void {
    const entry = { kind: kinds.edit, timeMs: 0, deps, body: new Uint8Array(4) }
    const place = { ...this.name, seq: this.blocks.length }
    this.blocks.push(...sealEntry(entry, place, key, (length) => new Uint8Array(length)))
  }

  progress(): void {
    this.emit('progress', {})
  }

  async get(index: number): Promise<Uint8Array | null> {
    if (!this.isAttached) throw new Error('Detached')
    return this.blocks[index] ?? null
  }

  async treeHashAt(): Promise<string | null> {
    if (!this.isAttached) throw new Error('Detached')
    return this.hasTree ? this.treeHash : null
  }
}
