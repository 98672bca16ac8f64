import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parseTrace } from '../../examples/demo/trace.ts'
import { generateHistory } from '../fixtures/concurrent-traces.ts'
import { applying } from './apply.ts'
import { coldSync } from './cold-sync.ts'
import { concurrent } from './concurrent.ts'
import { delayedLink } from './delayed-link.ts'
import { paper } from './history.ts'
import { ingest } from './ingest.ts'
import { small } from './inside.ts'
import { latency } from './latency.ts'
import { reopen } from './reopen.ts'

const test = suite('benchmarks')

test('what is ingested is what Yjs has', async () => {
  const { texts, log } = await ingest(await paper(300), 1)
  assert.is(texts.length, 1)
  assert.ok(log.entries > 0 && log.bytes > 0)
})

test('what is sealed, opened and validated is what Yjs has', async () => {
  const { texts, updates } = applying(await paper(300), 7, 1)
  assert.is(texts.length, 1)
  assert.ok(updates >= 300 / 7)
})

test('two who type at once end in the same text', async () => {
  const shape = { kind: 'live', authors: 2, transactions: 200 } as const
  const { agrees, entries } = await concurrent(parseTrace(generateHistory(1, shape)))
  assert.equal(agrees, [true, true])
  assert.ok(entries > 0)
})

test('a document reopens as it was, closed or killed before', async () => {
  const { texts } = await reopen(300, 1)
  assert.is(texts.length, 1)
})

test('a new device gets the whole text', async () => {
  const { texts, blocks } = await coldSync(300, 1)
  assert.is(texts.length, 1)
  assert.ok(blocks > 0)
})

test('every edit arrives over each link', async () => {
  const { pingPong, spaced } = await latency(5)
  for (const { count } of Object.values(spaced)) assert.is(count, 5)
  for (const { count } of Object.values(pingPong)) assert.is(count, 10)
})

test('edits arrive over a slow link, also after a reconnect', async () => {
  assert.ok((await delayedLink(1)).agrees)
})

test('a space is looked into, verified and carried', async () => {
  const { agrees, problems, entries } = await small(30)
  assert.ok(agrees)
  assert.is(problems, 0)
  assert.is(entries, 32)
})

test.run()
