// Where a space's entries are, as people ask: what each member holds, and what it has that is not here.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { device, spaceOf, until, whenPeer, whenSynced } from '../devices.ts'

const test = suite('replicas')

test('a member that is connected holds everything once it has said so, and is known to after it went', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const note = await space.open('ideas')
  note.doc.getText('body').insert(0, 'Hello')
  await note.saved({ peers: 1 })
  const [replica, ...others] = space.replicas()
  assert.is(others.length, 0)
  assert.is(replica?.device, bob.id)
  assert.is(replica?.isConnected, true)
  assert.is(replica?.transport, 'memory')
  await until(
    (listener) => space.on('holdings', listener),
    () => space.replicas()[0]?.lacks === 0
  )

  await bob.skein.close()
  await whenPeer(space, bob, false)
  note.doc.getText('body').insert(5, ', Bob')
  await note.saved()
  const [away] = space.replicas()
  assert.is(away?.isConnected, false)
  assert.is(away?.transport, null)
  assert.is(away?.lacks, 1)
  assert.is(away?.lacksOfMine, 1)

  // It is known to a process that has not met bob.
  await alice.restart()
  const [kept] = alice.space.replicas()
  assert.equal({ ...kept, asOfMs: 0 }, { ...away, asOfMs: 0 })
  assert.ok(kept!.asOfMs! >= away!.asOfMs!)
})

test('what a member has that is not here is counted, until it is', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  await whenSynced(space)
  await alice.skein.close()
  const [bobs] = bob.skein.spaces()
  const note = await bobs!.open('ideas')
  for (const word of ['one', 'two', 'three']) {
    note.doc.getText('body').insert(0, word)
    await note.saved()
  }
  await alice.start()
  assert.is(alice.space.missing, 0)
  await whenSynced(alice.space)
  assert.is(alice.space.missing, 0)
  assert.is(alice.space.received.entries, 3)
  assert.ok(alice.space.received.bytes > 3 * 100)
  assert.is(alice.space.replicas()[0]?.isAhead, 0)
  await until(
    (listener) => alice.space.on('holdings', listener),
    () => alice.space.replicas()[0]?.lacks === 0
  )
})

test.run()
