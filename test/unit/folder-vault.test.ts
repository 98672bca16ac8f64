/**
 * A whole vault: many files, nested, with names of all kinds, empty ones and a large one.
 *
 *   VAULT_FILES=10000 npm test -- folder-vault     a larger one; otherwise 1,000 files in CI, 250 elsewhere
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { random } from '../crash/lab.ts'
import { eventually } from '../events.ts'
import { foldersOf, whenEqual, type Folder } from '../folders.ts'

const count = Number(process.env['VAULT_FILES'] ?? (process.env['CI'] === undefined ? 250 : 1_000))
const largeBytes = 5 * 1024 * 1024
const test = suite('folder vault')

const words = [
  'Über',
  'note',
  '日記',
  'e\u0301te\u0301',
  'été',
  '👩‍👩‍👧',
  'list of things',
  'Ωμέγα',
  'план',
  'ملاحظة'
]

async function fill(folder: string): Promise<void> {
  const choose = random(7)
  const pick = (): string => words[Math.floor(choose() * words.length)]!
  for (let i = 0; i < count; i++) {
    const depth = Math.floor(choose() * 5)
    const parents = Array.from({ length: depth }, () => `${pick()}-${Math.floor(choose() * 3)}`)
    const path = join(folder, ...parents, `${pick()} ${i}.md`)
    const lines = choose() < 0.05 ? 0 : Math.floor(choose() ** 3 * 400)
    const ending = choose() < 0.1 ? '\r\n' : '\n'
    const text = Array.from({ length: lines }, (_, n) => `- ${pick()} ${n} ${choose()}${ending}`)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, text.join(''))
  }
  const line = 'A line of the large file, of which there are many, each a little different: '
  let large = ''
  for (let n = 0; large.length < largeBytes; n++) large += `${line}${n}\n`
  await writeFile(join(folder, 'large.md'), large)
  await mkdir(join(folder, 'empty', 'folders'), { recursive: true })
}

test(`a vault of ${count} files arrives equal, goes on at once after a restart, and a change in it is small`, async () => {
  const network = new MemoryNetwork()
  const folders = (await foldersOf(network, ['alice', 'bob'], { start: false })) as [Folder, Folder]
  await using alice = folders[0]
  await using bob = folders[1]
  await fill(alice.path)
  const times: string[] = []
  const timed = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    const startedMs = performance.now()
    const startedCpu = process.cpuUsage()
    await work()
    const { user, system } = process.cpuUsage(startedCpu)
    const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1)
    times.push(`${what} ${seconds} s (${((user + system) / 1e6).toFixed(1)} s of processor)`)
  }
  await timed('taken in', async () => {
    await alice.start()
    await alice.sync.whenSettled()
  })
  await timed('written at bob’s', async () => {
    await bob.start()
    await eventually(() => bob.changes.length > count, { deadlineMs: 90_000, what: 'all files' })
    await bob.sync.whenSettled()
  })
  await whenEqual([alice, bob], (all) => Object.keys(all).length > count)
  assert.equal(alice.errors.concat(bob.errors), [])
  await bob.sync.close()
  const bytesBefore = bob.device.space.logBytes
  await timed('started again', async () => {
    await bob.start()
    await bob.settled()
  })
  assert.is(bob.changes.filter(({ kind }) => kind !== 'created').length, 0)
  assert.is(bob.device.space.logBytes, bytesBefore, 'a start writes nothing')
  await timed('one line of 5 MB changed, and there', async () => {
    const large = await bob.read('large.md')
    const at = large.indexOf('\n', largeBytes / 2)
    await bob.write('large.md', `${large.slice(0, at)}, changed by bob${large.slice(at)}`)
    await whenEqual([alice, bob], (all) => all['large.md']!.includes('changed by bob'))
  })
  assert.ok(bob.device.space.logBytes - bytesBefore < 10_000)
  console.log(`${times.join(', ')}; ${Math.round(process.memoryUsage.rss() / 1e6)} MB for both`)
})

test.run()
