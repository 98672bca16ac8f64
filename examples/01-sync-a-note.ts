// Two devices, one note, no server: the second gets what the first wrote.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Skein } from 'skein'
import { runDht } from 'skein/adapters/dht'
import { hyperswarm } from 'skein/adapters/hyperswarm'

// On the internet leave `bootstrap` out, and the two can be anywhere. Here they meet on this machine alone.
const dht = await runDht()
const folder = await mkdtemp(join(tmpdir(), 'skein-'))
const device = (name: string) =>
  new Skein({
    storage: join(folder, name),
    name,
    transports: [hyperswarm({ bootstrap: dht.bootstrap })]
  })

const alice = device('alice')
const space = await alice.createSpace({ name: 'Notes' })
const note = await space.open('ideas')
note.doc.getText('body').insert(0, 'Hello')
await note.saved() // On disk: it would survive a power cut.

const bob = device('bob')
const joined = await bob.join(await space.invite())
const same = await joined.open('ideas')
await same.whenSynced()
console.log('bob reads:', same.doc.getText('body').toString())

await bob.close()
await alice.close()
await dht.close()
