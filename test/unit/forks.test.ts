/**
 * Logs that fork: a machine put back to a snapshot of before, which no file shows, goes on writing where it had written
 * already. The log comes back to one version on every device, and all that anyone wrote is in the documents.
 */
import { EventEmitter } from 'node:events'
import Hypercore from 'hypercore'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { Documents } from '../../lib/documents.ts'
import type { Document, HistoryEntry } from '../../lib/index.ts'
import { device, joinAs, spaceOf, until, waitMs, whenSynced, type Device } from '../devices.ts'
import { deadline, eventually } from '../events.ts'
import { followed, snapshot, unaware } from '../forking.ts'

const test = suite('forks')

async function type(document: Document, text: string): Promise<void> {
  const body = document.doc.getText('body')
  body.insert(body.length, text)
  await document.saved()
}

function textOf(document: Document): string {
  return document.doc.getText('body').toJSON()
}

function brief(words: string): string {
  return words.replaceAll(/(long)+/g, 'long')
}

/** Resolves once the document has all of these words, each once. */
async function whenWords(document: Document, words: readonly string[]): Promise<void> {
  const subscribe = (listener: () => void): (() => void) => followed(document, listener)
  const wanted = [...words].sort().join()
  const shown = (): string => textOf(document).split(' ').filter(Boolean).sort().join()
  await until(subscribe, () => shown() === wanted, brief(wanted)).catch((error: unknown) => {
    throw new Error(`it shows ${brief(shown())}, not ${brief(wanted)}`, {
      cause: error
    })
  })
}

test('a log that a put-back machine forked becomes one again, and nothing written is lost', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network, unaware)
  await using bob = await device('bob', network)
  let space = await spaceOf(alice, bob)
  let note = await space.open('plans')
  const atBob = await bob.space.open('plans')
  await type(note, 'first ')
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob has the first')
  await alice.skein.close()
  const putBack = snapshot(alice)
  await alice.start()
  note = await alice.space.open('plans')
  for (const word of ['one ', 'two ', 'three ']) await type(note, word)
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob has the rest')
  await type(atBob, 'bob ')
  await deadline(atBob.saved({ peers: 1 }), waitMs, 'alice has what bob wrote')
  await alice.skein.close()

  putBack()
  network.partition([[alice.key], [bob.key]])
  await alice.start()
  space = alice.space
  const forks: string[] = []
  for (const one of [space, bob.space]) one.on('fork', ({ device: of }) => forks.push(of))
  note = await space.open('plans')
  assert.not(space.readOnly, 'it does not know that it was put back')
  for (const word of ['uno ', 'due ']) await type(note, word)
  assert.is(textOf(note), 'first uno due ')
  network.heal()

  const words = ['first', 'one', 'two', 'three', 'bob', 'uno', 'due']
  await whenWords(note, words)
  await whenWords(atBob, words)
  assert.equal([...new Set(forks)], [alice.id])
  await type(note, 'on ')
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob has what came after')
  await whenWords(atBob, [...words, 'on'])
  await alice.restart()
  await bob.restart()
  for (const one of [alice, bob]) await whenWords(await one.space.open('plans'), [...words, 'on'])
})

test('an owner’s machine that is put back lets nobody come back whom it had removed, and nothing of its logs is dead', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network, unaware)
  await using bob = await device('bob', network)
  await using mallory = await device('mallory', network)
  await using carol = await device('carol', network)
  let space = await spaceOf(alice, bob, mallory)
  const note = await space.open('plans')
  await type(note, 'first ')
  await deadline(note.saved({ peers: 2 }), waitMs, 'both have the first')
  await alice.skein.close()
  const putBack = snapshot(alice)
  await alice.start()
  network.partition([[alice.key, bob.key], [mallory.key], [carol.key]])
  await alice.space.remove(mallory.id)
  await until(
    (listener) => bob.space.on('members', listener),
    () => !bob.space.members().some(({ device: id }) => id === mallory.id),
    'bob knows that mallory is out'
  )
  await type(await alice.space.open('plans'), 'kept ')
  await deadline((await alice.space.open('plans')).saved({ peers: 1 }), waitMs, 'bob has it')
  await alice.skein.close()

  // She does not know of it any more, and lets carol in; mallory is a member to them.
  putBack()
  network.heal()
  network.partition([[alice.key, mallory.key, carol.key], [bob.key]])
  await alice.start()
  space = alice.space
  assert.ok(space.members().some(({ device: id }) => id === mallory.id))
  await joinAs(space, carol)
  await type(await space.open('plans'), 'carols ')
  const atMallory = await mallory.space.open('plans')
  await type(atMallory, 'mallorys ')
  network.heal()

  const isOut = (one: Device): boolean =>
    !one.space.members().some(({ device: id }) => id === mallory.id)
  for (const one of [alice, bob, carol])
    await until(
      (listener) => one.space.on('members', listener),
      () => isOut(one),
      `${one.name} knows that mallory is out`
    ).catch((cause: unknown) => {
      throw new Error(`${one.name} still has mallory for a member`, { cause })
    })
  // Neither does what was granted on one of the versions count: somebody above her would have to say which stands.
  for (const one of [alice, bob])
    await until(
      (listener) => one.space.on('members', listener),
      () => !one.space.members().some(({ device: id }) => id === carol.id),
      `${one.name} does not take carol for a member`
    )
  const words = ['first', 'kept', 'carols']
  await whenWords(await alice.space.open('plans'), words)
  await whenWords(await bob.space.open('plans'), words)
  // Both go on, also after a restart.
  await alice.restart()
  await bob.restart()
  assert.ok(isOut(alice))
  assert.ok(isOut(bob))
  await type(await alice.space.open('plans'), 'on ')
  await type(await bob.space.open('plans'), 'and ')
  for (const one of [alice, bob])
    await whenWords(await one.space.open('plans'), [...words, 'on', 'and'])
})

test('who held the version that goes lets go of whom only that let in', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network, unaware)
  await using carol = await device('carol', network)
  await using dave = await device('dave', network)
  await using mallory = await device('mallory', network)
  const space = await spaceOf(alice, dave)
  await joinAs(space, bob, { role: 'admin' })
  await until(
    (listener) => dave.space.on('members', listener),
    () => dave.space.members().length === 3,
    'dave knows bob'
  )
  await bob.skein.close()
  const putBack = snapshot(bob)
  network.partition([[alice.key], [bob.key, carol.key], [dave.key], [mallory.key]])
  await bob.start()
  await joinAs(bob.space, carol)
  network.partition([[alice.key, bob.key, carol.key], [dave.key], [mallory.key]])
  const knows = (one: Device, who: Device): boolean =>
    one.space.members().some(({ device: id }) => id === who.id)
  const when = (one: Device, check: () => boolean, what: string): Promise<void> =>
    until((listener) => one.space.on('members', listener), check, what)
  await when(alice, () => knows(alice, carol), 'alice knows carol')
  await bob.skein.close()

  putBack()
  network.partition([
    [bob.key, dave.key, mallory.key],
    [alice.key, carol.key]
  ])
  await bob.start()
  await joinAs(bob.space, mallory)
  await when(dave, () => knows(dave, mallory), 'dave knows mallory')
  // It says which version stays.
  await space.remove(bob.id)
  await bob.skein.close()
  await mallory.skein.close()
  network.heal()
  const stay = 'alice carol dave'
  const names = (one: Device): string =>
    one.space
      .members()
      .map(({ name }) => name)
      .sort()
      .join(' ')
  // Alone again at once, whatever of the version that stays is here.
  await when(dave, () => !knows(dave, mallory) && !knows(dave, bob), 'dave has let go of them')
  network.partition([[dave.key]])
  await dave.restart()
  assert.not(knows(dave, bob), `who was removed is in again: ${names(dave)}`)
  assert.not(knows(dave, mallory), `who was let go of is in again: ${names(dave)}`)
  network.heal()
  for (const one of [dave, alice, carol])
    await when(one, () => names(one) === stay, `to ${one.name}, ${stay} are in`)
  await deadline(whenSynced(dave.space), waitMs, 'dave has it all')
  await dave.restart()
  assert.is(names(dave), stay)
  await Promise.all([bob.start(), mallory.start()])
})

test('what is typed into a document that is opened while its log becomes another is kept', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network, unaware)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  let note = await space.open('plans')
  await type(note, 'first ')
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob has the first')
  await alice.skein.close()
  const putBack = snapshot(alice)
  await alice.start()
  note = await alice.space.open('plans')
  await type(note, 'one ')
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob has the second')
  await alice.skein.close()

  putBack()
  network.partition([[alice.key], [bob.key]])
  await alice.start()
  note = await alice.space.open('plans')
  await type(note, 'uno ')
  await note.close()
  // oxlint-disable-next-line typescript/unbound-method -- called with the documents that it is a method of
  const { recount } = Documents.prototype
  const typed = new Promise<void>((resolve, reject) => {
    let isTyped = false
    Documents.prototype.recount = async function (...args) {
      if (!isTyped && alice.space.readOnly) {
        isTyped = true
        const { doc } = await alice.space.open('plans')
        const body = doc.getText('body')
        // Behind what is about to leave.
        if (!body.toJSON().endsWith('uno ')) reject(new Error(body.toJSON()))
        body.insert(body.length, 'typed ')
        resolve()
      }
      return recount.apply(this, args)
    }
  })
  try {
    network.heal()
    await deadline(typed, waitMs, 'it is typed')
    const words = ['first', 'one', 'uno', 'typed']
    for (const one of [alice, bob]) await whenWords(await one.space.open('plans'), words)
  } finally {
    Documents.prototype.recount = recount
  }
})

test('what is written again is in a document that is closed in that moment', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network, unaware)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  let note = await space.open('plans')
  await type(note, 'first ')
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob has the first')
  await alice.skein.close()
  const putBack = snapshot(alice)
  await alice.start()
  note = await alice.space.open('plans')
  await type(note, 'one ')
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob has the second')
  await alice.skein.close()

  putBack()
  network.partition([[alice.key], [bob.key]])
  await alice.start()
  note = await alice.space.open('plans')
  await type(note, 'uno ')
  const closed = new Promise<void>((resolve) => {
    // From bob’s version, and then what alice writes again.
    let edits = 0
    alice.space.on('edit', ({ device: by }) => {
      if (by === alice.id && ++edits === 2) resolve(note.close())
    })
  })
  network.heal()
  await deadline(closed, waitMs, 'it is written again, and the document closed')
  const words = ['first', 'one', 'uno']
  for (const one of [alice, bob]) await whenWords(await one.space.open('plans'), words)
  await alice.restart()
  await whenWords(await alice.space.open('plans'), words)
  await type(await alice.space.open('plans'), 'on ')
  for (const one of [alice, bob]) await whenWords(await one.space.open('plans'), [...words, 'on'])
})

test('of a version that another kept, what is in the one that stays as well is not written again', async () => {
  const network = new MemoryNetwork()
  await using carol = await device('carol', network)
  await using dave = await device('dave', network)
  await using bob = await device('bob', network)
  await using alice = await device('alice', network, unaware)
  const all = [carol, dave, bob, alice]
  const space = await spaceOf(carol, bob, alice)
  await joinAs(space, dave, { role: 'admin' })
  const apart = (...groups: Device[][]): void =>
    network.partition(groups.map((group) => group.map(({ key }) => key)))
  const write = async (text: string, peers: number): Promise<void> => {
    const note = await alice.space.open('plans')
    await type(note, text)
    await deadline(note.saved({ peers }), waitMs, `others have ${brief(text)}`)
  }
  const putBacks: (() => void)[] = []
  const snap = async (): Promise<void> => {
    await alice.skein.close()
    putBacks.push(snapshot(alice))
    await alice.start()
  }
  await write('base ', 3)
  for (const one of all) await whenWords(await one.space.open('plans'), ['base'])
  await snap()
  apart([carol, bob, alice], [dave])
  await write('b ', 2)
  await snap()
  apart([bob, alice], [carol], [dave])
  // Its blocks are as large as any.
  const long = 'long'.repeat(400_000)
  await write(`${long} `, 1)
  await whenWords(await bob.space.open('plans'), ['base', 'b', long])
  await alice.skein.close()
  // Dave’s version takes the place of bob’s.
  putBacks[0]!()
  apart([dave, alice], [carol], [bob])
  await alice.start()
  await write('d ', 1)
  await alice.skein.close()
  apart([dave, bob], [carol], [alice])
  await whenWords(await bob.space.open('plans'), ['base', 'd'])
  // Carol’s stays.
  putBacks[1]!()
  apart([carol, alice], [dave], [bob])
  await alice.start()
  await write('e ', 1)
  await alice.skein.close()
  // The others settle which one stays before she comes.
  apart([carol, dave, bob], [alice])
  for (const one of [bob, dave]) await whenWords(await one.space.open('plans'), ['base', 'b', 'e'])
  network.heal()
  await alice.start()
  const words = ['base', 'b', long, 'd', 'e']
  for (const one of all) await whenWords(await one.space.open('plans'), words)
  await write('on ', 3)
  for (const one of all) await whenWords(await one.space.open('plans'), [...words, 'on'])
})

test('what others built upon the version that goes is written again, and nobody finds anything wrong', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network, unaware)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice, bob, carol)
  let note = await space.open('plans')
  await type(note, 'first ')
  await deadline(note.saved({ peers: 2 }), waitMs, 'both have the first')
  await alice.skein.close()
  const putBack = snapshot(alice)
  network.partition([[alice.key, bob.key], [carol.key]])
  await alice.start()
  note = await alice.space.open('plans')
  await type(note, 'one ')
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob has what goes')
  for (const word of ['b0 ', 'b1 ', 'b2 ']) await type(await bob.space.open('plans'), word)
  await type(await bob.space.open('lists'), 'b3 ')
  await bob.space.append('task', { title: 'bread' })
  await alice.skein.close()
  putBack()
  network.heal()
  network.partition([[alice.key, carol.key], [bob.key]])
  await alice.start()
  note = await alice.space.open('plans')
  for (const word of ['uno ', 'due ', 'tre ']) await type(note, word)
  await deadline(note.saved({ peers: 1 }), waitMs, 'carol has the other version, which is longer')
  await type(await carol.space.open('plans'), 'c0 ')

  network.heal()
  const words = ['first', 'one', 'b0', 'b1', 'b2', 'uno', 'due', 'tre', 'c0']
  const all = [alice, bob, carol]
  for (const one of all) await whenWords(await one.space.open('plans'), words)
  for (const one of all) await whenWords(await one.space.open('lists'), ['b3'])
  for (const one of all) {
    await eventually(async () => (await eventsOf(one)).join() === 'bread')
    assert.equal(await problemsOf(one), [], one.name)
    const setAside = (await editsOf(one, bob.id)).filter(({ state }) => state !== 'delivered')
    assert.is(setAside.length, 3, 'and says why')
    for (const { state, problem } of setAside) {
      assert.is(state, 'passed-over')
      assert.match(problem!, /did not stay/)
    }
  }
  await bob.restart()
  assert.equal(await problemsOf(bob), [])
  await whenWords(await bob.space.open('plans'), words)
})

test('an author that took a shorter version of its own log has it once and for good, also after a restart', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network, unaware)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  let note = await space.open('plans')
  await type(note, 'first ')
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob has the first')
  await alice.skein.close()
  const putBack = snapshot(alice)
  await alice.start()
  note = await alice.space.open('plans')
  await type(note, 'same ')
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob has the second')
  await alice.skein.close()

  putBack()
  network.partition([[alice.key], [bob.key]])
  await alice.start()
  const more = Array.from({ length: 12 }, (_, i) => `no${String(i).padStart(2, '0')}`)
  for (const word of more) await type(await alice.space.open('plans'), `${word} `)
  // It ends in the moment in which its log is another.
  const taken = atTruncation(alice, () => network.partition([[alice.key], [bob.key]]))
  network.heal()
  const putBackThere = await deadline(taken, waitMs, 'alice takes bob’s version')
  await alice.skein.close()
  putBackThere()
  const forks: string[] = []
  bob.space.on('fork', ({ device: of }) => forks.push(of))
  await alice.start()
  alice.space.on('fork', ({ device: of }) => forks.push(of))
  network.heal()
  const words = ['first', 'same', ...more]
  for (const one of [alice, bob]) await whenWords(await one.space.open('plans'), words)
  await alice.restart()
  await type(await alice.space.open('plans'), 'on ')
  for (const one of [alice, bob]) await whenWords(await one.space.open('plans'), [...words, 'on'])
  assert.equal(forks, [])
  const written = await editsOf(bob, alice.id)
  const passedOver = written.filter(({ state }) => state !== 'delivered')
  assert.equal(
    passedOver,
    [],
    'nothing of the version that went was appended to the one that stays'
  )
})

test('a device that ends right after it took another version shows what is in that one, and nothing else', async () => {
  /** It does not go in one piece. */
  const long = 'long'.repeat(100_000)
  const network = new MemoryNetwork()
  await using alice = await device('alice', network, unaware)
  await using bob = await device('bob', network, unaware)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice, bob, carol)
  let note = await space.open('plans')
  await type(note, 'first ')
  await deadline(note.saved({ peers: 2 }), waitMs, 'both have the first')
  await alice.skein.close()
  const putBack = snapshot(alice)
  network.partition([[alice.key, bob.key], [carol.key]])
  await alice.start()
  note = await alice.space.open('plans')
  for (const word of ['one ', `${long} `, 'two ']) await type(note, word)
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob has the rest')
  await type(await bob.space.open('plans'), 'bob ')
  await alice.skein.close()
  putBack()
  network.heal()
  network.partition([[alice.key, carol.key], [bob.key]])
  await alice.start()
  note = await alice.space.open('plans')
  for (const word of ['uno ', 'due ', 'tre ', 'quattro ', 'cinque ']) await type(note, word)
  await deadline(note.saved({ peers: 1 }), waitMs, 'carol has the other version, which is longer')

  // The moment in which bob’s copy of the log is another.
  const taken = atTruncation(bob)
  network.heal()
  const putBackThere = await deadline(taken, waitMs, 'bob takes the other version')
  await bob.skein.close()
  putBackThere()
  await bob.start()
  const words = ['first', 'bob', 'one', long, 'two', 'uno', 'due', 'tre', 'quattro', 'cinque']
  for (const one of [alice, bob, carol]) await whenWords(await one.space.open('plans'), words)
})

test.run()

async function problemsOf({ space }: Device): Promise<string[]> {
  const problems: string[] = []
  for await (const found of space.verify())
    if ('code' in found) problems.push(`${found.where}: ${found.message}`)
  return problems
}

async function eventsOf({ space }: Device): Promise<unknown[]> {
  const titles: unknown[] = []
  for await (const { value } of space.entries()) titles.push((value as { title: string }).title)
  return titles
}

async function editsOf({ space }: Device, author: string): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = []
  for await (const entry of space.history({ document: 'plans', author })) entries.push(entry)
  return entries
}

/** Resolves with what puts a device’s folder back to what it was right after a log was cut short in it. */
function atTruncation(one: Device, then = (): void => {}): Promise<() => void> {
  const { prototype } = Hypercore as unknown as { prototype: NodeJS.EventEmitter }
  return new Promise((resolve) => {
    prototype.emit = function (this: Hypercore & NodeJS.EventEmitter, event, ...args: unknown[]) {
      if (event === 'truncate' && isIn(one, this)) {
        Reflect.deleteProperty(prototype, 'emit')
        resolve(snapshot(one))
        then()
      }
      return EventEmitter.prototype.emit.call(this, event, ...args)
    }
  })
}

function isIn({ folder }: Device, core: Hypercore): boolean {
  const { path } = (core.core as unknown as { storage: { store: { path: string } } }).storage.store
  return path.startsWith(folder)
}
