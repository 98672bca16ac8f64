/** What a local user does to a `Y.Doc` becomes updates: all of it, once, and nothing else. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { integrateUpdate } from '../../lib/views/integrate.ts'
import { Changes, leaveMarksUntidied, type ChangesOptions } from '../../lib/log/changes.ts'
import { heldBy, updateLimits, validateUpdate } from '../../lib/trust/validate.ts'
import { edit, fillWithEveryKind, randomBelow } from '../fuzz/random-edits.ts'

const changes = suite('changes')
const feed = { feed: true }

interface Peer {
  readonly doc: Y.Doc
  readonly text: Y.Text
  readonly changes: Changes
  readonly unknown: number[][]
  readonly lost: number[]
  dirtied: number
}

function peer(
  clientId: number,
  { doc = new Y.Doc(), ...options }: Partial<ChangesOptions> & { doc?: Y.Doc } = {}
): Peer {
  const unknown: number[][] = []
  const lost: number[] = []
  const made: Peer = {
    doc,
    text: doc.getText('text'),
    unknown,
    lost,
    dirtied: 0,
    changes: new Changes(doc, {
      clientId,
      origin: feed,
      onDirty: () => made.dirtied++,
      onClientIdLost: () => lost.push(doc.clientID),
      onUnknownContent: (clients) => unknown.push([...clients]),
      ...options
    })
  }
  return made
}

function takeAll(from: Peer): Uint8Array[] {
  const updates: Uint8Array[] = []
  for (let update = from.changes.take(); update !== null; update = from.changes.take())
    updates.push(update)
  return updates
}

function receive(to: Peer, updates: readonly Uint8Array[]): void {
  to.changes.receive(() => {
    for (const update of updates) Y.applyUpdate(to.doc, update, feed)
  })
}

/** The structs and deletes of an update as text, e.g. `1:0+5 -1:2+1`. */
function summary(update: Uint8Array | null): string {
  if (update === null) return 'nothing'
  const { structs, ds } = Y.decodeUpdate(update)
  const written = structs.map(({ id, length }) => `${id.client}:${id.clock}+${length}`)
  const deleted = [...ds.clients].flatMap(([client, runs]) =>
    runs.map(({ clock, len }) => `-${client}:${clock}+${len}`)
  )
  return [...written, ...deleted].join(' ')
}

function assertNothingPending(doc: Y.Doc): void {
  assert.is(doc.store.pendingStructs, null)
  assert.is(doc.store.pendingDs, null)
}

changes('an edit makes the document dirty, and is taken once', () => {
  const alice = peer(1)
  assert.is(alice.changes.dirty, false)
  assert.is(alice.changes.take(), null)
  alice.text.insert(0, 'hello')
  alice.text.delete(1, 2)
  assert.is(alice.dirtied, 1)
  assert.is(alice.changes.dirty, true)
  assert.is(summary(alice.changes.take()), '1:0+1 1:1+2 1:3+2 -1:1+2')
  assert.is(alice.changes.dirty, false)
  assert.is(alice.changes.loggedClock, 5)
  assert.is(alice.changes.take(), null)
  alice.text.insert(0, 'x')
  assert.is(alice.dirtied, 2)
})

changes('what a loaded document holds is not taken again', () => {
  const before = peer(1)
  before.text.insert(0, 'kept')
  const doc = new Y.Doc()
  for (const update of takeAll(before)) Y.applyUpdate(doc, update)
  const alice = peer(1, { doc })
  assert.is(doc.clientID, 1)
  assert.is(alice.changes.loggedClock, 4)
  assert.is(alice.changes.take(), null)
  alice.text.insert(4, '!')
  assert.is(summary(alice.changes.take()), '1:4+1')
})

changes('what was received is not taken', () => {
  const alice = peer(1)
  const bob = peer(2)
  alice.text.insert(0, 'hello')
  receive(bob, takeAll(alice))
  alice.text.delete(0, 2)
  receive(bob, takeAll(alice))
  assert.is(bob.text.toString(), 'llo')
  assert.is(bob.changes.dirty, false)
  assert.is(bob.changes.take(), null)
  assert.equal(bob.unknown, [])
})

changes('what an observer does in answer to received text is taken, its deletes too', () => {
  const alice = peer(1)
  const bob = peer(2)
  const seen: boolean[] = []
  bob.text.observe(({ transaction }) => {
    if (transaction.origin !== feed) return
    bob.text.delete(0, 1)
    bob.text.insert(0, 'J')
  })
  bob.doc.on('afterTransaction', ({ local }: Y.Transaction) => seen.push(local))
  alice.text.insert(0, 'hello')
  receive(bob, takeAll(alice))
  assert.is(bob.text.toString(), 'Jello')
  // Yjs runs them as transactions of their own, after the foreign one.
  assert.equal(seen, [false, true, true])
  assert.is(summary(bob.changes.take()), '2:0+1 -1:0+1')
  assert.is(bob.doc.clientID, 2)
})

changes(
  'what a listener does inside the foreign transaction is taken, without what was received',
  () => {
    const alice = peer(1)
    alice.text.insert(0, 'hello')
    const bob = peer(2)
    receive(bob, takeAll(alice))
    alice.text.delete(0, 2)
    bob.doc.once('beforeTransaction', () => {
      bob.text.delete(4, 1)
      bob.text.insert(0, '>')
    })
    receive(bob, takeAll(alice))
    assert.is(bob.text.toString(), '>ll')
    assert.is(summary(bob.changes.take()), '2:0+1 -1:4+1')
    assert.is(bob.doc.clientID, 2)
    assert.equal(bob.lost, [])
  }
)

changes(
  'local changes around a reception in one transaction are taken, without what was received',
  () => {
    const alice = peer(1)
    alice.text.insert(0, 'abcdef')
    const bob = peer(2)
    receive(bob, takeAll(alice))
    alice.text.delete(1, 4)
    alice.text.insert(1, 'X')
    const updates = takeAll(alice)
    bob.doc.transact(() => {
      bob.text.delete(0, 1)
      receive(bob, updates)
      bob.text.delete(1, 1)
      bob.text.insert(0, 'Y')
    })
    assert.is(bob.text.toString(), 'YX')
    assert.is(summary(bob.changes.take()), '2:0+1 -1:0+1 -1:5+1')
    assert.equal(bob.unknown, [])
    assert.is(bob.doc.clientID, 2)
  }
)

changes('undoing brings foreign text back as one’s own', () => {
  const alice = peer(1)
  alice.text.insert(0, 'hello')
  const hello = takeAll(alice)
  const bob = peer(2)
  receive(bob, hello)
  const undo = new Y.UndoManager(bob.text, { captureTimeout: 0 })
  bob.text.delete(0, 5)
  const deleted = takeAll(bob)
  undo.undo()
  assert.is(bob.text.toString(), 'hello')
  const undone = bob.changes.take()
  assert.is(summary(undone), '2:0+5')
  undo.redo()
  receive(alice, [...deleted, undone!, ...takeAll(bob)])
  assert.is(alice.text.toString(), '')
  assertNothingPending(alice.doc)
})

changes('what was inserted and deleted before it is taken is valid, and takes its clocks', () => {
  for (const gc of [true, false]) {
    const alice = peer(1, { doc: new Y.Doc({ gc }) })
    alice.text.insert(0, 'kept')
    alice.text.insert(2, 'gone')
    alice.text.delete(2, 4)
    const map = alice.doc.getMap<Y.Map<string>>('map')
    map.set('a', new Y.Map<string>([['deep', 'value']]))
    map.delete('a')
    map.set('a', new Y.Map<string>([['other', 'value']]))
    const bob = peer(2)
    receive(bob, takeAll(alice))
    assert.is(bob.text.toString(), 'kept')
    assert.equal(bob.doc.getMap('map').toJSON(), { a: { other: 'value' } })
    assert.is(Y.getState(bob.doc.store, 1), Y.getState(alice.doc.store, 1))
    assertNothingPending(bob.doc)
  }
})

changes('what is appended to a taken text is taken from where it stopped', () => {
  const alice = peer(1)
  const bob = peer(2)
  for (const part of ['one ', 'two ', 'three']) {
    alice.text.insert(alice.text.length, part)
    receive(bob, takeAll(alice))
  }
  assert.is(alice.doc.store.clients.get(1)!.length, 1)
  assert.is(bob.text.toString(), 'one two three')
})

changes('every kind of content can be taken', () => {
  const alice = peer(1)
  fillWithEveryKind(alice.doc)
  const bob = peer(2)
  receive(bob, takeAll(alice))
  bob.doc.getXmlFragment('xml')
  assert.equal(everything(bob.doc), everything(alice.doc))
  const subdocument = bob.doc.getMap<Y.Doc>('map').get('document')!
  assert.is(subdocument.guid, 'guid')
  assert.equal(subdocument.meta, { kind: 'note' })
  assertNothingPending(bob.doc)
})

changes('what is done to a subdocument is not taken with its parent', () => {
  const alice = peer(1)
  const inner = new Y.Doc({ guid: 'guid' })
  alice.doc.getMap('map').set('document', inner)
  takeAll(alice)
  inner.getText('inner').insert(0, 'elsewhere')
  assert.is(alice.changes.dirty, false)
})

changes('a pile of edits comes in several updates, each below its bound', () => {
  const alice = peer(1)
  const list = alice.doc.getArray<Uint8Array>('list')
  for (let i = 0; i < 5; i++) list.push([new Uint8Array(600_000)])
  alice.text.insert(0, 'deleted')
  alice.text.delete(0, 7)
  const updates = takeAll(alice)
  assert.is(updates.length, 3)
  assert.ok(updates.every((update) => update.length < 1_300_000))
  // What an update deletes of its own it also holds.
  assert.is(summary(updates[1]!).includes('-'), false)
  const bob = peer(2)
  for (const update of updates) {
    receive(bob, [update])
    assertNothingPending(bob.doc)
  }
  assert.equal(everything(bob.doc), everything(alice.doc))
})

changes('a character typed in two halves is the same on both sides', () => {
  const alice = peer(1)
  const bob = peer(2)
  for (const half of ['😀'[0]!, '😀'[1]!]) {
    alice.text.insert(alice.text.length, half)
    receive(bob, takeAll(alice))
  }
  assert.is(bob.text.toString(), '\uFFFD\uFFFD')
  assert.is(alice.text.toString(), bob.text.toString())
  alice.text.insert(2, '😀'[0]!)
  alice.text.insert(3, '😀'[1]!)
  receive(bob, takeAll(alice))
  assert.is(bob.text.toString(), '\uFFFD\uFFFD😀')
  assert.is(alice.text.toString(), bob.text.toString())
})

changes('a listener of the app that throws loses no edit', () => {
  for (const event of ['afterTransaction', 'update', 'afterTransactionCleanup'] as const) {
    const doc = new Y.Doc()
    let thrown = 0
    doc.on(event, () => {
      if (thrown++ === 0) throw new Error('from the app')
    })
    const alice = peer(1, { doc })
    assert.throws(() => alice.text.insert(0, 'abc'), 'from the app')
    alice.text.delete(1, 1)
    alice.text.delete(0, 1)
    assert.ok(alice.dirtied > 0, event)
    const bob = peer(2)
    receive(bob, takeAll(alice))
    assert.is(bob.text.toString(), 'c')
  }
})

changes('an app that applies an update on its own is noticed', () => {
  const elsewhere = new Y.Doc()
  elsewhere.clientID = 9
  elsewhere.getText('text').insert(0, 'from elsewhere')
  const update = Y.encodeStateAsUpdate(elsewhere)
  const alone = peer(1)
  Y.applyUpdate(alone.doc, update)
  assert.equal(alone.unknown, [[9]])
  const wrapped = peer(1)
  wrapped.doc.transact(() => {
    wrapped.text.insert(0, 'x')
    Y.applyUpdate(wrapped.doc, update)
  })
  assert.equal(wrapped.unknown, [[9]])
  assert.is(wrapped.doc.clientID, 1)
  // Once is enough.
  wrapped.text.insert(0, 'y')
  assert.equal(wrapped.unknown, [[9]])
})

changes('an app that leaves something pending is noticed', () => {
  const elsewhere = new Y.Doc()
  elsewhere.clientID = 9
  elsewhere.getText('text').insert(0, 'first')
  const known = Y.encodeStateVector(elsewhere)
  elsewhere.getText('text').insert(5, ' second')
  const structs = peer(1)
  Y.applyUpdate(structs.doc, Y.encodeStateAsUpdate(elsewhere, known))
  assert.equal(structs.unknown, [[9]])
  const deletes = peer(1)
  Y.applyUpdate(deletes.doc, Uint8Array.of(0, 1, 9, 1, 0, 3))
  assert.equal(deletes.unknown, [[9]])
})

changes(
  'an app that applies what is known is no cause for alarm, and its deletes are taken',
  () => {
    const alice = peer(1)
    alice.text.insert(0, 'hello')
    const bob = peer(2)
    receive(bob, takeAll(alice))
    const tab = new Y.Doc()
    Y.applyUpdate(tab, Y.encodeStateAsUpdate(bob.doc))
    tab.getText('text').delete(0, 1)
    Y.applyUpdate(bob.doc, Y.encodeStateAsUpdate(tab))
    assert.equal(bob.unknown, [])
    assert.is(summary(bob.changes.take()), '-1:0+1')
  }
)

changes('an assigned client id does not hold, and edits go on under the right one', () => {
  const alice = peer(1)
  alice.doc.clientID = 77
  alice.text.insert(0, 'mine')
  assert.is(alice.doc.clientID, 1)
  assert.is(summary(alice.changes.take()), '1:0+4')
  assert.equal(alice.unknown, [])
  alice.doc.transact(() => {
    alice.doc.clientID = 77
    alice.text.insert(0, 'not mine')
  })
  assert.equal(alice.unknown, [[77]])
})

changes('an entry with structs of the own client id loses the id', () => {
  const before = peer(1)
  before.text.insert(0, 'restored')
  const alice = peer(1)
  receive(alice, takeAll(before))
  assert.is(alice.lost.length, 1)
  assert.is.not(alice.doc.clientID, 1)
  assert.is(alice.changes.take(), null)
  // Nothing may be edited under the random id.
  alice.text.insert(0, 'x')
  assert.equal(alice.unknown, [[alice.doc.clientID]])
  alice.changes.destroy()
  const next = peer(3, { doc: alice.doc })
  next.text.insert(0, 'y')
  assert.is(summary(next.changes.take()), '3:0+1')
})

changes('Yjs does not tidy marks after received text', () => {
  for (const isLeftAlone of [true, false]) {
    const alice = peer(1)
    const bob = peer(2)
    alice.text.insert(0, 'The quick brown fox')
    receive(bob, takeAll(alice))
    alice.text.format(0, 9, { bold: true })
    bob.text.delete(0, 9)
    takeAll(bob)
    // A private field: this says that it still exists, and that it is still what decides.
    let needed: boolean | undefined
    bob.doc.on('beforeObserverCalls', (transaction: Y.Transaction) => {
      if (transaction.origin === feed && !isLeftAlone) needed = transaction._needFormattingCleanup
    })
    if (!isLeftAlone) {
      bob.doc.on('afterTransaction', (transaction: Y.Transaction) => {
        if (transaction.origin === feed) transaction._needFormattingCleanup = true
      })
    }
    receive(bob, takeAll(alice))
    assert.is(needed, isLeftAlone ? undefined : false)
    assert.is(bob.changes.dirty, !isLeftAlone)
  }
})

changes('marks in a document without changes can be left untidied as well', () => {
  for (const isLeftAlone of [true, false]) {
    const alice = peer(1)
    const doc = new Y.Doc()
    alice.text.insert(0, 'The quick brown fox')
    Y.applyUpdate(doc, takeAll(alice)[0]!, feed)
    alice.text.format(0, 9, { bold: true })
    doc.getText('text').delete(0, 9)
    if (isLeftAlone) leaveMarksUntidied(doc, ({ origin }) => origin === feed)
    let tidied = 0
    doc.on('update', (_update: Uint8Array, origin: unknown) => {
      if (origin !== feed) tidied++
    })
    Y.applyUpdate(doc, takeAll(alice)[0]!, feed)
    assert.is(tidied > 0, !isLeftAlone)
  }
})

changes('nothing is collected once it is destroyed', () => {
  const alice = peer(1)
  alice.changes.destroy()
  alice.text.insert(0, 'x')
  assert.is(alice.dirtied, 0)
  assert.is(alice.changes.dirty, false)
})

changes('it cannot be attached inside a transaction', () => {
  const doc = new Y.Doc()
  assert.throws(
    () => doc.transact(() => peer(1, { doc })),
    (error: Error) => error instanceof TypeError
  )
})

changes('documents that exchange updates in random causal orders are equal', () => {
  const seeds = Number(process.env.SEEDS ?? 300)
  const first = Number(process.env.SEED ?? 1)
  for (let seed = first; seed < first + seeds; seed++) {
    try {
      exchange(seed)
    } catch (error) {
      console.log(`SEED=${seed} SEEDS=1 npx tsx -C source test/unit/changes.test.ts`)
      throw error
    }
  }
})

interface Entry {
  readonly author: number
  readonly seq: number
  /** By peer, how many of its entries the author had delivered. */
  readonly seen: readonly number[]
  readonly update: Uint8Array
}

/** Three peers that edit, observe and undo, and hear of each other late. */
function exchange(seed: number): void {
  const below = randomBelow(seed)
  const gc = below(4) > 0
  const entries: Entry[] = []
  const peers = [0, 1, 2].map((i) => {
    const made = peer(100 + i, { doc: new Y.Doc({ gc }) })
    const { doc, text } = made
    const types = [text, doc.getMap('map'), doc.getArray('array'), doc.getXmlFragment('xml')]
    const undo = new Y.UndoManager(types, { captureTimeout: below(2) * 500 })
    return { ...made, undo, seen: [0, 0, 0] }
  })
  type Member = (typeof peers)[number]
  const flush = (member: Member): void => {
    const author = peers.indexOf(member)
    for (const update of takeAll(member)) {
      entries.push({ author, seq: member.seen[author]!++, seen: [...member.seen], update })
    }
  }
  const isReady = ({ author, seq, seen }: Entry, has: readonly number[]): boolean =>
    seq === has[author] && seen.every((n, i) => i === author || n <= has[i]!)
  const deliver = (member: Member): boolean => {
    flush(member)
    const updates: Uint8Array[] = []
    for (let wanted = 1 + below(3); wanted > 0; wanted--) {
      const ready = entries.filter((entry) => isReady(entry, member.seen))
      if (ready.length === 0) break
      const entry = ready[below(ready.length)]!
      member.seen[entry.author]!++
      updates.push(entry.update)
    }
    if (updates.length > 0) receive(member, updates)
    assertNothingPending(member.doc)
    return updates.length > 0
  }
  // One of them answers received text, by an insertion and a deletion, for a while.
  let answers = 6
  peers[0]!.text.observe(({ transaction }) => {
    if (transaction.origin !== feed || answers-- <= 0) return
    peers[0]!.text.insert(0, '>')
    if (peers[0]!.text.length > 3) peers[0]!.text.delete(1 + below(2), 1)
  })
  for (let step = 0; step < 60; step++) {
    const member = peers[below(3)]!
    const what = below(10)
    if (what < 3) deliver(member)
    else if (what === 3) flush(member)
    else if (what === 4) member.undo[below(3) > 0 ? 'undo' : 'redo']()
    else if (what === 5) {
      member.doc.transact(() => {
        for (let i = below(4); i >= 0; i--) edit(member.doc, below)
      })
    } else edit(member.doc, below)
  }
  for (let progress = true; progress;) {
    for (const member of peers) flush(member)
    progress = peers.map(deliver).some(Boolean)
  }
  const contents = peers.map(({ doc }) => everything(doc))
  assert.equal(contents[1], contents[0])
  assert.equal(contents[2], contents[0])
  for (const member of peers) {
    assert.equal(member.unknown, [])
    assert.equal(member.lost, [])
    assert.is(member.doc.clientID, member.changes.clientId)
  }
  // A fresh document, in yet another causal order, into which peers let every update.
  const fresh = peer(5)
  const has = [0, 0, 0]
  for (let left = entries.length; left > 0; left--) {
    const ready = entries.filter((entry) => isReady(entry, has))
    const { author, update } = ready[below(ready.length)]!
    has[author]!++
    const verdict = validateUpdate(update, { clientId: 100 + author, ...heldBy(fresh.doc) })
    assert.is(verdict.verdict, 'apply')
    receive(fresh, [update])
    assertNothingPending(fresh.doc)
  }
  fresh.doc.getMap('map')
  fresh.doc.getArray('array')
  fresh.doc.getXmlFragment('xml')
  assert.equal(everything(fresh.doc), contents[0])
  assert.is(fresh.changes.dirty, false)
}

/** All that can be read of it. */
function everything(doc: Y.Doc): unknown {
  return {
    text: doc.getText('text').toDelta(),
    map: plain(doc.getMap('map')),
    array: plain(doc.getArray('array')),
    list: plain(doc.getArray('list')),
    xml: plain(doc.getXmlFragment('xml'))
  }
}

function plain(value: unknown): unknown {
  if (value instanceof Y.Doc) return { guid: value.guid }
  if (value instanceof Y.XmlElement) {
    return {
      name: value.nodeName,
      attributes: sorted(value.getAttributes()),
      children: value.toArray().map(plain)
    }
  }
  if (value instanceof Y.XmlHook) return { hook: value.hookName }
  if (value instanceof Y.Map)
    return sorted(Object.fromEntries([...value.entries()].map(([k, v]) => [k, plain(v)])))
  if (value instanceof Y.Text) return value.toDelta()
  if (value instanceof Y.Array || value instanceof Y.XmlFragment) return value.toArray().map(plain)
  return value
}

function sorted(object: object): object {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)))
}

changes('an edit in many places comes in several updates, and peers accept each', () => {
  const author = new Y.Doc()
  const changes = new Changes(author, { clientId: 7, origin: {} })
  const peer = new Y.Doc()
  const text = author.getText('text')
  const pass = (): number => {
    let count = 0
    for (let update = changes.take(); update !== null; update = changes.take()) {
      assert.is(validateUpdate(update, { clientId: 7, ...heldBy(peer) }).verdict, 'apply')
      integrateUpdate(peer, update, {})
      count++
    }
    assert.equal(peer.getText('text').toDelta(), text.toDelta())
    assert.equal(peer.getXmlFragment('xml').toString(), author.getXmlFragment('xml').toString())
    return count
  }
  text.insert(0, 'word '.repeat(1_000))
  assert.is(pass(), 1)
  // A word replaced everywhere.
  author.transact(() => {
    for (let at = 999 * 5; at >= 0; at -= 5) {
      text.delete(at, 4)
      text.insert(at, 'other')
    }
  })
  assert.is(pass(), Math.ceil(1_000 / updateLimits.maxPlaces))
  author.transact(() => text.format(0, text.length, { bold: true }))
  pass()
  // What is new as a whole is one place, however large.
  author.transact(() => {
    const paragraphs = Array.from({ length: 300 }, (_, i) => {
      const paragraph = new Y.XmlElement('p')
      paragraph.setAttribute('id', String(i))
      paragraph.insert(0, [new Y.XmlText(`paragraph ${i}`), new Y.XmlElement('br')])
      return paragraph
    })
    author.getXmlFragment('xml').insert(0, paragraphs)
  })
  assert.is(pass(), 1)
})

changes.run()
