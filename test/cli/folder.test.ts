// `skein folder` from the outside: two homes, each with a folder, over a private DHT.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { runDht } from '../../adapters/dht.ts'
import { eventually } from '../events.ts'
import { Folder } from './skein.ts'

const test = suite('skein folder')

test('two folders are kept in step, live and once, and what happens is told', async () => {
  await using folder = await Folder.make()
  const dht = await runDht()
  try {
    const env = { SKEIN_BOOTSTRAP: `${dht.host}:${dht.port}` }
    const alice = folder.home('alice', { env })
    const bob = folder.home('bob', { env })
    const notes = { alice: join(folder.path, 'notes-alice'), bob: join(folder.path, 'notes-bob') }
    await mkdir(notes.alice)
    await writeFile(join(notes.alice, 'ideas.md'), 'a boat\n')
    await writeFile(join(notes.alice, 'photo.jpg'), Buffer.from([0xff, 0xd8, 0, 1]))
    await alice.run(['init', '--name', 'laptop'])
    await alice.run(['create', 'Notes'])
    await using running = alice.start(['folder', notes.alice])
    await running.says('1 file in step with Notes: 1 created in the space')
    await running.says('photo.jpg left alone: not text')

    await bob.run(['init', '--name', 'desk'])
    await bob.run(['join', (await alice.run(['invite'])).trim()])
    const once = await bob.end(['folder', notes.bob, '--once', '--timeout', '30s'])
    assert.is(once.code, 0, once.stderr)
    assert.match(once.stdout, '1 created here')
    assert.is(await readFile(join(notes.bob, 'ideas.md'), 'utf8'), 'a boat\n')

    await using live = bob.start(['folder', notes.bob, '--json'])
    await live.says('"event":"in-step"')
    await writeFile(join(notes.bob, 'ideas.md'), 'a boat\na tent\n')
    await running.says('↓ edited   ideas.md')
    await eventually(
      async () => (await readFile(join(notes.alice, 'ideas.md'), 'utf8')) === 'a boat\na tent\n'
    )
    for (const line of live.stdout.trim().split('\n')) JSON.parse(line)

    const second = await alice.end(['folder', notes.alice])
    assert.is(second.code, 75)
    assert.match(second.stderr, 'Another process keeps')
    assert.is((await live.interrupt()).code, 130)
    assert.is((await running.interrupt()).code, 130)
  } finally {
    await dht.close()
  }
})

test('once, with nobody there, takes in what there is and says that it reached nobody', async () => {
  await using folder = await Folder.make()
  const alice = folder.home('alice', { env: { SKEIN_BOOTSTRAP: '127.0.0.1:9' } })
  const notes = join(folder.path, 'notes')
  await mkdir(notes)
  await writeFile(join(notes, 'a.md'), 'text\n')
  await alice.run(['init', '--name', 'laptop'])
  await alice.run(['create', 'Notes'])
  assert.is((await alice.end(['folder', notes, '--once', '--offline'])).code, 0)
  assert.is((await alice.end(['folder', notes, '--once', '--timeout', '1s'])).code, 3)
})

test('a file of a folder is a document by its path, for every command', async () => {
  await using folder = await Folder.make()
  const alice = folder.home('alice')
  const notes = join(folder.path, 'notes')
  await mkdir(join(notes, 'sub'), { recursive: true })
  await writeFile(join(notes, 'sub', 'packing.md'), 'tent\n')
  await writeFile(join(notes, 'gone.md'), 'no more\n')
  await alice.run(['init', '--name', 'laptop'])
  await alice.run(['create', 'Notes'])
  await alice.run(['folder', notes, '--once', '--offline'])
  await rm(join(notes, 'gone.md'))
  await alice.run(['folder', notes, '--once', '--offline'])
  await alice.run(['write', 'todo'], 'milk')

  const shown = (await alice.run(['documents'])).split('\n')
  assert.ok(shown.includes('sub/packing.md') && shown.includes('todo'))
  assert.not.ok(shown.includes('gone.md'))
  const listed = await alice.json<{ name: string; path: string | null }[]>(['documents'])
  assert.match(listed.find(({ path }) => path === 'sub/packing.md')!.name, /^folder\/[0-9a-f]{18}$/)
  assert.is(await alice.run(['cat', 'sub/packing.md']), 'tent\n')
  await alice.run(['append', 'sub/packing.md'], 'socks\n')
  await alice.run(['edit', 'sub/packing.md', '--editor', 'sed -i s/tent/tarp/'])
  assert.match(await alice.run(['log', 'sub/packing.md']), /sub\/packing\.md {2}\+6 “socks⏎”/)
  assert.match(await alice.run(['log', '--graph']), 'sub/packing.md')
  await using watching = alice.start(['watch', 'sub/packing.md'])
  await watching.says('Watching sub/packing.md')
  await alice.run(['append', 'sub/packing.md'], 'lamp\n')
  await watching.says(/laptop {2}sub\/packing\.md\n +\+ lamp⏎/)
  await watching.interrupt()
  await alice.run(['folder', notes, '--once', '--offline'])
  assert.is(await readFile(join(notes, 'sub', 'packing.md'), 'utf8'), 'tarp\nsocks\nlamp\n')
  assert.match(await alice.run(['complete', '--', 'cat', '']), 'sub/packing.md')
})

test.run()
