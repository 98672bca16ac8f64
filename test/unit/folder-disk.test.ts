/** What folder sync does to a disk: nothing that another program wrote is clobbered, nothing is written outside. */
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Disk } from '../../lib/cli/folder/disk.ts'
import { isSame } from '../../lib/cli/folder/disk-file.ts'
import { PathRules } from '../../lib/cli/folder/path-names.ts'

const test = suite('folder disk')

async function disk(
  exchange?: (a: string, b: string) => Promise<void>
): Promise<Disk & AsyncDisposable> {
  const root = await mkdtemp(join(tmpdir(), 'skein-disk-'))
  const made = new Disk(root, new PathRules([], 'linux'), exchange)
  await made.ready()
  return Object.assign(made, {
    [Symbol.asyncDispose]: () => rm(root, { recursive: true })
  })
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

for (const [what, exchange] of [
  ['', undefined],
  [
    ', where the file system cannot swap',
    () => Promise.reject(Object.assign(new Error(), { code: 'EINVAL' }))
  ]
] as const) {
  test(`what was at the place of a written file is in hand, whoever wrote it${what}`, async () => {
    await using one = await disk(exchange)
    await writeFile(one.absolute('a.md'), 'saved by someone', { mode: 0o640 })
    const temporary = await one.writeTemporary(bytes('written'), 'a.md')
    assert.ok(await one.exchange(temporary.name, 'a.md'))
    assert.is(await readFile(one.absolute('a.md'), 'utf8'), 'written')
    assert.is((await stat(one.absolute('a.md'))).mode & 0o777, 0o640)
    assert.ok(isSame(await one.signature('a.md'), temporary.signature))
    const displaced = await one.readTemporary(temporary.name)
    assert.is(new TextDecoder().decode(displaced!.bytes), 'saved by someone')
    assert.equal(await one.temporaries(), [temporary.name])
    assert.not(await one.exchange(temporary.name, 'gone.md'))
  })
}

test('a write right after it, of the same length, shows', async () => {
  await using one = await disk()
  await writeFile(one.absolute('a.md'), 'before')
  const temporary = await one.writeTemporary(bytes('one'), 'a.md')
  await one.exchange(temporary.name, 'a.md')
  await writeFile(one.absolute('a.md'), 'two')
  assert.not(isSame(await one.signature('a.md'), temporary.signature))
})

test('a new file takes no one’s place', async () => {
  await using one = await disk()
  await writeFile(one.absolute('a.md'), 'there')
  const temporary = await one.writeTemporary(bytes('new'), null)
  assert.not(await one.putNew(temporary.name, 'a.md'))
  assert.ok(await one.putNew(temporary.name, 'deep/er/a.md'))
  assert.is(await readFile(one.absolute('a.md'), 'utf8'), 'there')
  assert.equal(await one.move('a.md', 'deep/er/a.md', 'old-x-0'), { isDone: false, aside: null })
  assert.equal(await one.move('a.md', 'b.md', 'old-x-0'), { isDone: true, aside: null })
  assert.equal((await readdir(one.root)).sort(), ['.skein', 'b.md', 'deep'])
})

test('nothing is written through a link', async () => {
  await using one = await disk()
  const outside = await mkdtemp(join(tmpdir(), 'skein-outside-'))
  try {
    await writeFile(join(outside, 'a.md'), 'outside')
    await symlink(outside, one.absolute('sub'))
    const temporary = await one.writeTemporary(bytes('new'), null)
    const fails = async (work: Promise<unknown>): Promise<boolean> =>
      work.then(() => false).catch(() => true)
    assert.ok(await fails(one.putNew(temporary.name, 'sub/new.md')))
    assert.not(await one.exchange(temporary.name, 'sub/a.md'))
    assert.equal(await readdir(outside), ['a.md'])
    assert.is(await readFile(join(outside, 'a.md'), 'utf8'), 'outside')
  } finally {
    await rm(outside, { recursive: true })
  }
})

test('a scan tells files, folders and what is left alone, and a folder that was exchanged is noticed', async () => {
  await using one = await disk()
  await mkdir(one.absolute('a/b'), { recursive: true })
  await writeFile(one.absolute('a/b/c.md'), 'text')
  await writeFile(one.absolute('a/.hidden'), '')
  await utimes(one.absolute('a/b/c.md'), 1, 1)
  const { filesByPath, folders, leftAlone } = await one.scan()
  assert.equal([...filesByPath.keys()], ['a/b/c.md'])
  assert.is(filesByPath.get('a/b/c.md')!.signature.modifiedNs, '1000000000')
  assert.equal([...folders], ['a', 'a/b'])
  assert.equal([...leftAlone], [['a/.hidden', 'hidden']])
  assert.ok(await one.isThere())
  await rename(one.absolute('.skein'), one.absolute('.skein-old'))
  assert.not(await one.isThere())
})

test.run()
