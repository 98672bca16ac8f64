/** Removing and demoting between devices on a memory network: what stays, what goes, what comes back, and who is told. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { platform as nodePlatform } from '../../adapters/node/platform.ts'
import type {
  Clock,
  Document,
  DocumentEvents,
  ExcludedEntry,
  Platform,
  Space
} from '../../lib/index.ts'
import { Documents } from '../../lib/documents.ts'
import { ViewStore } from '../../lib/views/view-store.ts'
import { deadline, once } from '../events.ts'
import {
  device,
  joinAs,
  rejects,
  spaceOf,
  until,
  waitMs,
  whenDoc,
  whenPeer,
  whenText,
  type Device
} from '../devices.ts'

const test = suite('removal')

function bodyOf(document: Document): string {
  return document.doc.getText('body').toString()
}

async function write(document: Document, text: string): Promise<void> {
  const body = document.doc.getText('body')
  body.insert(body.length, text)
  await document.saved()
}

function roleOf(space: Space, of: Device): string | null {
  return space.members().find(({ device: id }) => id === of.id)?.role ?? null
}

function whenRole(space: Space, of: Device, role: string | null): Promise<void> {
  return until(
    (listener) => space.on('members', listener),
    () => roleOf(space, of) === role,
    `${of.name} is ${role ?? 'out'}`
  )
}

/** Resolves once the document, whichever `Y.Doc` it is, reads so. */
async function whenReads(document: Document, text: string): Promise<void> {
  for (let doc = document.doc; bodyOf(document) !== text; doc = document.doc) {
    await deadline(
      Promise.race([
        new Promise<void>((resolve) => doc.once('update', () => resolve())),
        new Promise<void>((resolve) => document.once('reset', () => resolve()))
      ]),
      waitMs,
      `${JSON.stringify(text)} instead of ${JSON.stringify(bodyOf(document))}`
    )
  }
}

function part(network: MemoryNetwork, ...groups: Device[][]): void {
  network.partition(groups.map((group) => group.map(({ key }) => key)))
}

async function excludedAt(space: Space): Promise<ExcludedEntry[]> {
  const entries: ExcludedEntry[] = []
  for await (const entry of space.excluded()) entries.push(entry)
  return entries
}

test('who is removed may write no more, is told so, and the others go on under a new key', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice, bob, carol)
  const note = await space.open('ideas')
  await write(note, 'alice ')
  const [atBob, atCarol] = [await bob.space.open('ideas'), await carol.space.open('ideas')]
  await whenText(atBob.doc, 'alice ')
  await write(atBob, 'bob ')
  await whenText(note.doc, 'alice bob ')
  await space.remove(bob.id)
  assert.is(roleOf(space, bob), null)
  await whenRole(bob.space, bob, null)
  assert.ok(bob.space.readOnly)
  assert.ok(atBob.readOnly)
  await whenRole(carol.space, bob, null)
  await whenPeer(carol.space, bob, false)
  await write(note, 'secret ')
  await whenReads(atCarol, 'alice bob secret ')
  assert.is(bodyOf(atBob), 'alice bob ')
  await rejects(bob.space.append('chat', 'still here'), 'NOT_ALLOWED')
  await rejects(bob.space.invite(), 'NOT_ALLOWED')
})

test('what a removed device wrote while the remover was away leaves every document, and is kept and listed', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice, bob, carol)
  const note = await space.open('ideas')
  await write(note, 'alice ')
  const [atBob, atCarol] = [await bob.space.open('ideas'), await carol.space.open('ideas')]
  await Promise.all([whenText(atBob.doc, 'alice '), whenText(atCarol.doc, 'alice ')])
  part(network, [alice], [bob, carol])
  await write(atBob, 'late ')
  await bob.space.append('chat', 'late too')
  await whenText(atCarol.doc, 'alice late ')
  await until(
    (listener) => carol.space.on('entry', listener),
    () => carol.space.waiting === 0
  )
  await space.remove(bob.id)
  const reset = once<DocumentEvents['reset']>(
    (listener) => atCarol.on('reset', listener),
    waitMs,
    'carol’s document is reset'
  )
  network.heal()
  const { reason, previous } = await reset
  assert.is(reason, 'entries-left')
  assert.is(previous.getText('body').toString(), 'alice late ')
  await whenReads(atCarol, 'alice ')
  const events: unknown[] = []
  for await (const { value } of carol.space.entries()) events.push(value)
  assert.equal(events, [])
  const left = await excludedAt(carol.space)
  assert.equal(
    left.map(({ device: by }) => by),
    [bob.id, bob.id]
  )
  assert.is(left[0]!.edit?.document, 'ideas')
  assert.is(left[1]!.event?.value, 'late too')
  await write(atCarol, 'carol ')
  await whenReads(note, 'alice carol ')
  // Bob hears of it, and sees what the others see.
  await whenRole(bob.space, bob, null)
  await whenReads(atBob, 'alice ')
  assert.is((await excludedAt(bob.space)).length, 2)
  await carol.restart()
  assert.is(bodyOf(await carol.space.open('ideas')), 'alice carol ')
  assert.is((await excludedAt(carol.space)).length, 2)
})

test('what somebody who remains had built upon stays, on every device', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice, bob, carol)
  const note = await space.open('ideas')
  const [atBob, atCarol] = [await bob.space.open('ideas'), await carol.space.open('ideas')]
  part(network, [alice], [bob, carol])
  await write(atBob, 'bob ')
  await whenText(atCarol.doc, 'bob ')
  await write(atCarol, 'and carol ')
  part(network, [alice], [bob], [carol])
  await write(atBob, 'alone ')
  await space.remove(bob.id)
  network.heal()
  await whenReads(note, 'bob and carol ')
  await whenRole(carol.space, bob, null)
  await whenReads(atCarol, 'bob and carol ')
  await whenRole(bob.space, bob, null)
})

test('who is let in again brings what had been left out', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const [note, atBob] = [await space.open('ideas'), await bob.space.open('ideas')]
  part(network, [alice], [bob])
  await write(atBob, 'offline ')
  await space.remove(bob.id)
  await write(note, 'alice ')
  network.heal()
  await whenRole(bob.space, bob, null)
  await whenReads(atBob, '')
  await space.grant(bob.id, 'writer')
  await whenRole(bob.space, bob, 'writer')
  assert.is(roleOf(space, bob), 'writer')
  await whenDoc(note.doc, () => bodyOf(note).length === 'offline alice '.length)
  await whenReads(atBob, bodyOf(note))
  await write(atBob, 'again ')
  await whenReads(note, bodyOf(atBob))
  assert.equal(await excludedAt(space), [])
})

test('who was removed comes back by a new invite of someone who may undo that, and of nobody else', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice, bob)
  await joinAs(space, carol, { role: 'admin' })
  await space.remove(bob.id)
  await Promise.all([whenRole(bob.space, bob, null), whenRole(carol.space, bob, null)])
  part(network, [alice], [bob, carol])
  const vain = bob.skein.join(await carol.space.invite(), { timeoutMs: 1_000 })
  await rejects(vain, 'INVITE_UNANSWERED')
  network.heal()
  await joinAs(space, bob)
  await whenRole(carol.space, bob, 'writer')
  const note = await bob.space.open('ideas')
  await write(note, 'back')
  await whenReads(await carol.space.open('ideas'), 'back')
})

test('all devices of a person are removed together', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using phone = await device('bob', network)
  await using laptop = await device('bob', network)
  const space = await spaceOf(alice, phone, laptop)
  await space.remove({ person: 'bob' })
  assert.equal(
    space.members().map(({ device: id }) => id),
    [alice.id]
  )
  await Promise.all([whenRole(phone.space, phone, null), whenRole(laptop.space, laptop, null)])
  await rejects(space.remove({ person: 'nobody' }), 'DEVICE_UNKNOWN')
})

test('who was let in while another made a new key is handed it', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  await using dave = await device('dave', network)
  const space = await spaceOf(alice, dave)
  await joinAs(space, bob, { role: 'admin' })
  part(network, [alice, dave], [bob, carol])
  await space.remove(dave.id)
  await joinAs(bob.space, carol)
  const note = await space.open('ideas')
  await write(note, 'under the new key')
  network.heal()
  await whenReads(await carol.space.open('ideas'), 'under the new key')
})

test('whom a removal had left out that has fallen is handed the key that came with it', async () => {
  // Each waits in its turn for another to hand a key over; here not for long.
  const { clock } = nodePlatform
  const after: Clock['after'] = (ms, callback) =>
    clock.after(ms > 0 && ms % 3_000 === 0 ? ms / 100 : ms, callback)
  const hasty: Partial<Platform> = {
    clock: { now: () => clock.now(), soon: (callback) => clock.soon(callback), after }
  }
  const network = new MemoryNetwork()
  await using alice = await device('alice', network, hasty)
  await using bob = await device('bob', network, hasty)
  await using carol = await device('carol', network, hasty)
  await using eve = await device('eve', network, hasty)
  const space = await spaceOf(alice, bob, carol)
  await joinAs(space, eve, { role: 'admin' })
  await Promise.all([bob, carol].map((one) => whenRole(one.space, eve, 'admin')))
  part(network, [alice, carol], [bob, eve])
  await space.remove(eve.id)
  // Eve does not know, and bob, who does as she says, writes under the key that carol does not get.
  await eve.space.remove(carol.id)
  await whenRole(bob.space, carol, null)
  await write(await bob.space.open('ideas'), 'bob ')
  network.heal()
  await Promise.all([bob, carol].map((one) => whenRole(one.space, eve, null)))
  await whenRole(bob.space, carol, 'writer')
  await whenReads(await space.open('ideas'), 'bob ')
  await whenReads(await carol.space.open('ideas'), 'bob ')
})

test('what is typed while entries are leaving never hangs on them, and what is typed after it arrives', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice, bob, carol)
  const note = await space.open('ideas')
  await write(note, 'alice ')
  const [atBob, atCarol] = [await bob.space.open('ideas'), await carol.space.open('ideas')]
  await Promise.all([whenText(atBob.doc, 'alice '), whenText(atCarol.doc, 'alice ')])
  part(network, [alice], [bob, carol])
  await write(atBob, 'late ')
  await whenText(atCarol.doc, 'alice late ')
  await space.remove(bob.id)
  const refused = once<DocumentEvents['error']>(
    (listener) => atCarol.on('error', listener),
    waitMs,
    'what was typed in vain is told of'
  )
  // oxlint-disable-next-line typescript/unbound-method -- called with the documents that it is a method of
  const { recount } = Documents.prototype
  Documents.prototype.recount = function (...args) {
    // It is known what leaves, and the document shows it still.
    if (bodyOf(atCarol) === 'alice late ')
      atCarol.doc.getText('body').insert('alice late '.length, 'typed ')
    return recount.apply(this, args)
  }
  try {
    network.heal()
    assert.is((await refused).error.code, 'EDIT_INVALID')
  } finally {
    Documents.prototype.recount = recount
  }
  await whenReads(atCarol, 'alice ')
  await write(atCarol, 'carol ')
  await whenReads(note, 'alice carol ')
  assert.is(bodyOf(atCarol), 'alice carol ')
  await carol.restart()
  const again = await carol.space.open('ideas')
  await write(again, 'again ')
  await whenReads(note, 'alice carol again ')
})

test('what is typed while entries are leaving, and the document closed, holds nothing up that is written later', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice, bob, carol)
  const note = await space.open('ideas')
  await write(note, 'alice ')
  const [atBob, atCarol] = [await bob.space.open('ideas'), await carol.space.open('ideas')]
  await Promise.all([whenText(atBob.doc, 'alice '), whenText(atCarol.doc, 'alice ')])
  part(network, [alice], [bob, carol])
  await write(atBob, 'late ')
  await whenText(atCarol.doc, 'alice late ')
  await space.remove(bob.id)
  let closed: Promise<void> | null = null
  // oxlint-disable-next-line typescript/unbound-method -- called with the documents that it is a method of
  const { recount } = Documents.prototype
  Documents.prototype.recount = function (...args) {
    if (closed === null && bodyOf(atCarol) === 'alice late ') {
      atCarol.doc.getText('body').insert('alice late '.length, 'typed ')
      closed = atCarol.close()
    }
    return recount.apply(this, args)
  }
  try {
    network.heal()
    await until(
      (listener) => carol.space.on('excluded', listener),
      () => closed !== null
    )
    await deadline(closed!, waitMs, 'the document is closed')
  } finally {
    Documents.prototype.recount = recount
  }
  const again = await carol.space.open('ideas')
  assert.is(bodyOf(again), 'alice ')
  await write(again, 'again ')
  await whenReads(note, 'alice again ')
})

test('a document that is closed while entries leave it is opened again without them', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const [note, atBob] = [await space.open('ideas'), await bob.space.open('ideas')]
  await write(note, 'alice ')
  await whenText(atBob.doc, 'alice ')
  part(network, [alice], [bob])
  await write(atBob, 'late ')
  await space.remove(bob.id)
  // oxlint-disable-next-line typescript/unbound-method -- called with the views that it is a method of
  const { refile } = ViewStore.prototype
  const closed = new Promise<void>((resolve) => {
    ViewStore.prototype.refile = async function (...args) {
      await refile.apply(this, args)
      resolve(atBob.close())
    }
  })
  try {
    network.heal()
    await deadline(closed, waitMs, 'bob’s document is closed')
  } finally {
    ViewStore.prototype.refile = refile
  }
  assert.is(bodyOf(await bob.space.open('ideas')), 'alice ')
  await bob.restart()
  assert.is(bodyOf(await bob.space.open('ideas')), 'alice ')
})

test('a demoted writer reads on and writes no more; promoted again it writes', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const [note, atBob] = [await space.open('ideas'), await bob.space.open('ideas')]
  await space.grant(bob.id, 'reader')
  await whenRole(bob.space, bob, 'reader')
  assert.ok(atBob.readOnly)
  await write(note, 'read this ')
  await whenReads(atBob, 'read this ')
  await space.grant(bob.id, 'writer')
  await whenRole(bob.space, bob, 'writer')
  await write(atBob, 'thanks')
  await whenReads(note, 'read this thanks')
})

test('nobody changes the role of an equal or a higher one, nor gives what is not lower than its own', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice)
  await joinAs(space, bob, { role: 'admin' })
  await joinAs(space, carol, { role: 'admin' })
  await whenRole(bob.space, carol, 'admin')
  await rejects(bob.space.remove(carol.id), 'NOT_ALLOWED')
  await rejects(bob.space.remove(alice.id), 'NOT_ALLOWED')
  await rejects(bob.space.grant(carol.id, 'writer'), 'NOT_ALLOWED')
  await rejects(bob.space.remove(bob.id), 'NOT_ALLOWED')
  await rejects(space.grant('00'.repeat(32), 'writer'), 'DEVICE_UNKNOWN')
  // Once a higher one has demoted an equal, it can be removed.
  await space.grant(carol.id, 'writer')
  await whenRole(bob.space, carol, 'writer')
  await bob.space.remove(carol.id)
  await Promise.all([whenRole(space, carol, null), whenRole(carol.space, carol, null)])
  // An admin that was removed and comes back as a writer is one.
  await joinAs(space, carol)
  await whenRole(carol.space, carol, 'writer')
  assert.is(roleOf(space, carol), 'writer')
  // What a higher one has cut, a lower one does not lift.
  await space.grant(carol.id, 'admin')
  await space.remove(carol.id)
  await whenRole(bob.space, carol, null)
  await rejects(bob.space.grant(carol.id, 'writer'), 'NOT_ALLOWED')
})

test.run()
