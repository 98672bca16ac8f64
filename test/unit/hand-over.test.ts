/** What is kept of another version of a log is offered to the log’s author. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { platform } from '../../adapters/node/platform.ts'
import { signKeysFrom } from '../../lib/crypto.ts'
import { KeptVersions } from '../../lib/log/kept-versions.ts'
import { LogStore } from '../../lib/log/store.ts'
import { HandOver } from '../../lib/sync/hand-over.ts'
import { deadline } from '../events.ts'
import { waitMs } from '../devices.ts'
import { HandClock } from './hand-clock.ts'

const test = suite('hand over')

test('an author that has connected anew meanwhile is offered again what it could not take', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-hand-over-'))
  const storage = await platform.openStorage(folder)
  const store = new LogStore(storage, platform.clock)
  await store.ready()
  const keys = signKeysFrom(new Uint8Array(32).fill(0x11))
  const space = new Uint8Array(32).fill(0x33)
  const log = await store.open({ space, device: keys.publicKey, core: 'content/0' }, keys)
  await log.append([Uint8Array.of(1), Uint8Array.of(2)])
  const kept = new KeptVersions(() => store.database, space)
  await kept.keep(log, 1)
  const clock = new HandClock()
  const handOver = new HandOver({
    clock,
    kept,
    log: () => log,
    isOwn: () => false,
    take: () => Promise.resolve(false),
    onFailed: (error) => assert.unreachable(String(error))
  })
  const sent: string[] = []
  await handOver.offer([log], () => sent.push('first'))
  assert.equal(sent, ['first'])
  // It could not take it, says more, and loses the connection.
  await handOver.offer([log], () => sent.push('gone'))
  const offered = new Promise<void>((resolve) => {
    void handOver.offer([log], () => {
      sent.push('anew')
      resolve()
    })
  })
  clock.pass(5_000)
  await deadline(offered, waitMs, 'it is offered again')
  assert.equal(sent, ['first', 'anew'])
  handOver.stop()
  await store.closeLog(log)
  await store.close()
  await storage.close()
  await rm(folder, { recursive: true })
})

test.run()
