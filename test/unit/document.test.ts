/** Documents as an app sees them: Yjs's types, binding, loading, saving, closing. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { MemoryNetwork } from '../../adapters/memory.ts'
import type { Document, OutboxRecord } from '../../lib/index.ts'
import { Log } from '../../lib/log/log.ts'
import { deadline, eventually, once } from '../events.ts'
import {
  device,
  rejects,
  spaceOf,
  until,
  waitMs,
  whenDoc,
  whenPeer,
  whenSynced,
  whenText,
  type Device
} from '../devices.ts'
import { Pair, watched, bodyOf } from './document-pair.ts'

const test = suite('document')

// Yjs's types

test('every shared type reads the same on both devices, nested ones too', async () => {
  await using pair = await Pair.open()
  const { note, copy } = pair
  note.doc.transact(() => {
    note.doc.getText('text').insert(0, 'Hello')
    note.doc.getMap('map').set('count', 1)
    note.doc.getMap('map').set('bytes', new Uint8Array([1, 2, 3]))
    note.doc.getArray('array').push(['a', null, { deep: [true, 1.5, 'x'] }])
    const list = new Y.Array<Y.Map<unknown>>()
    note.doc.getMap('map').set('list', list)
    list.push([new Y.Map([['title', new Y.Text('nested')]])])
    const paragraph = new Y.XmlElement('p')
    paragraph.setAttribute('align', 'left')
    paragraph.insert(0, [new Y.XmlText('in a paragraph')])
    note.doc.getXmlFragment('xml').insert(0, [paragraph])
  })
  await pair.same()
  const read = ({ doc }: Document): unknown => [
    doc.getText('text').toJSON(),
    doc.getMap('map').toJSON(),
    doc.getArray('array').toJSON(),
    doc.getXmlFragment('xml').toString()
  ]
  assert.equal(read(copy), read(note))
  const list = copy.doc.getMap('map').get('list') as Y.Array<Y.Map<unknown>>
  ;(list.get(0).get('title') as Y.Text).insert(6, ' twice')
  copy.doc.getMap('map').set('count', 2)
  copy.doc.getArray('array').delete(0, 1)
  ;(copy.doc.getXmlFragment('xml').get(0) as Y.XmlElement).removeAttribute('align')
  await pair.same()
  assert.equal(read(note), read(copy))
  assert.is(note.doc.getMap('map').get('count'), 2)
  assert.is(note.doc.getXmlFragment('xml').toString(), '<p>in a paragraph</p>')
})

test('keys that both set at once end with the same value', async () => {
  await using pair = await Pair.open()
  pair.part()
  for (const [who, document] of [pair.note, pair.copy].entries()) {
    for (let i = 0; i < 10; i++) document.doc.getMap('map').set(`key ${i}`, who)
    await document.saved()
  }
  pair.network.heal()
  await pair.same()
  assert.equal(pair.copy.doc.getMap('map').toJSON(), pair.note.doc.getMap('map').toJSON())
})

test('formats given at once end as the same rich text, and no entry is written that nobody typed', async () => {
  await using pair = await Pair.open()
  const text = 'The quick brown fox jumps over the lazy dog'
  bodyOf(pair.note).insert(0, text)
  await pair.same()
  const marks = ['bold', 'italic', 'underline']
  for (let round = 0; round < 10; round++) {
    pair.part()
    await whenPeer(pair.alice.space, pair.bob, false)
    await whenPeer(pair.bob.space, pair.alice, false)
    for (const [who, document] of [pair.note, pair.copy].entries()) {
      const from = (round * 7 + who * 5) % 30
      bodyOf(document).format(from, 12, {
        [marks[(round + who) % 3]!]: round % 2 === 0 ? true : null
      })
      bodyOf(document).insert(from + 3, `${round}`, { bold: who === 0 })
      bodyOf(document).delete((from + 20) % 40, 2)
      await document.saved()
    }
    const before = pair.contentBlocks
    pair.network.heal()
    await pair.same()
    await pair.note.saved()
    await pair.copy.saved()
    assert.equal(pair.contentBlocks, before, `round ${round}`)
    assert.equal(bodyOf(pair.copy).toDelta(), bodyOf(pair.note).toDelta(), `round ${round}`)
  }
})

test('undo managers on both devices take back what their own user did', async () => {
  await using pair = await Pair.open()
  const { note, copy } = pair
  const undoAtAlice = new Y.UndoManager(bodyOf(note))
  const undoAtBob = new Y.UndoManager(bodyOf(copy))
  bodyOf(note).insert(0, 'alice')
  await whenText(copy.doc, 'alice')
  bodyOf(copy).insert(5, ' bob')
  await whenText(note.doc, 'alice bob')
  undoAtAlice.undo()
  assert.is(bodyOf(note).toString(), ' bob')
  await whenText(copy.doc, ' bob')
  undoAtBob.undo()
  await whenText(note.doc, '')
  undoAtAlice.redo()
  await whenText(copy.doc, 'alice')
  undoAtBob.redo()
  await whenText(note.doc, 'alice bob')
})

test('what an observer writes in answer to another’s edit is logged too', async () => {
  await using pair = await Pair.open()
  const { note, copy } = pair
  bodyOf(copy).observe(({ transaction }) => {
    if (!transaction.local) copy.doc.getMap('map').set('length', bodyOf(copy).length)
  })
  bodyOf(note).insert(0, 'four')
  await whenDoc(note.doc, () => note.doc.getMap('map').get('length') === 4, 'the length')
})

// Binding

test('an app’s own empty Y.Doc is bound, and is the one that changes', async () => {
  await using pair = await Pair.open()
  const doc = new Y.Doc()
  doc.getText('body')
  const document = await pair.bob.space.open('other', { doc })
  assert.is(document.doc, doc)
  bodyOf(await pair.alice.space.open('other')).insert(0, 'Hello')
  await whenText(doc, 'Hello')
  assert.is(await pair.bob.space.open('other', { doc }), document)
  assert.is(await pair.bob.space.open('other'), document)
  await document.close()
  assert.not(doc.isDestroyed)
})

test('a Y.Doc that has content of its own is refused, and a document is open with one Y.Doc only', async () => {
  await using alice = await device('alice')
  const space = await spaceOf(alice)
  const full = new Y.Doc()
  full.getText('body').insert(0, 'x')
  await rejects(space.open('ideas', { doc: full }), 'DOCUMENT_NOT_EMPTY')
  const note = await space.open('ideas')
  await rejects(space.open('ideas', { doc: new Y.Doc() }), 'DOCUMENT_OPEN')
  assert.is(await space.open('ideas'), note)
})

test('a Y.Doc that was bound before is refused when it is bound again, and nothing is logged twice', async () => {
  await using pair = await Pair.open()
  const doc = new Y.Doc()
  const document = await pair.alice.space.open('other', { doc })
  doc.getText('body').insert(0, 'mine')
  await document.close()
  const before = pair.contentBlocks
  await rejects(pair.alice.space.open('other', { doc }), 'DOCUMENT_NOT_EMPTY')
  await pair.alice.space.saved()
  assert.equal(pair.contentBlocks, before)
  const again = await pair.alice.space.open('other')
  assert.is(bodyOf(again).toString(), 'mine')
})

// Loading

test('whenLoaded and whenSynced of a Y.Doc resolve as they do with other providers', async () => {
  await using pair = await Pair.open()
  bodyOf(pair.note).insert(0, 'Hello')
  await pair.same()
  const doc = new Y.Doc()
  let synced = 0
  doc.on('sync', (isSynced: boolean) => isSynced && synced++)
  const opening = pair.bob.space.open('third', { doc })
  await deadline(doc.whenLoaded, waitMs, 'it is loaded')
  await deadline(doc.whenSynced, waitMs, 'it is synced')
  const document = await opening
  assert.ok(doc.isLoaded && doc.isSynced)
  await document.whenSynced()
  pair.part()
  await until(
    (listener) => document.on('synced', listener),
    () => !document.synced
  )
  assert.not(doc.isSynced)
  pair.network.heal()
  await deadline(document.whenSynced(), waitMs, 'it is synced again')
  assert.ok(doc.isSynced)
})

test('what a document is synced with is in its Y.Doc when it says so', async () => {
  await using pair = await Pair.open()
  pair.part()
  await until(
    (listener) => pair.copy.on('synced', listener),
    () => !pair.copy.synced
  )
  for (let i = 0; i < 50; i++) bodyOf(pair.note).insert(0, `${i} `)
  await pair.note.saved()
  const texts: string[] = []
  pair.copy.on('synced', ({ synced }) => synced && texts.push(bodyOf(pair.copy).toString()))
  // Typing of one's own holds up what others wrote; being synced does not wait for it.
  for (let i = 0; i < 3; i++) {
    pair.copy.doc.getMap('map').set('i', i)
    await new Promise((resolve) => setImmediate(resolve))
  }
  pair.network.heal()
  await deadline(pair.copy.whenSynced(), waitMs, 'it is synced')
  assert.equal(texts, [bodyOf(pair.note).toString()])
})

test('a document is opened again from what was merged, without reading its history', async () => {
  await using pair = await Pair.open()
  for (let i = 0; i < 50; i++) {
    bodyOf([pair.note, pair.copy][i % 2]!).insert(0, `${i} `)
    await pair.note.saved()
  }
  await pair.same()
  const text = bodyOf(pair.note).toString()
  await pair.bob.skein.close()
  await pair.alice.restart()
  using reads = countReads()
  const note = await pair.alice.space.open('ideas')
  assert.is(bodyOf(note).toString(), text)
  assert.is(reads.count, 0)
})

test('what both wrote since a document was merged is there when it is opened again', async () => {
  await using pair = await Pair.open()
  bodyOf(pair.note).insert(0, 'merged ')
  await pair.same()
  await pair.note.close()
  bodyOf(pair.copy).insert(7, 'then bob ')
  await deadline(pair.copy.saved({ peers: 1 }), waitMs, 'alice holds it')
  const note = await pair.alice.space.open('ideas')
  await whenText(note.doc, 'merged then bob ')
  bodyOf(note).insert(0, 'alice ')
  await note.close()
  await pair.alice.restart()
  const again = await pair.alice.space.open('ideas')
  await whenText(again.doc, 'alice merged then bob ')
  bodyOf(again).insert(0, '! ')
  await whenText(pair.copy.doc, '! alice merged then bob ')
})

test('a document is opened in the middle of what arrives, and misses nothing', async () => {
  await using pair = await Pair.open()
  for (let i = 0; i < 40; i++) {
    const closing = pair.copy.close()
    bodyOf(pair.note).insert(0, `${i} `)
    await closing
    bodyOf(pair.note).insert(0, '+')
    pair.copy = await pair.bob.space.open('ideas')
    await whenText(pair.copy.doc, bodyOf(pair.note).toString())
  }
})

/** Counts the blocks that are read from logs until it is disposed of. */
function countReads(): Disposable & { readonly count: number } {
  let count = 0
  const stop = replaceMethod('get', (get) => {
    return function (this: Log, index) {
      count++
      return get.call(this, index)
    }
  })
  return {
    get count() {
      return count
    },
    [Symbol.dispose]: stop
  }
}

/** Replaces a method of all logs, given the one that was there; returns what puts that back. */
function replaceMethod<K extends 'get' | 'replicate'>(
  name: K,
  replace: (before: Log[K]) => Log[K]
): () => void {
  const before = Log.prototype[name]
  Log.prototype[name] = replace(before)
  return () => {
    Log.prototype[name] = before
  }
}

// Client ids

test('a client id is used again after a clean close, and by all documents of a session', async () => {
  await using alice = await device('alice')
  const space = await spaceOf(alice)
  const note = await space.open('ideas')
  const { clientID } = note.doc
  assert.is((await space.open('other')).doc.clientID, clientID)
  bodyOf(note).insert(0, 'a')
  await alice.restart()
  const again = await alice.space.open('ideas')
  assert.is(again.doc.clientID, clientID)
  bodyOf(again).insert(1, 'b')
  assert.is([...again.doc.store.clients.keys()].length, 1)
})

test('after a session that did not end cleanly the client id is a new one', async () => {
  const network = new MemoryNetwork()
  // The mark that a session ended cleanly never gets to the disk.
  const isNoMark = ({ kind, bytes }: OutboxRecord): boolean => kind !== 2 || bytes[0] !== 1
  await using alice = await device('alice', network, watched(isNoMark))
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const note = await space.open('ideas')
  const { clientID } = note.doc
  bodyOf(note).insert(0, 'a')
  await note.saved()
  await alice.restart()
  const again = await alice.space.open('ideas')
  assert.is.not(again.doc.clientID, clientID)
  bodyOf(again).insert(1, 'b')
  await whenText((await bob.space.open('ideas')).doc, 'ab')
})

// Saving

test('saved() of an edit is on the disk, and with peers it is on theirs', async () => {
  await using pair = await Pair.open()
  const { note } = pair
  const safeties: unknown[] = []
  note.on('safety', ({ durable, devices }) => safeties.push([durable, devices.length]))
  bodyOf(note).insert(0, 'a')
  await note.saved()
  assert.ok(note.safety.durable)
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob holds it')
  assert.equal(note.safety, { durable: true, devices: [pair.bob.id] })
  assert.equal(safeties, [
    [false, 0],
    [true, 0],
    [true, 1]
  ])
})

test('a peer that lacks what an edit depends on does not count as holding it', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  await spaceOf(alice, bob, carol)
  const note = await alice.space.open('ideas')
  const atCarol = await carol.space.open('ideas')
  await whenPeer(bob.space, carol)
  for (const { space } of [alice, bob, carol]) await whenSynced(space)
  // Bob gets nothing of what carol writes, neither from her nor through alice.
  network.partition([[bob.key], [alice.key, carol.key]])
  await whenPeer(alice.space, bob, false)
  bodyOf(atCarol).insert(0, 'carol')
  await whenText(note.doc, 'carol')
  await carol.skein.close()
  await whenPeer(alice.space, carol, false)
  using _ = withhold(alice, carol)
  network.heal()
  await whenPeer(alice.space, bob)
  bodyOf(note).insert(5, ' alice')
  const saved = note.saved({ peers: 1 })
  await eventually(() => bob.space.waiting === 1, { deadlineMs: waitMs })
  let isSaved = false
  saved.then(
    () => (isSaved = true),
    () => {} // Awaited below.
  )
  // Bob has told that he holds alice's edit when he tells so of the next.
  const third = await alice.space.open('third')
  const told = once((listener) => alice.space.on('holdings', listener), waitMs, 'bob tells')
  bodyOf(third).insert(0, 'x')
  await eventually(() => bob.space.waiting === 2, { deadlineMs: waitMs })
  await told
  assert.not(isSaved)
  assert.equal(note.safety.devices, [])
  _[Symbol.dispose]()
  network.cut(alice.key, bob.key)
  await deadline(saved, waitMs, 'bob holds it all')
  assert.equal(note.safety.devices, [bob.id])
})

/** Keeps a device from handing on what another has written, until it is disposed of. */
function withhold(device: Device, author: Device): Disposable {
  const mine = device.key
  const stop = replaceMethod('replicate', (replicate) => {
    return function (this: Log, mux) {
      const { stream } = mux as { stream: { publicKey: Uint8Array } }
      const isMine = Buffer.from(stream.publicKey).equals(mine)
      if (isMine && Buffer.from(this.name.device).equals(author.key)) return
      replicate.call(this, mux)
    }
  })
  return { [Symbol.dispose]: stop }
}

test('waiting for peers and for being synced ends when the signal fires', async () => {
  await using alice = await device('alice')
  const note = await (await spaceOf(alice)).open('ideas')
  bodyOf(note).insert(0, 'a')
  const stop = new AbortController()
  const waiting = [
    note.saved({ peers: 1, signal: stop.signal }),
    note.whenSynced(stop.signal),
    alice.space.saved({ peers: 1, signal: stop.signal })
  ]
  const rejected = Promise.all(waiting.map((promise) => rejects(promise, 'ABORTED')))
  stop.abort()
  await rejected
  await rejects(note.saved({ signal: AbortSignal.abort() }), 'ABORTED')
})

// Closing

test('closing writes what was typed just before', async () => {
  await using pair = await Pair.open()
  const { note, alice } = pair
  for (let i = 0; i < 20; i++) {
    bodyOf(note).insert(i, 'x')
    if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await note.close()
  await whenText(pair.copy.doc, 'x'.repeat(20))
  await alice.restart()
  const again = await alice.space.open('ideas')
  assert.is(bodyOf(again).toString(), 'x'.repeat(20))
  bodyOf(again).insert(20, 'y')
  await alice.skein.close()
  await alice.start()
  assert.is(bodyOf(await alice.space.open('ideas')).toString(), 'x'.repeat(20) + 'y')
})

test('what is called after closing, or waits while it closes, fails with CLOSED', async () => {
  await using alice = await device('alice')
  const space = await spaceOf(alice)
  const note = await space.open('ideas')
  bodyOf(note).insert(0, 'a')
  const synced = rejects(note.whenSynced(), 'CLOSED')
  const saved = rejects(note.saved({ peers: 1 }), 'CLOSED')
  await note.close()
  await synced
  await note.close()
  await allReject([note.ready(), note.saved(), note.whenSynced()])
  assert.ok(note.doc.isDestroyed)
  await space.close()
  await saved
  await allReject([space.open('ideas'), space.append('x', 1), space.saved(), space.invite()])
  await allReject([space.entries().next(), space.leave()])
  await alice.skein.close()
  await rejects(alice.skein.createSpace({ name: 'late' }), 'CLOSED')
})

async function allReject(calls: Promise<unknown>[]): Promise<void> {
  await Promise.all(calls.map((call) => rejects(call, 'CLOSED')))
}

test('a document that is being closed can be opened at once', async () => {
  await using alice = await device('alice')
  const space = await spaceOf(alice)
  const note = await space.open('ideas')
  bodyOf(note).insert(0, 'a')
  const closing = note.close()
  const again = await space.open('ideas')
  await closing
  assert.is.not(again, note)
  assert.is(bodyOf(again).toString(), 'a')
  bodyOf(again).insert(1, 'b')
  await again.saved()
})

test('an edit made while a document is being closed is written or reported', async () => {
  await using alice = await device('alice')
  const space = await spaceOf(alice)
  const doc = new Y.Doc()
  const note = await space.open('ideas', { doc })
  doc.getText('body').insert(0, 'a')
  const closing = note.close()
  doc.getText('body').insert(1, 'b')
  await closing
  assert.is(bodyOf(await space.open('ideas')).toString(), 'ab')
})

test.run()
