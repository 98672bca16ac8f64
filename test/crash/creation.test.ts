/**
 * kill -9 at each step of a device's first minute: its folder, keys, store, first space, first edit, and leaving the
 * space. Whichever step was the last, the folder opens again, nothing that was done is undone, and it can be used.
 *
 *   CREATION_STEPS=all TEST_DEADLINE_MS=600000 npm test -- crash/creation     every step; eight otherwise
 *   SEED=…                                                                    picks the same ones
 */
import { execFile, type ExecFileException } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Skein } from '../../lib/index.ts'
import { random, scratch, seedOf } from './lab.ts'

const stepsShort = 8
const script = fileURLToPath(new URL('creation-device.ts', import.meta.url))

const test = suite('creation')

test('a device that is killed at any step of its first minute opens again with all that was done', async () => {
  const choose = random(seedOf('crash/creation'))
  using whole = scratch('creation')
  const all = await device(join(whole.path, 'alice'))
  const count = Number(all.get('steps'))
  assert.ok(count > 40, `${count} steps`)
  const steps = Array.from({ length: count }, (_, step) => step)
  if (process.env['CREATION_STEPS'] !== 'all') {
    steps.sort(() => choose() - 0.5).splice(stepsShort)
  }
  for (const step of steps) {
    using folder = scratch('creation')
    const path = join(folder.path, 'alice')
    const done = await device(path, step)
    assert.not(done.has('steps'), `step ${step} killed nothing`)
    await assertUsable(path, done).catch((error: unknown) => {
      throw new Error(`After step ${step} (${[...done.keys()].join(', ')})`, { cause: error })
    })
  }
  console.log(`killed at ${steps.length} of ${count} steps; each folder opened with what was done`)
})

test.run()

/** What the device told until it ended. */
async function device(path: string, step?: number): Promise<Map<string, string>> {
  const args = [...process.execArgv, script, path, ...(step === undefined ? [] : [String(step)])]
  const output = await new Promise<string>((resolve, reject) => {
    execFile(process.execPath, args, (error: ExecFileException | null, stdout, stderr) => {
      const wasKilled = error?.signal === 'SIGKILL'
      if (error === null || wasKilled) resolve(stdout)
      else reject(new Error(stderr, { cause: error }))
    })
  })
  return new Map(
    output
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        const [word = '', value = ''] = line.split(' ')
        return [word, value]
      })
  )
}

async function assertUsable(path: string, done: ReadonlyMap<string, string>): Promise<void> {
  await using skein = new Skein({ storage: path, name: 'alice' })
  const failures: unknown[] = []
  skein.on('space-failed', ({ error }) => failures.push(error))
  await skein.ready()
  assert.equal(failures, [])
  if (done.has('open')) assert.is(skein.id, done.get('open'))
  const [known, ...more] = skein.spaces()
  assert.is(more.length, 0)
  if (done.has('left')) assert.is(known, undefined)
  if (done.has('created') && known !== undefined) assert.is(known.id, done.get('created'))
  // While leaving was under way it may have been left, or not yet.
  if (done.has('created') && !done.has('saved')) assert.ok(known !== undefined)
  if (known?.role === 'owner') {
    const { doc } = await known.open('ideas')
    if (done.has('saved')) assert.is(doc.getText().toJSON(), 'kept')
    else assert.ok(['', 'kept'].includes(doc.getText().toJSON()))
  } else if (known !== undefined) {
    assert.ok(done.has('saved'), 'without a role before it left')
    await known.leave()
    assert.equal(skein.spaces(), [])
  }
  const space = known?.role === 'owner' ? known : await skein.createSpace({ name: 'Anew' })
  const note = await space.open('more')
  note.doc.getText().insert(0, 'more')
  await note.saved()
}
