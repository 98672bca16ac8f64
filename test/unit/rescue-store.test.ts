/** What is to be written again is kept. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { platform } from '../../adapters/node/platform.ts'
import { LogStore } from '../../lib/log/store.ts'
import { RescueStore, type Rescued } from '../../lib/rescue-store.ts'

const test = suite('rescue store')

test('what is kept at the same time is all kept', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-rescue-'))
  const storage = await platform.openStorage(folder)
  const store = new LogStore(storage, platform.clock)
  await store.ready()
  const rescue = new RescueStore(() => store.database, new Uint8Array(32).fill(0x33))
  const entries = Array.from({ length: 5 }, (_, i): Rescued => {
    return { what: 'entry', kind: 34, body: Uint8Array.of(i) }
  })
  await Promise.all(entries.map((entry) => rescue.add([entry])))
  assert.equal(
    (await rescue.all()).map(({ rescued }) => rescued),
    entries
  )
  await store.close()
  await storage.close()
  await rm(folder, { recursive: true })
})

test.run()
