/**
 * kill -9 at each step of a copy's becoming a device of its own. Whichever step was the last, the folder is that of the
 * one or of the other device, opens, and nothing that was typed is lost.
 *
 *   RENEWAL_STEPS=all TEST_DEADLINE_MS=600000 npm test -- crash/renewal     every step; six otherwise
 *   SEED=…                                                                  picks the same ones
 */
import { execFile, type ExecFileException } from 'node:child_process'
import { cpSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { memory, MemoryNetwork } from '../../adapters/memory.ts'
import { Skein, type Document, type Space } from '../../lib/index.ts'
import { until, whenText } from '../devices.ts'
import { deadline } from '../events.ts'
import { random, scratch, seedOf } from './lab.ts'

const stepsShort = 6
const script = fileURLToPath(new URL('renewal-device.ts', import.meta.url))

const test = suite('renewal')

async function start(folder: string, name: string, network: MemoryNetwork | null): Promise<Skein> {
  const transports = network === null ? [] : [memory(network)]
  const skein = new Skein({ storage: folder, name, transports })
  await skein.ready()
  return skein
}

function textOf(document: Document): string {
  return document.doc.getText('body').toString()
}

/** Runs the device to its end; null where it was killed, else how many steps it took. */
function device(folder: string, word: string, step?: number): Promise<number | null> {
  const args = [...process.execArgv, script, folder, word]
  if (step !== undefined) args.push(String(step))
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, (error: ExecFileException | null, stdout, stderr) => {
      if (error?.signal === 'SIGKILL') resolve(null)
      else if (error !== null) reject(new Error(stderr, { cause: error }))
      else resolve(Number(/steps (\d+)/.exec(stdout)?.[1]))
    })
  })
}

async function damageIn(storage: string): Promise<string[]> {
  const damage: string[] = []
  for await (const { severity, where, message } of Skein.verify({ storage }))
    if (severity === 'damage') damage.push(`${where}: ${message}`)
  return damage
}

/** What the folder is of: made a device of its own by now, it joins, and everybody has the word once. */
async function assertUsable(
  folder: string,
  word: string,
  bobsId: string,
  atAlice: Space,
  network: MemoryNetwork
): Promise<'before' | 'after'> {
  let skein = await start(folder, word, null)
  const found = skein.id === bobsId ? 'before' : 'after'
  if (found === 'before') await skein.becomeOwnDevice({ name: word })
  else await skein.close()
  assert.equal(await damageIn(folder), [])
  skein = await start(folder, word, network)
  const space = skein.spaces()[0]!
  await deadline(skein.join(await atAlice.invite()), 20_000, 'it joins')
  await until(
    (listener) => space.on('members', listener),
    () => !space.readOnly,
    'it may write'
  )
  const [note, theirs] = [await space.open('plans'), await atAlice.open('plans')]
  await until(
    (listener) => {
      theirs.doc.on('update', listener)
      return () => theirs.doc.off('update', listener)
    },
    () => textOf(theirs).includes(word),
    'alice has what was typed'
  )
  assert.is(textOf(theirs).split(word).length, 2)
  await whenText(note.doc, textOf(theirs))
  await skein.close()
  return found
}

test('a copy that is killed at any step of its renewal is the one device or the other, and loses nothing', async () => {
  const choose = random(seedOf('crash/renewal'))
  using folder = scratch('renewal')
  const network = new MemoryNetwork()
  const alice = await start(`${folder.path}/alice`, 'alice', network)
  const bob = await start(`${folder.path}/bob`, 'bob', network)
  const atAlice = await alice.createSpace({ name: 'Notes' })
  const atBob = await bob.join(await atAlice.invite())
  const note = await atBob.open('plans')
  note.doc.getText('body').insert(0, 'first;')
  await deadline(note.saved({ peers: 1 }), 20_000, 'alice holds the first')
  const bobsId = bob.id
  await bob.close()
  const copy = (name: string): string => {
    const to = `${folder.path}/${name}`
    cpSync(`${folder.path}/bob`, to, { recursive: true, preserveTimestamps: true })
    return to
  }
  const count = (await device(copy('whole'), 'whole;'))!
  assert.ok(count > 10, `${count} steps`)
  const steps = Array.from({ length: count }, (_, step) => step)
  if (process.env['RENEWAL_STEPS'] !== 'all') steps.sort(() => choose() - 0.5).splice(stepsShort)
  const found = { before: 0, after: 0 }
  for (const step of steps) {
    const [at, word] = [copy(`step-${step}`), `typed-${step};`]
    assert.is(await device(at, word, step), null, `step ${step} killed nothing`)
    const what = await assertUsable(at, word, bobsId, atAlice, network).catch((error: unknown) => {
      throw new Error(`After step ${step}`, { cause: error })
    })
    found[what]++
  }
  console.log(
    `killed at ${steps.length} of ${count} steps; ${found.before} times before the keys, ${found.after} after`
  )
  await alice.close()
})

test.run()
