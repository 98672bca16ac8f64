/** Looking at what happened in a space: the order, what entries say, how they are named, and one of them in full. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { platform } from '../../adapters/node/platform.ts'
import { toHex } from '../../lib/bytes.ts'
import { SkeinError, type HistoryEntry, type HistoryOptions, type Space } from '../../lib/index.ts'
import { summaryOf } from '../../lib/inspect/edit-summary.ts'
import { weave, type ReadableLog, type Thread, type Woven } from '../../lib/inspect/weave.ts'
import { keyIdOf, kinds, sealEntry, type Dep } from '../../lib/log/entry.ts'
import { logIdOf } from '../../lib/log/log.ts'
import { device, joinAs, rejects, spaceOf, whenText } from '../devices.ts'

const test = suite('history')

async function historyOf(space: Space, options: HistoryOptions = {}): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = []
  for await (const entry of space.history(options)) entries.push(entry)
  return entries
}

/** An entry that comes before something it says it has seen, or null. */
function outOfOrder(entries: readonly HistoryEntry[]): HistoryEntry | null {
  const come = new Map<string, number>()
  for (const entry of entries) {
    const log = entry.id.split('/')[0]!
    if ((come.get(log) ?? 0) !== entry.from) return entry
    if (entry.saw.some((seen) => (come.get(seen.log) ?? 0) < seen.length)) return entry
    come.set(log, entry.to)
  }
  return null
}

test('entries come after what they had seen, in the same order on every device', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const mine = await space.open('ideas')
  const his = await bob.space.open('ideas')
  let text = ''
  for (let turn = 0; turn < 6; turn++) {
    const [writer, reader] = turn % 2 === 0 ? [mine, his] : [his, mine]
    writer.doc.getText('body').insert(0, `${turn} `)
    text = `${turn} ${text}`
    await writer.saved()
    await whenText(reader.doc, text)
  }
  await space.append('note', { n: 1 })
  await space.saved({ peers: 1 })
  const entries = await historyOf(space)
  assert.is(outOfOrder(entries), null)
  assert.ok(entries.every(({ state, problem }) => state === 'delivered' && problem === null))
  const edits = entries.filter(({ kind }) => kind === 'edit')
  assert.equal(
    edits.map(({ author, edit }) => [author, edit!.inserted.excerpt]),
    [0, 1, 2, 3, 4, 5].map((turn) => [turn % 2 === 0 ? 'alice' : 'bob', `${turn} `])
  )
  assert.equal(edits[0]!.document!.name, 'ideas')
  assert.equal(edits[0]!.edit!.roots, ['body'])
  assert.equal(entries[0]!.control!.text, 'makes the space "Notes"')
  assert.equal(entries.find(({ kind }) => kind === 'event')!.event, {
    type: 'note',
    value: { n: 1 }
  })
  const ids = (list: HistoryEntry[]): string[] => list.map(({ id }) => id)
  assert.equal(ids(await historyOf(bob.space)), ids(entries))
})

test('one document, or one author, can be picked, and deleted text is told', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const mine = await space.open('ideas')
  const body = mine.doc.getText('body')
  body.insert(0, 'Hello world')
  await mine.saved()
  const other = await space.open('todo')
  other.doc.getMap('items').set('title', 'Milk')
  await other.saved()
  const his = await bob.space.open('ideas')
  await whenText(his.doc, 'Hello world')
  his.doc.getText('body').delete(5, 6)
  his.doc.getText('body').format(0, 5, { bold: true })
  await his.saved()
  await whenText(mine.doc, 'Hello')
  const ideas = await historyOf(space, { document: 'ideas' })
  assert.equal(
    ideas.map(({ author, edit }) => [author, edit!.inserted.excerpt, edit!.deleted.excerpt]),
    [
      ['alice', 'Hello world', ''],
      ['bob', '', ' world']
    ]
  )
  assert.ok(ideas[1]!.edit!.others.includes('bold: true'))
  assert.equal(await historyOf(space, { document: 'nothing' }), [])
  const byBob = await historyOf(space, { author: bob.id })
  assert.ok(byBob.length > 0 && byBob.every((entry) => entry.device === bob.id))
  assert.is(byBob.find(({ kind }) => kind === 'edit')!.edit!.deleted.excerpt, ' world')
  const todo = await historyOf(space, { document: 'todo' })
  assert.equal(todo[0]!.edit!.others, ['title = "Milk"'])
  const aborted = historyOf(space, { signal: AbortSignal.abort() })
  await rejects(aborted, 'ABORTED')
})

test('an entry is found by its address and by its id, and shown in full', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const note = await space.open('ideas')
  note.doc.getText('body').insert(0, 'Hello')
  await note.saved()
  const [edit] = await historyOf(space, { document: 'ideas' })
  assert.is(edit!.address, 'alice:content:0')
  const details = await space.entry('alice:content:0')
  assert.is(details.id, edit!.id)
  assert.is((await space.entry(edit!.id)).address, edit!.address)
  assert.is(details.role, 'owner')
  assert.is(details.seal.kind, 'content key')
  assert.equal(details.seal.issuedBy, ['alice'])
  assert.is(details.blocks.length, 1)
  assert.is(details.head!.length, 1)
  assert.is(details.head!.treeHash, details.treeHash)
  assert.is(details.edit!.inserted.excerpt, 'Hello')
  const grant = (await historyOf(space)).find(({ kind }) => kind === 'grant')!
  const shown = await space.entry(grant.address)
  assert.is(shown.control!.text, 'lets bob in as writer')
  assert.is(shown.seal.kind, 'space key')
  for (const unknown of ['alice:content:9', 'carol:content:0', 'alice:content', '', 'x/1']) {
    await rejects(space.entry(unknown), 'ENTRY_UNKNOWN')
  }
})

test('devices of one name are told apart by their keys', async () => {
  const network = new MemoryNetwork()
  await using one = await device('phone', network)
  await using other = await device('phone', network)
  const space = await one.skein.createSpace({ name: 'Notes' })
  await joinAs(space, other)
  const entries = await historyOf(space)
  for (const entry of entries) {
    assert.match(entry.address, /^phone~[0-9a-f]{4,}:(control|content):\d+$/)
    assert.is((await space.entry(entry.address)).id, entry.id)
  }
  assert.is(new Set(entries.map(({ address }) => address)).size, entries.length)
  await rejects(space.entry('phone:control:0'), 'ENTRY_UNKNOWN')
})

/** Logs in memory, of entries that say what they have seen. */
class Logs {
  readonly key = platform.randomBytes(32)
  readonly space = new Uint8Array(32)
  readonly threads: (Thread & { log: ReadableLog & { blocks: Uint8Array[] } })[]

  constructor(count: number) {
    this.threads = Array.from({ length: count }, (_, i) => {
      const name = {
        space: this.space,
        device: new Uint8Array(32).fill(i),
        core: 'content/0'
      } as const
      const blocks: Uint8Array[] = []
      const get = (index: number): Promise<Uint8Array | null> =>
        Promise.resolve(blocks[index] ?? null)
      const log = { id: logIdOf(name), name, blocks, get }
      return {
        log,
        get length(): number {
          return blocks.length
        }
      }
    })
  }

  append(log: number, timeMs: number, saw: readonly (readonly [number, number])[], body = 1): void {
    const thread = this.threads[log]!
    const deps: Dep[] = saw.map(([other, length]) => {
      return { log: this.threads[other]!.log.id, length, treeHash: '00'.repeat(8) }
    })
    const entry = { kind: kinds.event, timeMs, deps, body: new Uint8Array(body) }
    const place = { ...thread.log.name, seq: thread.length }
    const random = (length: number): Uint8Array => platform.randomBytes(length)
    thread.log.blocks.push(...sealEntry(entry, place, this.key, random))
  }

  async weave(): Promise<Woven[]> {
    const woven: Woven[] = []
    const keyOf = (_: ReadableLog, id: Uint8Array): Uint8Array | null =>
      toHex(id) === toHex(keyIdOf(this.key)) ? this.key : null
    for await (const one of weave(this.threads, keyOf)) woven.push(one)
    return woven
  }
}

test('a wrong clock moves an entry only between what it had seen and what had seen it', async () => {
  const logs = new Logs(3)
  logs.append(0, 1_000, [])
  logs.append(1, 5, [[0, 1]])
  logs.append(2, 9_000_000, [])
  logs.append(0, 1_100, [
    [1, 1],
    [2, 1]
  ])
  const order = (await logs.weave()).map(({ entry }) => entry!.timeMs)
  assert.equal(order, [1_000, 5, 9_000_000, 1_100])
})

test('what had seen something that is not here comes last and waits, and an entry of many blocks is one', async () => {
  const logs = new Logs(3)
  logs.append(0, 1, [[1, 7]])
  logs.append(0, 2, [])
  logs.append(1, 3, [], 2_500_000)
  logs.append(2, 4, [[0, 1]])
  const woven = await logs.weave()
  assert.equal(
    woven.map(({ entry, isReady }) => [entry!.timeMs, isReady]),
    [
      [3, true],
      [1, false],
      [2, false],
      [4, false]
    ]
  )
  assert.equal([woven[0]!.from, woven[0]!.to], [0, 3])
})

test('a block that is no entry is told, and what comes behind it is read', async () => {
  const logs = new Logs(1)
  logs.append(0, 1, [])
  logs.append(0, 2, [])
  logs.append(0, 3, [])
  logs.threads[0]!.log.blocks[1]![70]! ^= 1
  const woven = await logs.weave()
  assert.equal(
    woven.map(({ fault, from }) => [fault?.code ?? null, from]),
    [
      [null, 0],
      ['BAD_SEAL', 1],
      [null, 2]
    ]
  )
})

test('twenty logs of a thousand entries come in a causal order', async () => {
  const logs = new Logs(20)
  // A generator with a fixed seed: the same histories every time.
  let seed = 42
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return seed % below
  }
  for (let i = 0; i < 20_000; i++) {
    const [log, other] = [random(20), random(20)]
    const length = logs.threads[other]!.length
    logs.append(log, random(1_000_000), log === other || length === 0 ? [] : [[other, length]])
  }
  const woven = await logs.weave()
  assert.is(woven.length, 20_000)
  const come = new Map<string, number>()
  for (const { log, from, to, entry, isReady } of woven) {
    assert.ok(isReady && (come.get(log.id) ?? 0) === from)
    for (const dep of entry!.deps) assert.ok((come.get(dep.log) ?? 0) >= dep.length)
    come.set(log.id, to)
  }
})

test('what is not text is told by what it is, and what is no update is refused', async () => {
  await using alice = await device('alice')
  const space = await spaceOf(alice)
  const note = await space.open('ideas')
  note.doc.getText('body').insert(0, 'good')
  await note.saved()
  const embed = new Y.Text()
  note.doc.getMap('m').set('t', embed)
  embed.insert(0, 'inner')
  embed.insertEmbed(0, { image: 'x'.repeat(100) })
  note.doc.getMap('m').set('bytes', new Uint8Array(3))
  await note.saved()
  const last = (await historyOf(space)).at(-1)!
  assert.ok(last.edit!.others.includes('t = a text'))
  assert.ok(last.edit!.others.includes('bytes = 3 bytes'))
  assert.is(last.edit!.inserted.excerpt, 'inner')
  for (const bytes of [
    [],
    [1],
    [1, 1, 5, 0, 4, 1, 4, 98],
    [0, 1, 7, 1, 5, 0],
    [1, 200, 200, 200, 1, 0]
  ]) {
    assert.throws(
      () => summaryOf(new Uint8Array(bytes), null),
      (error: unknown) => error instanceof SkeinError && error.code === 'BAD_ENCODING'
    )
  }
})

test.run()
