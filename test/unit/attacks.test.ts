/**
 * Attacks on documents by a member, written by hand: the measured ones of the design, and more. Each is a list of edits that
 * mallory writes, and that come to five peers in five orders between those of an honest author. Held against each: nothing is
 * applied in part, nothing throws then or later, none takes long, all peers say the same of every edit and show the same in
 * the end (made in the canonical order where they do not), and what the honest author wrote is there.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'
import { leaveMarksUntidied } from '../../lib/log/changes.ts'
import { importIdOf } from '../../lib/trust/keys.ts'
import { importClient } from '../../lib/trust/validate.ts'
import { Applier, type IncomingEdit } from '../../lib/views/applier.ts'
import { CanonicalOrder } from '../../lib/views/canonical.ts'
import { visibleHash } from '../../lib/views/visible.ts'
import { write, writeUpdate, type Id, type StructParts } from '../fuzz/update-writer.ts'

const test = suite('attacks')

const [alice, mallory, other] = [11, 2 ** 51 + 7, 13]
/** Processor time, which what else the machine does disturbs less; one of a few attempts must be within it. */
const longestMs = 100
const attempts = 4

type Update = Uint8Array | { readonly imported: Uint8Array }
type Expected = 'applied' | 'refused' | 'waits' | 'any'

const hex = (text: string): Uint8Array =>
  Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))
const by = (...structs: StructParts[]): Uint8Array => writeUpdate({ client: mallory, structs })
const at = (clock: number, ...structs: StructParts[]): Uint8Array =>
  writeUpdate({ client: mallory, clock, structs })
const times = (count: number, structOf: (i: number) => StructParts): Uint8Array =>
  by(...Array.from({ length: count }, (_, i) => structOf(i)))
const text = (string: string): StructParts => ({ ...write.string(string), parent: 'text' })
const far = { origin: [alice, 0], rightOrigin: [alice, 400] } as const
const own = (clock: number): Id => [mallory, clock]
const raw = (kind: number, ...bytes: number[]): Uint8Array =>
  by({ ...write.raw(kind, ...bytes), parent: 'text' })
const nestedAny = (depth: number): Uint8Array =>
  raw(8, 1, ...Array.from({ length: depth }, () => [117, 1]).flat(), 126)
const inMap = (key: string, content: Pick<StructParts, 'kind' | 'content'>): StructParts => ({
  ...content,
  parent: 'map',
  key
})
const roundOf = (count: number, updateOf: (i: number) => Uint8Array): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => updateOf(i))

const varUint = (value: number): Uint8Array =>
  encoding.encode((encoder) => encoding.writeVarUint(encoder, value))
const emptyObjects = Buffer.alloc(2_000_000, Uint8Array.of(118, 0))

const attacks: Record<string, [Expected, ...Update[]]> = {
  // Who it is
  'thirteen bytes that take alice’s next clocks': [
    'refused',
    writeUpdate({ client: alice, clock: 404, structs: [write.gc(2 ** 40)] })
  ],
  'a struct of somebody else': ['refused', writeUpdate({ client: other, structs: [text('x')] })],
  'structs of two clients': [
    'refused',
    hex('02 01 0d 00 04 01 01 74 01 61 01 0b 00 04 01 01 74 01 61 00')
  ],
  'the same client twice': [
    'refused',
    hex('02 01 0d 00 04 01 01 74 01 61 01 0d 01 04 01 01 74 01 61 00')
  ],
  'an import under a member’s id': [
    'refused',
    { imported: writeUpdate({ client: alice, clock: 404, structs: [text('x')] }) }
  ],
  'an import that hangs on the document': [
    'refused',
    {
      imported: writeUpdate({
        client: importClient,
        structs: [{ ...write.string('x'), origin: [alice, 3] }]
      })
    }
  ],
  'an import that deletes': [
    'refused',
    {
      imported: writeUpdate({
        client: importClient,
        structs: [text('x')],
        deletes: [[alice, [0, 9]]]
      })
    }
  ],

  // Clocks
  'a gap before its first clock': ['refused', at(1, text('x'))],
  'its own clocks once more': ['any', by(text('xyz')), by(text('other'))],
  'what hangs on a refused edit': ['refused', raw(4, 9, 65), at(1, text('x'))],
  'clocks that overflow': ['refused', by(write.gc(Number.MAX_SAFE_INTEGER), write.gc(5))],
  'a skip': ['refused', raw(10, 5)],
  'an empty struct': ['refused', by(write.gc(0))],
  'gapped updates, 8,000 of them': ['refused', ...roundOf(8_000, (i) => at(10 + 2 * i, text('x')))],

  // What does not decode
  'nothing at all': ['refused', new Uint8Array()],
  garbage: ['refused', hex('81 aa ae 57 9d a1 9c')],
  'seven bytes that claim 32,000,000 structs': ['refused', hex('01 80 90 a1 0f 01 00')],
  'structs by the billion': ['refused', hex('01 ff ff ff ff ff ff ff 0f 01 00')],
  'an update cut off before its deletes': ['refused', by(text('abc')).slice(0, -1)],
  'bytes behind the end': ['refused', Uint8Array.of(...by(text('abc')), 0)],
  'half a character': ['refused', raw(4, 1, 0xc3)],
  'a surrogate in UTF-8': ['refused', raw(4, 3, 0xed, 0xa0, 0xbd)],
  'a number padded with zeros': ['refused', raw(0, ...Array.from({ length: 300 }, () => 0x80), 0)],
  'a type of no kind': ['refused', raw(7, 9)],
  'content of no kind': ['refused', raw(15, 1)],
  'a parent of no kind': ['refused', hex('01 01 87 80 80 80 80 80 80 04 00 04 07 01 74 01 61 00')],
  'JSON that is none': ['refused', by({ ...write.embed('{'), parent: 'text' })],
  'an infinite number': ['refused', by({ ...write.embed('1e999'), parent: 'text' })],

  // What harms whoever reads it
  'a key __proto__ in a map': ['refused', by(inMap('__proto__', write.any({ isAdmin: true })))],
  'a key __proto__ in a value': ['refused', raw(8, 1, 118, 1, 9, ...Buffer.from('__proto__'), 120)],
  'a key __proto__ in JSON': [
    'refused',
    by({ ...write.embed('{"__proto__":{"isAdmin":true}}'), parent: 'text' })
  ],
  'a key __proto__, escaped': [
    'refused',
    by({ ...write.embed('{"\\u005f_proto__":1}'), parent: 'text' })
  ],
  'a root named __proto__': ['refused', by({ ...write.string('x'), parent: '__proto__' })],
  'a mark named __proto__': ['refused', by({ ...write.format('__proto__', '1'), parent: 'text' })],
  'a subdocument whose options reach Yjs': [
    'refused',
    by(inMap('d', write.document('guid', { guid: 5 })))
  ],
  'several values under one key': [
    'applied',
    by(
      inMap('in', write.type(1)),
      { ...write.any(1, 2), parent: own(0), key: 'k' },
      { ...write.any(3), origin: own(1), key: 'k' }
    )
  ],
  'several values under a key that it hides': [
    'applied',
    by(
      inMap('k', write.any(1)),
      { ...write.any(1, 2), origin: own(0) },
      { ...write.any(3), origin: own(1) }
    )
  ],
  'values nested 5,000 deep': ['refused', nestedAny(5_000)],
  'types nested 5,000 deep': [
    'refused',
    times(5_000, (i) => ({ ...write.type(1), parent: i === 0 ? 'map' : own(i - 1), key: 'k' }))
  ],
  'types nested 5,000 deep, a few an edit': [
    'applied',
    ...roundOf(50, (n) =>
      at(
        100 * n,
        ...Array.from({ length: 100 }, (_, i): StructParts => ({
          ...write.type(1),
          parent: n + i === 0 ? 'map' : own(100 * n + i - 1),
          key: 'k'
        }))
      )
    )
  ],
  'a root’s name of a million characters': [
    'refused',
    by({ ...write.string('x'), parent: 'r'.repeat(1_000_000) })
  ],
  'a parent that is a letter': ['applied', by({ ...write.string('x'), parent: [alice, 3] })],
  'a mark in a map, and a number in text': [
    'applied',
    by(inMap('k', write.format('bold', 'true')), { ...write.any(1), parent: 'text' })
  ],

  // References
  'its own future': ['refused', by({ ...write.string('x'), origin: own(100) })],
  itself: ['refused', by({ ...write.string('x'), origin: own(0) })],
  'a parent that is itself': ['refused', by({ ...write.type(1), parent: own(0) })],
  'what nobody has written': ['waits', by({ ...write.string('x'), origin: [other, 5] })],
  'what alice has not written yet': ['waits', by({ ...write.string('x'), origin: [alice, 9_999] })],
  'deletes of what does not exist': [
    'waits',
    writeUpdate({ client: mallory, deletes: [[other, [0, 5]]] })
  ],
  'deletes of its own that do not exist': [
    'refused',
    writeUpdate({ client: mallory, deletes: [[mallory, [0, 5]]] })
  ],
  'deletes that overlap': [
    'refused',
    writeUpdate({ client: mallory, deletes: [[alice, [0, 5], [3, 5]]] })
  ],
  'deletes in reverse': [
    'refused',
    writeUpdate({ client: mallory, deletes: [[alice, [9, 1], [3, 1]]] })
  ],
  'neighbours the wrong way round': [
    'any',
    by({ ...write.string('A'), origin: [alice, 30], rightOrigin: [alice, 10] })
  ],
  'neighbours of two lists': [
    'any',
    by({ ...write.string('A'), origin: [alice, 3], rightOrigin: [alice, 403] })
  ],
  'one that is its own neighbour': [
    'any',
    by({ ...write.string('A'), origin: [alice, 3], rightOrigin: [alice, 3] })
  ],

  // What costs
  'far origins, 5,000 of them': ['refused', times(5_000, () => ({ ...write.string('x'), ...far }))],
  'far origins, a few an edit, in 60 edits': [
    'applied',
    ...roundOf(60, (n) =>
      at(16 * n, ...Array.from({ length: 16 }, () => ({ ...write.string('x'), ...far })))
    )
  ],
  'each in front of the one before': [
    'refused',
    times(5_000, (i) => ({
      ...write.string('x'),
      origin: [alice, 0],
      rightOrigin: i === 0 ? [alice, 400] : own(i - 1)
    }))
  ],
  'its own far origins': [
    'refused',
    times(5_000, (i) =>
      i === 0 ? text('xy') : { ...write.string('x'), origin: own(0), rightOrigin: own(1) }
    )
  ],
  'deletes of every other letter, 50,000': [
    'refused',
    writeUpdate({
      client: mallory,
      deletes: [[alice, ...Array.from({ length: 50_000 }, (_, i) => [2 * i, 1] as const)]]
    })
  ],
  '60,000 structs': [
    'refused',
    times(60_000, (i) => (i === 0 ? text('x') : { ...write.string('x'), origin: own(i - 1) }))
  ],
  'most structs that there may be': [
    'applied',
    times(10_000, (i) => (i === 0 ? text('x') : { ...write.embed('1'), origin: own(i - 1) }))
  ],
  '100,000 roots': ['refused', times(100_000, (i) => ({ ...write.string('x'), parent: `r${i}` }))],
  'one key, written 5,000 times': ['refused', times(5_000, (i) => inMap('k', write.any(i)))],
  '5,000 subdocuments': [
    'refused',
    times(5_000, (i) => inMap(`d${i}`, write.document(`guid ${i}`, { autoLoad: true })))
  ],
  'a quarter of a million empty objects': [
    'refused',
    by({ ...write.bytes(8, Buffer.concat([varUint(250_001), emptyObjects])), parent: 'text' })
  ]
}

const clientsByDevice: Record<string, number> = { alice, mallory }

function toEdits(device: string, updates: readonly Update[]): IncomingEdit[] {
  return updates.map((update, i) => {
    const ref = { log: device, from: i, to: i + 1 }
    if (update instanceof Uint8Array) return { device, clientCounter: 0, update, ref }
    const { imported } = update
    return { device, clientCounter: 0, update: imported, importId: importIdOf(imported), ref }
  })
}

/** What alice writes: 400 letters that others cut into pieces, a map, and more letters. */
function honestUpdates(): Uint8Array[] {
  const doc = new Y.Doc()
  doc.clientID = alice
  const updates: Uint8Array[] = []
  doc.on('update', (update: Uint8Array) => updates.push(update))
  const body = doc.getText('text')
  body.insert(0, 'x'.repeat(401))
  doc.getMap('map').set('k', 'value')
  doc.getText('other').insert(0, 'other')
  for (let i = 0; i < 20; i++) body.insert(20 * i, 'alice')
  body.format(0, 40, { bold: true })
  doc.getMap('map').set('k', 'another value')
  return updates
}

/** Each author's in order; the rest as `seed` says. */
function woven(
  a: readonly IncomingEdit[],
  b: readonly IncomingEdit[],
  seed: number
): IncomingEdit[] {
  if (seed === 0) return [...a, ...b]
  if (seed === 1) return [...b, ...a]
  const result: IncomingEdit[] = []
  let [i, k] = [0, 0]
  for (let n = seed; i < a.length || k < b.length; n = (n * 1103515245 + 12345) & 0x7fffffff) {
    if (k === b.length || (i < a.length && (n >> 8) % 3 === 0)) result.push(a[i++]!)
    else result.push(b[k++]!)
  }
  return result
}

interface Outcome {
  readonly refused: string
  readonly waits: boolean
  readonly text: string
  readonly hash: string
  readonly slowest: { readonly ms: number; readonly edit: string }
}

function outcomeOf(edits: readonly IncomingEdit[]): Outcome {
  let outcome = apply(edits)
  for (let i = 1; i < attempts && outcome.slowest.ms > longestMs; i++) outcome = apply(edits)
  const { ms, edit } = outcome.slowest
  assert.ok(ms <= longestMs, `${edit} took ${ms} ms`)
  return outcome
}

function apply(edits: readonly IncomingEdit[]): Outcome {
  const doc = new Y.Doc()
  const origin = {}
  const refused: string[] = []
  let slowest = { ms: 0, edit: '' }
  for (const name of ['text', 'other']) doc.getText(name)
  leaveMarksUntidied(doc, (transaction) => transaction.origin === origin)
  const applier = new Applier({
    doc,
    origin,
    clientIdsOf: (device) => [clientsByDevice[device]!],
    onRefused: ({ device, ref }) => refused.push(`${device} ${ref.from}`)
  })
  for (const edit of edits) {
    const before = process.cpuUsage()
    applier.apply(null, [edit])
    const { user, system } = process.cpuUsage(before)
    const ms = (user + system) / 1000
    if (ms > slowest.ms) slowest = { ms, edit: `${edit.device} ${edit.ref.from}` }
    assert.is(doc.store.pendingStructs, null)
    assert.is(doc.store.pendingDs, null)
  }
  const outcome = {
    refused: refused.sort((a, b) => (a < b ? -1 : 1)).join(),
    waits: applier.isWaiting,
    text: doc
      .getText('text')
      .toString()
      .replaceAll(/[^alice]/g, ''),
    hash: visibleHash(doc),
    slowest
  }
  // Later: it can be copied, read, emptied and written again.
  const copy = new Y.Doc()
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(doc))
  Y.applyUpdateV2(new Y.Doc(), Y.encodeStateAsUpdateV2(doc))
  JSON.stringify(doc.toJSON(), (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value
  )
  for (const either of [doc, copy]) {
    either.transact((transaction) => {
      for (const type of either.share.values()) {
        for (let item = type._start; item !== null; item = item.right) item.delete(transaction)
        for (const item of type._map.values()) item.delete(transaction)
      }
    })
    either.getText('text').insert(0, 'still here')
    assert.is(either.getText('text').toString(), 'still here')
  }
  assert.is(Reflect.get({}, 'isAdmin'), undefined)
  return outcome
}

const honest = toEdits('alice', honestUpdates())
const alone = outcomeOf(honest)

for (const [name, [expected, ...updates]] of Object.entries(attacks)) {
  test(name, () => {
    const hostile = toEdits('mallory', updates)
    const outcomes = [0, 1, 2, 3, 4].map((seed) =>
      outcomeOf(woven(honest, hostile, seed * 77_777 + Math.min(seed, 1)))
    )
    const [first] = outcomes
    for (const outcome of outcomes) {
      assert.is(outcome.refused, first!.refused, 'one verdict on all peers')
      assert.is(outcome.waits, first!.waits)
      assert.not.match(outcome.refused, /alice/)
      assert.is(outcome.text, alone.text, 'all of what alice wrote')
    }
    const hashes = new Set(outcomes.map(({ hash }) => hash))
    if (expected !== 'any') assert.is(hashes.size, 1)
    if (expected === 'refused') assert.match(first!.refused, /mallory/)
    if (expected === 'applied') assert.is(first!.refused, '')
    assert.is(first!.waits, expected === 'waits')
    const canonical = [0, 1, 2].map((seed) => {
      const order = new CanonicalOrder((device) => [clientsByDevice[device]!])
      order.add(woven(honest, hostile, seed))
      return visibleHash(order.document())
    })
    assert.is(new Set(canonical).size, 1)
  })
}

test('there are fifty of them', () => {
  assert.ok(Object.keys(attacks).length >= 50, String(Object.keys(attacks).length))
})

test.run()
