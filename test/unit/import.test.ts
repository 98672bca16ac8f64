/** Content that was made elsewhere: goes in whole, once, the same on every device. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { importIdOf } from '../../lib/trust/keys.ts'
import { importClient, validateImport } from '../../lib/trust/validate.ts'
import { Applier, type IncomingEdit } from '../../lib/views/applier.ts'
import { CanonicalOrder } from '../../lib/views/canonical.ts'
import { flattened } from '../../lib/views/flatten.ts'
import { visibleHash } from '../../lib/views/visible.ts'
import { device, joinAs, rejects, spaceOf, waitMs, whenText, type Device } from '../devices.ts'
import { eventually } from '../events.ts'
import { edit, fillWithEveryKind, randomBelow } from '../fuzz/random-edits.ts'
import { write, writeUpdate, type StructParts } from '../fuzz/update-writer.ts'

const test = suite('import')

/** All that can be seen, whatever it is made of. */
function seen(doc: Y.Doc): unknown {
  return {
    text: doc.getText('text').toDelta(),
    body: doc.getText('body').toDelta(),
    map: Object.fromEntries(
      [...doc.getMap('map')].map(([key, value]) => [
        key,
        value instanceof Y.Doc
          ? 'a document'
          : value instanceof Y.AbstractType
            ? (value.toJSON() as unknown)
            : value
      ])
    ),
    array: doc.getArray('array').toJSON(),
    xml: doc.getXmlFragment('xml').toString(),
    documents: [...doc.getSubdocs()].map(({ guid }) => guid).sort()
  }
}

function madeElsewhere(): Y.Doc {
  const doc = new Y.Doc()
  fillWithEveryKind(doc)
  const other = new Y.Doc()
  Y.applyUpdate(other, Y.encodeStateAsUpdate(doc))
  other.getText('text').insert(3, ' in between ')
  other.getText('body').insert(0, 'body')
  other.getText('text').delete(0, 2)
  return other
}

async function openedOn(...devices: Device[]): Promise<Y.Doc[]> {
  const opened = await Promise.all(devices.map(({ space }) => space.open('ideas')))
  return opened.map(({ doc }) => doc)
}

test('an import shows what was there, on every device, and can be edited', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const before = madeElsewhere()
  const docs = await openedOn(alice, bob)
  await space.importDocument('ideas', Y.encodeStateAsUpdate(before))
  for (const doc of docs) {
    await whenText(doc, 'body')
    assert.equal(seen(doc), seen(before))
  }
  docs[1]!.getText('body').insert(2, '--')
  await whenText(docs[0]!, 'bo--dy')
  await alice.restart()
  const [again] = await openedOn(alice)
  assert.is(again!.getText('body').toString(), 'bo--dy')
  assert.equal(alice.space.documents(), ['ideas'])
})

test('the same imported twice, or on two devices apart, is there once, beside what is there', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const docs = await openedOn(alice, bob)
  docs[0]!.getText('body').insert(0, 'alice ')
  await whenText(docs[1]!, 'alice ')
  network.partition([[alice.key], [bob.key]])
  const before = new Y.Doc()
  before.getText('body').insert(0, 'imported')
  const state = Y.encodeStateAsUpdate(before)
  await space.importDocument('ideas', state)
  await space.importDocument('ideas', state)
  await bob.space.importDocument('ideas', state)
  docs[0]!.getText('body').insert(14, '!')
  docs[1]!.getText('body').insert(14, '?')
  network.heal()
  await eventually(() => docs[0]!.getText('body').length === 16, { deadlineMs: waitMs })
  await eventually(() => visibleHash(docs[0]!) === visibleHash(docs[1]!), { deadlineMs: waitMs })
  assert.match(docs[0]!.getText('body').toString(), /^alice imported(!\?|\?!)$/)
})

test('equal content makes equal bytes, however it came to be', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const below = randomBelow(seed)
    const doc = new Y.Doc()
    const other = new Y.Doc()
    for (let i = 0; i < 25; i++) {
      edit(below(2) > 0 ? doc : other, below)
      if (below(3) === 0) Y.applyUpdate(doc, Y.encodeStateAsUpdate(other))
      if (below(3) === 0) Y.applyUpdate(other, Y.encodeStateAsUpdate(doc))
    }
    const bytes = flattened(Y.encodeStateAsUpdate(doc))
    if (bytes.length === 2) continue
    const verdict = validateImport(bytes)
    assert.is(verdict.verdict, 'apply', verdict.verdict === 'refuse' ? verdict.reason : '')
    const imported = new Y.Doc()
    applierOf(imported).apply(null, [importOf('alice', bytes)])
    assert.equal(seen(imported), seen(doc))
    // Through an import, and through another history, it is the same.
    assert.equal(flattened(Y.encodeStateAsUpdate(imported)), bytes)
    const unmerged = new Y.Doc({ gc: false })
    Y.applyUpdate(unmerged, Y.encodeStateAsUpdate(doc))
    assert.equal(flattened(Y.encodeStateAsUpdate(unmerged)), bytes)
  }
})

test('what is no whole state is told of, and goes nowhere', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice)
  await joinAs(space, carol, { role: 'reader' })
  const whole = Y.encodeStateAsUpdate(madeElsewhere())
  await rejects(space.importDocument('ideas', Uint8Array.of(1, 2, 3)), 'IMPORT_INVALID')
  await rejects(space.importDocument('ideas', whole.slice(0, 99)), 'IMPORT_INVALID')
  const doc = madeElsewhere()
  const since = Y.encodeStateVector(doc)
  doc.getText('text').insert(9, 'later')
  const part = Y.encodeStateAsUpdate(doc, since)
  await rejects(space.importDocument('ideas', part), 'IMPORT_INVALID')
  const scattered = new Y.Doc()
  scattered.transact(() => {
    for (let i = 0; i <= 50_000; i++) scattered.getMap('map').set(`k${i}`, i)
  })
  const large = Y.encodeStateAsUpdate(scattered)
  await rejects(space.importDocument('ideas', large), 'IMPORT_INVALID')
  await rejects(carol.space.importDocument('ideas', whole), 'NOT_ALLOWED')
  for (const name of ['', 'subdocument:x', 'x'.repeat(1001)]) {
    let error: unknown
    await space.importDocument(name, whole).catch((cause: unknown) => (error = cause))
    assert.instance(error, TypeError)
  }
  await space.importDocument('ideas', Y.encodeStateAsUpdate(new Y.Doc()))
  assert.equal(space.documents(), [])
})

const clientIdsOf = (device: string): number[] => [device === 'alice' ? 1 : 2]

function applierOf(doc: Y.Doc, refused: string[] = []): Applier {
  const onRefused = (_: IncomingEdit, { message }: Error): void => void refused.push(message)
  return new Applier({ doc, origin: {}, clientIdsOf, onRefused })
}

function importOf(device: string, update: Uint8Array): IncomingEdit {
  const ref = { log: device, from: 0, to: 1 }
  return { device, clientCounter: 0, update, importId: importIdOf(update), ref }
}

test('an import that a member wrote by hand is refused where it is not of that form', () => {
  const hand = (...structs: StructParts[]): Uint8Array =>
    writeUpdate({ client: importClient, structs })
  const text: StructParts = { ...write.string('text'), parent: 'body' }
  const cases: [Uint8Array, RegExp][] = [
    [hand(text, { ...write.string('x'), origin: [1, 0] }), /does not hold/],
    [hand(text, { ...write.string('x'), parent: [1, 0] }), /does not hold/],
    [writeUpdate({ client: 1, structs: [text] }), /not of its author/],
    [writeUpdate({ client: importClient, clock: 1, structs: [text] }), /begins at clock/],
    [
      writeUpdate({ client: importClient, structs: [text], deletes: [[importClient, [0, 1]]] }),
      /deletes/
    ],
    [writeUpdate({ client: importClient }), /empty/],
    [
      hand(
        text,
        ...Array.from({ length: 40 }, () => ({
          ...write.string('x'),
          origin: [importClient, 0] as const,
          rightOrigin: [importClient, 3] as const
        }))
      ),
      /places/
    ]
  ]
  for (const [update, reason] of cases) {
    const doc = new Y.Doc()
    const refused: string[] = []
    applierOf(doc, refused).apply(null, [importOf('alice', update)])
    assert.is(refused.length, 1)
    assert.match(refused[0]!, reason)
    assert.is(doc.store.clients.size, 0)
  }
})

test('edits that refer to an import wait for it, and both have their place in the canonical order', () => {
  const bytes = flattened(Y.encodeStateAsUpdate(madeElsewhere()))
  const importId = importIdOf(bytes)
  const update = writeUpdate({
    client: 1,
    structs: [{ ...write.string('after'), origin: [importId, 0] }]
  })
  const ref = { log: 'alice', from: 1, to: 2 }
  const edits = [
    { device: 'alice', clientCounter: 0, update, ref },
    importOf('bob', bytes),
    importOf('alice', bytes)
  ]
  const hashes = new Set<string>()
  for (const order of [
    [0, 1, 2],
    [1, 2, 0],
    [2, 0, 1]
  ]) {
    const arrived = order.map((i) => edits[i]!)
    const doc = new Y.Doc()
    const applier = applierOf(doc)
    for (const one of arrived) applier.apply(null, [one])
    assert.not(applier.isWaiting)
    const canonical = new CanonicalOrder(clientIdsOf)
    canonical.add(arrived)
    assert.is(canonical.placed.length, 2)
    hashes.add(visibleHash(doc)).add(visibleHash(canonical.document()))
  }
  assert.is(hashes.size, 1)
})

test.run()
