import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { browser } from './browser.ts'
import { paper } from './history.ts'

const test = suite('benchmarks in a page')

test('a page opens what was written in it, and y-indexeddb the same', async () => {
  const { appends, open } = await browser(await paper(300), {
    rounds: 1,
    appends: 3,
    longEdits: 50
  })
  assert.is(appends.skein.count, 3)
  assert.ok(open.length > 0)
})

test.run()
