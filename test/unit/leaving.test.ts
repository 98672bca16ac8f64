/** Devices that leave a space, and what stays. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type * as Y from 'yjs'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { platform as nodePlatform } from '../../adapters/node/platform.ts'
import type { Document, Platform } from '../../lib/index.ts'
import { deadline } from '../events.ts'
import { device, joinAs, spaceOf, until, waitMs, whenPeer, whenText } from '../devices.ts'

const test = suite('leaving')

function bodyOf(document: Document): Y.Text {
  return document.doc.getText('body')
}

test('bob leaves, and joins again by a new invite with what he had written', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const note = await space.open('ideas')
  const first = await bob.space.open('ideas')
  bodyOf(first).insert(0, 'bob was here')
  await whenText(note.doc, 'bob was here')
  await bob.space.leave()
  assert.equal(bob.skein.spaces(), [])
  await until(
    (listener) => space.on('members', listener),
    () => space.members().length === 1
  )
  await whenPeer(space, bob, false)
  bodyOf(note).insert(0, 'Yes, ')
  await note.saved()

  const again = await joinAs(space, bob)
  assert.is(again.role, 'writer')
  const second = await again.open('ideas')
  await whenText(second.doc, 'Yes, bob was here')
  bodyOf(second).insert(17, ' twice')
  await whenText(note.doc, 'Yes, bob was here twice')
})

test('who has left no longer counts as holding an edit', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const note = await space.open('ideas')
  bodyOf(note).insert(0, 'a')
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob holds it')
  await bob.space.leave()
  await until(
    (listener) => note.on('safety', listener),
    () => note.safety.devices.length === 0
  )
})

test('what a device wrote is durable in its store before leaving lets go of the outbox', async () => {
  const calls: string[] = []
  const openStorage: Platform['openStorage'] = async (location) => {
    const storage = await nodePlatform.openStorage(location)
    const sync = storage.sync.bind(storage)
    const remove = storage.removeOutbox.bind(storage)
    storage.sync = async () => {
      await sync()
      calls.push('synced')
    }
    storage.removeOutbox = async (name) => {
      calls.push('removed')
      await remove(name)
    }
    return storage
  }
  await using alice = await device('alice', new MemoryNetwork(), { openStorage })
  const space = await spaceOf(alice)
  bodyOf(await space.open('ideas')).insert(0, 'a')
  const closed = space.close.bind(space)
  space.close = async () => {
    await closed()
    calls.push('closed')
  }
  await space.leave()
  assert.equal(calls.slice(calls.indexOf('closed')), ['closed', 'synced', 'removed'])
})

test('after the one who made the space has left, the others write on', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol', network)
  const space = await spaceOf(alice, bob, carol)
  await whenPeer(bob.space, carol)
  await space.leave()
  for (const { space: left } of [bob, carol]) {
    await until(
      (listener) => left.on('members', listener),
      () => left.members().length === 2
    )
    assert.not(left.readOnly)
  }
  const note = await bob.space.open('ideas')
  bodyOf(note).insert(0, 'on we go')
  await whenText((await carol.space.open('ideas')).doc, 'on we go')
})

test.run()
