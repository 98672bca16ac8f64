// What is no text document: an app's own events, signed, ordered by cause and effect, on every device alike.
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
const bob = device('bob')
const space = await alice.createSpace({ name: 'Household' })
const joined = await bob.join(await space.invite())

await space.append('expense', { cents: 1250, what: 'groceries' })
// Bob answers what he has read, so his entry comes behind hers everywhere.
for await (const { value } of joined.entries({ type: 'expense', live: true })) {
  await joined.append('settled', value)
  break
}
for await (const { type, value, device: by } of space.entries({ live: true })) {
  const who = space.members().find((member) => member.device === by)
  console.log(`${who?.name}: ${type} ${JSON.stringify(value)}`)
  if (type === 'settled') break
}

await bob.close()
await alice.close()
