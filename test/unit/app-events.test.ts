/** Application events: their order, what they say, and waiting for those that come. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MemoryNetwork } from '../../adapters/memory.ts'
import type { AppEntry, Space } from '../../lib/index.ts'
import { deadline, once } from '../events.ts'
import { device, rejects, spaceOf, waitMs } from '../devices.ts'

const test = suite('application events')

async function collect(space: Space, type?: string): Promise<unknown[]> {
  const values: unknown[] = []
  for await (const { value } of space.entries(type === undefined ? {} : { type }))
    values.push(value)
  return values
}

test('application events come in causal order on every device', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice, bob, carol)
  for (let i = 0; i < 6; i++) {
    const [from, to] = i % 2 === 0 ? [alice.space, bob.space] : [bob.space, alice.space]
    const heard = once<{ entry: AppEntry }>(
      (listener) => to.on('entry', listener),
      waitMs,
      'an event'
    )
    await from.append('count', i)
    assert.is((await heard).entry.value, i)
  }
  let last: unknown = null
  for await (const { value } of carol.space.entries({ live: true })) if ((last = value) === 5) break
  assert.is(last, 5)
  for (const one of [space, bob.space, carol.space]) {
    assert.equal(await collect(one), [0, 1, 2, 3, 4, 5])
  }
  assert.equal(await collect(space, 'other'), [])
  await carol.restart()
  assert.equal(await collect(carol.space), [0, 1, 2, 3, 4, 5])
})

test('an event says who wrote it, and has the same id everywhere', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const heard = once<{ entry: AppEntry }>(
    (listener) => bob.space.on('entry', listener),
    waitMs,
    'the event'
  )
  const written = await space.append('paid', { amount: 5, to: ['bob'] })
  const { entry } = await heard
  assert.equal(entry, written)
  assert.is(entry.device, alice.id)
  assert.equal(entry.value, { amount: 5, to: ['bob'] })
})

test('a live iteration goes on with what comes, and ends when its signal fires', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  await space.append('count', 0)
  const stop = new AbortController()
  const values: unknown[] = []
  const iterating = (async () => {
    for await (const { value } of bob.space.entries({ live: true, signal: stop.signal })) {
      values.push(value)
      if (value === 2) stop.abort()
      else await space.append('count', (value as number) + 1)
    }
  })()
  await deadline(iterating, waitMs, 'the iteration ends')
  assert.equal(values, [0, 1, 2])
})

test('a live iteration that waits ends when its signal fires, and when the space is closed', async () => {
  await using alice = await device('alice')
  const space = await spaceOf(alice)
  const stop = new AbortController()
  const ends = [
    space.entries({ live: true, signal: stop.signal }).next(),
    space.entries({ live: true }).next()
  ]
  stop.abort()
  assert.is((await deadline(ends[0]!, waitMs, 'the aborted one ends')).done, true)
  await space.close()
  assert.is((await deadline(ends[1]!, waitMs, 'the other ends')).done, true)
})

test('an iteration that was aborted before it began fails with ABORTED', async () => {
  await using alice = await device('alice')
  const space = await spaceOf(alice)
  await rejects(space.entries({ signal: AbortSignal.abort() }).next(), 'ABORTED')
})

test.run()
