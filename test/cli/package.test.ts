// The packed package, installed as a user does: every command does what its help says, between two homes over a private
// DHT, each command a process of its own.
//
// CLI_INSTALL=npm installs it by `npm install`, which fetches what is not in npm's cache and takes half a minute.
import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { deadline } from '../events.ts'
import { Folder, Running, type UserHome } from './skein.ts'

const test = suite('skein, installed')
const execute = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const isReal = process.env['CLI_INSTALL'] === 'npm'
const app = await mkdtemp(join(tmpdir(), 'skein-app-'))
const program = [join(app, 'node_modules/.bin/skein')]

/** Packs a copy of the project that is built anew: what lies in dist/ may be old, or just being made. */
async function install(): Promise<void> {
  const copy = join(app, 'project')
  await mkdir(copy)
  const parts = ['adapters', 'build', 'lib', 'CHANGELOG.md', 'LICENSE', 'README.md', 'package.json']
  for (const name of [...parts, 'tsconfig.json']) {
    await cp(join(root, name), join(copy, name), { recursive: true })
  }
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'))
  await execute(process.execPath, ['--import', 'tsx', 'build/cli.ts'], { cwd: copy })
  const pack = ['pack', '--silent', '--ignore-scripts', '--pack-destination', app]
  const { stdout } = await execute('npm', pack, { cwd: copy })
  const tarball = join(app, stdout.trim())
  await writeFile(join(app, 'package.json'), '{ "private": true }')
  if (isReal) {
    const quiet = ['--no-audit', '--no-fund', '--prefer-offline']
    await execute('npm', ['install', ...quiet, tarball], { cwd: app })
    return
  }
  // What npm makes of it, with the packages that are here already.
  const installed = join(app, 'node_modules/skein')
  await mkdir(installed, { recursive: true })
  await mkdir(join(app, 'node_modules/.bin'))
  await execute('tar', ['-xzf', tarball, '--strip-components=1', '-C', installed])
  const { dependencies, bin } = JSON.parse(
    await readFile(join(installed, 'package.json'), 'utf8')
  ) as { dependencies: Record<string, string>; bin: { skein: string } }
  for (const name of await packagesBelow(Object.keys(dependencies))) {
    await mkdir(dirname(join(app, 'node_modules', name)), { recursive: true })
    await symlink(join(root, 'node_modules', name), join(app, 'node_modules', name))
  }
  await symlink(join('../skein', bin.skein), program[0]!)
}

/** Those packages, and all that they depend on: what npm would put beside them. */
async function packagesBelow(names: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>()
  const queue = [...names]
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (found.has(name)) continue
    const manifest = await readFile(join(root, 'node_modules', name, 'package.json'), 'utf8').catch(
      () => null
    )
    // An optional one that this system has not, or one that lies within another.
    if (manifest === null) continue
    found.add(name)
    const { dependencies = {}, optionalDependencies = {} } = JSON.parse(manifest) as Record<
      string,
      Record<string, string> | undefined
    >
    queue.push(...Object.keys(dependencies), ...Object.keys(optionalDependencies))
  }
  return found
}

test.before(install)
test.after(() => rm(app, { recursive: true }))

test('two homes, from init to leave', async () => {
  await using folder = await Folder.make()
  await using dht = new Running(['dht', '--port', '0', '--json'], { program })
  await dht.says('port')
  const { port } = JSON.parse(dht.stdout) as { port: number }
  const env = { SKEIN_BOOTSTRAP: `127.0.0.1:${port}` }
  const alice = folder.home('alice', { env, program })
  const bob = folder.home('bob', { env, program })
  await alice.run(['init', '--name', 'laptop', '--person', 'Alice'])
  await bob.run(['init', '--name', 'phone', '--person', 'Alice'])
  await alice.run(['create', 'Notes'])
  await alice.run(['write', 'packing'], 'tent\nsocks\n')

  await using syncing = alice.start(['sync'])
  await syncing.says('Keeping in step')
  assert.match(await alice.run(['invite', '--qr', '--expires', '7d', '--uses', '2']), '█')
  const { invite } = await alice.json<{ invite: string }>(['invite', '--role', 'writer'])
  assert.match(await bob.run(['join', invite]), 'Joined the space Notes')
  assert.match(await bob.run(['sync', '--once']), 'in step with laptop')
  assert.is(await bob.run(['cat', 'packing']), 'tent\nsocks\n')
  await bob.run(['edit', 'packing', '--editor', 'sed -i s/tent/tarp/'])
  await bob.run(['append', 'packing'], 'lamp\n')
  assert.match(await bob.run(['sync', 'Notes', '--once']), 'in step')
  // Through the process that syncs.
  assert.is(await alice.run(['cat', 'packing']), 'tarp\nsocks\nlamp\n')
  await syncing.says('phone changed packing')

  assert.match(await alice.run(['members']), /phone\s+Alice\s+writer/)
  assert.match(await alice.run(['documents']), 'packing')
  assert.match(await alice.run(['spaces']), /Notes\s+owner\s+2 members\s+1 document/)
  assert.match(await alice.run(['status']), 'All that you wrote is also on phone')
  assert.match(await alice.run(['doctor']), 'process')
  assert.match(await alice.run(['completion', 'bash']), 'skein complete')
  assert.match(await alice.run(['complete', '--', 'cat', '']), 'packing')
  assert.match(await alice.run(['complete', '--', 'inv']), 'invite')

  assert.match(await bob.run(['leave', '--yes']), 'Left the space Notes')
  assert.is(await bob.run(['spaces']), '')
  const ended = await syncing.interrupt()
  assert.is(ended.code, 130)
  assert.not.match(await alice.run(['members']), 'phone')
  assert.is((await dht.interrupt()).code, 130)
})

test('looking inside, folders, roles, bundles and serving', async () => {
  await using folder = await Folder.make()
  await using dht = new Running(['dht', '--port', '0', '--json'], { program })
  await dht.says('port')
  const { port } = JSON.parse(dht.stdout) as { port: number }
  const env = { SKEIN_BOOTSTRAP: `127.0.0.1:${port}` }
  const alice = folder.home('alice', { env, program })
  const bob = folder.home('bob', { env, program })
  const notes = join(folder.path, 'notes')
  await mkdir(notes)
  await writeFile(join(notes, 'packing.md'), 'tent\n')
  await alice.run(['init', '--name', 'laptop'])
  await bob.run(['init', '--name', 'phone'])
  await alice.run(['create', 'Notes'])
  assert.match(await alice.run(['folder', notes, '--once', '--offline']), '1 created in the space')

  await alice.run(['write', 'todo'], 'milk\n')
  assert.match(await alice.run(['log']), /laptop:content:\d+ +todo/)
  assert.match(await alice.run(['log', '--graph', 'todo']), '●')
  const [, id] = /(laptop:content:\d+) +todo/.exec(await alice.run(['log']))!
  assert.match(await alice.run(['show', id!]), 'edit of todo')
  const verified = await alice.end(['verify'])
  assert.is(verified.code, 0, verified.stderr)
  assert.match(verified.stderr, 'no damage')

  const bundle = join(folder.path, 'notes.skein')
  await alice.run(['export', bundle, '--for', (await bob.run(['id'])).trim()])
  await bob.run(['import', bundle])
  assert.is(await bob.run(['cat', 'todo']), 'milk\n')

  await using serving = alice.start(['serve', '--port', '0'])
  await serving.says('ws://')
  await using watching = alice.start(['watch'])
  await watching.says('Watching every document')
  await bob.run(['append', 'todo'], 'eggs\n')
  await bob.run(['sync', '--once'])
  await watching.says('eggs')
  assert.match(await alice.run(['grant', 'phone', 'reader']), 'phone is reader')
  await bob.run(['sync', '--once'])
  assert.is((await bob.end(['append', 'todo'], 'soap\n')).code, 4)
  assert.match(await alice.run(['remove', 'phone']), 'phone is out')
  assert.not.match(await alice.run(['members']), 'phone')
  assert.is((await watching.interrupt()).code, 130)
  assert.is((await serving.interrupt()).code, 130)
  assert.is((await dht.interrupt()).code, 130)
})

test('nothing is left in a home that was killed: the next command opens it', async () => {
  await using folder = await Folder.make()
  const env = { SKEIN_BOOTSTRAP: '127.0.0.1:9' }
  const alice = folder.home('alice', { env, program })
  await alice.run(['init'])
  await alice.run(['create', 'Notes'])
  const syncing = alice.start(['sync'])
  await syncing.says('Keeping in step')
  await alice.run(['write', 'list'], 'bread')
  await syncing.interrupt('SIGKILL')
  assert.ok((await readdir(alice.path)).includes('socket'))
  assert.is(await alice.run(['cat', 'list']), 'bread')
  assert.not.ok((await readdir(alice.path)).includes('socket'))
})

test('a mirror between two devices that are never online together, killed on the way', async () => {
  await using folder = await Folder.make()
  await using dht = new Running(['dht', '--port', '0', '--json'], { program })
  await dht.says('port')
  const { port } = JSON.parse(dht.stdout) as { port: number }
  const env = { SKEIN_BOOTSTRAP: `127.0.0.1:${port}` }
  const [alice, bob, shelf] = ['alice', 'bob', 'shelf'].map((name) =>
    folder.home(name, { env, program })
  ) as [UserHome, UserHome, UserHome]
  await Promise.all(
    Object.entries({ alice, bob, shelf }).map(([name, home]) => home.run(['init', '--name', name]))
  )
  await alice.run(['create', 'Notes'])
  let mirroring = shelf.start(['mirror'])
  await mirroring.says(/skein-mirror:[\w-]+\n/)
  const [address] = /skein-mirror:[\w-]+/.exec(mirroring.stdout)!
  assert.match(await alice.run(['mirror', address]), /shelf [0-9a-f]{8} keeps Notes/)

  const inviting = alice.start(['sync'])
  await inviting.says('Keeping in step')
  const { invite } = await alice.json<{ invite: string }>(['invite'])
  assert.match(await alice.run(['invites']), /writer\s+for 1 device/)
  await bob.run(['join', invite])
  assert.match(await alice.run(['invites']), 'No invite to Notes is open')
  await inviting.interrupt()

  // From here on alice and bob are never online together.
  await alice.run(['write', 'canary-name'], 'canary-text\n')
  assert.match(await alice.run(['sync', '--once']), 'in step with shelf')
  assert.is((await mirroring.interrupt('SIGKILL')).code, null)
  mirroring = shelf.start(['mirror'])
  await mirroring.says(address)
  assert.match(await bob.run(['sync', '--once']), 'in step with shelf')
  assert.is(await bob.run(['cat', 'canary-name']), 'canary-text\n')
  await bob.run(['append', 'canary-name'], 'and bob\n')
  assert.match(await bob.run(['sync', '--once']), 'in step with shelf')
  assert.match(await alice.run(['sync', '--once']), 'in step with shelf')
  assert.is(await alice.run(['cat', 'canary-name']), 'canary-text\nand bob\n')
  assert.match(await alice.run(['status']), /shelf\s+mirror/)

  assert.match(await shelf.run(['status']), 'kept unread')
  assert.is((await shelf.json<unknown[]>(['documents'])).length, 0)
  await mirroring.interrupt()
  const verified = await shelf.end(['verify'])
  assert.is(verified.code, 0, verified.stdout)
  const grep = async (home: UserHome): Promise<string> =>
    (await execute('grep', ['-r', '-l', '-a', '-E', 'canary-(name|text)', home.path])).stdout
  assert.match(await grep(alice), 'alice')
  await grep(shelf).then(
    (files) => assert.unreachable(`the mirror's disk shows what it keeps: ${files}`),
    (error: { code: number }) => assert.is(error.code, 1, 'nothing was found')
  )
})

test('what changes while a watch takes the home over from a process that was killed is shown', async () => {
  await using folder = await Folder.make()
  const alice = folder.home('alice', { env: { SKEIN_BOOTSTRAP: '127.0.0.1:9' }, program })
  await alice.run(['init', '--name', 'laptop'])
  await alice.run(['create', 'Notes'])
  await alice.run(['write', 'list'], 'bread\n')
  const holding = alice.start(['sync'])
  await holding.says('Keeping in step')
  await using watching = alice.start(['watch'])
  await watching.says('Watching every document')
  await alice.run(['append', 'list'], 'milk\n')
  await watching.says('milk')
  // It stands still while the home changes hands twice.
  watching.signal('SIGSTOP')
  await holding.interrupt('SIGKILL')
  await alice.run(['append', 'list'], 'eggs\n')
  await alice.run(['write', 'new'], 'tent\n')
  watching.signal('SIGCONT')
  await watching.says('eggs')
  await watching.says('tent')
  assert.match(watching.stdout, /laptop {2}list\n +\+ eggs⏎/)
  assert.is(watching.stdout.split('milk').length, 2, 'and nothing twice')
})

/** What is typed in each, as a user has it; a Tab completes what is there so far. */
const shells = {
  bash: { start: 'bash --norc -i', before: 'source <(skein completion bash)' },
  zsh: {
    start: 'zsh -f -i',
    before: 'autoload -Uz compinit && compinit -u -D; source <(skein completion zsh)'
  },
  fish: { start: 'fish --no-config -i', before: 'skein completion fish | source' }
} as const

for (const [shell, { start, before }] of Object.entries(shells)) {
  const isThere = process.platform === 'linux' && spawnSync(shell, ['--version']).status === 0
  const title = `${shell} completes commands, options and documents`
  if (!isThere) test.skip(`${title}: no ${shell} on this machine`)
  else test(title, () => completes(start, before))
}

async function completes(start: string, before: string): Promise<void> {
  await using folder = await Folder.make()
  const alice = folder.home('alice', { env: { SKEIN_BOOTSTRAP: '127.0.0.1:9' }, program })
  await alice.run(['init', '--name', 'laptop'])
  await alice.run(['create', 'Notes'])
  await alice.run(['write', 'packing-list'], 'tent\n')
  const shell = spawn('script', ['-qec', start, '/dev/null'], {
    cwd: folder.path,
    env: {
      ...process.env,
      HOME: folder.path,
      XDG_CONFIG_HOME: folder.path,
      XDG_DATA_HOME: folder.path,
      PATH: `${dirname(program[0]!)}:${process.env['PATH']}`,
      SKEIN_HOME: alice.path,
      TERM: 'dumb'
    }
  })
  let shown = ''
  let look = (): void => {}
  shell.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text
    look()
  })
  const says = async (text: RegExp): Promise<void> => {
    const said = new Promise<void>((resolve) => {
      look = () => text.test(shown) && resolve()
      look()
    })
    await deadline(said, 30_000, `${String(text)} in ${JSON.stringify(shown)}`)
    shown = ''
  }
  try {
    shell.stdin.write(`${before}; echo rea''dy\r`)
    await says(/ready/)
    // The end of each word comes from the Tab alone.
    shell.stdin.write('skein cat pack\t')
    await says(/ing-list/)
    shell.stdin.write('\r')
    await says(/tent/)
    shell.stdin.write('skein docum\t')
    await says(/ents/)
    shell.stdin.write('--js\t')
    await says(/on/)
    shell.stdin.write('\r')
    await says(/"name":"packing-list"/)
    shell.stdin.write('exit\r')
    await deadline(once(shell, 'close'), 30_000, 'the end of the shell')
  } finally {
    shell.kill('SIGKILL')
  }
}

test.run()
