// Looking inside from the command line: log, show, verify, and a space carried in a file.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { HistoryEntry, Problem } from '../../lib/index.ts'
import { Folder } from './skein.ts'

const test = suite('skein, inside')

test('what happened is shown, as lines and as a graph, and one entry in full', async () => {
  await using folder = await Folder.make()
  const alice = folder.home('alice')
  await alice.run(['init', '--name', 'laptop'])
  await alice.run(['create', 'Notes'])
  await alice.run(['write', 'packing'], 'tent\n')
  await alice.run(['write', 'packing'], 'lamp\n')
  await alice.run(['write', 'todo'], 'milk\n')
  const log = await alice.run(['log'])
  assert.match(log, /laptop:control:0 +makes the space "Notes"/)
  assert.match(log, /laptop:content:0 +packing +\+\d+ “tent⏎”/)
  const graph = await alice.run(['log', '--graph'])
  assert.match(graph, /^◆ /m)
  assert.match(graph, /^● .*laptop:content:0…1 +2× packing/m)
  assert.not.match(await alice.run(['log', 'todo']), 'packing')
  assert.is((await alice.run(['log', '-n', '2'])).match(/laptop:/g)!.length, 2)
  assert.is((await alice.end(['log', 'nothing'])).code, 5)
  assert.is((await alice.end(['log', '--author', 'nobody'])).code, 5)
  const lines = (await alice.run(['log', '--author', 'laptop', '--json'])).trim().split('\n')
  const entries = lines.map((line) => JSON.parse(line) as HistoryEntry)
  assert.is(entries.at(-1)!.document!.name, 'todo')
  const shown = await alice.run(['show', entries.at(-1)!.id])
  assert.match(shown, /edit of todo[^]*\+ 5 characters[^]*milk/)
  assert.is((await alice.end(['show', 'laptop:content:99'])).code, 5)
})

test('a home is verified, closed or in use, and damage is told by the exit code', async () => {
  await using folder = await Folder.make()
  const alice = folder.home('alice')
  assert.is((await alice.end(['verify'])).code, 5)
  await alice.run(['init', '--name', 'laptop'])
  await alice.run(['create', 'Notes'])
  await alice.run(['write', 'packing'], 'tent\n')
  const sound = await alice.end(['verify'])
  assert.is(sound.code, 0, sound.stderr)
  assert.is(sound.stdout, '')
  assert.match(sound.stderr, /no damage: 1 space, 2 logs, \d+ blocks/)
  {
    await using sync = alice.start(['--bootstrap', '127.0.0.1:9', 'sync'])
    await sync.says('Keeping in step')
    const used = await alice.end(['verify'])
    assert.is(used.code, 0, used.stderr)
    assert.match(used.stderr, 'no damage: 1 space')
    await sync.interrupt()
  }
  const secrets = join(alice.path, 'device', 'secrets')
  const bytes = await readFile(secrets)
  bytes[40]! ^= 1
  await writeFile(secrets, bytes)
  const damaged = await alice.end(['verify'])
  assert.is(damaged.code, 3)
  assert.match(damaged.stdout, /^✗ secrets: /)
  const [problem] = (await alice.end(['verify', '--json'])).stdout.split('\n')
  assert.is((JSON.parse(problem!) as Problem).code, 'secrets')
})

test('a space goes in a file to a device that never met anyone, and a changed file is refused', async () => {
  await using folder = await Folder.make()
  const alice = folder.home('alice')
  const carol = folder.home('carol')
  await alice.run(['init', '--name', 'laptop'])
  await alice.run(['create', 'Notes'])
  await alice.run(['write', 'packing'], 'tent\n')
  await carol.run(['init', '--name', 'phone'])
  const introduction = (await carol.run(['id'])).trim()
  const file = join(alice.path, 'notes.skein')
  await alice.run(['export', file, '--for', introduction])
  assert.equal(
    (await readdir(alice.path)).filter((name) => name.endsWith('.tmp')),
    []
  )
  const changed = await readFile(file)
  changed[changed.length - 100]! ^= 1
  const bad = join(alice.path, 'bad.skein')
  await writeFile(bad, changed)
  const refused = await carol.end(['import', bad])
  assert.is(refused.code, 3)
  assert.match(refused.stderr, /bytes \d+–\d+ do not hold/)
  assert.is((await carol.end(['documents'])).code, 5)
  await carol.run(['import', file])
  assert.is(await carol.run(['cat', 'packing']), 'tent\n')
  await carol.run(['write', 'packing'], 'tent, lamp\n')
  const back = join(carol.path, 'back.skein')
  await carol.run(['export', back, '--since', file])
  await alice.run(['import', back])
  assert.is(await alice.run(['cat', 'packing']), 'tent, lamp\n')
  const stranger = folder.home('dave')
  await stranger.run(['init', '--name', 'tablet'])
  assert.is((await stranger.end(['import', file])).code, 4)
})

test.run()
