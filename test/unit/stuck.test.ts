/** What is lacking and does not come, though the peer that has it is connected. */
import { suite } from 'uvu'
import { platform } from '../../adapters/node/platform.ts'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { device, spaceOf, whenSynced, whenText } from '../devices.ts'

const test = suite('stuck')

test('what never comes over one connection is fetched over another', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  // The looks for what is lacking are a second apart; here, 20 ms.
  const { clock } = platform
  const hasty: typeof clock = {
    now: () => clock.now(),
    soon: (callback) => clock.soon(callback),
    after: (ms, callback) => clock.after(ms === 1_000 ? 20 : ms, callback)
  }
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

test.run()
