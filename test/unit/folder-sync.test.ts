/** Folder sync between devices on a memory network, each with a real folder. */
import { execFileSync } from 'node:child_process'
import {
  link,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  utimes,
  writeFile
} from 'node:fs/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { FolderSync } from '../../lib/cli/folder/folder-sync.ts'
import { eventually } from '../events.ts'
import { device, joinAs, rejects, whenPeer } from '../devices.ts'
import { Folder, foldersOf, whenEqual } from '../folders.ts'

const test = suite('folder sync')

async function pair(
  network = new MemoryNetwork()
): Promise<{ alice: Folder; bob: Folder } & AsyncDisposable> {
  const [alice, bob] = (await foldersOf(network, ['alice', 'bob'])) as [Folder, Folder]
  return {
    alice,
    bob,
    async [Symbol.asyncDispose]() {
      await alice[Symbol.asyncDispose]()
      await bob[Symbol.asyncDispose]()
    }
  }
}

function apart({ alice, bob }: { alice: Folder; bob: Folder }): void {
  alice.device.network.partition([[alice.device.key], [bob.device.key]])
}

test('what is written in one folder is in the other, both ways', async () => {
  await using both = await pair()
  const { alice, bob } = both
  await alice.write('ideas.md', '# Ideas\n')
  await whenEqual([alice, bob], (all) => 'ideas.md' in all)
  await bob.write('ideas.md', '# Ideas\n- a boat\n')
  const end = await whenEqual([alice, bob], (all) => all['ideas.md']!.includes('boat'))
  assert.equal(end, { 'ideas.md': '# Ideas\n- a boat\n' })
  assert.equal(alice.errors.concat(bob.errors), [])
})

test('bytes arrive as they are: line endings, a byte order mark, Unicode names, empty files and folders', async () => {
  await using both = await pair()
  const { alice, bob } = both
  await alice.write('dos.txt', 'one\r\ntwo\r\n\rthree\n')
  await alice.write('bom.txt', '\ufeffmarked')
  await alice.write('tief/im Wald/Überraschung 👩‍👩‍👧.md', 'e\u0301 and é')
  await alice.write('empty.md', '')
  await mkdir(alice.absolute('an empty folder'))
  const end = await whenEqual([alice, bob], (all) => Object.keys(all).length === 7)
  assert.equal(Object.keys(end).sort(), [
    'an empty folder',
    'bom.txt',
    'dos.txt',
    'empty.md',
    'tief',
    'tief/im Wald',
    'tief/im Wald/Überraschung 👩‍👩‍👧.md'
  ])
})

test('what two write into one file while apart is merged by the character', async () => {
  await using both = await pair()
  const { alice, bob } = both
  await alice.write('list.md', 'milk\nbread\neggs\n')
  await whenEqual([alice, bob], (all) => 'list.md' in all)
  apart(both)
  await alice.write('list.md', 'oat milk\nbread\neggs\n')
  await bob.write('list.md', 'milk\nbread\nbrown eggs\nsalt\n')
  await alice.settled()
  await bob.settled()
  alice.device.network.heal()
  const end = await whenEqual([alice, bob], (all) => all['list.md']!.includes('salt'))
  assert.is(end['list.md'], 'oat milk\nbread\nbrown eggs\nsalt\n')
})

test('renames, moves and deletions arrive, and a file keeps its text and identity', async () => {
  await using both = await pair()
  const { alice, bob } = both
  await alice.write('a.md', 'the text of a\n')
  await alice.write('b.md', 'the text of b\n')
  await alice.write('c.md', 'the text of c\n')
  await whenEqual([alice, bob], (all) => Object.keys(all).length === 3)
  await mkdir(alice.absolute('sub'))
  await rename(alice.absolute('a.md'), alice.absolute('sub/new.md'))
  await rm(alice.absolute('b.md'))
  const end = await whenEqual([alice, bob], (all) => 'sub/new.md' in all && !('b.md' in all))
  assert.equal(end, { sub: null, 'sub/new.md': 'the text of a\n', 'c.md': 'the text of c\n' })
  assert.ok(bob.changes.some(({ kind, from }) => kind === 'renamed' && from === 'a.md'))
  await rename(bob.absolute('sub'), bob.absolute('moved'))
  await whenEqual([alice, bob], (all) => 'moved/new.md' in all && !('sub' in all))
})

test('a rename on one side and an edit on the other both hold', async () => {
  await using both = await pair()
  const { alice, bob } = both
  await alice.write('plan.md', 'one\ntwo\n')
  await whenEqual([alice, bob], (all) => 'plan.md' in all)
  apart(both)
  await rename(alice.absolute('plan.md'), alice.absolute('the plan.md'))
  await bob.write('plan.md', 'one\ntwo\nthree\n')
  await alice.settled()
  await bob.settled()
  alice.device.network.heal()
  const end = await whenEqual([alice, bob], (all) => all['the plan.md']?.includes('three') === true)
  assert.equal(end, { 'the plan.md': 'one\ntwo\nthree\n' })
})

test('a file deleted on one side and edited on the other is there, edited', async () => {
  await using both = await pair()
  const { alice, bob } = both
  await alice.write('plan.md', 'one\ntwo\n')
  await alice.write('other.md', 'other\n')
  await whenEqual([alice, bob], (all) => Object.keys(all).length === 2)
  apart(both)
  await rm(alice.absolute('plan.md'))
  await rm(alice.absolute('other.md'))
  await bob.write('plan.md', 'one\ntwo\nthree\n')
  await alice.settled()
  await bob.settled()
  alice.device.network.heal()
  const end = await whenEqual([alice, bob], (all) => !('other.md' in all) && 'plan.md' in all)
  assert.equal(end, { 'plan.md': 'one\ntwo\nthree\n' })
})

test('a file renamed differently on two sides has one of the names, on both', async () => {
  await using both = await pair()
  const { alice, bob } = both
  await alice.write('plan.md', 'text\n')
  await whenEqual([alice, bob], (all) => 'plan.md' in all)
  apart(both)
  await rename(alice.absolute('plan.md'), alice.absolute('a.md'))
  await rename(bob.absolute('plan.md'), bob.absolute('b.md'))
  await alice.settled()
  await bob.settled()
  alice.device.network.heal()
  const end = await whenEqual([alice, bob], (all) => Object.keys(all).length === 1)
  assert.ok(['a.md', 'b.md'].includes(Object.keys(end)[0]!))
})

test('two files of one name made while apart both stay, and become one if they hold the same', async () => {
  await using both = await pair()
  const { alice, bob } = both
  apart(both)
  await alice.write('today.md', 'apples and pears\n')
  await bob.write('today.md', 'something else entirely\n')
  await alice.write('same.md', 'the very same\n')
  await bob.write('same.md', 'the very same\n')
  await alice.settled()
  await bob.settled()
  alice.device.network.heal()
  const end = await whenEqual([alice, bob], (all) => Object.keys(all).length === 3)
  const names = Object.keys(end).sort()
  assert.is(names[0], 'same.md')
  assert.match(names[1]!, /^today \(from (alice|bob)\)\.md$/)
  assert.is(names[2], 'today.md')
  assert.equal([end[names[1]!]!, end['today.md']!].sort(), [
    'apples and pears\n',
    'something else entirely\n'
  ])
})

test('the names of two files are swapped, and each keeps its text', async () => {
  await using both = await pair()
  const { alice, bob } = both
  await alice.write('a.md', 'I was a\n')
  await alice.write('b.md', 'I was b\n')
  await whenEqual([alice, bob], (all) => Object.keys(all).length === 2)
  await rename(alice.absolute('a.md'), alice.absolute('t.md'))
  await rename(alice.absolute('b.md'), alice.absolute('a.md'))
  await rename(alice.absolute('t.md'), alice.absolute('b.md'))
  const end = await whenEqual([alice, bob], (all) => all['a.md'] === 'I was b\n')
  assert.equal(end, { 'a.md': 'I was b\n', 'b.md': 'I was a\n' })
  assert.is(bob.changes.filter(({ kind }) => kind === 'renamed').length, 2)
})

test('what is not text, links, hidden and editors’ files are left alone, and those worth a word are named', async () => {
  await using both = await pair()
  const { alice, bob } = both
  await alice.write('note.md', 'text\n')
  await alice.write('photo.jpg', Buffer.from([0xff, 0xd8, 0xff, 0, 1, 2]))
  await alice.write('latin1.txt', Buffer.from([0x63, 0x61, 0x66, 0xe9]))
  await alice.write('.obsidian/app.json', '{}')
  await alice.write('note.md~', 'backup')
  await alice.write('.note.md.swp', 'swap')
  await symlink('/etc/passwd', alice.absolute('link.md'))
  await alice.write('Note.md', 'another case\n')
  await alice.settled()
  // Of two names that differ in case, the one that was looked at first.
  await whenEqual([bob], (all) => Object.keys(all).some((path) => /^note\.md$/i.test(path)))
  await bob.settled()
  assert.is(Object.keys(await bob.contents()).length, 1)
  assert.equal(
    alice.sync.leftAlone.filter(({ path }) => !/^note\.md$/i.test(path)),
    [
      { path: 'latin1.txt', reason: 'not-text' },
      { path: 'link.md', reason: 'symbolic-link' },
      { path: 'photo.jpg', reason: 'not-text' }
    ]
  )
  assert.is(alice.sync.leftAlone.filter(({ reason }) => reason === 'name-clash').length, 1)
})

test('a file that stops being text is neither read nor written over, and goes on when it is text again', async () => {
  await using both = await pair()
  const { alice, bob } = both
  await alice.write('note.md', 'one\n')
  await whenEqual([alice, bob], (all) => 'note.md' in all)
  await alice.write('note.md', Buffer.from([1, 0, 2]))
  await alice.settled()
  assert.equal(alice.sync.leftAlone, [{ path: 'note.md', reason: 'not-text' }])
  await bob.write('note.md', 'one\ntwo\n')
  await bob.settled()
  await alice.settled()
  assert.is(await alice.read('note.md'), '\u0001\u0000\u0002')
  await alice.write('note.md', 'zero\none\n')
  const end = await whenEqual([alice, bob], (all) => all['note.md']!.includes('zero'))
  assert.is(end['note.md'], 'zero\none\ntwo\n')
  await alice.settled()
  assert.equal(alice.sync.leftAlone, [])
})

test('a device starts with a copy of the folder, and nothing is doubled', async () => {
  const network = new MemoryNetwork()
  const folders = (await foldersOf(network, ['alice', 'bob'], { start: false })) as [Folder, Folder]
  await using alice = folders[0]
  await using bob = folders[1]
  for (let i = 0; i < 20; i++) {
    await alice.write(`notes/${i}.md`, `note ${i}\nwith two lines\n`)
    await bob.write(`notes/${i}.md`, `note ${i}\nwith two lines\n`)
  }
  await bob.write('notes/3.md', 'note 3\nwith two lines\nand a third\n')
  await alice.start()
  await alice.settled()
  await bob.start()
  const end = await whenEqual([alice, bob], (all) => all['notes/3.md']?.includes('third') === true)
  assert.is(Object.keys(end).length, 21)
  assert.is(end['notes/3.md'], 'note 3\nwith two lines\nand a third\n')
})

test('what was changed while sync was not running is found at its start', async () => {
  await using both = await pair()
  const { alice, bob } = both
  await alice.write('a.md', 'alpha\n')
  await alice.write('b.md', 'beta\n')
  await alice.write('c.md', 'gamma\n')
  await whenEqual([alice, bob], (all) => Object.keys(all).length === 3)
  await alice.settled()
  await alice.sync.close()
  await alice.write('a.md', 'alpha\nfrom alice\n')
  await rename(alice.absolute('b.md'), alice.absolute('renamed.md'))
  await rm(alice.absolute('c.md'))
  await alice.write('d.md', 'delta\n')
  await bob.write('a.md', 'from bob\nalpha\n')
  await bob.settled()
  await alice.start()
  const end = await whenEqual([alice, bob], (all) => 'd.md' in all && !('c.md' in all))
  assert.equal(end, {
    'a.md': 'from bob\nalpha\nfrom alice\n',
    'renamed.md': 'beta\n',
    'd.md': 'delta\n'
  })
})

test('a lost index neither drops nor doubles text', async () => {
  await using both = await pair()
  const { alice, bob } = both
  await alice.write('a.md', 'one\ntwo\nthree\n')
  await whenEqual([alice, bob], (all) => 'a.md' in all)
  await alice.settled()
  await alice.sync.close()
  await rm(alice.absolute('.skein'), { recursive: true })
  await bob.write('a.md', 'one\ntwo\nthree\nbob\n')
  await bob.settled()
  await alice.write('a.md', 'alice\none\ntwo\nthree\n')
  await alice.start()
  const end = await whenEqual([alice, bob], (all) => all['a.md']!.includes('alice'))
  assert.is(end['a.md'], 'alice\none\ntwo\nthree\nbob\n')
})

test('an editor that saves an older text does not take away what had come', async () => {
  await using both = await pair()
  const { alice, bob } = both
  await alice.write('a.md', 'one\ntwo\n')
  await whenEqual([alice, bob], (all) => 'a.md' in all)
  await bob.write('a.md', 'one\ntwo\nbob was here\n')
  await whenEqual([alice, bob], (all) => all['a.md']!.includes('bob'))
  // Alice's editor opened the file before bob wrote.
  await alice.write('a.md', 'one\nTWO\n')
  const end = await whenEqual([alice, bob], (all) => all['a.md']!.includes('TWO'))
  assert.is(end['a.md'], 'one\nTWO\nbob was here\n')
  assert.ok(alice.conflicts.some(({ kind }) => kind === 'stale-save'))
  // The deliberate removal of just what had come takes two goes.
  await alice.write('a.md', 'one\nTWO\n')
  await eventually(async () => (await alice.read('a.md')) === 'one\nTWO\nbob was here\n')
  await alice.settled()
  await alice.write('a.md', 'one\nTWO\n')
  await whenEqual([alice, bob], (all) => all['a.md'] === 'one\nTWO\n')
})

/** How editors save, by what they ask of the system. */
const habits: Record<string, (path: string, text: string) => Promise<void>> = {
  'truncate and write': (path, text) => writeFile(path, text),
  'VS Code: truncate, write in parts, sync': async (path, text) => {
    const file = await open(path, 'w')
    await file.write(text.slice(0, text.length / 2))
    await file.write(text.slice(text.length / 2))
    await file.sync()
    await file.close()
  },
  'temporary file and rename': async (path, text) => {
    await writeFile(`${path}.tmp`, text)
    await rename(`${path}.tmp`, path)
  },
  'temporary file of any name, and rename': async (path, text) => {
    const temporary = path.replace(/[^/]*$/, 'saving-4711')
    await writeFile(temporary, text)
    await rename(temporary, path)
  },
  'vim: backup by renaming, new file, backup removed': async (path, text) => {
    await writeFile(path.replace(/[^/]*$/, '4913'), '')
    await rm(path.replace(/[^/]*$/, '4913'))
    await rename(path, `${path}~`)
    await writeFile(path, text)
    await rm(`${path}~`)
  },
  'emacs: backup that stays, as a link': async (path, text) => {
    await rm(`${path}~`, { force: true })
    await link(path, `${path}~`)
    await writeFile(`${path}.new`, text)
    await rename(`${path}.new`, path)
  },
  'remove and write again': async (path, text) => {
    await rm(path)
    await writeFile(path, text)
  },
  'the same length, the same time': async (path, text) => {
    const { atime, mtime } = await stat(path)
    await writeFile(path, text)
    await utimes(path, atime, new Date(mtime.getTime() + 1))
  }
}

test('a file is one and the same, however an editor saves it', async () => {
  await using both = await pair()
  const { alice, bob } = both
  await alice.write('a.md', 'start\n')
  await whenEqual([alice, bob], (all) => 'a.md' in all)
  let text = 'start\n'
  for (const [name, save] of Object.entries(habits)) {
    bob.changes.length = 0
    text += `${name}\n`
    await save(alice.absolute('a.md'), text)
    await eventually(async () => (await bob.read('a.md')) === text, {
      deadlineMs: 20_000,
      what: name
    })
    assert.is(bob.changes.filter(({ kind }) => kind !== 'edited').length, 0, name)
  }
  await rm(alice.absolute('a.md~'), { force: true })
  await whenEqual([alice, bob])
  assert.equal(alice.errors.concat(bob.errors), [])
})

test('vim itself saves, in each of its ways', async () => {
  try {
    execFileSync('vim', ['--version'], { stdio: 'ignore' })
  } catch {
    return // Not installed here: the test above imitates it.
  }
  await using both = await pair()
  const { alice, bob } = both
  await alice.write('a.md', 'start\n')
  await whenEqual([alice, bob], (all) => 'a.md' in all)
  let text = 'start\n'
  for (const copy of ['yes', 'no', 'auto']) {
    const set = `set backupcopy=${copy} writebackup`
    execFileSync('vim', [
      '-es',
      '-u',
      'NONE',
      '-c',
      set,
      '-c',
      `$put ='${copy}'`,
      '-c',
      'wq',
      alice.absolute('a.md')
    ])
    text += `${copy}\n`
    await whenEqual([alice, bob], (all) => all['a.md'] === text)
  }
})

test('a folder that is gone deletes nothing from the space', async () => {
  await using both = await pair()
  const { alice, bob } = both
  await alice.write('a.md', 'text\n')
  await whenEqual([alice, bob], (all) => 'a.md' in all)
  await alice.settled()
  const stopped = new Promise((resolve) => alice.sync.on('stopped', resolve))
  await rename(alice.path, `${alice.path}-away`)
  alice.sync.rescan()
  await stopped
  assert.equal(await bob.contents(), { 'a.md': 'text\n' })
  await alice.sync.close()
  await rename(`${alice.path}-away`, alice.path)
})

test('who may only read gets what others write, and keeps to himself what he changed', async () => {
  const network = new MemoryNetwork()
  const [first] = (await foldersOf(network, ['alice'])) as [Folder]
  await using alice = first
  await alice.write('a.md', 'alpha\n')
  await alice.write('b.md', 'beta\n')
  const reader = await device('bob', network)
  await joinAs(alice.device.space, reader, { role: 'reader' })
  await using bob = new Folder(`${alice.path}-bob`, reader, {})
  await bob.start()
  await whenEqual([alice, bob], (all) => 'b.md' in all)
  await bob.write('a.md', 'alpha\nmine\n')
  await bob.write('mine.md', 'mine\n')
  await alice.write('a.md', 'ALPHA\n')
  await alice.write('b.md', 'BETA\n')
  await eventually(async () => (await bob.read('b.md')) === 'BETA\n', { deadlineMs: 20_000 })
  await bob.settled()
  assert.is(await bob.read('a.md'), 'alpha\nmine\n')
  assert.equal(bob.sync.leftAlone, [
    { path: 'a.md', reason: 'read-only' },
    { path: 'mine.md', reason: 'read-only' }
  ])
  assert.equal(Object.keys(await alice.contents()).sort(), ['a.md', 'b.md'])
  assert.equal(bob.errors, [])
})

test('a save that meant a file which has just lost its name goes to that file', async () => {
  await using both = await pair()
  const { alice, bob } = both
  apart(both)
  await alice.write('today.md', 'alice: apples, pears and plums\n')
  await bob.write('today.md', 'bob: screws, nails and a hammer\n')
  await alice.settled()
  await bob.settled()
  alice.device.network.heal()
  const met = await whenEqual([alice, bob], (all) => Object.keys(all).length === 2)
  const loser = met['today.md']!.startsWith('alice') ? bob : alice
  const mine = Object.values(met).find((text) => text!.startsWith(loser.device.name))!
  // The editor of the one whose file has another name now had it open, and knows nothing of that.
  await loser.write('today.md', `${mine}and one more thing\n`)
  const end = await whenEqual([alice, bob], (all) =>
    Object.values(all).some((text) => text!.includes('one more'))
  )
  assert.is(end['today.md'], met['today.md'])
  assert.is(end[`today (from ${loser.device.name}).md`], `${mine}and one more thing\n`)
})

test('a second process is told that the folder is in use, and another space that it is not its own', async () => {
  await using both = await pair()
  const { alice } = both
  const options = { folder: alice.path }
  const second = new FolderSync({ ...options, space: alice.device.space })
  await rejects(second.ready(), 'STORAGE_LOCKED')
  await second.close()
  await alice.sync.close()
  const other = new FolderSync({
    ...options,
    space: await alice.device.skein.createSpace({ name: 'B' })
  })
  await rejects(other.ready(), 'NOT_ALLOWED')
  await other.close()
})

test('nothing that a member names leads out of the folder, or into what is hidden', async () => {
  await using both = await pair()
  const { alice, bob } = both
  apart(both)
  const directory = await bob.device.space.open('folder')
  const paths = [
    '../out.md',
    '/abs.md',
    'a/../../out.md',
    '.git/hooks/post-commit',
    '.skein/x',
    'a//b',
    '',
    'nul\0.md',
    'ok.md'
  ]
  for (const [i, path] of paths.entries()) {
    const document = await bob.device.space.open(`folder/id${i}`)
    document.doc.getText('body').insert(0, 'evil')
    await document.saved()
    directory.doc.getMap('paths').set(`id${i}`, [path, 1, 'bob'])
  }
  await directory.saved()
  await symlink('/tmp', alice.absolute('a'))
  alice.device.network.heal()
  await eventually(async () => (await readdir(alice.path)).includes('ok.md'), {
    deadlineMs: 20_000
  })
  await alice.settled()
  assert.equal((await readdir(alice.path)).sort(), ['.skein', 'a', 'ok.md'])
})

test('a folder is removed with what was in it, and one that is needed again comes back', async () => {
  await using both = await pair()
  const { alice, bob } = both
  await alice.write('deep/er/note.md', 'text\n')
  await whenEqual([alice, bob], (all) => 'deep/er/note.md' in all)
  await alice.settled()
  await rm(alice.absolute('deep'), { recursive: true })
  await whenEqual([alice, bob], (all) => Object.keys(all).length === 0)
  await bob.write('deep/other.md', 'text\n')
  await whenEqual([alice, bob], (all) => Object.keys(all).length === 2)
  await rm(bob.absolute('deep/other.md'))
  await whenEqual([alice, bob], (all) => 'deep' in all && Object.keys(all).length === 1)
  await rmdir(alice.absolute('deep'))
  await whenEqual([alice, bob], (all) => Object.keys(all).length === 0)
  await whenPeer(alice.device.space, bob.device)
})

test.run()
