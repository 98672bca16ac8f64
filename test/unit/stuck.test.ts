/** What is lacking and does not come, though the peer that has it is connected. */
import { suite } from 'uvu'
import { platform } from '../../adapters/node/platform.ts'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { device, spaceOf, waitMs, whenSynced, whenText } from '../devices.ts'
import { deadline } from '../events.ts'

const test = suite('stuck')

/** The looks for what is lacking are a second apart; here, 20 ms. */
const { clock } = platform
const hasty: typeof clock = {
  now: () => clock.now(),
  soon: (callback) => clock.soon(callback),
  after: (ms, callback) => clock.after(ms === 1_000 ? 20 : ms, callback)
}

test('what never comes over one connection is fetched over another', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network, { clock: hasty })
  const note = await (await spaceOf(alice, bob)).open('ideas')
  note.doc.getText('body').insert(0, 'one')
  const bobs = await bob.space.open('ideas')
  await whenText(bobs.doc, 'one')
  await whenSynced(bob.space)
  // Both stay connected, and nothing is replicated any more.
  for (const channel of bob.channelsTo(alice)) {
    if (channel.protocol.startsWith('hypercore')) (channel as unknown as { close(): void }).close()
  }
  note.doc.getText('body').insert(3, ' two')
  await whenText(bobs.doc, 'one two')
})

test('a peer that took what came for wrong, and has all there is, still gives the others what they lack', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network, { clock: hasty })
  await using bob = await device('bob', network)
  const note = await (await spaceOf(alice, bob)).open('ideas')
  note.doc.getText('body').insert(0, 'one')
  const bobs = await bob.space.open('ideas')
  await whenText(bobs.doc, 'one')
  await whenSynced(bob.space)
  await deadline(note.saved({ peers: 1 }), waitMs, 'bob is level')
  // A paused peer is asked for nothing, and what it asks for is not answered.
  for (const channel of alice.channelsTo(bob)) {
    const peer = channel.userData as { paused: boolean } | null
    if (channel.protocol.startsWith('hypercore')) peer!.paused = true
  }
  note.doc.getText('body').insert(3, ' two')
  // Sooner than bob, whose looks are a second apart, gives the connection up.
  await deadline(whenText(bobs.doc, 'one two'), 10_000, 'the rest')
})

test.run()
