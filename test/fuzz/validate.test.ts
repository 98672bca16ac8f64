/**
 * The validator against Yjs: what it lets through is applied whole, without throwing, with nothing pending, and leaves a
 * document that can be emptied and written again.
 *
 *     FUZZ_ROUNDS=1000000 SEED=7 npx tsx -C source test/fuzz/validate.test.ts
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { Changes } from '../../lib/log/changes.ts'
import { heldBy, validateUpdate } from '../../lib/trust/validate.ts'
import { Applier, type IncomingEdit } from '../../lib/views/applier.ts'
import { integrateUpdate } from '../../lib/views/integrate.ts'
import { edit, fillWithEveryKind, randomBelow, type Below } from './random-edits.ts'
import { write, writeUpdate, type Id, type StructParts } from './update-writer.ts'

const fuzz = suite('validate (fuzz)')
const rounds = Number(process.env.FUZZ_ROUNDS ?? 6_000)
const firstSeed = Number(process.env.SEED ?? 1)
const feed = {}
/** Processor time, which what else the machine does disturbs less; one of a few attempts must be within it. */
const longestMs = 100
const attempts = 4
const peers = 5

interface Case {
  /** What the document holds before. */
  readonly before: Uint8Array
  readonly update: Uint8Array
  readonly clientId: number
}

fuzz('updates of an honest author, damaged at random, are refused or applied whole', () => {
  const cases = honestCases(60)
  const counts = { apply: 0, refuse: 0, wait: 0 }
  forEachSeed(rounds, (below) => {
    const { before, update, clientId } = cases[below(cases.length)]!
    const bytes = damaged(update, below)
    let doc = documentOf(before)
    let ms = Infinity
    for (let attempt = 0; attempt < attempts && ms > longestMs; attempt++) {
      doc = documentOf(before)
      const since = process.cpuUsage()
      const verdict = check(doc, bytes, clientId)
      const { user, system } = process.cpuUsage(since)
      ms = (user + system) / 1000
      if (attempt === 0) counts[verdict]++
    }
    assert.ok(ms <= longestMs, `it took ${ms} ms`)
    assertUsable(doc)
  })
  assert.ok(counts.apply > 0 && counts.refuse > 0 && counts.wait > 0, JSON.stringify(counts))
})

fuzz('damaged updates have one verdict on five peers, in whatever order they come', () => {
  const cases = sharedCases(60)
  const counts = { refused: 0, fine: 0, waits: 0 }
  forEachSeed(rounds / 20, (below) => {
    const edits = cases[below(cases.length)]!.map((one) =>
      one.device === 'damaged' && below(2) > 0
        ? { ...one, update: damaged(one.update, below) }
        : one
    )
    const verdicts = new Set<string>()
    for (let peer = 0; peer < peers; peer++) {
      const refused: string[] = []
      const doc = new Y.Doc()
      const applier = new Applier({
        doc,
        origin: feed,
        clientIdsOf: (_, counter) => [counter],
        onRefused: ({ device, ref }) => refused.push(`${device} ${ref.from}`)
      })
      for (const one of shuffled(edits, below)) applier.apply(null, [one])
      assert.is(doc.store.pendingStructs, null)
      assert.is(doc.store.pendingDs, null)
      for (const one of refused) assert.match(one, /^damaged /)
      verdicts.add(`${refused.sort().join()} ${applier.isWaiting ? 'waits' : ''}`)
    }
    assert.is(verdicts.size, 1, [...verdicts].join(' or '))
    const [verdict] = verdicts
    counts[verdict!.endsWith('waits') ? 'waits' : verdict!.length > 1 ? 'refused' : 'fine']++
  })
  assert.ok(counts.refused > 0 && counts.fine > 0 && counts.waits > 0, JSON.stringify(counts))
})

fuzz('updates with any structs in any places are refused or applied whole', () => {
  const counts = { apply: 0, refuse: 0, wait: 0 }
  forEachSeed(rounds / 3, (below) => {
    const doc = documentOf(null, below(4) > 0)
    fillWithEveryKind(doc)
    for (let i = 0; i < 12; i++) {
      const clientId = 20 + below(3)
      counts[check(doc, anyUpdate(doc, clientId, below), clientId)]++
      if (below(10) === 0) edit(doc, below)
    }
    assertUsable(doc)
  })
  assert.ok(counts.apply > counts.refuse / 4, JSON.stringify(counts))
})

fuzz('random bytes are refused, or nothing', () => {
  forEachSeed(rounds, (below) => {
    const bytes = Uint8Array.from({ length: below(40) }, () =>
      below(4) === 0 ? below(256) : below(4)
    )
    check(documentOf(null), bytes, below(4))
  })
})

fuzz('no update of an honest author is refused', () => {
  forEachSeed(rounds / 40, (below) => {
    const gc = below(3) > 0
    const author = documentOf(null, gc)
    const other = documentOf(null)
    const reader = documentOf(null)
    const own = new Changes(author, { clientId: 7, origin: feed })
    const others = new Changes(other, { clientId: 9, origin: feed })
    const undo = new Y.UndoManager([author.getText('text'), author.getMap('map')], {
      captureTimeout: 0
    })
    for (let i = 0; i < 30; i++) {
      if (below(6) === 0) undo[below(2) > 0 ? 'undo' : 'redo']()
      else edit(author, below)
      edit(other, below)
      if (below(4) > 0) continue
      const written = [...all(own)].map((update) => [update, 7] as const)
      for (const [update, client] of [
        ...written,
        ...[...all(others)].map((update) => [update, 9] as const)
      ]) {
        assert.is(check(reader, update, client), 'apply')
        if (client === 9) own.receive(() => Y.applyUpdate(author, update, feed))
        else others.receive(() => Y.applyUpdate(other, update, feed))
      }
    }
  })
})

fuzz('what is put into a document stands where Yjs would put it', () => {
  let compared = 0
  forEachSeed(rounds / 3, (below) => {
    // Without keys, or without runs of several: several under one key go in as deleted, and have a test of their own.
    const keyed = below(2) > 0
    const ours = documentOf(null)
    if (keyed) fillWithEveryKind(ours)
    else ours.getText('text').insert(0, 'to begin with')
    const theirs = documentOf(Y.encodeStateAsUpdate(ours))
    for (let i = 0; i < 20; i++) {
      const clientId = 20 + below(4)
      const update = anyUpdate(ours, clientId, below, keyed ? 'one under a key' : 'no keys')
      if (validateUpdate(update, { clientId, ...heldBy(ours) }).verdict !== 'apply') continue
      Y.applyUpdate(theirs, update, feed)
      integrateUpdate(ours, update, feed)
      assert.equal(orderIn(ours), orderIn(theirs))
      compared++
    }
  })
  assert.ok(compared > rounds)
})

type Type = Y.AbstractType<Y.YEvent<never>>

/** All items, in the order of their lists and keys, clock by clock; in capitals where they are not deleted. */
function orderIn(doc: Y.Doc): string[] {
  const order: string[] = []
  const add = (item: Y.Item | null, where: string): void => {
    for (; item !== null; item = item.right) {
      for (let i = 0; i < item.length; i++) {
        order.push(
          `${where} ${item.id.client}/${item.id.clock + i} ${item.deleted ? 'gone' : 'HERE'}`
        )
      }
      if (item.content instanceof Y.ContentType)
        walk(item.content.type as unknown as Type, `${item.id.clock}`)
    }
  }
  const walk = (type: Type, where: string): void => {
    add(type._start, where)
    for (const [key, last] of [...type._map].sort(([a], [b]) => (a < b ? -1 : 1))) {
      let item = last
      while (item.left !== null) item = item.left
      add(item, `${where}.${key}`)
    }
  }
  for (const [name, type] of [...doc.share].sort(([a], [b]) => (a < b ? -1 : 1)))
    walk(type as unknown as Type, name)
  return order
}

/** Validates and, if it may, applies. Returns the verdict. */
function check(doc: Y.Doc, update: Uint8Array, clientId: number): 'apply' | 'refuse' | 'wait' {
  const verdict = validateUpdate(update, { clientId, ...heldBy(doc) })
  if (verdict.verdict === 'apply') {
    integrateUpdate(doc, update, feed)
    assert.is(doc.store.pendingStructs, null)
    assert.is(doc.store.pendingDs, null)
    assert.is(Y.getState(doc.store, clientId), verdict.clock)
  }
  if (verdict.verdict === 'wait') {
    const { client, clock } = verdict.for
    assert.ok(Y.getState(doc.store, client) < clock)
  }
  return verdict.verdict
}

function* all(changes: Changes): Generator<Uint8Array> {
  for (let update = changes.take(); update !== null; update = changes.take()) yield update
}

/** What the document holds can be copied, and deleted by anyone. */
function assertUsable(doc: Y.Doc): void {
  const state = Y.encodeStateAsUpdate(doc)
  const copy = documentOf(state)
  assert.is(copy.store.pendingStructs, null)
  assert.is(copy.store.pendingDs, null)
  for (const either of [doc, copy]) {
    either.transact((transaction) => {
      for (const type of either.share.values()) {
        for (let item = type._start; item !== null; item = item.right) item.delete(transaction)
        for (const item of type._map.values()) item.delete(transaction)
      }
    })
    either.getText('text').insert(0, 'still here')
    assert.match(either.getText('text').toString(), /^still here/)
  }
}

function documentOf(state: Uint8Array | null, gc = true): Y.Doc {
  const doc = new Y.Doc({ gc })
  doc.clientID = 99
  // Their types are known, as in an app.
  doc.getText('text')
  doc.getMap('map')
  doc.getArray('array')
  doc.getXmlFragment('xml')
  doc.on('afterTransaction', (transaction: Y.Transaction) => {
    if (transaction.origin === feed) transaction._needFormattingCleanup = false
  })
  if (state !== null) Y.applyUpdate(doc, state, feed)
  return doc
}

function honestCases(count: number): Case[] {
  return Array.from({ length: count }, (_, i) => {
    const below = randomBelow(1000 + i)
    const doc = documentOf(null, i % 3 > 0)
    const writing = new Changes(doc, { clientId: 7, origin: feed })
    const theirs = new Y.Doc()
    theirs.clientID = 3
    for (let n = below(12); n > 0; n--) edit(theirs, below)
    writing.receive(() => Y.applyUpdate(doc, Y.encodeStateAsUpdate(theirs), feed))
    for (let n = below(6); n > 0; n--) edit(doc, below)
    while (writing.take() !== null);
    const before = Y.encodeStateAsUpdate(doc)
    if (i % 5 === 0) fillWithEveryKind(doc)
    else for (let n = 1 + below(10); n > 0; n--) edit(doc, below)
    return { before, update: writing.take() ?? Uint8Array.of(0, 0), clientId: 7 }
  })
}

/** Edits of two authors who see each other's; those of one are to be damaged. */
function sharedCases(count: number): IncomingEdit[][] {
  return Array.from({ length: count }, (_, i) => {
    const below = randomBelow(2000 + i)
    const edits: IncomingEdit[] = []
    const authors = ['damaged', 'honest'].map((device, n) => {
      const doc = documentOf(null)
      return { device, doc, changes: new Changes(doc, { clientId: 7 + n, origin: feed }), count: 0 }
    })
    for (let step = 0; step < 8; step++) {
      const author = authors[below(2)]!
      for (let n = 1 + below(4); n > 0; n--) edit(author.doc, below)
      for (const update of all(author.changes)) {
        const from = author.count++
        edits.push({
          device: author.device,
          clientCounter: 7 + authors.indexOf(author),
          update,
          ref: { log: author.device, from, to: from + 1 }
        })
        const other = authors.find((one) => one !== author)!
        // What hangs on a damaged edit waits for it: the honest one does not see those.
        if (author.device === 'honest')
          other.changes.receive(() => Y.applyUpdate(other.doc, update, feed))
      }
    }
    return edits
  })
}

/** Each author's in order; the rest by chance. */
function shuffled(edits: readonly IncomingEdit[], below: Below): IncomingEdit[] {
  const queues = ['damaged', 'honest'].map((device) => edits.filter((one) => one.device === device))
  const result: IncomingEdit[] = []
  while (result.length < edits.length) {
    const left = queues.filter((queue) => queue.length > 0)
    result.push(left[below(left.length)]!.shift()!)
  }
  return result
}

function damaged(update: Uint8Array, below: Below): Uint8Array {
  let bytes = [...update]
  for (let n = 1 + below(3); n > 0; n--) {
    const at = below(bytes.length)
    const what = below(8)
    if (what < 4) bytes[at] = below(256)
    else if (what === 4) bytes[at] = [0, 1, 127, 128, 255][below(5)]!
    else if (what === 5) bytes.splice(at, 1 + below(3))
    else if (what === 6)
      bytes.splice(at, 0, ...Array.from({ length: 1 + below(9) }, () => below(256)))
    else bytes[at] = bytes[below(bytes.length)]!
    if (bytes.length === 0) bytes = [0]
  }
  return Uint8Array.from(below(12) === 0 ? bytes.slice(0, below(bytes.length)) : bytes)
}

/** Well-formed; what it refers to mostly exists. */
function anyUpdate(
  doc: Y.Doc,
  client: number,
  below: Below,
  only: 'anything' | 'one under a key' | 'no keys' = 'anything'
): Uint8Array {
  const start = Y.getState(doc.store, client)
  const clients = [...doc.store.clients.keys()]
  let clock = start
  const anyId = (): Id => {
    const other = below(3) === 0 ? client : clients[below(clients.length)]!
    const held = other === client ? clock : Y.getState(doc.store, other)
    return [other, below(60) === 0 ? held + below(3) : below(Math.max(held, 1))]
  }
  const structs: StructParts[] = []
  for (let n = below(6); n > 0; n--) {
    const [content, length] = anyContent(below, only === 'one under a key' ? 1 : 3)
    const place = below(4)
    const parent = below(3) === 0 ? anyId() : ['text', 'map', 'array', 'xml', 'new'][below(5)]!
    const key = only !== 'no keys' && below(3) === 0 ? { key: 'k' + below(2) } : {}
    if (content.kind === 0) structs.push(content)
    else if (place === 0) structs.push({ ...content, ...key, parent })
    else {
      structs.push({
        ...content,
        ...key,
        ...(place !== 1 && { origin: anyId() }),
        ...(place !== 2 && { rightOrigin: anyId() })
      })
    }
    clock += length
  }
  const deletes = [...new Set([client, ...clients])]
    .filter(() => below(4) === 0)
    .map((deleted): [number, ...[number, number][]] => {
      const held = deleted === client ? clock : Y.getState(doc.store, deleted)
      const from = below(Math.max(held, 1))
      return [deleted, [from, 1 + below(Math.max(held - from, 1))]]
    })
  return writeUpdate({ client, clock: start, structs, deletes })
}

function anyContent(
  below: Below,
  maxLength: number
): [Pick<StructParts, 'kind' | 'content'>, length: number] {
  const length = 1 + below(maxLength)
  const kinds: [Pick<StructParts, 'kind' | 'content'>, number][] = [
    [write.gc(length), length],
    [write.deleted(length), length],
    [write.string('ab😀'.slice(0, length === 3 ? 4 : length)), length === 3 ? 4 : length],
    [write.json(...['{"a":[1]}', 'undefined', '"s"'].slice(0, length)), length],
    [write.any(...[1, { a: [null] }, 'text'].slice(0, length)), length],
    [write.binary(Uint8Array.of(1, 2)), 1],
    [write.embed('{"image":1}'), 1],
    [write.format('bold', 'true'), 1],
    [write.type(below(3)), 1],
    [write.type(3, 'p'), 1],
    [write.type(4), 1],
    [write.type(5, 'hook'), 1],
    [write.type(6), 1],
    [write.document('guid', { autoLoad: true }), 1]
  ]
  return kinds[below(kinds.length)]!
}

function forEachSeed(count: number, run: (below: Below) => void): void {
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    try {
      run(randomBelow(seed))
    } catch (error) {
      console.log(`SEED=${seed} FUZZ_ROUNDS=1 npx tsx -C source test/fuzz/validate.test.ts`)
      throw error
    }
  }
}

fuzz.run()
