/** Logs whose end came before their middle, and whose author is gone: see `lib/sync/gaps.ts`. */
import Replicator from 'hypercore/lib/replicator.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { equalBytes, fromHex } from '../../lib/bytes.ts'
import { logKeyOf } from '../../lib/log/log.ts'
import { device, spaceOf, until, waitMs, whenDoc, whenPeer, whenText } from '../devices.ts'
import { eventually } from '../events.ts'
import { Inside } from './hostile.ts'

const test = suite('gaps')

test('who has the end of a log, and not its middle, gets on by who has less of it and no gap', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using eve = await device('eve', network)
  const space = await spaceOf(alice, bob, eve)
  const [note, atBob] = [await space.open('ideas'), await bob.space.open('ideas')]
  const atEve = await eve.space.open('ideas')
  const write = async (at: typeof note, text: string): Promise<void> => {
    const body = at.doc.getText('body')
    body.insert(body.length, text)
    await at.saved()
  }
  await write(atEve, '1')
  await Promise.all([whenText(note.doc, '1'), whenText(atBob.doc, '1')])
  network.partition([[alice.key, eve.key], [bob.key]])
  await write(atEve, '2')
  await write(atEve, '3')
  await whenText(note.doc, '123')
  network.partition([[alice.key], [bob.key], [eve.key]])
  await write(atEve, '4')
  await write(atEve, '5')

  // Asked by bob now, eve gives the new end with its block, and is gone before she gives the others.
  const key = logKeyOf({ space: fromHex(space.id), device: eve.key, core: 'content/0' })
  const log = new Inside(bob.id, space.id).feed.logs.find((one) => equalBytes(one.key, key))!
  // oxlint-disable-next-line typescript/unbound-method -- called with the replicator that it is a method of
  const { _addPeer: addPeer } = Replicator.prototype
  Replicator.prototype._addPeer = function (peer) {
    addPeer.call(this, peer)
    if (!equalBytes(this.core.header.key, key)) return
    const handle = peer._handleRequest.bind(peer)
    peer._handleRequest = async (request) => {
      if (request.upgrade != null) await handle(request)
    }
  }
  try {
    network.partition([[alice.key], [bob.key, eve.key]])
    await eventually(() => log.length === 5, { deadlineMs: waitMs, what: 'bob has the end' })
    network.partition([[alice.key], [bob.key], [eve.key]])
    await whenPeer(bob.space, eve, false)
  } finally {
    Replicator.prototype._addPeer = addPeer
  }
  assert.is(log.contiguousLength, 1)
  await write(note, ' alice')

  network.partition([[alice.key, bob.key], [eve.key]])
  await whenText(atBob.doc, '123 alice')
  assert.is(log.contiguousLength, 3)
  network.heal()
  // What alice and eve wrote apart stands in either order.
  const isWhole = ({ doc }: typeof note): boolean =>
    ['123 alice45', '12345 alice'].includes(doc.getText('body').toJSON())
  await Promise.all([note, atBob].map((one) => whenDoc(one.doc, () => isWhole(one), 'all of it')))
  assert.is(atBob.doc.getText('body').toJSON(), note.doc.getText('body').toJSON())
  await until(
    (listener) => bob.space.on('synced', listener),
    () => bob.space.synced
  )
})

test.run()
