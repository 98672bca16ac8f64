/** How edits get into a document: what waits, for what, and whose goes first. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { Applier, type IncomingEdit } from '../../lib/views/applier.ts'
import { Inbox } from '../../lib/views/inbox.ts'
import { write, writeUpdate, type StructParts } from '../fuzz/update-writer.ts'

const test = suite('applier')
const clients: Record<string, number> = { alice: 1, bob: 2, carol: 3 }

function editOf(device: string, clock: number, ...structs: StructParts[]): IncomingEdit {
  const update = writeUpdate({ client: clients[device]!, clock, structs })
  return { device, clientCounter: 0, update, ref: { log: device, from: clock, to: clock + 1 } }
}

function applierOf(doc: Y.Doc): { applier: Applier; refused: string[] } {
  const refused: string[] = []
  const applier = new Applier({
    doc,
    origin: {},
    clientIdsOf: (device) => [clients[device]!],
    onRefused: ({ device }) => refused.push(device)
  })
  return { applier, refused }
}

const inText = (text: string): StructParts => ({ ...write.string(text), parent: 'body' })
const behind = (device: string, clock: number, text: string): StructParts => ({
  ...write.string(text),
  origin: [clients[device]!, clock]
})

test('edits wait for what they refer to, through several that wait for each other, and keep their order', () => {
  const edits = [
    editOf('carol', 0, behind('bob', 0, 'c')),
    editOf('carol', 1, behind('alice', 1, 'C')),
    editOf('carol', 2, behind('carol', 1, '!')),
    editOf('bob', 0, behind('alice', 0, 'b')),
    editOf('alice', 0, inText('a')),
    editOf('alice', 1, behind('alice', 0, 'A'))
  ]
  const texts = new Set<string>()
  for (const order of [edits, [3, 4, 0, 5, 1, 2], [4, 0, 1, 2, 3, 5], [0, 3, 1, 4, 2, 5]]) {
    const doc = new Y.Doc()
    const { applier, refused } = applierOf(doc)
    for (const next of order) applier.apply(null, [typeof next === 'number' ? edits[next]! : next])
    assert.not(applier.isWaiting)
    assert.equal(refused, [])
    texts.add(doc.getText('body').toString())
  }
  assert.is(texts.size, 1)
  assert.is([...texts][0]!.length, 6)
})

test('a merged state is taken as V1, and as V2 from a store of before', () => {
  const before = new Y.Doc()
  const text = before.getText('body')
  text.insert(0, 'merged')
  text.delete(0, 1)
  for (const of of [before, new Y.Doc()]) {
    for (const state of [Y.encodeStateAsUpdate(of), Y.encodeStateAsUpdateV2(of)]) {
      const doc = new Y.Doc()
      applierOf(doc).applier.apply(state, [])
      assert.equal(Y.encodeStateAsUpdate(doc), Y.encodeStateAsUpdate(of))
    }
  }
})

test('one that waits for what never comes holds up nobody but its author', () => {
  const doc = new Y.Doc()
  const { applier } = applierOf(doc)
  applier.apply(null, [editOf('carol', 0, behind('bob', 99, 'c'))])
  applier.apply(null, [editOf('carol', 1, inText('never'))])
  for (let i = 0; i < 9; i++) applier.apply(null, [editOf('alice', i, inText('a'))])
  assert.is(doc.getText('body').toString(), 'aaaaaaaaa')
  assert.ok(applier.isWaiting)
})

test('an edit that waits is not read again for each other edit that comes', () => {
  const doc = new Y.Doc()
  const { applier } = applierOf(doc)
  const large = Array.from({ length: 5_000 }, (_, i): StructParts =>
    i === 4_999 ? behind('bob', 0, 'x') : { ...write.any(i), parent: 'm', key: `k${i}` }
  )
  const edit = editOf('carol', 0, ...large)
  let reads = 0
  const { update } = edit
  Object.defineProperty(edit, 'update', { get: () => (reads++, update) })
  applier.apply(null, [edit])
  const before = reads
  for (let i = 0; i < 50; i++) applier.apply(null, [editOf('alice', i, inText('a'))])
  assert.is(reads, before)
  applier.apply(null, [editOf('bob', 0, inText('b'))])
  assert.ok(reads > before)
  assert.not(applier.isWaiting)
})

test('what has arrived is taken in slices, and who takes long comes after the others', () => {
  let nowMs = 0
  const inbox = new Inbox({ now: () => nowMs, after: () => () => {}, soon: () => {} })
  for (let i = 0; i < 20; i++) {
    inbox.push(3 * i, editOf('carol', i))
    inbox.push(3 * i + 1, editOf('carol', i + 100))
    inbox.push(3 * i + 2, editOf('alice', i))
  }
  const taken: string[] = []
  let slices = 0
  while (!inbox.isEmpty) {
    const startedAt = nowMs
    inbox.forEach(({ device, ref }) => {
      taken.push(`${device} ${ref.from}`)
      nowMs += device === 'carol' ? 15 : 1
    })
    slices++
    assert.ok(nowMs - startedAt <= 40, 'a slice and one edit at the most')
  }
  assert.ok(slices > 10)
  assert.ok(taken.indexOf('alice 19') < 30, 'alice waits for a few of carol’s edits, not for all')
  const ofCarol = taken.filter((edit) => edit.startsWith('carol'))
  assert.equal(
    ofCarol,
    Array.from({ length: 20 }, (_, i) => [`carol ${i}`, `carol ${i + 100}`]).flat()
  )
})

test.run()
