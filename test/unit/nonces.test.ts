/**
 * No two blocks are sealed under one nonce: they are random, 24 bytes each. The long form, ten million in about a
 * minute and 200 MB: `NONCES=10000000 TEST_DEADLINE_MS=600000 npm test -- unit/nonces`.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { platform } from '../../adapters/node/platform.ts'
import { sealEntry } from '../../lib/log/entry.ts'

const count = Number(process.env['NONCES'] ?? 100_000)

const test = suite('nonces')

test(`${count} blocks, sealed for one place under one key, have ${count} nonces`, () => {
  const place = {
    space: new Uint8Array(32),
    device: new Uint8Array(32),
    core: 'content/0',
    seq: 0
  } as const
  const entry = { kind: 34, timeMs: 0, deps: [], body: new Uint8Array(8) }
  const key = new Uint8Array(32).fill(1)
  // Of ten million random ones, two agree in their first eight bytes once in 370,000 runs.
  const starts = new BigUint64Array(count)
  for (let i = 0; i < count; i++) {
    const [block] = sealEntry(entry, place, key, (length) => platform.randomBytes(length))
    starts[i] = new DataView(block!.buffer, block!.byteOffset + 33, 8).getBigUint64(0)
  }
  starts.sort()
  for (let i = 1; i < count; i++) assert.ok(starts[i] !== starts[i - 1], 'a nonce came again')
})

test.run()
