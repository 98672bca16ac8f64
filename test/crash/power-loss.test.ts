/**
 * Power loss, imitated: after a kill the store's write-ahead files, or the whole database, are put back to what they
 * were earlier, or cut to what had been made durable, beside the outbox as it is. What was acknowledged, here or to a
 * peer, must be there; what a peer has of a log must be what the device appends again, byte for byte.
 *
 *   CRASH_CYCLES=500 TEST_DEADLINE_MS=3600000 npm test -- crash/power     the long form: images a test; 4 otherwise
 *   SEED=…                                                                repeats a run's moments
 */
import { cpSync, rmSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { runDht } from '../../adapters/dht.ts'
import { hyperswarm } from '../../adapters/hyperswarm.ts'
import { memory, MemoryNetwork } from '../../adapters/memory.ts'
import { fromHex } from '../../lib/bytes.ts'
import { Skein, type Space } from '../../lib/index.ts'
import { eventually, once } from '../events.ts'
import { DeviceProcess } from './device.ts'
import {
  Acknowledged,
  loseUnsynced,
  random,
  scratch,
  seedOf,
  treeHashesIn,
  WriteAheadCopy
} from './lab.ts'

const images = Number(process.env['CRASH_CYCLES'] ?? 4)
const documents = ['plans', 'minutes']

const test = suite('power loss')

test('a store older than the outbox takes its tail back, and no log forks', async () => {
  const choose = random(seedOf('crash/power'))
  using folder = scratch('power')
  const alicesFolder = `${folder.path}/alice`
  const bobsFolder = `${folder.path}/bob`
  const dht = await runDht()
  const { bootstrap } = dht
  await using alice = new DeviceProcess({
    folder: alicesFolder,
    name: 'alice',
    documents,
    bootstrap
  })
  await using bob = new Skein({
    storage: bobsFolder,
    name: 'bob',
    transports: [hyperswarm({ bootstrap })]
  })
  await alice.open()
  await alice.ask({ do: 'create' }, 'done')
  const { invite } = await alice.ask({ do: 'invite' }, 'invite')
  await bob.ready()
  const space = await bob.join(invite)
  const faultsAtBob = watch(space)
  await alice.kill()

  const acknowledged = new Acknowledged()
  alice.on((report) => {
    if (report.kind === 'saved') acknowledged.add(report.document, report.token)
  })
  const olderDatabase = `${folder.path}/older`
  let wholeDatabases = 0
  for (let image = 0; image < images; image++) {
    // Every other time the whole database, as of before this run, else the write-ahead files as of its middle.
    const isWhole = image % 2 === 1
    if (isWhole) {
      wholeDatabases++
      rmSync(olderDatabase, { recursive: true, force: true })
      cpSync(`${alicesFolder}/store/db`, olderDatabase, { recursive: true })
    }
    const { texts } = await alice.open()
    assert.equal(acknowledged.faultsIn(texts), [], `before image ${image}`)
    alice.tell({ do: 'write', run: image, padding: Math.floor(choose() * 100) })
    await until(alice, acknowledged, Math.floor(choose() * 50))
    const older = isWhole ? null : new WriteAheadCopy(alicesFolder)
    await until(alice, acknowledged, Math.floor(1 + choose() * 100))
    if (choose() < 0.7) await hasAll(space, acknowledged.copy())
    await alice.kill()

    if (older !== null) older.restore()
    else {
      rmSync(`${alicesFolder}/store/db`, { recursive: true })
      cpSync(olderDatabase, `${alicesFolder}/store/db`, { recursive: true })
    }
  }

  const { texts, readOnly } = await alice.open()
  assert.equal(acknowledged.faultsIn(texts), [], 'after the last image')
  assert.not(readOnly)
  alice.tell({ do: 'write', run: images, padding: 0 })
  await until(alice, acknowledged, 20)
  await alice.ask({ do: 'rest' }, 'done')
  const { texts: last } = await alice.ask({ do: 'texts' }, 'texts')
  await showsAll(space, last)
  // The other way too.
  const note = await space.open(documents[0]!)
  note.doc.getText().insert(0, 'bob;')
  await note.saved({ peers: 1 })
  await eventually(
    async () => {
      const { texts: now } = await alice.ask({ do: 'texts' }, 'texts')
      return now[documents[0]!]!.startsWith('bob;')
    },
    { deadlineMs: 15_000, what: "bob's edit at alice's" }
  )
  assert.equal(alice.failures, [])
  assert.equal(faultsAtBob, [])

  const alicesId = space.members().find(({ name }) => name === 'alice')!.device
  await alice.close()
  await bob.close()
  await dht.close()
  await haveEqualLogs([alicesFolder, bobsFolder], space, alicesId)
  console.log(
    `${images} images (${wholeDatabases} of whole databases), ${acknowledged.count} acknowledged edits, 0 lost`
  )
})

test('a store older than a trimmed outbox takes its tail back from a peer before it writes', async () => {
  using folder = scratch('behind')
  const alicesFolder = `${folder.path}/alice`
  const bobsFolder = `${folder.path}/bob`
  const network = new MemoryNetwork()
  const device = (storage: string, name: string): Skein =>
    new Skein({ storage, name, transports: [memory(network)] })
  const bob = device(bobsFolder, 'bob')
  let alice = device(alicesFolder, 'alice')
  await alice.ready()
  const founded = await alice.createSpace({ name: 'crash' })
  await bob.ready()
  const atBob = await bob.join(await founded.invite({ role: 'writer' }))
  const faultsAtBob = watch(atBob)
  const note = await founded.open('plans')
  note.doc.getText().insert(0, 'first;')
  await note.saved({ peers: 1 })
  const alicesId = alice.id
  await alice.close()
  const olderDatabase = `${folder.path}/older`
  cpSync(`${alicesFolder}/store/db`, olderDatabase, { recursive: true })

  // Three generations of the outbox: the first of them is let go of.
  alice = device(alicesFolder, 'alice')
  await alice.ready()
  const writing = await alice.space(founded.id).open('plans')
  for (let i = 0; i < 36; i++) {
    writing.doc.getText().insert(0, `${i}.${'x'.repeat(300_000)};`)
    await writing.saved()
  }
  await writing.saved({ peers: 1 })
  const text = writing.doc.getText().toJSON()
  await alice.close()
  rmSync(`${alicesFolder}/store/db`, { recursive: true })
  cpSync(olderDatabase, `${alicesFolder}/store/db`, { recursive: true })

  network.partition([[fromHex(alicesId)], [fromHex(bob.id)]])
  alice = device(alicesFolder, 'alice')
  await alice.ready()
  const faultsAtAlice = watch(alice.space(founded.id), ['LOG_BEHIND'])
  let document = await alice.space(founded.id).open('plans')
  assert.is(document.doc.getText().toJSON(), 'first;', 'its view is as old as the store')
  assert.ok(document.readOnly)
  assert.ok(alice.space(founded.id).readOnly)
  const refused = once<{ error: { code: string } }>(
    (listener) => document.on('error', listener),
    1_000,
    'an error for an edit that is not kept'
  )
  document.doc.getText().insert(0, 'waiting;')
  assert.is((await refused).error.code, 'NOT_ALLOWED')
  await rejects(document.saved(), 'NOT_ALLOWED')
  await rejects(alice.space(founded.id).append('event', 1), 'NOT_ALLOWED')
  assert.not(document.safety.durable)
  await alice.close()

  // Half of the tail comes, and then it is closed again.
  alice = device(alicesFolder, 'alice')
  await alice.ready()
  const before = alice.space(founded.id).logLength
  network.setDelay(20)
  network.heal()
  await eventually(() => alice.space(founded.id).logLength > before, { deadlineMs: 10_000 })
  await alice.close()

  network.partition([[fromHex(alicesId)], [fromHex(bob.id)]])
  alice = device(alicesFolder, 'alice')
  await alice.ready()
  const space = alice.space(founded.id)
  const faultsNow = watch(space, ['LOG_BEHIND'])
  document = await space.open('plans')
  assert.ok(space.readOnly)
  document.doc.getText().insert(0, 'meanwhile;')
  await rejects(document.saved(), 'NOT_ALLOWED')
  network.setDelay(0)
  network.heal()
  await eventually(() => !space.readOnly, { deadlineMs: 20_000, what: 'alice may write again' })
  await document.saved({ peers: 1 })
  document.doc.getText().insert(0, 'after;')
  await document.saved({ peers: 1 })
  const inBob = (await atBob.open('plans')).doc.getText()
  inBob.insert(0, 'bob;')
  // What was typed before it was closed is kept, and comes once it may be written.
  const isWhole = (): boolean => {
    const text = inBob.toJSON()
    return text.includes('waiting;') && document.doc.getText().toJSON() === text
  }
  await eventually(isWhole, { deadlineMs: 10_000, what: 'the same text on both' })
  const result = inBob.toJSON()
  for (const part of ['waiting;', 'meanwhile;', 'after;', 'bob;']) {
    assert.is(result.split(part).length, 2, `${part} is there once`)
  }
  assert.is(result.replace(/waiting;|meanwhile;|after;|bob;/g, '').length, text.length)
  assert.equal([...faultsAtAlice, ...faultsNow, ...faultsAtBob], [])
  await alice.close()
  await bob.close()
  await haveEqualLogs([alicesFolder, bobsFolder], space, alicesId)
})

test('a receiver that loses all it had not synced still holds what it said it holds', async () => {
  const choose = random(seedOf('crash/power'))
  using folder = scratch('receiver')
  const bobsFolder = `${folder.path}/bob`
  const syncedFile = `${folder.path}/synced`
  const dht = await runDht()
  const { bootstrap } = dht
  await using alice = new Skein({
    storage: `${folder.path}/alice`,
    name: 'alice',
    transports: [hyperswarm({ bootstrap })]
  })
  await using bob = new DeviceProcess({
    folder: bobsFolder,
    name: 'bob',
    documents,
    bootstrap,
    syncedFile
  })
  await alice.ready()
  const space = await alice.createSpace({ name: 'crash' })
  const faultsAtAlice = watch(space)
  await bob.open()
  await bob.ask({ do: 'join', invite: await space.invite({ role: 'writer' }) }, 'done')

  const heldByBob = new Acknowledged()
  let [bytesLost, isDone] = [0, false]
  const writers = documents.map(async (name) => {
    const document = await space.open(name)
    const text = document.doc.getText()
    for (let n = 0; !isDone; n++) {
      text.insert(text.length, `0.${name}.${n}${'-'.repeat(Math.floor(choose() * 400))};`)
      await document.saved({ peers: 1 })
      heldByBob.add(name, `0.${name}.${n}`)
    }
  })
  // Beside them one that waits for nobody, so that something unsynced is always under way.
  const flood = async (): Promise<void> => {
    const document = await space.open('flood')
    const text = document.doc.getText()
    while (!isDone) {
      text.insert(0, `${'~'.repeat(Math.floor(choose() * 400))};`)
      await document.saved()
    }
  }
  writers.push(flood())
  for (const writer of writers) writer.catch(() => {}) // Looked at below, where the test has not failed before.
  for (let image = 0; image < images; image++) {
    const wanted = heldByBob.count + Math.floor(5 + choose() * 40)
    await eventually(() => heldByBob.count >= wanted, {
      deadlineMs: 30_000,
      everyMs: 1,
      what: `${wanted} edits that bob says he holds`
    })
    await bob.kill()
    bytesLost += loseUnsynced(bobsFolder, syncedFile).bytesLost
    {
      await using offline = new Skein({ storage: bobsFolder })
      await offline.ready()
      const texts: Record<string, string> = {}
      for (const name of documents) {
        texts[name] = (await offline.space(space.id).open(name)).doc.getText().toJSON()
      }
      assert.equal(heldByBob.faultsIn(texts), [], `image ${image}`)
    }
    await bob.open()
  }
  isDone = true
  await Promise.all(writers)
  const texts: Record<string, string> = {}
  for (const name of documents) texts[name] = (await space.open(name)).doc.getText().toJSON()
  await eventually(
    async () => {
      const { texts: inBob } = await bob.ask({ do: 'texts' }, 'texts')
      return documents.every((name) => inBob[name] === texts[name])
    },
    { deadlineMs: 15_000, what: "alice's texts at bob's" }
  )
  assert.equal(bob.failures, [])
  assert.equal(faultsAtAlice, [])
  await bob.close()
  await alice.close()
  await dht.close()
  console.log(
    `${images} images, ${bytesLost} unsynced bytes lost, ${heldByBob.count} edits said to be held, 0 lost`
  )
})

test.run()

/** What a space tells of that must not happen. */
function watch(space: Space, expected: string[] = []): string[] {
  const faults: string[] = []
  space.on('fork', ({ device, length }) => faults.push(`fork of ${device} at ${length}`))
  space.on('peer-error', ({ error }) => faults.push(String(error)))
  space.on('storage', ({ error }) => {
    if (error !== null && !expected.includes(error.code)) faults.push(String(error))
  })
  return faults
}

/** Waits for so many more acknowledgements. */
async function until(
  device: DeviceProcess,
  acknowledged: Acknowledged,
  more: number
): Promise<void> {
  const wanted = acknowledged.count + more
  if (more === 0) return
  await once(
    (listener) => device.on(() => acknowledged.count >= wanted && listener(null)),
    30_000,
    `${more} acknowledgements`
  )
}

async function hasAll(space: Space, acknowledged: Acknowledged): Promise<void> {
  const texts: Record<string, string> = {}
  await eventually(
    async () => {
      for (const name of documents) texts[name] = (await space.open(name)).doc.getText().toJSON()
      return acknowledged.faultsIn(texts).length === 0
    },
    { deadlineMs: 15_000, what: 'all acknowledged edits at the peer' }
  )
}

async function showsAll(space: Space, texts: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(texts)) {
    const { doc } = await space.open(name)
    await eventually(() => doc.getText().toJSON() === text, {
      deadlineMs: 15_000,
      what: `the same text of ${name}`
    })
  }
}

async function haveEqualLogs(folders: string[], { id }: Space, device: string): Promise<void> {
  for (const core of ['control', 'content/0'] as const) {
    const name = { space: fromHex(id), device: fromHex(device), core }
    const [first, second] = await Promise.all(folders.map((folder) => treeHashesIn(folder, name)))
    assert.ok(first!.length > 0 && !first!.includes(null))
    assert.equal(first, second)
  }
}

async function rejects(promise: Promise<unknown>, code: string): Promise<void> {
  try {
    await promise
  } catch (error) {
    assert.is((error as { code?: string }).code, code)
    return
  }
  assert.unreachable(`It should have failed with ${code}`)
}
