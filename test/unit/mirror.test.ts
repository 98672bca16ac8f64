// Mirrors: they keep a space available and read nothing of it.
import { cp, rename, rm } from 'node:fs/promises'
import Protomux from 'protomux'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { platform } from '../../adapters/node/platform.ts'
import type { Replica } from '../../lib/index.ts'
import {
  device,
  joinAs,
  rejects,
  spaceOf,
  until,
  waitMs,
  whenPeer,
  whenText,
  whenSynced,
  wordsIn
} from '../devices.ts'
import { deadline } from '../events.ts'

const test = suite('mirrors')

/** Looks for what is lacking every 10 ms, not every second. */
const { clock } = platform
const hasty: typeof clock = {
  now: () => clock.now(),
  soon: (callback) => clock.soon(callback),
  after: (ms, callback) => clock.after(ms === 1_000 ? 10 : ms, callback)
}

test('two devices that are never online together meet by a mirror, which reads nothing', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using mirror = await device('shelf', network)
  const space = await spaceOf(alice, bob)
  const mirrored = await joinAs(space, mirror, { role: 'mirror' })
  assert.is(mirrored.role, 'mirror')
  assert.is(mirrored.readOnly, true)
  await bob.skein.close()

  const note = await space.open('canary-document')
  note.doc.getText('body').insert(0, 'canary-text')
  await space.append('canary-event', { canary: 1 })
  await deadline(note.saved({ peers: 1 }), waitMs, 'the mirror has it')
  await alice.skein.close()
  await mirror.restart()

  await bob.start()
  const same = await bob.space.open('canary-document')
  await whenText(same.doc, 'canary-text')
  same.doc.getText('body').insert(0, 'bob: ')
  await deadline(same.saved({ peers: 1 }), waitMs, 'the mirror has it')
  await bob.skein.close()

  await alice.start()
  const back = await alice.space.open('canary-document')
  await whenText(back.doc, 'bob: canary-text')

  await whenSynced(mirror.space)
  assert.equal(mirror.space.documents(), [])
  assert.is(mirror.space.waiting, 0)
  await alice.skein.close()
  await mirror.skein.close()
  const words = ['canary-document', 'canary-text', 'canary-event']
  assert.equal(await wordsIn(mirror.folder, words), [])
  assert.equal(
    await wordsIn(alice.folder, words),
    words,
    'where it is read, the same search finds it'
  )
  await Promise.all([alice.start(), bob.start(), mirror.start()])
})

test('a member hands its space to a mirror by the mirror’s address, and takes it back', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using mirror = await device('shelf', network)
  const address = await mirror.skein.mirror()
  assert.match(address, /^skein-mirror:[\w-]+$/)
  const space = await spaceOf(alice)
  const added = await deadline(space.addMirror(address, { timeoutMs: waitMs }), waitMs, 'added')
  assert.is(added.device, mirror.id)
  assert.is(added.role, 'mirror')
  assert.equal(await space.invites(), [], 'what let it in lets nobody else in')
  const note = await space.open('ideas')
  note.doc.getText('body').insert(0, 'one')
  await deadline(note.saved({ mirrors: 1 }), waitMs, 'the mirror has it')
  assert.is(mirror.space.name, 'Notes')

  // Another of its spaces; and the same once more is no error. The address is the same in the mirror's next process.
  await mirror.restart()
  assert.is(await mirror.skein.mirror(), address)
  const other = await alice.skein.createSpace({ name: 'Plans' })
  await deadline(other.addMirror(address, { timeoutMs: waitMs }), waitMs, 'added')
  assert.is((await other.addMirror(address)).device, mirror.id)
  await deadline(other.saved({ mirrors: 1 }), waitMs, 'the mirror has that one')
  assert.is(mirror.skein.spaces().length, 2)

  await space.remove(mirror.id)
  await until(
    (listener) => mirror.skein.space(space.id).on('members', listener),
    () => mirror.skein.space(space.id).role === null
  )
  assert.equal(
    space.members().map(({ name }) => name),
    ['alice']
  )
})

test('a mirror that is not met, an address that is none, a role that does not allow it', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const address = await bob.skein.mirror()
  await rejects(bob.space.addMirror(address.slice(0, -3)), 'INVITE_INVALID')
  await bob.skein.close()
  await using shelf = await device('shelf', new MemoryNetwork())
  const elsewhere = await shelf.skein.mirror({ hints: ['here:1'] })
  await rejects(space.addMirror(elsewhere, { timeoutMs: 50 }), 'INVITE_UNANSWERED')
  await rejects(space.addMirror(elsewhere, { signal: AbortSignal.timeout(50) }), 'ABORTED')
  assert.equal(await space.invites(), [], 'an invite that nobody came by is taken back')
  await bob.start()
  await rejects(bob.space.addMirror(elsewhere), 'NOT_ALLOWED')
})

test('it is told when a copy no longer has what it had confirmed, which then counts for nothing', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using mirror = await device('shelf', network)
  const space = await spaceOf(alice)
  await joinAs(space, mirror, { role: 'mirror' })
  const note = await space.open('ideas')
  const body = note.doc.getText('body')
  body.insert(0, 'one')
  await deadline(note.saved({ mirrors: 1 }), waitMs, 'the mirror has the first')
  await mirror.skein.close()
  const backup = `${mirror.folder}-backup`
  await cp(mirror.folder, backup, { recursive: true })
  await mirror.start()
  for (const word of [' two', ' three']) {
    body.insert(body.length, word)
    await deadline(note.saved({ mirrors: 1 }), waitMs, 'the mirror has more')
  }
  const failed: object[] = []
  await mirror.skein.close()
  await whenPeer(space, mirror, false)
  await rm(mirror.folder, { recursive: true })
  await rename(backup, mirror.folder)

  // Alice knows from before, whatever she has heard since she started.
  await alice.restart()
  const again = alice.space
  again.on('copy-failed', (failure) => failed.push(failure))
  const reopened = await again.open('ideas')
  assert.equal(again.replicas()[0]?.lost, 0)
  await mirror.start()
  await whenPeer(again, mirror)
  await until(
    (listener) => again.on('copy-failed', listener),
    () => failed.length > 0
  )
  assert.equal(failed, [{ device: mirror.id, why: 'lost', entries: 2 }])
  // It fetches what it lacks, and is as good as before.
  await deadline(reopened.saved({ mirrors: 1 }), waitMs, 'the mirror has it again')
  assert.is(again.replicas()[0]?.lost, 0)
  assert.is(failed.length, 1)
})

test('one that says it has what it does not give is told of, and does not count', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network, { clock: hasty })
  await using mirror = await device('shelf', network)
  const space = await spaceOf(alice, bob)
  await joinAs(space, mirror, { role: 'mirror' })
  await bob.skein.close()
  const note = await space.open('ideas')
  note.doc.getText('body').insert(0, 'one')
  await deadline(note.saved({ mirrors: 1 }), waitMs, 'the mirror has it')
  await alice.skein.close()

  // It takes part in everything but the logs.
  let isHostile = true
  mirror.onStream = (stream) => {
    const mux = Protomux.from(stream) as unknown as { createChannel(o: object): object | null }
    const create = mux.createChannel.bind(mux)
    mux.createChannel = (options) => {
      const isLog = (options as { protocol: string }).protocol.startsWith('hypercore')
      return isHostile && isLog ? null : create(options)
    }
  }
  await mirror.restart()
  await bob.start()
  const failed: object[] = []
  bob.space.on('copy-failed', (failure) => failed.push(failure))
  await until(
    (listener) => bob.space.on('copy-failed', listener),
    () => failed.length > 0
  )
  assert.equal(failed, [{ device: mirror.id, why: 'withheld', entries: 1 }])
  const replica = (): Replica => bob.space.replicas().find(({ device }) => device === mirror.id)!
  assert.is(replica().withholds, 1)
  const bobs = await bob.space.open('own')
  await rejects(bobs.saved({ mirrors: 1, signal: AbortSignal.timeout(100) }), 'ABORTED')

  isHostile = false
  mirror.streamTo(bob).destroy()
  const same = await bob.space.open('ideas')
  await whenText(same.doc, 'one')
  await deadline(same.saved({ mirrors: 1 }), waitMs, 'the mirror counts again')
  assert.is(replica().withholds, 0)
  await alice.start()
})

test.run()
