/** Names in folder sync: what is left alone, what is allowed where, who has which name, and what became of which file. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { DiskFile } from '../../lib/cli/folder/disk.ts'
import type { Signature } from '../../lib/cli/folder/disk-file.ts'
import { matchFiles, type Known } from '../../lib/cli/folder/matching.ts'
import { distinctName, keyOf, PathRules } from '../../lib/cli/folder/path-names.ts'
import { placeFiles, type Claim } from '../../lib/cli/folder/placement.ts'
import { random } from '../crash/lab.ts'

const test = suite('folder names')

test('hidden, editors’ and ignored files are left alone', () => {
  const rules = new PathRules(['drafts/', '*.csv', '!keep.csv'], 'linux')
  const reason = (path: string): string | null => rules.reasonFor(path, false)
  for (const path of ['.git/config', 'a/.hidden/b.md', '.note.md.swp'])
    assert.is(reason(path), 'hidden')
  for (const path of [
    'note.md~',
    'a/4913',
    '#note.md#',
    'note.md.swp',
    '~$report.docx',
    'sedAb12cD',
    'x.tmp'
  ])
    assert.is(reason(path), 'editor', path)
  for (const path of ['drafts/a.md', 'a/table.csv']) assert.is(reason(path), 'ignored', path)
  for (const path of ['note.md', 'keep.csv', 'a/b c/日記.md', 'sed.md', '49132'])
    assert.is(reason(path), null, path)
})

test('a name from elsewhere is allowed where it means the same', () => {
  const linux = new PathRules([], 'linux')
  const windows = new PathRules([], 'win32')
  for (const path of [
    '',
    '..',
    'a/../b',
    '/a',
    'a//b',
    'a/',
    './a',
    'a\0b',
    'x'.repeat(256),
    '\ud800.md'
  ])
    assert.not(linux.isAllowed(path), JSON.stringify(path))
  for (const path of ['a', 'a/b.md', 'what?.md', 'CON', 'ends.'])
    assert.ok(linux.isAllowed(path), path)
  for (const path of [
    'what?.md',
    'a:b',
    'CON',
    'con.md',
    'lpt1.txt',
    'ends.',
    'ends ',
    'a\\..\\b',
    'tab\t'
  ])
    assert.not(windows.isAllowed(path), JSON.stringify(path))
  assert.ok(windows.isAllowed('console.md'))
})

test('what some file system takes for one name has one key', () => {
  assert.is(keyOf('Notes/É.md'), keyOf('notes/e\u0301.MD'))
  assert.is(keyOf('STRASSE'), keyOf('straße'))
  assert.not.equal(keyOf('a.md'), keyOf('b.md'))
})

test('the name of the second is one that fits everywhere', () => {
  assert.is(distinctName('a/note.md', 'bob', 1), 'a/note (from bob).md')
  assert.is(distinctName('note.tar.gz', 'bob', 2), 'note.tar (from bob 2).gz')
  assert.is(distinctName('todo', 'Bob’s: "phone" /1', 1), 'todo (from Bob’s phone 1)')
  assert.is(distinctName('a.md', '///', 1), 'a (from another device).md')
  const long = distinctName(`${'日'.repeat(84)}.md`, 'bob', 1)
  assert.ok(new TextEncoder().encode(long).length <= 255)
  assert.ok(new PathRules([], 'linux').isAllowed(long))
})

function claim(id: string, path: string, order: number, by = 'bob'): Claim {
  return { id, path, order, by }
}

test('the earliest claim has the name; the next one has it when the first goes', () => {
  const first = claim('z', 'note.md', 1, 'alice')
  const second = claim('a', 'Note.md', 2)
  assert.equal(
    [...placeFiles([second, first], []).pathById],
    [
      ['z', 'note.md'],
      ['a', 'Note (from bob).md']
    ]
  )
  assert.equal([...placeFiles([second], []).pathById], [['a', 'Note.md']])
})

test('a folder goes before a file of its name, and a name that is claimed is not given away', () => {
  const { pathById, folders } = placeFiles(
    [
      claim('1', 'plans', 1),
      claim('2', 'plans/a.md', 5),
      claim('3', 'x.md', 1),
      claim('4', 'x.md', 2),
      claim('5', 'x (from bob).md', 3)
    ],
    ['empty/one']
  )
  assert.is(pathById.get('1'), 'plans (from bob)')
  assert.is(pathById.get('2'), 'plans/a.md')
  assert.is(pathById.get('5'), 'x (from bob).md')
  assert.is(pathById.get('4'), 'x (from bob 2).md')
  assert.equal([...folders].sort(), ['empty', 'empty/one', 'plans'])
})

test('names do not depend on the order in which claims came, and no two are one', () => {
  const choose = random(3)
  for (let round = 0; round < 300; round++) {
    const claims = Array.from({ length: 12 }, (_, i) =>
      claim(
        `f${i}`,
        ['a', 'A', 'a/b', 'a (from bob)', 'b'][Math.floor(choose() * 5)]!,
        Math.floor(choose() * 4)
      )
    )
    const folders = choose() < 0.5 ? ['B'] : []
    const there = placeFiles(claims, folders)
    const again = placeFiles(
      [...claims].sort(() => choose() - 0.5),
      folders
    )
    assert.equal(new Map(there.pathById), new Map(again.pathById))
    const keys = [...there.pathById.values(), ...there.folders].map(keyOf)
    const files = [...there.pathById.values()].map(keyOf)
    assert.is(new Set(files).size, files.length)
    assert.is(
      files.filter((key) => [...there.folders].map(keyOf).includes(key)).length,
      0,
      keys.join()
    )
  }
})

function signature(inode: string, size = 5): Signature {
  return { inode, birthNs: `1${inode}`, size, modifiedNs: '1' }
}

async function match(
  known: Record<string, [path: string, inode: string, hash?: string]>,
  disk: Record<string, [inode: string, hash?: string]>
): Promise<{ paths: Record<string, string>; missing: string[]; untracked: string[] }> {
  const files = new Map<string, DiskFile>(
    Object.entries(disk).map(([path, [inode]]) => [path, { path, signature: signature(inode) }])
  )
  const all = Object.entries(known).map(([id, [path, inode, hash = id]]): Known => ({
    id,
    path,
    signature: signature(inode),
    hash
  }))
  const matched = await matchFiles(all, files, {
    hashAt: async ({ path }) => disk[path]?.[1] ?? null,
    resembles: async ({ hash }, { path }) => disk[path]?.[1]?.includes(hash) === true
  })
  return {
    paths: Object.fromEntries([...matched.fileById].map(([id, { path }]) => [id, path])),
    missing: [...matched.missing],
    untracked: matched.untracked.map(({ path }) => path)
  }
}

test('what became of a file: its name counts, then its inode, then what it held', async () => {
  // Saved by way of a temporary file, with the old one kept as a backup of another name.
  assert.equal(await match({ a: ['a', '1'] }, { a: ['2', 'a+'], 'a.old': ['1'] }), {
    paths: { a: 'a' },
    missing: [],
    untracked: ['a.old']
  })
  // Renamed, and another file made under its name.
  assert.equal(await match({ a: ['a', '1'] }, { a: ['2', 'new'], b: ['1', 'a'] }), {
    paths: { a: 'b' },
    missing: [],
    untracked: ['a']
  })
  // Renamed.
  assert.equal((await match({ a: ['a', '1'] }, { b: ['1'] })).paths, { a: 'b' })
  // Two swapped, three rotated, one moved into the name of one that was moved.
  assert.equal((await match({ a: ['a', '1'], b: ['b', '2'] }, { a: ['2'], b: ['1'] })).paths, {
    a: 'b',
    b: 'a'
  })
  const three = await match(
    { a: ['a', '1'], b: ['b', '2'], c: ['c', '3'] },
    { a: ['3'], b: ['1'], c: ['2'] }
  )
  assert.equal(three.paths, { a: 'b', b: 'c', c: 'a' })
  assert.equal((await match({ a: ['a', '1'], b: ['b', '2'] }, { a: ['2'], c: ['1'] })).paths, {
    a: 'c',
    b: 'a'
  })
  // Two swapped, of which one had been saved by renaming and not been looked at since.
  const saved = await match({ a: ['a', '1'], b: ['b', '2'] }, { a: ['2', 'b'], b: ['7', 'a+'] })
  assert.equal(saved.paths, { a: 'b', b: 'a' })
  // A temporary file that had been noticed, and is renamed into its place.
  const noticed = await match({ a: ['a', '1'], t: ['t', '2', 'a+'] }, { a: ['2', 'a+'] })
  assert.equal([noticed.paths, noticed.missing], [{ a: 'a' }, ['t']])
  // One moved over another that had little in common with it.
  assert.equal(await match({ a: ['a', '1'], b: ['b', '2'] }, { a: ['2'] }), {
    paths: { b: 'a' },
    missing: ['a'],
    untracked: []
  })
  // Moved to another file system and back, or by a program that copies: what it held.
  assert.equal((await match({ a: ['x/a', '1'] }, { 'y/b': ['8', 'a'], 'y/a': ['9', 'a'] })).paths, {
    a: 'y/a'
  })
  // Gone, and something else is there.
  assert.equal(await match({ a: ['a', '1'] }, { b: ['9', 'other'] }), {
    paths: {},
    missing: ['a'],
    untracked: ['b']
  })
})

test.run()
