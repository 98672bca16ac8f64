/**
 * A device's folder put back to what it was, or copied elsewhere: nothing in it tells what the device has written since.
 * It asks a member before it writes, so that no log forks, and what it had written comes back.
 */
import { cpSync, existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { runDht } from '../../adapters/dht.ts'
import { hyperswarm } from '../../adapters/hyperswarm.ts'
import { memory, MemoryNetwork } from '../../adapters/memory.ts'
import { fromHex } from '../../lib/bytes.ts'
import { Skein, type Document, type Space, type Transport } from '../../lib/index.ts'
import { rejects, until, whenText } from '../devices.ts'
import { deadline } from '../events.ts'
import { followed } from '../forking.ts'
import { scratch } from './lab.ts'

const test = suite('restored folders')

async function start(folder: string, name: string, transport?: Transport): Promise<Skein> {
  const transports = transport === undefined ? [] : [transport]
  const skein = new Skein({ storage: folder, name, transports })
  await skein.ready()
  return skein
}

async function write(document: Document, text: string): Promise<void> {
  document.doc.getText('body').insert(0, text)
  await document.saved()
}

function whenMayWrite(space: Space): Promise<void> {
  return until(
    (listener) => space.on('storage', listener),
    () => !space.readOnly,
    'it may write'
  )
}

/** Collects forks, and what was wrong with entries. */
function faultsOf(...spaces: Space[]): string[] {
  const faults: string[] = []
  for (const space of spaces) {
    space.on('fork', ({ device, length }) => faults.push(`fork of ${device} at ${length}`))
    space.on('peer-error', ({ error }) => faults.push(error.message))
  }
  return faults
}

let copies = 0

function copy(from: string, to: string): void {
  // Not deleted: a file made a moment later could be the same inode, and a restored backup is not a moment old.
  if (existsSync(to)) renameSync(to, `${to}.before-${copies++}`)
  cpSync(from, to, { recursive: true, preserveTimestamps: true })
}

test('a restored folder takes back what it had written since, then writes, over real sockets', async () => {
  for (const isBackupOfRunning of [false, true]) {
    using folder = scratch('restored')
    const [at, backup] = [`${folder.path}/alice`, `${folder.path}/backup`]
    const dht = await runDht()
    const { bootstrap } = dht
    await using bob = await start(`${folder.path}/bob`, 'bob', hyperswarm({ bootstrap }))
    let alice = await start(at, 'alice', hyperswarm({ bootstrap }))
    let space = await alice.createSpace({ name: 'Notes' })
    const atBob = await deadline(bob.join(await space.invite()), 20_000, 'bob joins')
    let note = await space.open('plans')
    await write(note, 'first;')
    await deadline(note.saved({ peers: 1 }), 20_000, 'bob holds the first')
    if (!isBackupOfRunning) await alice.close()
    copy(at, backup)
    if (!isBackupOfRunning) {
      alice = await start(at, 'alice', hyperswarm({ bootstrap }))
      space = alice.spaces()[0]!
      note = await space.open('plans')
    }
    for (let i = 0; i < 20; i++) await write(note, `${i};`)
    await space.invite({ role: 'reader' })
    await deadline(note.saved({ peers: 1 }), 20_000, 'bob holds the tail')
    const text = note.doc.getText('body').toJSON()
    await alice.close()

    copy(backup, at)
    alice = await start(at, 'alice', hyperswarm({ bootstrap }))
    space = alice.spaces()[0]!
    const faults = faultsOf(space, atBob)
    assert.ok(space.readOnly, 'it does not know whether it may write')
    note = await space.open('plans')
    await whenText(note.doc, text)
    await deadline(whenMayWrite(space), 20_000, 'alice may write again')
    await write(note, 'after;')
    await deadline(note.saved({ peers: 1 }), 20_000, 'bob holds what came after')
    await whenText((await atBob.open('plans')).doc, `after;${text}`)
    assert.equal(faults, [])
    await alice.close()

    // It has been answered: it writes at once, from then on, with nobody there.
    alice = await start(at, 'alice')
    assert.not(alice.spaces()[0]!.readOnly)
    await alice.close()
    await bob.close()
    await dht.close()
  }
})

/** As `rsync --delete` without temporary files, or `cp` over what is there: a file that is there keeps its inode. */
function putBack(backup: string, at: string): void {
  for (const name of readdirSync(at, { recursive: true, encoding: 'utf8' })) {
    if (!existsSync(join(backup, name))) rmSync(join(at, name), { recursive: true, force: true })
  }
  for (const name of readdirSync(backup, { recursive: true, encoding: 'utf8' })) {
    const [from, to] = [join(backup, name), join(at, name)]
    if (statSync(from).isDirectory()) continue
    const isSame =
      existsSync(to) &&
      statSync(to).size === statSync(from).size &&
      Math.abs(statSync(to).mtimeMs - statSync(from).mtimeMs) < 1
    if (!isSame) cpSync(from, to, { force: true, preserveTimestamps: true })
  }
}

test('a folder put back in place, file by file, is known for one; one put back to what it was is not', async () => {
  using folder = scratch('restored')
  const [at, backup] = [`${folder.path}/alice`, `${folder.path}/backup`]
  const network = new MemoryNetwork()
  await using bob = await start(`${folder.path}/bob`, 'bob', memory(network))
  let alice = await start(at, 'alice', memory(network))
  const founded = await alice.createSpace({ name: 'Notes' })
  const atBob = await bob.join(await founded.invite())
  const first = await founded.open('plans')
  await write(first, 'first;')
  await deadline(first.saved({ peers: 1 }), 20_000, 'bob holds the first')
  const alicesId = alice.id
  await alice.close()
  const mark = statSync(join(at, 'store', 'CORESTORE')).ino
  copy(at, backup)
  putBack(backup, at)
  network.partition([[fromHex(alicesId)], [fromHex(bob.id)]])
  alice = await start(at, 'alice', memory(network))
  const untouched = alice.spaces()[0]!
  assert.not(untouched.readOnly, 'nothing was written since')
  const writing = await untouched.open('plans')
  network.heal()
  await write(writing, 'lost;')
  await deadline(writing.saved({ peers: 1 }), 20_000, 'bob holds it')
  await alice.close()

  putBack(backup, at)
  assert.is(statSync(join(at, 'store', 'CORESTORE')).ino, mark, 'corestore would not notice')
  alice = await start(at, 'alice', memory(network))
  const space = alice.spaces()[0]!
  const faults = faultsOf(space, atBob)
  const note = await space.open('plans')
  await deadline(whenMayWrite(space), 20_000, 'alice may write again')
  await write(note, 'after;')
  await deadline(note.saved({ peers: 1 }), 20_000, 'bob holds all')
  await whenText((await atBob.open('plans')).doc, 'after;lost;first;')
  await whenText(note.doc, 'after;lost;first;')
  assert.equal(faults, [])
  await alice.close()
})

test('a restored folder waits for a member, also over a restart, and keeps what is written meanwhile', async () => {
  using folder = scratch('restored')
  const [at, backup] = [`${folder.path}/alice`, `${folder.path}/backup`]
  const network = new MemoryNetwork()
  await using bob = await start(`${folder.path}/bob`, 'bob', memory(network))
  let alice = await start(at, 'alice', memory(network))
  const founded = await alice.createSpace({ name: 'Notes' })
  const atBob = await bob.join(await founded.invite())
  await write(await founded.open('plans'), 'first;')
  const alicesId = alice.id
  await alice.close()
  copy(at, backup)
  alice = await start(at, 'alice', memory(network))
  const writing = await alice.spaces()[0]!.open('plans')
  await write(writing, 'lost;')
  await deadline(writing.saved({ peers: 1 }), 20_000, 'bob holds it')
  await alice.close()

  copy(backup, at)
  network.partition([[fromHex(alicesId)], [fromHex(bob.id)]])
  for (let run = 0; run < 2; run++) {
    alice = await start(at, 'alice', memory(network))
    const note = await alice.spaces()[0]!.open('plans')
    assert.ok(note.readOnly)
    note.doc.getText('body').insert(0, `meanwhile ${run};`)
    await rejects(note.saved(), 'NOT_ALLOWED')
    if (run === 0) await alice.close()
  }
  const space = alice.spaces()[0]!
  const faults = faultsOf(space, atBob)
  network.heal()
  await deadline(whenMayWrite(space), 20_000, 'alice may write again')
  const note = await space.open('plans')
  await deadline(note.saved({ peers: 1 }), 20_000, 'bob holds it all')
  // Of the first run, too, though that was closed before it could be written.
  const parts = ['first;', 'lost;', 'meanwhile 0;', 'meanwhile 1;']
  const bobs = await atBob.open('plans')
  const theirs = (): string => bobs.doc.getText('body').toJSON()
  await until(
    (listener) => followed(bobs, listener),
    () => parts.every((part) => theirs().includes(part)),
    'all that was written is with bob'
  )
  await whenText(note.doc, theirs())
  for (const part of parts) assert.is(theirs().split(part).length, 2, `${part} is there once`)
  assert.equal(faults, [])
  await alice.close()
})

test('a folder whose outbox is gone asks as well, and takes other client ids', async () => {
  using folder = scratch('restored')
  const at = `${folder.path}/alice`
  const network = new MemoryNetwork()
  await using bob = await start(`${folder.path}/bob`, 'bob', memory(network))
  let alice = await start(at, 'alice', memory(network))
  const founded = await alice.createSpace({ name: 'Notes' })
  const atBob = await bob.join(await founded.invite())
  const before = await founded.open('plans')
  await write(before, 'first;')
  await deadline(before.saved({ peers: 1 }), 20_000, 'bob holds it')
  const clientId = before.doc.clientID
  await alice.close()
  const older = `${folder.path}/older`
  copy(`${at}/store/db`, older)
  alice = await start(at, 'alice', memory(network))
  const writing = await alice.spaces()[0]!.open('plans')
  await write(writing, 'lost;')
  await deadline(writing.saved({ peers: 1 }), 20_000, 'bob holds that too')
  await alice.close()

  copy(older, `${at}/store/db`)
  rmSync(`${at}/outbox`, { recursive: true })
  alice = await start(at, 'alice', memory(network))
  const space = alice.spaces()[0]!
  const faults = faultsOf(space, atBob)
  const note = await space.open('plans')
  assert.is.not(note.doc.clientID, clientId)
  await deadline(whenMayWrite(space), 20_000, 'alice may write again')
  await write(note, 'after;')
  await deadline(note.saved({ peers: 1 }), 20_000, 'bob holds all')
  await whenText((await atBob.open('plans')).doc, 'after;lost;first;')
  await whenText(note.doc, 'after;lost;first;')
  assert.equal(faults, [])
  await alice.close()
})

test('a store and an outbox of two pasts: what either has is there, and stays', async () => {
  using folder = scratch('restored')
  const [at, before] = [`${folder.path}/alice`, `${folder.path}/before`]
  const run = async (text: string): Promise<string> => {
    await using alice = await start(at, 'alice')
    const space = alice.spaces()[0] ?? (await alice.createSpace({ name: 'Notes' }))
    const note = await space.open('plans')
    const body = (): string => note.doc.getText('body').toJSON()
    if (text === '') await until(followed.bind(null, note), () => body().includes('two;'), 'both')
    else await write(note, text)
    return note.doc.getText('body').toJSON()
  }
  await run('first;')
  copy(at, before)
  await run('one;')
  copy(`${at}/store/db`, `${folder.path}/one`)
  copy(before, at)
  await run('two;')
  await run('three;')
  copy(`${folder.path}/one`, `${at}/store/db`)
  for (let i = 0; i < 2; i++) {
    const text = await run('')
    for (const part of ['first;', 'one;', 'two;', 'three;'])
      assert.is(text.split(part).length, 2, `${part} is there once: ${text}`)
  }
  const text = await run('four;')
  assert.match(text, /four;/)
})

test('a copied folder whose device shares its spaces with nobody writes at once', async () => {
  using folder = scratch('restored')
  const [at, copied] = [`${folder.path}/alice`, `${folder.path}/copied`]
  await using alice = await start(at, 'alice')
  const space = await alice.createSpace({ name: 'Notes', recovery: true })
  await write(await space.open('plans'), 'first;')
  await alice.close()
  copy(at, copied)
  await using again = await start(copied, 'alice')
  const note = await again.spaces()[0]!.open('plans')
  await write(note, 'second;')
  assert.is(note.doc.getText('body').toJSON(), 'second;first;')
  await again.createSpace({ name: 'Other' })
})

test('what is written while a copy waits survives a reset of its document', async () => {
  using folder = scratch('restored')
  const [at, backup] = [`${folder.path}/alice`, `${folder.path}/backup`]
  const network = new MemoryNetwork()
  await using bob = await start(`${folder.path}/bob`, 'bob', memory(network))
  let alice = await start(at, 'alice', memory(network))
  const founded = await alice.createSpace({ name: 'Notes' })
  const atBob = await bob.join(await founded.invite())
  const first = await founded.open('plans')
  await write(first, 'first;')
  await deadline(first.saved({ peers: 1 }), 20_000, 'bob holds the first')
  const alicesId = alice.id
  await alice.close()
  copy(at, backup)
  copy(backup, at)
  network.partition([[fromHex(alicesId)], [fromHex(bob.id)]])
  alice = await start(at, 'alice', memory(network))
  const space = alice.spaces()[0]!
  const note = await space.open('plans')
  assert.ok(space.readOnly)
  note.doc.getText('body').insert(6, 'meanwhile;')
  note.doc.getText('body').delete(0, 1)
  await note.reset('entries-left')
  assert.is(note.doc.getText('body').toJSON(), 'irst;meanwhile;')
  assert.not(note.safety.durable)
  network.heal()
  await deadline(whenMayWrite(space), 20_000, 'alice may write again')
  await deadline(note.saved({ peers: 1 }), 20_000, 'bob holds it all')
  await whenText((await atBob.open('plans')).doc, 'irst;meanwhile;')
  await alice.close()
})

test('a copy that waits for its answer cannot leave', async () => {
  using folder = scratch('restored')
  const [at, backup] = [`${folder.path}/alice`, `${folder.path}/backup`]
  const network = new MemoryNetwork()
  await using bob = await start(`${folder.path}/bob`, 'bob', memory(network))
  let alice = await start(at, 'alice', memory(network))
  const founded = await alice.createSpace({ name: 'Notes' })
  await bob.join(await founded.invite({ role: 'admin' }))
  const alicesId = alice.id
  await alice.close()
  copy(at, backup)
  copy(backup, at)
  network.partition([[fromHex(alicesId)], [fromHex(bob.id)]])
  alice = await start(at, 'alice', memory(network))
  await deadline(rejects(alice.spaces()[0]!.leave(), 'LOG_BEHIND'), 20_000, 'it is refused')
  assert.is(alice.spaces().length, 1)
  await alice.close()
})

test.run()
