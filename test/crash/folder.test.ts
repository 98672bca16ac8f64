/**
 * Two people work in two folders, each kept in step by a process that is killed at any moment, over a connection that
 * comes and goes. At the end of each stretch the folders are equal, and every word that a save had completed is there,
 * unless someone who had read it took it away.
 *
 *   FOLDER_OPERATIONS=10000 TEST_DEADLINE_MS=3600000 npm test -- crash/folder     the long form; 200 operations otherwise
 *   SEED=…                                                                        repeats a run's choices
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FolderProcess, Hub } from './folder-device.ts'
import { User, Words } from './folder-user.ts'
import { random, scratch, seedOf } from './lab.ts'

const operations = Number(process.env['FOLDER_OPERATIONS'] ?? 200)
const stretch = 100
const convergeMs = 120_000

const test = suite('folder, killed and parted')

test('folders end equal, and no saved word is lost, whatever happens between', async () => {
  const choose = random(seedOf('crash/folder'))
  using place = scratch('folders')
  await using hub = new Hub()
  const port = await hub.open()
  const words = new Words(choose)
  const devices = ['alice', 'bob'].map(
    (name) =>
      new FolderProcess({
        name,
        storage: join(place.path, name),
        folder: join(place.path, `folder-${name}`),
        hub: port
      })
  ) as [FolderProcess, FolderProcess]
  await using alice = devices[0]
  await using bob = devices[1]
  for (const { options } of devices) mkdirSync(options.folder)
  const users = devices.map(({ options }) => {
    const outside = join(place.path, `bin-${options.name}`)
    return new User(options.name, options.folder, outside, words, choose)
  })
  await alice.open()
  await alice.ask({ do: 'create' }, 'done')
  await bob.open()
  const { invite } = await alice.ask({ do: 'invite' }, 'invite')
  await bob.ask({ do: 'join', invite }, 'done')

  const isRunning = new Map(devices.map((one) => [one, true]))
  const counts = { operations: 0, kills: 0, partitions: 0 }
  const log: string[] = []
  for (const device of devices)
    device.onTold = (what) => log.push(`    (${device.options.name} tells: ${what})`)
  let done = 0
  try {
    while (done < operations) {
      const until = Math.min(operations, done + stretch)
      let isApart = false
      for (; done < until; done++) {
        const who = choose() < 0.5 ? 0 : 1
        const what = users[who]!.act()
        if (!what.startsWith('not done')) counts.operations++
        log.push(`${devices[who]!.options.name}: ${what}`)
        if (choose() < 0.6) await after(choose() * 40)
        if (choose() < 0.03) {
          isApart = !isApart
          if (isApart) hub.part()
          else hub.heal()
          if (isApart) counts.partitions++
          log.push(isApart ? 'apart' : 'together')
        }
        for (const device of devices) {
          const running = isRunning.get(device)
          if (running === true && choose() < 0.012) {
            await device.kill()
            isRunning.set(device, false)
            counts.kills++
            log.push(`${device.options.name} is killed`)
          } else if (running === false && choose() < 0.1) {
            await device.open()
            isRunning.set(device, true)
            log.push(`${device.options.name} is back`)
          }
        }
      }
      hub.heal()
      for (const device of devices) {
        if (isRunning.get(device) === false) await device.open()
        isRunning.set(device, true)
      }
      const contents = await whenEqual(devices)
      const found = new Set(Object.values(contents).flatMap((text) => words.in(text ?? '')))
      const lost = [...words.saved].filter(([word]) => !found.has(word) && !words.taken.has(word))
      if (lost.length > 0) log.push(...Object.entries(contents).map((file) => JSON.stringify(file)))
      assert.equal(lost, [])
      assert.not.ok(Object.values(contents).some((text) => text?.includes('\ufffd')))
      assert.equal([...alice.errors, ...bob.errors], [])
      log.push('— equal —')
    }
  } catch (error) {
    const file = join(tmpdir(), `folder-${process.pid}.log`)
    writeFileSync(file, log.join('\n'))
    console.log(`what happened is in ${file}`)
    throw error
  }
  const conflicts = [...new Set(devices.flatMap((one) => [...one.conflicts.keys()]))].map(
    (kind) => `${kind} ${devices.reduce((sum, one) => sum + (one.conflicts.get(kind) ?? 0), 0)}`
  )
  console.log(
    `${counts.operations} operations, ${counts.kills} kills, ${counts.partitions} partitions, ` +
      `${words.saved.size} words saved, ${words.taken.size} taken away, 0 lost; ${conflicts.join(', ')}`
  )
  await alice.close()
  await bob.close()
})

test.run()

/** The folders once they are equal, and stay so when nothing is left to do. */
async function whenEqual(
  devices: readonly FolderProcess[]
): Promise<Record<string, string | null>> {
  const startedAt = performance.now()
  let all: Record<string, string | null>[] = []
  while (performance.now() - startedAt < convergeMs) {
    for (const device of devices) await device.ask({ do: 'settle' }, 'settled')
    all = devices.map(({ options }) => contentsOf(options.folder))
    const isEqual = JSON.stringify(all[0]) === JSON.stringify(all[1])
    const isQuiet = devices.every(({ options }) => {
      return readdirSync(join(options.folder, '.skein/files')).length === 0
    })
    if (isEqual && isQuiet) return all[0]!
    await after(100)
  }
  const [a = {}, b = {}] = all
  const differing = [...new Set([...Object.keys(a), ...Object.keys(b)])]
    .filter((path) => a[path] !== b[path])
    .map((path) => `${path}: ${JSON.stringify(a[path])} / ${JSON.stringify(b[path])}`)
  const errors = devices.flatMap((one) => one.errors)
  for (const device of devices) errors.push((await device.ask({ do: 'state' }, 'state')).state)
  throw new Error(`The folders are not equal:\n${differing.join('\n')}\n${errors.join('\n')}`)
}

/** By path, what is in a folder; of a folder, null. Without what editors leave. */
function contentsOf(folder: string): Record<string, string | null> {
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true })
    .map((entry) => ({ entry, path: join(entry.parentPath, entry.name).slice(folder.length + 1) }))
    .filter(({ path }) => path.split('/')[0] !== '.skein' && !path.endsWith('~'))
    .sort((a, b) => (a.path < b.path ? -1 : 1))
  return Object.fromEntries(
    entries.map(({ entry, path }) => [path, entry.isFile() ? textOf(join(folder, path)) : null])
  )
}

/** A file that is renamed just now is looked at again with the folder. */
function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** The moments of kills and of what people do are the one thing here that is a matter of time. */
function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
