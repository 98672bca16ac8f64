/** Spaces between devices on a memory network: convergence, presence, connections, large amounts. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type * as Y from 'yjs'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { platform as nodePlatform } from '../../adapters/node/platform.ts'
import type { Document, Space } from '../../lib/index.ts'
import { deadline, once } from '../events.ts'
import {
  device,
  joinAs,
  rejects,
  spaceOf,
  until,
  waitMs,
  whenDoc,
  whenPeer,
  whenSynced,
  whenText,
  type Device,
  type MuxChannel
} from '../devices.ts'

const test = suite('space')

function bodyOf(document: Document): Y.Text {
  return document.doc.getText('body')
}

function whenBody(
  document: Document,
  check: (text: Y.Text) => boolean,
  what: string
): Promise<void> {
  return whenDoc(document.doc, () => check(bodyOf(document)), what)
}

function apart(network: MemoryNetwork, ...devices: Device[]): void {
  network.partition(devices.map((one) => [one.key]))
}

function spaceChannel(one: Device, other: Device): MuxChannel {
  return one.channelsTo(other).find(({ protocol }) => protocol === 'skein/space/1')!
}

function coresBetween(one: Device, other: Device): number {
  const channels = one.channelsTo(other)
  return channels.filter(({ protocol, opened }) => opened && protocol === 'hypercore/alpha').length
}

function whenStates(document: Document, count: number): Promise<void> {
  const { awareness } = document
  return until(
    (listener) => {
      awareness.on('change', listener)
      return () => awareness.off('change', listener)
    },
    () => awareness.getStates().size === count,
    `${count} are present`
  )
}

function stateOf(document: Document, of: Document): unknown {
  return document.awareness.getStates().get(of.doc.clientID)
}

// Convergence

test('bob gets what alice wrote while he was away', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  await bob.skein.close()
  const note = await space.open('ideas')
  bodyOf(note).insert(0, 'Hello')
  await note.saved()
  await bob.start()
  const copy = await bob.space.open('ideas')
  await whenText(copy.doc, 'Hello')
})

test('alice and carol, never online together, converge through bob, who meets each in turn', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  await spaceOf(alice, bob, carol)
  await carol.skein.close()
  const atAlice = await alice.space.open('ideas')
  bodyOf(atAlice).insert(0, 'alice ')
  await deadline(atAlice.saved({ peers: 1 }), waitMs, 'bob holds it')
  await alice.skein.close()
  await carol.start()
  const atCarol = await carol.space.open('ideas')
  await whenText(atCarol.doc, 'alice ')
  bodyOf(atCarol).insert(6, 'carol ')
  await deadline(atCarol.saved({ peers: 1 }), waitMs, 'bob holds it')
  await carol.skein.close()
  await alice.start()
  const again = await alice.space.open('ideas')
  await whenText(again.doc, 'alice carol ')
  const atBob = await bob.space.open('ideas')
  await whenText(atBob.doc, 'alice carol ')
})

test('what three devices write at the same place while apart reads the same on all', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  await spaceOf(alice, bob, carol)
  const notes = await Promise.all([alice, bob, carol].map(({ space }) => space.open('ideas')))
  bodyOf(notes[0]!).insert(0, '[]')
  await Promise.all(notes.map(({ doc }) => whenText(doc, '[]')))
  apart(network, alice, bob, carol)
  for (const [i, word] of ['one', 'two', 'three'].entries()) bodyOf(notes[i]!).insert(1, word)
  await Promise.all(notes.map((note) => note.saved()))
  network.heal()
  const length = '[onetwothree]'.length
  for (const note of notes)
    await whenBody(note, (body) => body.length === length, 'all three words')
  const texts = notes.map((note) => bodyOf(note).toString())
  assert.is(texts[1], texts[0])
  assert.is(texts[2], texts[0])
})

test('two type at once into the same document, and both end with the same text', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const notes = [await space.open('ideas'), await bob.space.open('ideas')]
  for (let i = 0; i < 100; i++) {
    for (const [who, note] of notes.entries())
      bodyOf(note).insert(i % (bodyOf(note).length + 1), `${who}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
  for (const note of notes) await whenBody(note, (body) => body.length === 200, '200 characters')
  assert.is(bodyOf(notes[0]!).toString(), bodyOf(notes[1]!).toString())
})

test('an edit that comes after a connection was cut arrives over the next one', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const [note, copy] = [await space.open('ideas'), await bob.space.open('ideas')]
  bodyOf(note).insert(0, 'a')
  await whenText(copy.doc, 'a')
  for (const letter of 'bcd') {
    network.cut(alice.key, bob.key)
    bodyOf(note).insert(0, letter)
    await whenText(copy.doc, bodyOf(note).toString())
  }
})

// Documents

test('documents are named by those who have content, on every device', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const seen: string[] = []
  bob.space.on('document', ({ name }) => seen.push(name))
  await space.open('empty')
  for (const name of ['one', 'two']) bodyOf(await space.open(name)).insert(0, name)
  await space.saved()
  assert.equal(space.documents().sort(), ['one', 'two'])
  await until(
    (listener) => bob.space.on('document', listener),
    () => bob.space.documents().length === 2
  )
  assert.equal(bob.space.documents().sort(), ['one', 'two'])
  assert.equal(seen.sort(), ['one', 'two'])
  await bob.restart()
  assert.equal(bob.space.documents().sort(), ['one', 'two'])
})

test('every edit of a document is told, also of one that is not open, and counted from run to run', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const heard: string[] = []
  bob.space.on('edit', ({ name, device: by }) => heard.push(`${name} ${by === alice.id}`))
  space.on('edit', ({ name, device: by }) => heard.push(`own ${name} ${by === alice.id}`))
  const note = await space.open('ideas')
  bodyOf(note).insert(0, 'one')
  await note.saved()
  bodyOf(note).insert(0, 'two')
  await note.saved({ peers: 1 })
  await until(
    (listener) => bob.space.on('edit', listener),
    () => bob.space.editCount('ideas') === 2
  )
  assert.equal(heard.sort(), ['ideas true', 'ideas true', 'own ideas true', 'own ideas true'])
  assert.is(space.editCount('ideas'), 2)
  assert.is(space.editCount('unknown'), 0)
  await bob.restart()
  assert.is(bob.space.editCount('ideas'), 2)
})

test('200 documents go over one connection, and are opened when they are wanted', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const names = Array.from({ length: 200 }, (_, i) => `document ${i}`)
  for (const name of names) {
    const note = await space.open(name)
    bodyOf(note).insert(0, name)
    await note.close()
  }
  await until(
    (listener) => bob.space.on('document', listener),
    () => bob.space.documents().length === 200,
    '200 documents'
  )
  assert.is(bob.skein.peers.length, 1)
  for (const name of [names[0]!, names[99]!, names[199]!]) {
    assert.is(bodyOf(await bob.space.open(name)).toString(), name)
  }
})

test('a paste of two million characters arrives', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const note = await space.open('ideas')
  const text = 'All work and no play. '.repeat(100_000)
  bodyOf(note).insert(0, text)
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob holds it')
  const copy = await bob.space.open('ideas')
  await whenText(copy.doc, text)
})

test('a paste over 16 MiB is refused with a reason, and the document is as before when opened again', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const note = await space.open('ideas')
  bodyOf(note).insert(0, 'before')
  await note.saved()
  const failed = once<{ error: { code: string } }>(
    (listener) => note.on('error', listener),
    waitMs,
    'an error'
  )
  bodyOf(note).insert(6, 'x'.repeat(17 * 1024 * 1024))
  assert.is((await failed).error.code, 'EDIT_INVALID')
  await rejects(note.saved(), 'EDIT_INVALID')
  await note.close()
  const again = await space.open('ideas')
  assert.is(bodyOf(again).toString(), 'before')
  bodyOf(again).insert(6, ' and after')
  await again.saved()
  await whenText((await bob.space.open('ideas')).doc, 'before and after')
})

// Two spaces on one connection

test('of two spaces on one connection, carol gets nothing of the one she is not in', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const open = await alice.skein.createSpace({ name: 'open' })
  await joinAs(open, bob)
  await joinAs(open, carol)
  const secret = await alice.skein.createSpace({ name: 'secret' })
  await joinAs(secret, bob)
  const note = await secret.open('plan')
  bodyOf(note).insert(0, 'the plan')
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob holds it')
  const shared = await open.open('plan')
  bodyOf(shared).insert(0, 'nothing to see')
  await deadline(shared.saved({ peers: 2 }), waitMs, 'both hold it')

  const atBob = bob.skein.space(secret.id)
  await whenText((await atBob.open('plan')).doc, 'the plan')
  await whenText((await carol.skein.space(open.id).open('plan')).doc, 'nothing to see')
  assert.is(carol.skein.spaces().length, 1)
  assert.equal(secret.peers, [bob.id])
  assert.equal(open.peers.sort(), [bob.id, carol.id].sort())
  // Of the open space: two logs of each of three devices, and its channel. Bob has as much again less carol's logs.
  assert.is(coresBetween(alice, carol), 6)
  assert.is(coresBetween(carol, alice), 6)
  assert.is(coresBetween(alice, bob), 10)
})

// Presence

test('each device has one presence, and it goes when the device goes', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const [note, copy] = [await space.open('ideas'), await bob.space.open('ideas')]
  copy.awareness.setLocalState({ name: 'bob' })
  await whenStates(note, 2)
  copy.awareness.setLocalStateField('cursor', 3)
  await until(
    (listener) => {
      note.awareness.on('update', listener)
      return () => note.awareness.off('update', listener)
    },
    () => 'cursor' in (stateOf(note, copy) as object),
    'the cursor'
  )
  assert.equal(stateOf(note, copy), { name: 'bob', cursor: 3 })
  assert.is(note.awareness.getStates().size, 2)
  await bob.skein.close()
  await whenStates(note, 1)
})

test('who connects, or opens the document later, sees who is present', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const note = await space.open('ideas')
  note.awareness.setLocalState({ name: 'alice' })
  const copy = await bob.space.open('ideas')
  await whenStates(copy, 2)
  assert.equal(stateOf(copy, note), { name: 'alice' })
  network.cut(alice.key, bob.key)
  await whenStates(copy, 1)
  await whenStates(copy, 2)
})

test('presence that is ended ends for the others too', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const [note, copy] = [await space.open('ideas'), await bob.space.open('ideas')]
  copy.awareness.setLocalState({ name: 'bob' })
  await whenStates(note, 2)
  copy.awareness.setLocalState(null)
  await whenStates(note, 1)
  copy.awareness.setLocalState({ name: 'bob' })
  await whenStates(note, 2)
  await copy.close()
  await whenStates(note, 1)
})

// Events

test('status, peers and synced come in this order when two devices meet and part', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const note = await space.open('ideas')
  await whenSynced(space)
  const events: Record<'space' | 'document', string[]> = { space: [], document: [] }
  const name = (id: string): string => (id === bob.id ? 'bob' : id)
  const recordings: ['space' | 'document', Space | Document][] = [
    ['space', space],
    ['document', note]
  ]
  for (const [what, emitter] of recordings) {
    const source = emitter as Document
    source.on('status', ({ status, connected }) => events[what].push(`${status} ${connected}`))
    source.on('synced', ({ synced }) => events[what].push(`synced ${synced}`))
    source.on('peers', ({ added, removed, peers }) => {
      const changes = [...added.map((id) => `+${name(id)}`), ...removed.map((id) => `-${name(id)}`)]
      events[what].push(`peers ${changes.join(' ')} = ${peers.map(name).join(' ')}`)
    })
  }
  apart(network, alice, bob)
  await until(
    (listener) => space.on('synced', listener),
    () => !space.synced
  )
  network.heal()
  await whenSynced(space)
  const expected = [
    'peers -bob = ',
    'disconnected false',
    'synced false',
    'peers +bob = bob',
    'connected true',
    'synced true'
  ]
  assert.equal(events.space, expected)
  assert.equal(events.document, expected)
})

test('who has joined is synced with who let it in, every time', async () => {
  for (let round = 0; round < 10; round++) {
    const network = new MemoryNetwork()
    await using alice = await device('alice', network)
    await using bob = await device('bob', network)
    const space = await spaceOf(alice, bob)
    await Promise.all([whenSynced(space), whenSynced(bob.space)])
  }
})

test('alone, nothing is synced', async () => {
  await using alice = await device('alice')
  const space = await spaceOf(alice)
  const note = await space.open('ideas')
  bodyOf(note).insert(0, 'a')
  await note.saved()
  assert.not(space.synced)
  assert.not(note.synced)
  assert.not(note.connected)
})

test('that another peer goes away does not make a device synced that lacks what it was told of', async () => {
  const network = new MemoryNetwork()
  // Her word of what she holds waits for her disk, and would come after her blocks where that is busy.
  await using alice = await device('alice', network, {
    async openStorage(location) {
      const storage = await nodePlatform.openStorage(location)
      storage.sync = () => Promise.resolve()
      return storage
    }
  })
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice, bob, carol)
  await bob.skein.close()
  await carol.skein.close()
  const note = await space.open('ideas')
  bodyOf(note).insert(0, 'much')
  await note.saved()
  // Bob hears what alice holds, and then nothing more of her: her blocks take three times as long.
  network.setDelay(100, alice.key, bob.key)
  network.pause(alice.key, carol.key)
  await bob.start()
  const told = new Promise<void>((resolve) => {
    bob.space.on('peers', ({ added }) => {
      if (!added.includes(alice.id)) return
      const [holds] = spaceChannel(bob, alice).messages
      const receive = holds!.onmessage.bind(holds)
      holds!.onmessage = (bytes) => {
        receive(bytes)
        network.pause(alice.key, bob.key)
        resolve()
      }
    })
  })
  await carol.start()
  await deadline(told, waitMs, 'bob is told what alice holds')
  const copy = await bob.space.open('ideas')
  const texts: string[] = []
  bob.space.on('synced', ({ synced }) => synced && texts.push(bodyOf(copy).toString()))
  await whenPeer(bob.space, carol)
  await carol.skein.close()
  await whenPeer(bob.space, carol, false)
  network.resume(alice.key, bob.key)
  await whenSynced(bob.space)
  assert.equal(texts, ['much'])
})

test('who has just been let in is in step only once it can read what is there', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  const space = await spaceOf(alice)
  const note = await space.open('ideas')
  bodyOf(note).insert(0, 'Hello')
  await note.saved()
  for (let i = 0; i < 10; i++) {
    await using bob = await device('bob', network)
    const joined = await joinAs(space, bob)
    const same = await joined.open('ideas')
    await deadline(same.whenSynced(), waitMs, 'bob is in step')
    assert.is(bodyOf(same).toString(), 'Hello')
  }
})

test.run()
