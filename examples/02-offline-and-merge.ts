// Both write while apart, in the same place, and keep everything when they meet again.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Skein } from 'skein'
import { memory, MemoryNetwork } from 'skein/adapters/memory'

const folder = await mkdtemp(join(tmpdir(), 'skein-'))
const network = new MemoryNetwork()
const device = (name: string) =>
  new Skein({ storage: join(folder, name), name, transports: [memory(network)] })

const alice = device('alice')
let bob = device('bob')
const space = await alice.createSpace({ name: 'Shopping' })
const joined = await bob.join(await space.invite())
const list = await space.open('list')
list.doc.getText('body').insert(0, 'bread')
await list.saved({ peers: 1 }) // … and on bob's disk, with all it depends on.

await bob.close() // Bob's laptop is shut.
list.doc.getText('body').insert(5, ', milk')
await list.saved()
await alice.close()

bob = device('bob') // Bob writes alone: his note is all there.
await bob.ready()
const alone = await bob.space(joined.id).open('list')
alone.doc.getText('body').insert(5, ', eggs')
await alone.saved()

const again = device('alice')
await again.ready()
const merged = await again.space(space.id).open('list')
await merged.whenSynced()
await alone.whenSynced()
console.log('alice reads:', merged.doc.getText('body').toString())
console.log('bob reads:  ', alone.doc.getText('body').toString())

await again.close()
await bob.close()
