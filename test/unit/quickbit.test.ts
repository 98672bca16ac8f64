import quickbit from 'quickbit-universal/fallback'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Index } from '../../adapters/browser/quickbit.ts'
import { randomBelow } from '../fuzz/random-edits.ts'

const test = suite('a page’s quickbit')

const segmentBytes = 262_144
const words = 4_096

test('its index skips what the package’s own skips, when it is made and after changes', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const below = randomBelow(seed)
    const field = new Uint32Array(words)
    const change = (): void => {
      const start = below(words * 32)
      const end = Math.min(words * 32, start + 1 + below(4_000))
      quickbit.fill(field, below(3) > 0, start, end)
      for (let bit = start - (start % 128); bit < end; bit += 128) {
        ours?.update(bit)
        theirs?.update(bit)
      }
    }
    let ours: ReturnType<typeof Index.from> | null = null
    let theirs: ReturnType<typeof quickbit.Index.from> | null = null
    for (let i = 0; i < seed; i++) change()
    ours = Index.from(field, segmentBytes)
    theirs = quickbit.Index.from(field, segmentBytes)
    for (let i = 0; i < 10; i++) {
      assert.equal(ours.handle, theirs.handle, `seed ${seed}, after ${i} changes`)
      change()
    }
    for (let i = 0; i < 50; i++) {
      const [value, position] = [below(2) === 1, below(segmentBytes * 8)]
      assert.is(ours.skipFirst(value, position), theirs.skipFirst(value, position))
      assert.is(ours.skipLast(value, position), theirs.skipLast(value, position))
    }
  }
})

test('it makes the package’s own over a peer’s chunks', () => {
  const chunk = { field: new Uint32Array(words).fill(0xffff_ffff, 0, 8), offset: words * 4 }
  const index = Index.from([chunk], segmentBytes)
  assert.is(index.skipFirst(false, 0), words * 32)
  assert.is(index.skipFirst(true, words * 32), words * 32 + 256)
})

test('what lies beyond the field is all zeros, also when it is asked to look there', () => {
  const field = new Uint32Array(4).fill(0xffff_ffff)
  const index = Index.from(field, segmentBytes)
  assert.is(index.skipFirst(true, 0), 128)
  index.update(128)
  assert.is(index.skipFirst(true, 0), 128)
})

test.run()
