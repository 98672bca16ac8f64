/** A member that makes a content key seals junk to one of the others: that one says so, and whoever holds the key hands it over. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { platform } from '../../adapters/node/platform.ts'
import { equalBytes } from '../../lib/bytes.ts'
import { KeyRing } from '../../lib/trust/keys.ts'
import {
  device,
  joinAs,
  spaceOf,
  until,
  waitMs,
  whenSynced,
  whenText,
  type Device
} from '../devices.ts'
import { deadline } from '../events.ts'

const test = suite('junk in place of keys')

/** What is mended after seconds is mended after hundredths. */
const { clock } = platform
const hasty: typeof clock = {
  now: () => clock.now(),
  soon: (callback) => clock.soon(callback),
  after: (ms, callback) => clock.after(ms > 0 && ms % 3_000 === 0 ? ms / 100 : ms, callback)
}

/** As long as it runs, what is sealed to the device cannot be opened. */
async function sealingJunkTo(victim: Device, run: () => Promise<void>): Promise<void> {
  type Seal = KeyRing['sealEpochKeyTo']
  const seals = KeyRing.prototype as {
    sealEpochKeyTo: (this: KeyRing, ...args: Parameters<Seal>) => Uint8Array
  }
  const before = seals.sealEpochKeyTo
  seals.sealEpochKeyTo = function (...args) {
    const sealed = before.apply(this, args)
    return equalBytes(args[1], victim.key) ? sealed.fill(7) : sealed
  }
  try {
    await run()
  } finally {
    seals.sealEpochKeyTo = before
  }
}

test('who cannot open what was sealed to it is handed the key by another, and reads on', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network, { clock: hasty })
  await using bob = await device('bob', network, { clock: hasty })
  await using carol = await device('carol', network, { clock: hasty })
  await using dave = await device('dave', network, { clock: hasty })
  await using mallory = await device('mallory', network, { clock: hasty })
  const space = await spaceOf(alice, bob, dave)
  await joinAs(space, carol, { role: 'reader' })
  await joinAs(space, mallory, { role: 'admin' })
  const note = await mallory.space.open('plans')
  await until(
    (listener) => mallory.space.on('members', listener),
    () => mallory.space.members().length === 5,
    'mallory knows all'
  )
  await dave.skein.close()
  await sealingJunkTo(carol, () => mallory.space.remove(dave.id))
  note.doc.getText('body').insert(0, 'for all')
  await deadline(note.saved({ peers: 2 }), waitMs, 'others hold it')
  await whenText((await bob.space.open('plans')).doc, 'for all')
  await whenText((await carol.space.open('plans')).doc, 'for all')
  // She has said so once, and was answered once.
  await deadline(whenSynced(carol.space), waitMs, 'carol has all')
  const shares: string[] = []
  for await (const { kind, author } of carol.space.history())
    if (kind === 'keyShare') shares.push(author)
  assert.is(shares.filter((author) => author === 'carol').length, 1)
  assert.ok(shares.length >= 2)
  await dave.start()
})

test.run()
