// What is done with documents from a terminal: append, edit in an editor, watch; and what status and doctor say.
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { runDht } from '../../adapters/dht.ts'
import { Folder, type UserHome } from './skein.ts'

const test = suite('skein documents')

/** A home with a space. */
async function homeIn(
  folder: Folder,
  name: string,
  env: Record<string, string> = {}
): Promise<UserHome> {
  const home = folder.home(name, { env })
  await home.run(['init', '--name', name])
  await home.run(['create', 'Notes'])
  return home
}

test('what is appended begins a line of its own', async () => {
  await using folder = await Folder.make()
  const alice = await homeIn(folder, 'alice')
  await alice.run(['append', 'list'], 'bread')
  await alice.run(['append', 'list'], 'eggs\n')
  await alice.run(['append', 'list'], 'milk\n')
  assert.is(await alice.run(['cat', 'list']), 'bread\neggs\nmilk\n')
})

test('what is no text is refused, and nothing is written', async () => {
  await using folder = await Folder.make()
  const alice = await homeIn(folder, 'alice')
  await alice.run(['write', 'list'], 'bread')
  const ended = await alice.end(['write', 'list'], new Uint8Array([0xff, 0xfe, 0x00]))
  assert.is(ended.code, 1)
  assert.match(ended.stderr, 'UTF-8')
  assert.is(await alice.run(['cat', 'list']), 'bread')
})

test('an interrupted write changes nothing', async () => {
  await using folder = await Folder.make()
  const alice = await homeIn(folder, 'alice')
  await alice.run(['write', 'list'], 'bread')
  const writing = alice.start(['write', 'list'])
  writing.stdin.write('half of what')
  // The other one goes through it, so it has the home and reads.
  await alice.run(['append', 'list'], 'eggs')
  assert.is((await writing.interrupt()).code, 130)
  assert.is(await alice.run(['cat', 'list']), 'bread\neggs')
})

test('an editor’s changes are written beside what came meanwhile', async () => {
  await using folder = await Folder.make()
  const alice = await homeIn(folder, 'alice')
  await alice.run(['write', 'list'], 'bread\nmilk\n')
  // An editor that stays open until it is told to go on.
  const editor = join(folder.path, 'editor')
  const opened = join(folder.path, 'opened')
  const script = `echo >"${opened}"; while [ -e "${opened}" ]; do sleep 0.02; done; sed -i 's/milk/oat milk/' "$1"`
  await writeFile(editor, `#!/bin/sh\n${script}\n`)
  await chmod(editor, 0o755)
  const editing = alice.start(['edit', 'list', '--editor', editor])
  await until(() => readFile(opened).then(Boolean, () => false))
  await alice.run(['write', 'list'], 'bread\neggs\nmilk\n')
  await rm(opened)
  assert.is((await editing.ended).code, 0)
  assert.is(await alice.run(['cat', 'list']), 'bread\neggs\noat milk\n')
})

test('an editor that fails writes nothing, and one that is missing is named', async () => {
  await using folder = await Folder.make()
  const alice = await homeIn(folder, 'alice')
  await alice.run(['write', 'list'], 'bread')
  assert.is((await alice.end(['edit', 'list', '--editor', 'false'])).code, 1)
  assert.match((await alice.end(['edit', 'list', '--editor', '/no/such'])).stderr, 'no editor')
  assert.is(await alice.run(['cat', 'list']), 'bread')
})

test('changes are watched, with who made them, across a change of the process that has the home', async () => {
  await using folder = await Folder.make()
  const dht = await runDht()
  try {
    const env = { SKEIN_BOOTSTRAP: `${dht.host}:${dht.port}` }
    const alice = await homeIn(folder, 'laptop', env)
    const bob = folder.home('bob', { env })
    await bob.run(['init', '--name', 'phone'])
    await alice.run(['write', 'list'], 'bread\n')
    const syncing = alice.start(['sync'])
    await syncing.says('Keeping in step')
    await bob.run(['join', (await alice.run(['invite'])).trim()])
    await using watching = alice.start(['watch', '--json'])
    await watching.says('Watching every document')
    assert.is((await bob.end(['sync', '--once'])).code, 0)
    await bob.run(['append', 'list'], 'eggs\n')
    assert.is((await bob.end(['sync', '--once'])).code, 0)
    await watching.says('eggs')
    const change = JSON.parse(watching.stdout.trim().split('\n').at(-1)!) as {
      by: { name: string }[]
      added: string[]
      document: string
    }
    assert.is(change.document, 'list')
    assert.equal(
      change.by.map(({ name }) => name),
      ['phone']
    )
    assert.is(change.added.join(''), 'eggs\n')

    // The process that has served it ends; it goes on by itself.
    await syncing.interrupt()
    await watching.says(/Watching every[^]*Watching every/)
    await alice.run(['append', 'list'], 'milk\n')
    await watching.says('milk')
    assert.is((await watching.interrupt()).code, 130)

    const status = await alice.json<{
      spaces: { others: { name: string; lacksOfMine: number }[] }[]
    }>(['status'])
    const [other] = status.spaces[0]!.others
    assert.is(other?.name, 'phone')
    assert.ok(other!.lacksOfMine > 0)
    assert.match(await alice.run(['status']), 'lacks')
    assert.match(await alice.run(['doctor']), 'answers in')
  } finally {
    await dht.close()
  }
})

test('sync --once says by its exit code that nobody was there', async () => {
  await using folder = await Folder.make()
  const dht = await runDht()
  try {
    const env = { SKEIN_BOOTSTRAP: `${dht.host}:${dht.port}` }
    const alice = await homeIn(folder, 'alice', env)
    assert.is((await alice.end(['sync', '--once'])).code, 0) // Nobody is in it besides.
    const bob = folder.home('bob', { env })
    await bob.run(['init'])
    const syncing = alice.start(['sync'])
    await syncing.says('Keeping in step')
    await bob.run(['join', (await alice.run(['invite'])).trim()])
    await syncing.interrupt()
    const ended = await bob.end(['sync', '--once', '--timeout', '500ms'])
    assert.is(ended.code, 3)
    assert.match(ended.stdout, 'no other device was reached')
  } finally {
    await dht.close()
  }
})

test('a device is given another role, removed, and let in again', async () => {
  await using folder = await Folder.make()
  const dht = await runDht()
  try {
    const env = { SKEIN_BOOTSTRAP: `${dht.host}:${dht.port}` }
    const alice = await homeIn(folder, 'alice', env)
    const bob = folder.home('bob', { env })
    await bob.run(['init', '--name', 'phone', '--person', 'Bob'])
    await using syncing = alice.start(['sync'])
    await syncing.says('Keeping in step')
    await bob.run(['join', (await alice.run(['invite'])).trim()])
    await syncing.says('phone is in, as writer')
    assert.match(await alice.run(['grant', 'phone', 'reader']), 'phone is reader')
    await bob.run(['sync', '--once'])
    const refused = await bob.end(['write', 'list'], 'bread')
    assert.is(refused.code, 4)
    assert.is((await bob.end(['remove', 'alice'])).code, 4)
    assert.match(await alice.run(['remove', '--person', 'Bob']), 'phone is out')
    assert.not.match(await alice.run(['members']), 'phone')
    assert.is((await alice.end(['grant', 'nobody', 'writer'])).code, 5)
    // It is no member any more, and known all the same, by what it is called.
    await alice.run(['grant', 'phone', 'writer'])
    assert.match(await alice.run(['members']), /phone\s+Bob\s+writer/)
  } finally {
    await dht.close()
  }
})

test('doctor names what is wrong: no device, no DHT', async () => {
  await using folder = await Folder.make()
  const env = { SKEIN_BOOTSTRAP: '127.0.0.1:9' }
  const nobody = folder.home('nobody', { env })
  const ended = await nobody.end(['doctor', '--timeout', '500ms'])
  assert.is(ended.code, 3)
  assert.match(ended.stdout, 'skein init')
  assert.match(ended.stdout, 'does not answer')
})

test('leaving asks first, and then forgets the space here', async () => {
  await using folder = await Folder.make()
  const alice = await homeIn(folder, 'alice', { SKEIN_BOOTSTRAP: '127.0.0.1:9' })
  assert.is((await alice.end(['leave'])).code, 2)
  assert.is((await alice.end(['leave', '--yes'])).code, 0)
  assert.is(await alice.run(['spaces']), '')
})

test('settings come from flags, then the environment, then the configuration', async () => {
  await using folder = await Folder.make()
  const alice = await homeIn(folder, 'alice')
  await alice.run(['create', 'Recipes'])
  const ambiguous = await alice.end(['documents'])
  assert.is(ambiguous.code, 2)
  assert.match(ambiguous.stderr, 'Recipes')
  const file = join(alice.path, 'config.json')
  const configured = JSON.parse(await readFile(file, 'utf8')) as object
  await writeFile(file, JSON.stringify({ ...configured, space: 'Recipes' }))
  await alice.run(['write', 'soup'], 'leek')
  assert.is(await alice.run(['documents', '--space', 'Recipes']), 'soup\n')
  assert.is(await alice.run(['documents', '--space', 'Notes']), '')
  const other = folder.home('alice', { env: { SKEIN_SPACE: 'Notes' } })
  assert.is(await other.run(['documents']), '')
  await writeFile(file, JSON.stringify({ ...configured, colour: 'blue' }))
  const wrong = await alice.end(['documents'])
  assert.is(wrong.code, 2)
  assert.match(wrong.stderr, '"colour" is not known')
})

test('a home whose path is too long for a socket works as well', async () => {
  await using folder = await Folder.make()
  const deep = join('a'.repeat(60), 'b'.repeat(60))
  await mkdir(join(folder.path, deep), { recursive: true })
  const alice = await homeIn(folder, join(deep, 'alice').slice(0, 150))
  await alice.run(['write', 'list'], 'bread')
  assert.is(await alice.run(['cat', 'list']), 'bread')
})

test.run()

async function until(holds: () => Promise<boolean>): Promise<void> {
  const patience = AbortSignal.timeout(30_000)
  while (!(await holds())) {
    patience.throwIfAborted()
    await new Promise((resolve) => setImmediate(resolve))
  }
}
