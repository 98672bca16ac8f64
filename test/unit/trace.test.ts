/** Recorded histories are planned and played on plain documents that exchange updates in memory, in causal order. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { Player } from '../../examples/demo/player.ts'
import { planTrace, type Plan } from '../../examples/demo/plan.ts'
import { parseTrace, readTrace, TraceError } from '../../examples/demo/trace.ts'
import { generateHistory, seededRandom } from '../fixtures/concurrent-traces.ts'
import type { Shape } from '../fixtures/concurrent-traces.ts'

const trace = suite('trace')
const friendsforever = fileURLToPath(new URL('../fixtures/friendsforever.json.gz', import.meta.url))

trace('friendsforever ends in its endContent on both devices', async () => {
  const plan = planTrace(await readTrace(friendsforever))
  assert.is(plan.authors.length, 2)
  assert.is(plan.ties, 0)
  for (const seed of [1, 2]) new Replay(plan, seed).run()
})

trace(
  'friendsforever ends in its endContent although a device is killed again and again',
  async () => {
    const plan = planTrace(await readTrace(friendsforever))
    const replay = new Replay(plan, 3, { kills: 20 })
    replay.run()
    assert.ok(replay.lostEdits > 0)
  }
)

const shapes: Record<string, Omit<Shape, 'authors'>> = {
  'a live history': { kind: 'live', transactions: 80 },
  'a git-like history': { kind: 'git', transactions: 80 },
  'a history in which two insert at one place': { kind: 'live', transactions: 80, ties: true }
}
for (const [name, shape] of Object.entries(shapes)) {
  trace(`${name} ends in its endContent on every device, whoever is late or killed`, () => {
    for (let seed = 1; seed <= 30; seed++) {
      const history = generateHistory(seed, { ...shape, authors: 3 + (seed % 10) })
      const plan = planTrace(parseTrace(history))
      assert.is(plan.endContent, history.endContent)
      new Replay(plan, seed).run()
      new Replay(plan, seed, { kills: 6 }).run()
      new Replay(plan, seed, { kills: 6, keepsClientIds: true }).run()
    }
  })
}

trace('a position that only another order of insertions can reach is reached', () => {
  // With insertions kept to the left, a transaction of this one deletes beyond the end.
  const history = generateHistory(1_000, { kind: 'git', authors: 8, transactions: 120 })
  new Replay(planTrace(parseTrace(history)), 1, { kills: 6 }).run()
})

trace('the generated histories have what they are made to test', () => {
  const live = parseTrace(generateHistory(1, { kind: 'live', authors: 4, transactions: 80 }))
  const git = parseTrace(generateHistory(1, { kind: 'git', authors: 4, transactions: 80 }))
  for (const { transactions } of [live, git]) {
    assert.ok(transactions.some(({ parents }) => parents.length > 1))
    assert.ok(transactions.some(({ patches }) => patches.length > 1))
    assert.ok(transactions.some(({ patches }) => patches.every(([, , insert]) => insert === '')))
    assert.ok(transactions.some(({ patches }) => /\p{Emoji_Presentation}/u.test(String(patches))))
  }
  // An author goes on without an earlier edit of its own.
  const ancestors: Set<number>[] = []
  let apart = 0
  for (const [index, { author, parents }] of git.transactions.entries()) {
    const own = git.transactions.findLastIndex((other, i) => i < index && other.author === author)
    ancestors.push(new Set(parents.flatMap((parent) => [parent, ...ancestors[parent]!])))
    if (own >= 0 && !ancestors[index]!.has(own)) apart++
  }
  assert.ok(apart > 5)
})

trace('an edit waits for all that it was made against', () => {
  const plan = planOf(
    [
      { agent: 0, parents: [], patches: [[0, 0, 'ac']] },
      { agent: 0, parents: [0], patches: [[1, 1, '']] },
      { agent: 1, parents: [1], patches: [[1, 0, '!']] }
    ],
    'a!'
  )
  const [alice, bob] = [new Y.Doc(), new Y.Doc()]
  const alicePlays = new Player(plan, 0, alice.getText())
  const bobPlays = new Player(plan, 1, bob.getText())
  const tellBob = () => Y.applyUpdate(bob, Y.encodeStateAsUpdate(alice))

  assert.equal(bobPlays.waitingFor, { author: 0, transactions: 2 })
  assert.not(bobPlays.next())
  assert.ok(alicePlays.next())
  tellBob()
  assert.is(bobPlays.held(0), 1)
  assert.not(bobPlays.next())
  assert.ok(alicePlays.next())
  assert.not(alicePlays.next())
  tellBob()
  assert.is(bobPlays.held(0), 2)
  assert.ok(alicePlays.finished)
  assert.not(alicePlays.complete)
  assert.ok(bobPlays.next())
  assert.ok(bobPlays.complete)
  assert.is(bob.getText().toString(), 'a!')
})

trace('an edit goes where its author saw the place, not past what others deleted since', () => {
  // Bob inserts between y and z, carol between x and y, while alice deletes y and z.
  const plan = planOf(
    [
      { agent: 0, parents: [], patches: [[0, 0, 'xyz.']] },
      { agent: 0, parents: [0], patches: [[1, 2, '']] },
      { agent: 1, parents: [0], patches: [[1, 0, 'b']] },
      { agent: 2, parents: [0], patches: [[2, 0, 'c']] }
    ],
    'xbc.'
  )
  const docs = plan.authors.map(() => new Y.Doc())
  const players = docs.map((doc, author) => new Player(plan, author, doc.getText()))
  while (players[0]!.next());
  const fromAlice = Y.encodeStateAsUpdate(docs[0]!)
  for (const i of [1, 2]) {
    Y.applyUpdate(docs[i]!, fromAlice)
    assert.ok(players[i]!.next())
  }
  Y.applyUpdate(docs[0]!, Y.encodeStateAsUpdate(docs[1]!))
  Y.applyUpdate(docs[0]!, Y.encodeStateAsUpdate(docs[2]!))
  assert.is(docs[0]!.getText().toString(), 'xbc.')
})

trace('indexes into the text stay right after an edit has been played', () => {
  const plan = planOf(
    [
      { agent: 0, parents: [], patches: [[0, 0, 'world']] },
      { agent: 0, parents: [0], patches: [[0, 0, 'hello ']] }
    ],
    'hello world'
  )
  const text = new Y.Doc().getText()
  const player = new Player(plan, 0, text)
  player.next()
  text.delete(3, 1) // Yjs remembers where it was
  player.next()
  text.delete(8, 1)
  assert.is(text.toString(), 'hello wod')
})

trace('a sequential history is one author, and its startContent the first edit', () => {
  const plan = planTrace(
    parseTrace({
      startContent: 'naïve 🦊',
      endContent: 'naïve 🐶!',
      txns: [
        { patches: [[6, 1, '']] },
        {
          patches: [
            [6, 0, '🐶'],
            [7, 0, '!']
          ]
        }
      ]
    })
  )
  assert.is(plan.authors.length, 1)
  assert.is(plan.authors[0]!.transactions.length, 3)
  new Replay(plan, 1).run()
})

trace('a concurrent history may have a startContent, quiet agents and empty transactions', () => {
  const plan = planTrace(
    parseTrace({
      kind: 'concurrent',
      startContent: '[]',
      endContent: 'a[]b',
      numAgents: 40,
      txns: [
        { agent: 30, parents: [], patches: [[0, 0, 'a']] },
        { agent: 7, parents: [], patches: [[2, 0, 'b', '2023-11-22T04:49:00+00:00']] },
        { agent: 7, parents: [0, 1], patches: [] },
        { agent: 7, parents: [2], patches: [[1, 0, '']] }
      ]
    })
  )
  assert.equal(
    plan.authors.map(({ agent }) => agent),
    [7, 30]
  )
  new Replay(plan, 1).run()
})

trace('a trace is read whether gzipped or not', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-trace-'))
  try {
    const path = join(folder, 'trace.json')
    await writeFile(
      path,
      JSON.stringify(generateHistory(1, { kind: 'live', authors: 3, transactions: 9 }))
    )
    assert.is((await readTrace(path)).agents.length, 3)
    await writeFile(path, (await readFile(friendsforever)).subarray(0, 1_000))
    await rejects(readTrace(path), /trace\.json: unexpected end of file/)
    await writeFile(path, 'hello')
    await rejects(readTrace(path), /trace\.json: Unexpected token/)
  } finally {
    await rm(folder, { recursive: true })
  }
})

const wrong: Record<string, [value: unknown, says: RegExp]> = {
  'no object': [[], /^A trace must be an object/],
  'no transactions': [{ endContent: '' }, /^txns must be an array/],
  'no endContent': [{ txns: [] }, /^endContent must be a string/],
  'a parent that comes later': [
    { endContent: '', txns: [{ agent: 0, parents: [0], patches: [] }] },
    /^Transaction 0: parents must be indexes of earlier transactions, not \[0\]/
  ],
  'no agent': [{ endContent: '', txns: [{ parents: [], patches: [] }] }, /^Transaction 0: agent/],
  'a patch of another form': [
    { endContent: '', txns: [{ agent: 0, parents: [], patches: [{ at: 1 }] }] },
    /^Transaction 0: patches must be/
  ],
  'a position beyond the end': [
    {
      endContent: '🦊',
      txns: [
        {
          patches: [
            [0, 0, '🦊'],
            [2, 0, '!']
          ]
        }
      ]
    },
    /^Transaction 0 deletes 0 and inserts 1 at 2, but its text has only 1 code points/
  ],
  'another endContent': [
    { endContent: 'one', txns: [{ patches: [[0, 0, 'only']] }] },
    /not endContent: at 2 of 3 it reads "ly" instead of "e"/
  ]
}
for (const [what, [value, says]] of Object.entries(wrong)) {
  trace(`a trace with ${what} is refused`, () => {
    assert.throws(
      () => planTrace(parseTrace(value)),
      (error: unknown) => error instanceof TraceError && says.test(error.message)
    )
  })
}

function planOf(txns: object[], endContent: string): Plan {
  return planTrace(parseTrace({ kind: 'concurrent', endContent, txns }))
}

async function rejects(promise: Promise<unknown>, says: RegExp): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason
  )
  assert.instance(error, TraceError)
  assert.match((error as Error).message, says)
}

/** What an author's device has sent: some of its transactions, and how much of every author's it had had before. */
interface Entry {
  author: number
  update: Uint8Array
  deps: number[]
}

interface Device {
  doc: Y.Doc
  player: Player
  /** In the order of arrival, its own included: what its disk would hold. */
  entries: Entry[]
  /** Of every author's entries, how many it has. */
  counts: number[]
  unsent: Uint8Array[]
  online: boolean
}

/** One device per author; all that happens, and when, comes from the seed. */
class Replay {
  lostEdits = 0
  readonly #plan: Plan
  readonly #random: () => number
  readonly #logs: Entry[][]
  readonly #devices: Device[]
  readonly #keepsClientIds: boolean
  readonly #killChance: number
  #kills: number

  constructor(plan: Plan, seed: number, { kills = 0, keepsClientIds = false } = {}) {
    this.#plan = plan
    this.#random = seededRandom(seed)
    this.#kills = kills
    this.#keepsClientIds = keepsClientIds
    // Spread over the whole: a round makes a few dozen transactions.
    const count = plan.authors.reduce((sum, { transactions }) => sum + transactions.length, 0)
    this.#killChance = Math.max(0.002, Math.min(0.2, (kills * 20) / count))
    this.#logs = plan.authors.map(() => [])
    this.#devices = plan.authors.map((_, author) => this.#start(author, []))
  }

  run(): void {
    for (let idle = 0; !this.#devices.every(({ player }) => player.complete); idle++) {
      const before = this.#progress()
      for (const [author, device] of this.#devices.entries()) {
        if (this.#random() < 0.2) device.online = !device.online
        this.#write(device)
        if (this.#kills > 0 && this.#random() < this.#killChance) this.#kill(author)
        else if (this.#random() < 0.7) this.#receive(author)
      }
      if (this.#progress() !== before) idle = 0
      const waiting = this.#devices.map(({ player }) => player.waitingFor)
      if (idle === 1_000) throw new Error(`Standstill: ${JSON.stringify(waiting)}`)
    }
    for (const { doc } of this.#devices) {
      assert.is(doc.getText('text').toString(), this.#plan.endContent)
    }
  }

  #progress(): string {
    return JSON.stringify(this.#devices.map(({ counts, unsent }) => [counts, unsent.length]))
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count)
  }

  #start(author: number, entries: Entry[], clientId = this.#below(2 ** 32)): Device {
    const doc = new Y.Doc()
    for (const { update } of entries) Y.applyUpdate(doc, update, 'peer')
    doc.clientID = clientId
    const counts = this.#plan.authors.map(() => 0)
    for (const entry of entries) counts[entry.author]!++
    const player = new Player(this.#plan, author, doc.getText('text'))
    const device: Device = { doc, player, entries, counts, unsent: [], online: true }
    doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== 'peer') device.unsent.push(update)
    })
    return device
  }

  #write({ player }: Device): void {
    for (let rest = this.#below(30); rest > 0 && player.next(); rest--);
  }

  /** Sends in groups of several transactions, as Skein does. */
  #send(author: number, count: number): void {
    const device = this.#devices[author]!
    for (let rest = count; rest > 0;) {
      const group = device.unsent.splice(0, Math.min(rest, 1 + this.#below(5)))
      rest -= group.length
      const entry = { author, update: Y.mergeUpdates(group), deps: [...device.counts] }
      this.#logs[author]!.push(entry)
      device.entries.push(entry)
      device.counts[author]!++
    }
  }

  /** An author's entries in their order, and none before those that it was made after. */
  #receive(author: number): void {
    const device = this.#devices[author]!
    this.#send(author, device.unsent.length)
    if (!device.online) return
    for (let rest = this.#below(60); rest >= 0; rest--) {
      const other = this.#below(this.#logs.length)
      const entry = this.#logs[other]![device.counts[other]!]
      if (other === author || entry === undefined) continue
      if (entry.deps.some((count, i) => count > device.counts[i]!)) continue
      Y.applyUpdate(device.doc, entry.update, 'peer')
      device.entries.push(entry)
      device.counts[other]!++
    }
  }

  /** Some of what it wrote last never left it; it comes back with what its disk has. */
  #kill(author: number): void {
    const device = this.#devices[author]!
    this.#kills--
    this.#send(author, this.#below(device.unsent.length + 1))
    this.lostEdits += device.unsent.length
    const clientId = this.#keepsClientIds ? device.doc.clientID : undefined
    device.doc.destroy()
    this.#devices[author] = this.#start(author, device.entries, clientId)
  }
}

trace.run()
