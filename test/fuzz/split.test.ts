/**
 * Attempts to make a document look different on devices that have the same of its entries: hostile references that pass
 * every rule. Made in the canonical order it looks the same everywhere, and whose doing it is can be told.
 *
 *     SPLIT_ROUNDS=10000 SEED=7 npx tsx -C source test/fuzz/split.test.ts
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { Changes } from '../../lib/log/changes.ts'
import { Applier, type IncomingEdit } from '../../lib/views/applier.ts'
import { devicesToBlame } from '../../lib/views/blame.ts'
import { CanonicalOrder } from '../../lib/views/canonical.ts'
import { visibleHash } from '../../lib/views/visible.ts'
import { edit as randomEdit, randomBelow, type Below } from './random-edits.ts'
import { write, writeUpdate, type Id, type StructParts } from './update-writer.ts'

const fuzz = suite('split (fuzz)')
const rounds = Number(process.env.SPLIT_ROUNDS ?? 400)
const firstSeed = Number(process.env.SEED ?? 1)
const peers = 5
const clientIdsOf = (_device: string, counter: number): number[] => [counter]

fuzz('hostile references end equal in the canonical order, and name their author', () => {
  let splits = 0
  forEachSeed(rounds, (below) => {
    const { edits, hostile } = history(below, { hostile: 1 + below(2), isRich: below(3) === 0 })
    const seen = new Set<string>()
    const canonical = new Set<string>()
    let blamed = new Set<string>()
    for (let peer = 0; peer < peers; peer++) {
      const arrived = shuffled(edits, below)
      const doc = new Y.Doc()
      const refused: string[] = []
      const origin = {}
      const applier = new Applier({
        doc,
        origin,
        clientIdsOf,
        onRefused: ({ device }) => refused.push(device)
      })
      applier.apply(null, arrived)
      assert.not(applier.isWaiting)
      assert.equal(refused, [])
      seen.add(visibleHash(doc))
      const order = new CanonicalOrder(clientIdsOf)
      order.add(arrived)
      assert.is(order.placed.length, edits.length)
      canonical.add(visibleHash(order.document()))
      blamed = devicesToBlame(order)
      for (const device of blamed) assert.ok(hostile.has(device), `${device} is honest`)
    }
    assert.is(canonical.size, 1, 'all devices make the same of it')
    if (seen.size === 1) return
    splits++
    assert.ok(blamed.size > 0, 'a split has an author')
  })
  assert.ok(splits > rounds / 50, `${splits} of ${rounds} attempts split a document`)
  if (process.env.SPLIT_ROUNDS !== undefined) {
    console.log(`${splits} of ${rounds} attempts split a document in Yjs`)
  }
})

fuzz('nobody honest is named, whatever they edit, and they see the same', () => {
  forEachSeed(rounds / 4, (below) => {
    const { edits } = history(below, { hostile: 0, isRich: true })
    const seen = new Set<string>()
    for (let peer = 0; peer < 3; peer++) {
      const doc = new Y.Doc()
      doc.on('afterTransaction', (transaction) => {
        transaction._needFormattingCleanup = false
      })
      new Applier({ doc, origin: {}, clientIdsOf, onRefused: () => {} }).apply(
        null,
        shuffled(edits, below)
      )
      seen.add(visibleHash(doc))
    }
    const order = new CanonicalOrder(clientIdsOf)
    order.add(edits)
    seen.add(visibleHash(order.document()))
    assert.is(seen.size, 1)
    assert.equal([...devicesToBlame(order)], [])
  })
})

interface History {
  readonly edits: IncomingEdit[]
  readonly hostile: Set<string>
}

/** Of a few authors, each of whom sees what of the others' edits has come to it. */
function history(below: Below, options: { hostile: number; isRich: boolean }): History {
  const feed = {}
  const edits: IncomingEdit[] = []
  const hostile = new Set<string>()
  const authors = Array.from({ length: 3 + below(2) }, (_, i) => {
    const doc = new Y.Doc()
    doc.on('afterTransaction', (transaction) => {
      if (transaction.origin === feed) transaction._needFormattingCleanup = false
    })
    const clientId = 10 + 3 * i + below(3)
    const changes = new Changes(doc, { clientId, origin: feed })
    const applier = new Applier({ doc, origin: feed, clientIdsOf, onRefused: () => {} })
    const device = `author ${i}`
    if (i > 0 && i <= options.hostile) hostile.add(device)
    return { device, doc, clientId, changes, applier, seen: 0 }
  })
  const file = (author: (typeof authors)[number], update: Uint8Array): void => {
    const from = edits.length
    const lengthByLog = new Map<string, number>()
    for (const { ref } of edits.slice(0, author.seen)) lengthByLog.set(ref.log, ref.to)
    edits.push({
      deps: [...lengthByLog].map(([log, length]) => ({ log, length })),
      device: author.device,
      clientCounter: author.clientId,
      update,
      ref: { log: author.device, from, to: from + 1 }
    })
  }
  const see = (author: (typeof authors)[number], upTo: number): void => {
    const news = edits.slice(author.seen, upTo).filter(({ device }) => device !== author.device)
    author.seen = upTo
    author.changes.receive(() => author.applier.apply(null, news))
  }
  const writeOut = (author: (typeof authors)[number]): void => {
    for (let update = author.changes.take(); update !== null; update = author.changes.take())
      file(author, update)
  }
  authors[0]!.doc.getText('text').insert(0, 'abcdef')
  writeOut(authors[0]!)
  for (const author of authors) see(author, edits.length)
  for (let step = 4 + below(8); step > 0; step--) {
    const author = authors[below(authors.length)]!
    if (hostile.has(author.device) && below(3) > 0) {
      const { doc, clientId, changes } = author
      const update = hostileUpdate(doc, clientId, below)
      // It has what it wrote, and its clocks go on from there.
      changes.receive(() => Y.applyUpdate(doc, update, 'by hand'))
      file(author, update)
      doc.clientID = clientId
      author.changes.destroy()
      author.changes = new Changes(doc, { clientId, origin: feed })
    } else {
      for (let n = 1 + below(2); n > 0; n--) {
        if (options.isRich) randomEdit(author.doc, below)
        else author.doc.getText('text').insert(below(author.doc.getText('text').length + 1), 'xy')
      }
      writeOut(author)
    }
    if (below(3) === 0) see(author, author.seen + below(edits.length - author.seen + 1))
  }
  return { edits, hostile }
}

/** An item between two of the text that need not be neighbours. */
function hostileUpdate(doc: Y.Doc, client: number, below: Below): Uint8Array {
  const ids: Id[] = []
  for (let item = doc.getText('text')._start; item !== null; item = item.right) {
    for (let i = 0; i < item.length; i++) ids.push([item.id.client, item.id.clock + i])
  }
  const pick = (): Id => ids[below(ids.length)]!
  const struct: StructParts = {
    ...write.string('!'),
    ...(below(5) > 0 && { origin: pick() }),
    ...(below(5) > 0 && { rightOrigin: pick() }),
    parent: 'text'
  }
  return writeUpdate({ client, clock: Y.getState(doc.store, client), structs: [struct] })
}

/** Each author's in order; the rest by chance. */
function shuffled(edits: readonly IncomingEdit[], below: Below): IncomingEdit[] {
  const queues = new Map<string, IncomingEdit[]>()
  for (const edit of edits) queues.set(edit.device, [...(queues.get(edit.device) ?? []), edit])
  const result: IncomingEdit[] = []
  while (result.length < edits.length) {
    const left = [...queues.values()].filter((queue) => queue.length > 0)
    result.push(left[below(left.length)]!.shift()!)
  }
  return result
}

function forEachSeed(count: number, run: (below: Below) => void): void {
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    try {
      run(randomBelow(seed))
    } catch (error) {
      console.log(`SEED=${seed} SPLIT_ROUNDS=1 npx tsx -C source test/fuzz/split.test.ts`)
      throw error
    }
  }
}

fuzz.run()
