// The `skein` command from the outside: a device, a space, documents, a second device, two commands at once.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import jsQR from 'jsqr'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { runDht } from '../../adapters/dht.ts'
import { commands } from '../../lib/cli/commands.ts'
import { Folder, skein } from './skein.ts'

const test = suite('skein')

interface MemberShown {
  readonly name: string
  readonly role: string
}

test('a device, a space and a document are made and shown', async () => {
  await using folder = await Folder.make()
  const alice = folder.home('alice')
  assert.match(
    await alice.run(['init', '--name', 'laptop', '--person', 'Alice']),
    'the device laptop'
  )
  assert.match(await alice.run(['create', 'Notes']), 'Made the space Notes')
  await alice.run(['write', 'packing'], 'tent\n')
  assert.is(await alice.run(['cat', 'packing']), 'tent\n')
  assert.is(await alice.run(['documents']), 'packing\n')
  const [member] = await alice.json<MemberShown[]>(['members'])
  assert.is(member?.name, 'laptop')
  assert.is(member?.role, 'owner')
})

test('what is wrong is told with what to do next, and by the exit code', async () => {
  await using folder = await Folder.make()
  const alice = folder.home('alice')
  const none = await alice.end(['spaces'])
  assert.is(none.code, 5)
  assert.match(none.stderr, 'skein init')
  await alice.run(['init'])
  assert.is((await alice.end(['init'])).code, 1)
  assert.is((await alice.end(['documents'])).code, 5)
  await alice.run(['create', 'Notes'])
  assert.is((await alice.end(['cat', 'nothing'])).code, 5)
  const wrong = await alice.end(['invite', '--expires', '7'])
  assert.is(wrong.code, 2)
  assert.match(wrong.stderr, '7d')
  assert.is((await alice.end(['join', 'nonsense'])).code, 2)
  const unknown = await skein(['remeber'])
  assert.is(unknown.code, 2)
  assert.match(unknown.stderr, 'members')
  for (const { stderr } of [none, wrong, unknown]) assert.not.match(stderr, /^\s+at /m)
})

test('every command has help with examples', async () => {
  const overview = (await skein(['--help'])).stdout
  for (const { name, summary } of commands) {
    if (summary === '') continue
    assert.match(overview, new RegExp(`^  ${name} `, 'm'))
    const { code, stdout } = await skein([name, '--help'])
    assert.is(code, 0, name)
    assert.match(stdout, 'Examples:', name)
  }
  assert.match((await skein(['help', 'exit-codes'])).stdout, '130  interrupted')
  assert.match((await skein(['help', 'configuration'])).stdout, 'SKEIN_HOME')
})

test('two devices meet: one invites, the other joins and reads', async () => {
  await using folder = await Folder.make()
  const dht = await runDht()
  try {
    const env = { SKEIN_BOOTSTRAP: `${dht.host}:${dht.port}` }
    const alice = folder.home('alice', { env })
    const bob = folder.home('bob', { env })
    await alice.run(['init', '--name', 'laptop'])
    await alice.run(['create', 'Notes'])
    await alice.run(['write', 'ideas'], 'Hello')
    await bob.run(['init', '--name', 'phone'])
    await using sync = alice.start(['sync'])
    await sync.says('Keeping in step')
    const link = (await alice.run(['invite'])).trim()
    assert.match(await bob.run(['join', link]), 'Joined the space Notes')
    await using bobs = bob.start(['sync'])
    await bobs.says('Keeping in step')
    await until(async () => (await bob.run(['documents'])) === 'ideas\n')
    assert.is(await bob.run(['cat', 'ideas']), 'Hello')
    // Both homes are in use, and their commands go through who uses them.
    await bob.run(['write', 'ideas'], 'Hello, Bob')
    await until(async () => (await alice.run(['cat', 'ideas'])) === 'Hello, Bob')
    assert.is((await bobs.interrupt()).code, 130)
    assert.is(await bob.run(['cat', 'ideas']), 'Hello, Bob')
    assert.is((await sync.interrupt()).code, 130)
  } finally {
    await dht.close()
  }
})

test('many commands at once on one home all do their work', async () => {
  await using folder = await Folder.make()
  const alice = folder.home('alice')
  await alice.run(['init'])
  await alice.run(['create', 'Notes'])
  const names = Array.from({ length: 6 }, (_, i) => `note ${i}`)
  await Promise.all(names.map((name) => alice.run(['write', name], name)))
  assert.equal((await alice.run(['documents'])).trim().split('\n').sort(), names)
  for (const name of names) assert.is(await alice.run(['cat', name]), name)
})

test('the QR codes of an invite are read as its line of text', async () => {
  await using folder = await Folder.make()
  const alice = folder.home('alice')
  await alice.run(['init', '--name', 'laptop'])
  await alice.run(['create', 'Notes'])
  const file = join(folder.path, 'invite.svg')
  const printed = await alice.run(['invite', '--qr', '--svg', file])
  const [link] = printed.split('\n')
  const svg = await readFile(file, 'utf8')
  const side = Number(/viewBox="0 0 (\d+)/.exec(svg)![1])
  const squares = [...svg.matchAll(/M(\d+),(\d+)h10v10h-10z/g)]
  assert.is(
    decoded(
      side,
      squares.map(([, x, y]) => [Number(x), Number(y)] as const)
    ),
    link
  )

  // In the terminal, a character shows two modules, one above the other.
  const rows = printed.split('\n').filter((line) => /[█▀▄]/.test(line))
  const dark = rows.flatMap((line, y) =>
    [...line].flatMap((character, x) => [
      ...(' ▄'.includes(character) ? [[10 * x, 20 * y] as const] : []),
      ...(' ▀'.includes(character) ? [[10 * x, 20 * y + 10] as const] : [])
    ])
  )
  assert.is(decoded(10 * Math.max(rows[0]!.length, 2 * rows.length), dark), link)
})

/** What a camera reads where there are dark squares of 10 by 10 at these places on a light ground. */
function decoded(side: number, squares: readonly (readonly [x: number, y: number])[]): string {
  const pixels = new Uint8ClampedArray(4 * side * side).fill(255)
  for (const [left, top] of squares) {
    for (let y = top; y < top + 10; y++) {
      for (let x = left; x < left + 10; x++)
        pixels.fill(0, 4 * (y * side + x), 4 * (y * side + x) + 3)
    }
  }
  return (jsQR as unknown as typeof jsQR.default)(pixels, side, side)?.data ?? 'nothing'
}

test.run()

async function until(holds: () => Promise<boolean>): Promise<void> {
  const patience = AbortSignal.timeout(30_000)
  while (!(await holds())) patience.throwIfAborted()
}
