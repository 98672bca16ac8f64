// A device's keys under a passphrase, and a space's recovery key, as people use them.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { runDht } from '../../adapters/dht.ts'
import { deadline } from '../events.ts'
import { Folder } from './skein.ts'

const test = suite('skein, keys')
const main = fileURLToPath(new URL('../../lib/cli/main.ts', import.meta.url))

test('a home with a passphrase opens with it and not without, whichever way it is given', async () => {
  await using folder = await Folder.make()
  const env = { SKEIN_PASSPHRASE: 'correct horse' }
  const alice = folder.home('alice', { env })
  const without = folder.home('alice')
  await alice.run(['init', '--passphrase', '--name', 'laptop'])
  const { id } = await alice.json<{ id: string }>(['create', 'Notes'])
  await alice.run(['write', 'list'], 'bread')
  assert.is(await alice.run(['cat', 'list']), 'bread')

  const refused = await without.end(['cat', 'list'])
  assert.is(refused.code, 4)
  assert.match(refused.stderr, 'PASSPHRASE_WRONG')
  assert.match(refused.stderr, '--passphrase-file')
  assert.is(
    (await folder.home('alice', { env: { SKEIN_PASSPHRASE: 'no' } }).end(['cat', 'list'])).code,
    4
  )
  const file = join(folder.path, 'passphrase')
  await writeFile(file, 'correct horse\nwhat else there is\n')
  assert.is(await without.run(['--passphrase-file', file, 'cat', 'list']), 'bread')
  await writeFile(file, '\n')
  assert.is((await without.end(['--passphrase-file', file, 'cat', 'list'])).code, 2)

  const shut = await without.end(['verify'])
  assert.match(shut.stdout, 'passphrase')
  const open = await alice.end(['verify', '--space', id])
  assert.is(open.code, 0)
  assert.not.match(open.stdout, 'passphrase')
})

test('nobody is there to be asked for a new passphrase', async () => {
  await using folder = await Folder.make()
  const ended = await folder.home('alice').end(['init', '--passphrase'])
  assert.is(ended.code, 2)
  assert.match(ended.stderr, 'SKEIN_PASSPHRASE')
  assert.is((await folder.home('alice').end(['spaces'])).code, 5, 'and no device was made')
})

if (process.platform === 'linux') {
  test('on a terminal it is asked for, and not shown', async () => {
    await using folder = await Folder.make()
    const alice = folder.home('alice')
    assert.match(
      await typed(alice.path, 'init --passphrase --name laptop', ['s3cret', 's3cret']),
      'This is the device'
    )
    const shown = await typed(alice.path, 'create Notes', ['wrong', 's3cret'])
    assert.match(shown, /Passphrase: [^]*That is not it. Passphrase: [^]*Made the space/)
    assert.not.match(shown, 's3cret')
    assert.match(
      await typed(`${alice.path}-2`, 'init --passphrase', ['one', 'two']),
      'two passphrases'
    )
  })
}

test('a second owner is named when a space is made, and comes in by an invite', async () => {
  await using folder = await Folder.make()
  const dht = await runDht()
  const env = { SKEIN_BOOTSTRAP: dht.bootstrap.map(({ host, port }) => `${host}:${port}`).join() }
  const [alice, bob] = [folder.home('alice', { env }), folder.home('bob', { env })]
  try {
    for (const [name, home] of Object.entries({ alice, bob }))
      await home.run(['init', '--name', name])
    const introduction = (await bob.run(['id'])).trim()
    const refused = await alice.end(['create', 'Notes', '--owner', introduction.slice(0, -2)])
    assert.is(refused.code, 2)
    assert.match(
      await alice.run(['create', '--owner', introduction, 'Notes']),
      /bob [0-9a-f]{8} is an owner/
    )
    await using syncing = alice.start(['sync'])
    await syncing.says('Keeping in step')
    const { invite } = await alice.json<{ invite: string }>(['invite'])
    await bob.run(['join', invite])
    const members = await bob.json<{ name: string; role: string }[]>(['members'])
    assert.equal(
      members.map(({ name, role }) => `${name} ${role}`),
      ['alice owner', 'bob owner']
    )
    assert.match(await bob.run(['invite', '--role', 'admin']), 'skein:')
    await syncing.interrupt()
  } finally {
    await dht.close()
  }
})

test('a space is taken back by its recovery key, from a member that may not invite', async () => {
  await using folder = await Folder.make()
  const dht = await runDht()
  const env = { SKEIN_BOOTSTRAP: dht.bootstrap.map(({ host, port }) => `${host}:${port}`).join() }
  const [alice, bob, carol] = ['alice', 'bob', 'carol'].map((name) =>
    folder.home(name, { env })
  ) as [ReturnType<Folder['home']>, ReturnType<Folder['home']>, ReturnType<Folder['home']>]
  try {
    for (const [name, home] of Object.entries({ alice, bob, carol }))
      await home.run(['init', '--name', name])
    const { recoveryKey } = await alice.json<{ recoveryKey: string }>([
      'create',
      'Notes',
      '--recovery'
    ])
    assert.match(recoveryKey, /^skein-recovery:/)
    await alice.run(['write', 'list'], 'bread')
    const syncing = alice.start(['sync'])
    await syncing.says('Keeping in step')
    const { invite } = await alice.json<{ invite: string }>(['invite'])
    await bob.run(['join', invite])
    await bob.run(['sync', '--once'])
    await syncing.interrupt()

    await using online = bob.start(['sync'])
    await online.says('Keeping in step')
    assert.match(await carol.run(['recover', '-'], recoveryKey), 'Took back the space Notes')
    await carol.run(['sync', '--once'])
    assert.is(await carol.run(['cat', 'list']), 'bread')
    assert.is((await carol.end(['remove', 'alice'])).code, 4, 'an owner is above an admin')
    assert.match(
      await carol.run(['remove', 'alice', '--recovery-key', '-'], recoveryKey),
      'alice is out'
    )
    assert.match(
      await carol.run(['grant', 'bob', 'admin', '--recovery-key', recoveryKey]),
      'bob is admin'
    )
    await online.interrupt()
  } finally {
    await dht.close()
  }
})

/** Runs a command in a terminal, and types a line each time that it asks; gives what the terminal showed. */
async function typed(home: string, command: string, lines: readonly string[]): Promise<string> {
  const program = `${process.execPath} -C source --import tsx ${main} ${command}`
  const child = spawn('script', ['-qec', program, '/dev/null'], {
    env: { ...process.env, SKEIN_HOME: home, NO_COLOR: '1', SKEIN_BOOTSTRAP: '127.0.0.1:9' },
    cwd: fileURLToPath(new URL('../..', import.meta.url))
  })
  let shown = ''
  let asked = 0
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text
    const questions =
      shown.match(/(passphrase for this device|once more|passphrase): /gi)?.length ?? 0
    while (asked < questions && asked < lines.length) child.stdin.write(`${lines[asked++]}\r`)
  })
  await deadline(once(child, 'close'), 60_000, `the end of skein ${command}\n${shown}`)
  return shown
}

test.run()
