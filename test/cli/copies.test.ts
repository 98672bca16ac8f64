// A home that was copied and is used beside its original, as people see it: told, renewed, asked for, let in.
import { cpSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { runDht } from '../../adapters/dht.ts'
import { Folder } from './skein.ts'

const test = suite('copied homes')

test('a copied home steps aside, is renewed, asks, is let in, and writes under its own name', async () => {
  await using folder = await Folder.make()
  const dht = await runDht()
  try {
    const env = { SKEIN_BOOTSTRAP: `${dht.host}:${dht.port}` }
    const laptop = folder.home('laptop', { env })
    const phone = folder.home('phone', { env })
    await laptop.run(['init', '--name', 'laptop', '--person', 'Alice'])
    await laptop.run(['create', 'Notes'])
    await laptop.run(['write', 'packing'], 'tent\n')
    await using atLaptop = laptop.start(['sync'])
    await atLaptop.says('Keeping in step')
    const link = (await laptop.run(['invite'])).match(/skein:\S+/)![0]
    await phone.run(['init', '--name', 'phone', '--person', 'Bob'])
    await phone.run(['join', link])
    await phone.run(['sync', '--once'])

    const tablet = folder.home('tablet', { env })
    cpSync(phone.path, tablet.path, { recursive: true, preserveTimestamps: true })
    assert.is((await phone.end(['renew', '--yes', '--timeout', '1s'])).code, 4)
    await using atPhone = phone.start(['sync'])
    await atPhone.says('laptop is connected')
    {
      await using atTablet = tablet.start(['sync'])
      await Promise.all([
        atTablet.says('This home is a copy of one that is in use elsewhere'),
        atPhone.says('A copy of this home is in use elsewhere')
      ])
      assert.match(await tablet.run(['status']), 'read-only')
      const busy = await tablet.end(['renew', '--yes'])
      assert.is(busy.code, 75)
      await atTablet.interrupt()
    }
    const unsure = await tablet.end(['renew'])
    assert.is(unsure.code, 2)
    assert.match(unsure.stderr, '--yes')
    assert.match(
      await tablet.run(['renew', '--name', 'tablet', '--yes']),
      'a device of its own now'
    )
    assert.is(await tablet.run(['cat', 'packing']), 'tent\n')
    await using atTablet = tablet.start(['sync'])
    await atLaptop.says('tablet, a copy of phone, asks to be let in')
    assert.match(await laptop.run(['admit']), /tablet.*of Bob.*a copy of phone/)
    assert.is((await laptop.end(['admit', 'nobody', '--timeout', '1s'])).code, 5)
    assert.match(await laptop.run(['admit', 'tablet']), 'Let tablet into Notes, as writer')
    await atTablet.says('tablet is in, as writer')
    await tablet.run(['append', 'packing'], 'socks\n')
    await atLaptop.says('tablet changed packing')
    assert.is(await laptop.run(['cat', 'packing']), 'tent\nsocks\n')
    assert.match(await laptop.run(['members']), /phone[^]*tablet|tablet[^]*phone/)
  } finally {
    await dht.close()
  }
})

test.run()
