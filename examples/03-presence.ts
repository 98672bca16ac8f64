// Who else is here, and where their cursor is: presence travels beside the logs and never enters them.
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
const space = await alice.createSpace({ name: 'Notes' })
const joined = await bob.join(await space.invite())
const note = await space.open('ideas')
const same = await joined.open('ideas')

const seen = new Promise<void>((resolve) => {
  note.awareness.on('change', () => {
    for (const { user } of note.awareness.getStates().values()) {
      if (user?.name !== 'Bob') continue
      console.log(`alice sees ${user.name} at character ${user.cursor}`)
      resolve()
    }
  })
})
same.awareness.setLocalStateField('user', { name: 'Bob', color: '#d08770', cursor: 12 })
await seen

const gone = new Promise<void>((resolve) => {
  note.on('peers', ({ removed }) => {
    if (removed.includes(bob.id)) resolve()
  })
})
await bob.close()
await gone
console.log('states left:', note.awareness.getStates().size)
await alice.close()
