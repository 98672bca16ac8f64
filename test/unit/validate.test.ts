/** What may reach a document, rule by rule, with updates written by hand. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import * as encoding from 'lib0/encoding'
import { readerLimits } from '../../lib/trust/update-reader.ts'
import { depthAt, integrateUpdate } from '../../lib/views/integrate.ts'
import { heldBy, updateLimits, validateUpdate, type Verdict } from '../../lib/trust/validate.ts'
import { fillWithEveryKind } from '../fuzz/random-edits.ts'
import { write, writeUpdate, type StructParts } from '../fuzz/update-writer.ts'

const validate = suite('validate')
const alice = 1
const mallory = 2 ** 51 + 7

/** A document in which alice has written `hello` and a map `m` with a list under `list`: clocks 0 to 6. */
function helloDocument(): Y.Doc {
  const doc = new Y.Doc()
  doc.clientID = alice
  doc.getText('text').insert(0, 'hello')
  doc.getMap('m').set('list', Y.Array.from(['one']))
  doc.clientID = 99
  return doc
}

function decide(update: Uint8Array, doc: Y.Doc = helloDocument()): Verdict {
  const verdict = validateUpdate(update, { clientId: mallory, ...heldBy(doc) })
  if (verdict.verdict === 'apply') {
    integrateUpdate(doc, update, {})
    assert.is(Y.getState(doc.store, mallory), verdict.clock)
    assert.is(doc.store.pendingStructs, null)
    assert.is(doc.store.pendingDs, null)
  }
  return verdict
}

function assertRefused(update: Uint8Array, reason: RegExp, doc?: Y.Doc): void {
  const verdict = decide(update, doc)
  assert.is(verdict.verdict, 'refuse', `expected a refusal for ${reason}`)
  if (verdict.verdict === 'refuse') assert.match(verdict.reason, reason)
}

function assertApplied(update: Uint8Array, doc?: Y.Doc): void {
  const verdict = decide(update, doc)
  assert.is(verdict.verdict, 'apply', verdict.verdict === 'refuse' ? verdict.reason : 'it waits')
}

/** One struct of mallory's in the root `text`, unless the parts say otherwise. */
function single(struct: StructParts): Uint8Array {
  return writeUpdate({ client: mallory, structs: [{ parent: 'text', ...struct }] })
}

const hex = (text: string): Uint8Array =>
  Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

validate('what every kind of edit makes is applied', () => {
  for (const gc of [true, false]) {
    const author = new Y.Doc({ gc })
    author.clientID = mallory
    fillWithEveryKind(author)
    author.getText('text').delete(2, 9)
    const doc = new Y.Doc()
    const verdict = decide(Y.encodeStateAsUpdate(author), doc)
    assert.equal(verdict, {
      verdict: 'apply',
      clock: Y.getState(author.store, mallory),
      deletes: [...Y.decodeUpdate(Y.encodeStateAsUpdate(author)).ds.clients.values()].flat().length
    })
    assert.equal(doc.getText('text').toDelta(), author.getText('text').toDelta())
  }
})

validate('an update with nothing in it is applied', () => {
  assert.equal(decide(hex('00 00')), { verdict: 'apply', clock: 0, deletes: 0 })
})

validate('each kind of content is applied, and counts the clocks that Yjs counts', () => {
  const clocks = (struct: StructParts): number => {
    const verdict = decide(single(struct))
    return verdict.verdict === 'apply' ? verdict.clock : -1
  }
  assert.is(clocks(write.gc(7)), 7)
  assert.is(clocks(write.deleted(7)), 7)
  assert.is(clocks(write.json('1', 'undefined', '{"a":[]}')), 3)
  assert.is(clocks(write.binary(new Uint8Array(100))), 1)
  assert.is(clocks(write.string('a\u00e9\u20ac😀\ufeff')), 6)
  assert.is(clocks(write.embed('null')), 1)
  assert.is(clocks(write.format('bold', 'true')), 1)
  assert.is(
    clocks(
      write.any(undefined, null, 1, -70_000, 1.5, 2 ** 60, 5n, true, 'x', {}, [], new Uint8Array(2))
    ),
    12
  )
  for (const type of [0, 1, 2, 4, 6]) assert.is(clocks(write.type(type)), 1)
  for (const type of [3, 5]) assert.is(clocks(write.type(type, 'p')), 1)
  assert.is(clocks(write.document('guid', { gc: false, autoLoad: true, meta: { any: 1 } })), 1)
})

validate('content that does not decode is refused', () => {
  assertRefused(single(write.raw(11, 0)), /kind 11/)
  assertRefused(single(write.raw(31, 0)), /kind 31/)
  assertRefused(single(write.raw(10, 5)), /kind 10/)
  assertRefused(
    writeUpdate({ client: mallory, structs: [write.raw(0x20, 1)] }),
    /parent of kind|kind 0|ends early/
  )
  assertRefused(single(write.raw(4, 1, 0xff)), /not UTF-8/)
  assertRefused(single(write.raw(4, 3, 0xed, 0xa0, 0xbd)), /not UTF-8/)
  assertRefused(single(write.raw(4, 9, 65)), /ends early/)
  assertRefused(single(write.json('{')), /not JSON/)
  assertRefused(single(write.embed('undefined')), /not JSON/)
  assertRefused(single(write.embed('')), /not JSON/)
  assertRefused(single(write.embed('[1e999]')), /infinite/)
  assertRefused(single(write.format('bold', 'tru')), /not JSON/)
  assertRefused(single(write.type(7)), /shared type of kind 7/)
  assertRefused(single(write.raw(8, 1, 115)), /unknown type 115/)
  assertRefused(single(write.raw(8, 1, 123, 0, 0)), /ends early/)
  assertRefused(single(write.document('guid', null)), /in place of an object/)
  assertRefused(single(write.document('guid', { guid: 5 })), /option "guid"/)
  assertRefused(single(write.document('guid', { gc: 0 })), /in place of a boolean/)
})

validate('structs without length are refused', () => {
  for (const empty of [
    write.gc(0),
    write.deleted(0),
    write.string(''),
    write.any(),
    write.json()
  ]) {
    assertRefused(single(empty), /empty struct/)
  }
})

validate('every update is refused that is cut short or goes on', () => {
  const author = new Y.Doc()
  author.clientID = mallory
  fillWithEveryKind(author)
  author.getText('text').delete(0, 3)
  const update = Y.encodeStateAsUpdate(author)
  for (let length = 0; length < update.length; length++) {
    assertRefused(update.subarray(0, length), /The update/, new Y.Doc())
  }
  assertRefused(Uint8Array.of(...update, 0), /behind its end/, new Y.Doc())
})

validate('UTF-8 is judged and counted as a decoder that accepts no fault does', () => {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const interesting = [
    0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed
  ]
  interesting.push(0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff)
  const isAsDecoded = (...bytes: number[]): void => {
    let expected = -1
    try {
      expected = decoder.decode(Uint8Array.from(bytes)).length
    } catch {
      // It has a fault.
    }
    const verdict = validateUpdate(single(write.raw(4, bytes.length, ...bytes)), {
      clientId: mallory,
      clockOf: () => 0
    })
    assert.is(verdict.verdict === 'apply' ? verdict.clock : -1, expected, String(bytes))
  }
  for (let first = 0; first < 256; first++) {
    isAsDecoded(first)
    for (let second = 0; second < 256; second++) isAsDecoded(first, second)
  }
  for (const a of interesting) {
    for (const b of interesting) {
      for (const c of interesting) {
        isAsDecoded(a, b, c)
        for (const d of a >= 0xf0 && c % 2 > 0 ? interesting : []) isAsDecoded(a, b, c, d)
      }
    }
  }
})

validate('numbers of 2^53 and more are refused, also where they are only padded', () => {
  const most = Number.MAX_SAFE_INTEGER
  assertApplied(single(write.gc(most)))
  assertRefused(hex('01 01 87 80 80 80 80 80 80 20 00'), /2\^53|client/)
  assertRefused(single(write.raw(0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f)), /2\^53/)
  assertRefused(single(write.raw(0, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00)), /2\^53/)
  const padded = Array.from({ length: 200 }, () => 0x80)
  assertRefused(single(write.raw(0, ...padded, 0)), /2\^53/)
  assertRefused(single(write.raw(8, 1, 125, 0x80, ...padded, 0)), /2\^53/)
  const sum = writeUpdate({ client: mallory, structs: [write.gc(most), write.gc(1)] })
  assertRefused(sum, /clock over 2\^53/)
  const deletes = writeUpdate({ client: mallory, deletes: [[alice, [1, most]]] })
  assertRefused(deletes, /clock over 2\^53/)
})

validate('a length that is merely claimed costs nothing', () => {
  const before = process.memoryUsage().heapUsed
  for (const claimed of ['ff ff ff 07', '80 80 80 80 10', 'ff ff ff ff ff ff ff 0f']) {
    assertRefused(hex(`01 ${claimed} 01 00`), /over \d+|ends early/)
    assertRefused(hex(`00 ${claimed} 01 00`), /over \d+|ends early/)
    assertRefused(hex(`00 01 01 ${claimed} 00 01`), /over \d+|ends early/)
    for (const kind of [2, 3, 4, 5, 6, 8]) {
      const bytes = [...hex(claimed)]
      assertRefused(single(write.raw(kind, ...bytes)), /ends early|over/)
      assertRefused(single(write.raw(8, 1, 117, ...bytes)), /ends early/)
      assertRefused(single(write.raw(8, 1, 118, ...bytes)), /ends early/)
    }
  }
  assert.ok(process.memoryUsage().heapUsed - before < 30_000_000)
})

validate('what is too much is refused', () => {
  const large = single(write.binary(new Uint8Array(updateLimits.maxBytes)))
  assertRefused(large, /bytes, over/)
  const structs = Array.from({ length: updateLimits.maxStructs + 1 }, () => write.gc(1))
  assertRefused(writeUpdate({ client: mallory, structs }), /10001 structs/)
  const arrays = encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, 1)
    encoding.writeAny(
      encoder,
      Array.from({ length: readerLimits.maxContainers }, () => [])
    )
  })
  assertRefused(single(write.bytes(8, arrays)), /objects and arrays/)
  assertRefused(
    single(write.embed('[' + '[],'.repeat(readerLimits.maxContainers) + '0]')),
    /objects and arrays/
  )
  assertApplied(single({ ...write.string('x'), parent: 'r'.repeat(updateLimits.maxRootNameChars) }))
  assertRefused(
    single({ ...write.string('x'), parent: 'r'.repeat(updateLimits.maxRootNameChars + 1) }),
    /root name/
  )
})

validate('values nest 64 deep and no deeper', () => {
  const nested = (depth: number): unknown =>
    depth === 0 ? 0 : depth % 2 ? [nested(depth - 1)] : { a: nested(depth - 1) }
  const most = readerLimits.maxNesting
  assertApplied(single(write.any(nested(most))))
  assertRefused(single(write.any(nested(most + 1))), /nests deeper/)
  assertApplied(single(write.embed(JSON.stringify(nested(most)))))
  assertRefused(single(write.embed(JSON.stringify(nested(most + 1)))), /nests deeper/)
  assertApplied(single(write.embed(JSON.stringify('[{'.repeat(100) + '"\\'))))
  const deep = Array.from({ length: 10_000 }, () => [117, 1]).flat()
  assertRefused(single(write.raw(8, 1, ...deep, 126)), /nests deeper/)
  assertRefused(single(write.embed('['.repeat(1_000_000))), /nests deeper/)
  assertRefused(single(write.document('guid', { meta: nested(most) })), /nests deeper/)
})

validate('a key __proto__ is refused wherever one can stand, and no other key', () => {
  const bad = '__proto__'
  const poisoned: StructParts[] = [
    { ...write.any(1), parent: bad },
    { ...write.any(1), key: bad },
    write.format(bad, 'true'),
    write.type(3, bad),
    write.type(5, bad),
    write.embed('{"__proto__":{"isAdmin":true}}'),
    write.embed('[{"\\u005f_proto__":1}]'),
    write.json('{"a":{"__proto__":1}}'),
    write.any(Object.defineProperty({}, bad, { value: 1, enumerable: true })),
    write.document('guid', { meta: Object.defineProperty({}, bad, { value: 1, enumerable: true }) })
  ]
  for (const struct of poisoned) assertRefused(single(struct), /__proto__/)
  for (const name of ['constructor', 'prototype', 'toString', 'hasOwnProperty']) {
    assertApplied(single({ ...write.any({ [name]: name }), key: name, parent: name }))
    assertApplied(single(write.format(name, JSON.stringify({ [name]: 1 }))))
  }
  assertApplied(single(write.embed('"__proto__"')))
  assertApplied(single(write.string(bad)))
})

validate(
  'structs of another client are refused: a dozen bytes that would erase later edits',
  () => {
    const forged = writeUpdate({ client: alice, clock: 7, structs: [write.gc(2 ** 40)] })
    assert.is(forged.length, 12)
    assertRefused(forged, /not of its author's/)
    assertRefused(hex('02 01 01 00 00 01 01 02 00 00 01 00'), /several clients/)
    assertRefused(hex('01 00 01 00 00'), /no structs/)
  }
)

validate('clocks go on where they stopped: no gap, no overlap', () => {
  const doc = helloDocument()
  assertRefused(
    writeUpdate({ client: mallory, clock: 1, structs: [write.gc(1)] }),
    /begins at clock 1, not at 0/,
    doc
  )
  assertApplied(single(write.string('abc')), doc)
  assertRefused(single(write.string('abc')), /begins at clock 0, not at 3/, doc)
  assertRefused(writeUpdate({ client: mallory, clock: 2, structs: [write.gc(2)] }), /not at 3/, doc)
  assertApplied(writeUpdate({ client: mallory, clock: 3, structs: [write.gc(1)] }), doc)
})

validate('what refers to others’ structs that are not here waits', () => {
  const elsewhere = 77
  const waiting: [StructParts, { client: number; clock: number }][] = [
    [
      { ...write.string('x'), origin: [alice, 7] },
      { client: alice, clock: 8 }
    ],
    [
      { ...write.string('x'), rightOrigin: [elsewhere, 0] },
      { client: elsewhere, clock: 1 }
    ],
    [
      { ...write.string('x'), origin: [alice, 0], rightOrigin: [alice, 100] },
      { client: alice, clock: 101 }
    ],
    [
      { ...write.string('x'), parent: [elsewhere, 3] },
      { client: elsewhere, clock: 4 }
    ]
  ]
  for (const [struct, wanted] of waiting) {
    assert.equal(decide(single(struct)), { verdict: 'wait', for: wanted })
  }
  const deletes = writeUpdate({ client: mallory, deletes: [[alice, [3, 9]]] })
  assert.equal(decide(deletes), { verdict: 'wait', for: { client: alice, clock: 12 } })
})

validate('what waits and breaks a rule as well is refused at once', () => {
  const structs: StructParts[] = [
    { ...write.string('x'), origin: [77, 0] },
    { ...write.embed('{'), parent: 'text' }
  ]
  assertRefused(writeUpdate({ client: mallory, structs }), /not JSON/)
})

validate('references to oneself lie below one’s own clock', () => {
  const self = (structs: StructParts[], ...runs: [number, number][]): Uint8Array =>
    writeUpdate({ client: mallory, structs, deletes: runs.length > 0 ? [[mallory, ...runs]] : [] })
  const first = { ...write.string('ab'), parent: 'text' }
  assertApplied(self([first, { ...write.string('c'), origin: [mallory, 1] }]))
  assertApplied(self([first, { ...write.string('c'), origin: [mallory, 0] }]))
  assertRefused(self([first, { ...write.string('c'), origin: [mallory, 2] }]), /its own clock 2/)
  assertRefused(self([{ ...write.string('a'), rightOrigin: [mallory, 0] }]), /its own clock 0/)
  assertRefused(self([{ ...write.string('a'), parent: [mallory, 5] }]), /its own clock 5/)
  assertApplied(self([first], [0, 2]))
  assertRefused(self([first], [1, 2]), /its own clock 2/)
})

validate('deletes are sorted, apart and not empty', () => {
  const deleting = (...runs: [number, number][]): Uint8Array =>
    writeUpdate({ client: mallory, deletes: [[alice, ...runs]] })
  assertApplied(deleting([0, 1], [1, 1], [3, 2]))
  assertRefused(deleting([0, 2], [1, 2]), /out of order/)
  assertRefused(deleting([3, 1], [0, 1]), /out of order/)
  assertRefused(deleting([3, 0]), /empty/)
  assertRefused(deleting(), /ends early|deletes nothing/)
  const twice = writeUpdate({
    client: mallory,
    deletes: [
      [alice, [0, 1]],
      [alice, [1, 1]]
    ]
  })
  assertRefused(twice, /twice/)
})

/** Undeleted values that share a key, the first of which Yjs will forget; then what deletes the map. */
function severalValues(doc: Y.Doc, update: Uint8Array): void {
  Y.applyUpdate(doc, update)
  doc.getMap('m').delete('inner')
}

validate(
  'several values under one key go in as deleted: deleting the map would throw, for anyone',
  () => {
    const inner = { ...write.type(1), parent: 'm', key: 'inner' }
    const plain: StructParts[] = [
      inner,
      { ...write.any(1, 2), parent: [mallory, 0], key: 'k' },
      { ...write.any(3), origin: [mallory, 1], key: 'k' }
    ]
    // Yjs takes the key from the origin, also where the update says that there is none.
    const hidden: StructParts[] = [
      inner,
      { ...write.any(1), parent: [mallory, 0], key: 'k' },
      { ...write.any(1, 2), origin: [mallory, 1] },
      { ...write.any(3), origin: [mallory, 2] }
    ]
    for (const structs of [plain, hidden]) {
      const update = writeUpdate({ client: mallory, structs })
      assert.throws(() => severalValues(helloDocument(), update), 'Unexpected case')
      const doc = helloDocument()
      assertApplied(update, doc)
      doc.getMap('m').delete('inner')
    }
    const doc = helloDocument()
    assertApplied(writeUpdate({ client: mallory, structs: hidden.slice(0, 2) }), doc)
    assertApplied(writeUpdate({ client: mallory, clock: 2, structs: hidden.slice(2) }), doc)
    doc.getMap('m').delete('inner')
  }
)

validate(
  'what Yjs writes of deleted values under one key, where it does not collect, goes in as it is',
  () => {
    const author = new Y.Doc({ gc: false })
    author.clientID = mallory
    for (let i = 0; i < 4; i++) author.getMap('map').set('k', i)
    const update = Y.encodeStateAsUpdate(author)
    assert.is(Y.decodeUpdate(update).structs[0]!.length, 3)
    const doc = helloDocument()
    assertApplied(update, doc)
    assert.equal(doc.getMap('map').toJSON(), { k: 3 })
  }
)

validate('shared types nest 256 deep and no deeper, over several updates too', () => {
  const inOne = (depth: number): Uint8Array =>
    writeUpdate({
      client: mallory,
      structs: Array.from({ length: depth }, (_, i) => ({
        ...write.type(1),
        parent: i === 0 ? 'm' : ([mallory, i - 1] as const),
        key: 'k'
      }))
    })
  assertApplied(inOne(updateLimits.maxNesting))
  assertRefused(inOne(updateLimits.maxNesting + 1), /nests types deeper/)
  const doc = helloDocument()
  for (let i = 0; i <= updateLimits.maxNesting; i++) {
    const parent = i === 0 ? 'm' : ([mallory, i - 1] as const)
    const update = writeUpdate({
      client: mallory,
      clock: i,
      structs: [{ ...write.type(1), parent, key: 'k' }]
    })
    const depthOf = (client: number, clock: number): number => depthAt(doc, client, clock)
    // One's own is not written; another's goes in as deleted, since what is collected here may not be collected there.
    const own = validateUpdate(update, { clientId: mallory, ...heldBy(doc), depthOf })
    assert.is(own.verdict, i < updateLimits.maxNesting ? 'apply' : 'refuse')
    assertApplied(update, doc)
  }
  assert.ok(Y.getItem(doc.store, Y.createID(mallory, updateLimits.maxNesting)).deleted)
  // Beside the innermost it is no deeper; within it there is room for values.
  const last = updateLimits.maxNesting - 1
  const beside = { ...write.type(1), origin: [mallory, last] as const }
  const within = { ...write.any(1), parent: [mallory, last] as const, key: 'v' }
  assertApplied(writeUpdate({ client: mallory, clock: last + 2, structs: [beside, within] }), doc)
  doc.getMap('m').delete('k')
  assert.is(doc.getMap('m').size, 1)
})

validate(
  'what refers to collected structs, or to a parent that is none, is applied as something collected',
  () => {
    const doc = helloDocument()
    doc.getMap('m').delete('list')
    assert.ok(doc.store.clients.get(alice)!.some((struct) => struct instanceof Y.GC))
    const structs: StructParts[] = [
      { ...write.string('beside'), origin: [alice, 6] },
      { ...write.string('right'), rightOrigin: [alice, 6] },
      { ...write.string('in a deleted list'), parent: [alice, 5] },
      { ...write.string('in a letter'), parent: [alice, 0] },
      { ...write.any(1, 2), origin: [alice, 6], key: 'k' }
    ]
    assertApplied(writeUpdate({ client: mallory, structs }), doc)
    assert.ok(doc.store.clients.get(mallory)!.every((struct) => struct instanceof Y.GC))
    assert.is(doc.getText('text').toString(), 'hello')
  }
)

// What an update may cost (design: trust.md)

/** Of mallory's: `count` structs, as `structOf` says of each. */
function many(count: number, structOf: (i: number) => StructParts): Uint8Array {
  return writeUpdate({
    client: mallory,
    structs: Array.from({ length: count }, (_, i) => structOf(i))
  })
}

validate('an update puts something into 16 places and no more', () => {
  const most = updateLimits.maxPlaces
  const isBound = (structOf: (i: number) => StructParts): void => {
    assertApplied(many(most, structOf))
    assertRefused(many(most + 1, structOf), /more than 16 places/)
  }
  const between = { origin: [alice, 0], rightOrigin: [alice, 4] } as const
  isBound(() => ({ ...write.string('x'), ...between }))
  isBound(() => ({ ...write.string('x'), origin: [alice, 2] }))
  // In front of one another, each beside what others may have put there.
  isBound((i) => ({
    ...write.string('x'),
    origin: [alice, 0],
    rightOrigin: i === 0 ? [alice, 4] : [mallory, i - 1]
  }))
  isBound((i) => ({ ...write.string('x'), rightOrigin: i === 0 ? [alice, 0] : [mallory, i - 1] }))
  isBound((i) => ({ ...write.document(`guid ${i}`, {}), parent: 'm', key: `k${i}` }))
})

validate('what nobody can have put anything into yet costs no place', () => {
  const doc = helloDocument()
  const structs: StructParts[] = [
    { ...write.type(0), parent: 'm', key: 'new list' },
    // Forwards, backwards, and into the middle of what is new.
    { ...write.any('a'), parent: [mallory, 0] },
    ...Array.from({ length: 40 }, (_, i) => ({
      ...write.any(i),
      rightOrigin: [mallory, 1 + i] as const
    }))
  ]
  structs.push(
    { ...write.string('forwards'), origin: [mallory, 1] },
    { ...write.string('within'), origin: [mallory, 44], rightOrigin: [mallory, 45] }
  )
  assertApplied(writeUpdate({ client: mallory, structs }), doc)
  // The first of many keys and of many roots.
  assertApplied(many(500, (i) => ({ ...write.any(i), parent: 'm', key: `k${i}` })))
  assertApplied(many(500, (i) => ({ ...write.string('x'), parent: `root ${i}` })))
  assertRefused(
    many(20, (i) => ({ ...write.any(i), parent: 'm', key: 'k' })),
    /more than 16 places/
  )
  // Among items of its own that are not neighbours.
  assertRefused(
    many(20, (i) =>
      i < 2
        ? { ...write.string('xyz'), ...(i === 0 ? { parent: 'text' } : { origin: [mallory, 2] }) }
        : { ...write.string('x'), origin: [mallory, 0], rightOrigin: [mallory, 5] }
    ),
    /more than 16 places/
  )
})

validate('far origins: 5,000 structs between them took Yjs 13 s', () => {
  const doc = new Y.Doc()
  const text = doc.getText('text')
  text.insert(0, 'AB')
  for (let i = 0; i < 2_000; i++) {
    doc.clientID = 3 + (i % 2)
    text.insert(1, 'x')
  }
  const first = doc.store.clients.keys().next().value!
  const between = { origin: [first, 0], rightOrigin: [first, 1] } as const
  assertRefused(
    many(5_000, () => ({ ...write.string('x'), ...between })),
    /more than 16 places/,
    doc
  )
})

validate.run()
