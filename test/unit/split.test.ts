/** A document that looks different on two devices: noticed, named, and put right. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { MemoryNetwork } from '../../adapters/memory.ts'
import type { Document, Space, SpaceEvents } from '../../lib/index.ts'
import { cutHash, visibleHash } from '../../lib/views/visible.ts'
import { fillWithEveryKind } from '../fuzz/random-edits.ts'
import { device, spaceOf, waitMs, whenText, type Device } from '../devices.ts'
import { deadline, eventually, once } from '../events.ts'

const test = suite('split')

const bodyOf = (document: Document): Y.Text => document.doc.getText('body')

/** Writes as no editor does: behind `d`, and in front of the `b` that stands before it. Passes every check. */
function writeSplitting(document: Document, text: string): void {
  const { doc } = document
  const body = bodyOf(document)
  doc.transact((transaction) => {
    const first = body._start!.id
    const at = (clock: number): Y.ID => Y.createID(first.client, first.clock + clock)
    const left = Y.getItemCleanEnd(transaction, doc.store, at(3))
    const right = Y.getItemCleanStart(transaction, at(1))
    const id = Y.createID(doc.clientID, Y.getState(doc.store, doc.clientID))
    const content = new Y.ContentString(text)
    new Y.Item(id, left, at(3), right, right.id, body, null, content).integrate(transaction, 0)
  })
}

const splitOf = (space: Space): Promise<SpaceEvents['split']> =>
  once<SpaceEvents['split']>((tell) => space.on('split', tell), waitMs, 'the split is noticed')

test('a document that looks different on two devices is made equal, and its author is named', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using mallory = await device('mallory', network)
  await spaceOf(alice, bob, mallory)
  const devices: Device[] = [alice, bob, mallory]
  const [atAlice, atBob, atMallory] = await Promise.all(
    devices.map(({ space }) => space.open('ideas'))
  )
  bodyOf(atAlice!).insert(0, 'abcdef')
  await whenText(atBob!.doc, 'abcdef')
  await whenText(atMallory!.doc, 'abcdef')
  network.partition([[alice.key, mallory.key], [bob.key]])
  writeSplitting(atMallory!, 'A')
  await atMallory!.saved()
  await eventually(() => bodyOf(atAlice!).length === 7, { deadlineMs: waitMs })
  bodyOf(atBob!).insert(3, 'D')
  await atBob!.saved()
  const named = devices.map(({ space }) => splitOf(space))
  network.heal()
  for (const split of await Promise.all(named)) {
    assert.equal(split, { name: 'ideas', devices: [mallory.id] })
  }
  const isSame = (): boolean =>
    new Set([atAlice, atBob, atMallory].map((document) => visibleHash(document!.doc))).size === 1
  await eventually(isSame, { deadlineMs: waitMs, what: 'all see the same' })
  assert.is(bodyOf(atAlice!).length, 8)
  // It goes on, also where two write at once and where it is opened again.
  network.partition([[alice.key], [bob.key], [mallory.key]])
  bodyOf(atAlice!).insert(2, 'alice')
  bodyOf(atBob!).insert(2, 'bob')
  writeSplitting(atMallory!, 'M')
  await Promise.all([atAlice, atBob, atMallory].map((document) => document!.saved()))
  network.heal()
  await eventually(() => isSame() && bodyOf(atAlice!).length === 17, { deadlineMs: waitMs })
  const text = bodyOf(atAlice!).toString()
  await bob.restart()
  const again = await bob.space.open('ideas')
  assert.is(bodyOf(again).toString(), text)
  assert.is(visibleHash(again.doc), visibleHash(atAlice!.doc))
})

test('who claims to see something else splits nothing', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const note = await space.open('ideas')
  bodyOf(note).insert(0, 'abcdef')
  const copy = await bob.space.open('ideas')
  await whenText(copy.doc, 'abcdef')
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob holds it')
  let splits = 0
  space.on('split', () => splits++)
  let resets = 0
  note.on('reset', () => resets++)
  const channel = bob.channelsTo(alice).find(({ protocol }) => protocol === 'skein/space/1')!
  // Bob’s look, as it is sent, with another hash.
  const looks: Uint8Array[] = []
  const look = channel.messages[3]!
  const send = look.send.bind(look)
  look.send = (bytes) => {
    const lie = Uint8Array.from(bytes)
    lie[lie.length - 1]! ^= 1
    looks.push(lie)
    return send(lie)
  }
  const told: Uint8Array[] = []
  const hers = alice.channelsTo(bob).find(({ protocol }) => protocol === 'skein/space/1')!
    .messages[3]!
  const sendHers = hers.send.bind(hers)
  hers.send = (bytes) => {
    if (bodyOf(note).toString() === 'and more abcdef') told.push(bytes)
    return sendHers(bytes)
  }
  bodyOf(copy).insert(0, 'more ')
  await eventually(() => looks.length > 0, { deadlineMs: waitMs })
  bodyOf(note).insert(0, 'and ')
  await whenText(copy.doc, 'and more abcdef')
  await eventually(() => looks.length > 1, { deadlineMs: waitMs })
  // She has compared it with her own by then: she has told hers, of the same entries.
  await eventually(() => told.length > 0, { deadlineMs: waitMs })
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob holds it')
  assert.is(splits, 0)
  assert.is(resets, 0)
})

test('the hash of what is visible is the same however it came to be, and another for another order', () => {
  const doc = new Y.Doc()
  fillWithEveryKind(doc)
  doc.getText('text').delete(3, 4)
  const whole = new Y.Doc()
  Y.applyUpdate(whole, Y.encodeStateAsUpdate(doc))
  assert.is(visibleHash(whole), visibleHash(doc))
  for (const change of [
    () => doc.getText('text').insert(2, 'x'),
    () => doc.getText('text').format(0, 2, { bold: null }),
    () => doc.getMap('map').set('values', 1),
    () => doc.getMap('map').delete('bytes'),
    () => (doc.getXmlFragment('xml').get(0) as Y.XmlElement).setAttribute('class', 'small')
  ]) {
    const before = visibleHash(doc)
    change()
    assert.is.not(visibleHash(doc), before)
  }
  // Types that nobody asked for are not there.
  doc.getText('nothing')
  const same = visibleHash(doc)
  doc.getMap('nothing either')
  assert.is(visibleHash(doc), same)
  const [a, b] = ['0102030405060708', '1112131415161718']
  assert.is(
    cutHash(
      new Map([
        [a, 1],
        [b, 2]
      ])
    ),
    cutHash(
      new Map([
        [b, 2],
        [a, 1]
      ])
    )
  )
  assert.is.not(
    cutHash(
      new Map([
        [a, 1],
        [b, 2]
      ])
    ),
    cutHash(
      new Map([
        [a, 2],
        [b, 1]
      ])
    )
  )
})

test.run()
