/** What a device and a space offer in Node, they offer in a tab, under the same names. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Skein } from '../../lib/skein.ts'
import { Space } from '../../lib/space.ts'
import { TabSkein } from '../../lib/tabs/tab-skein.ts'
import { TabSpace } from '../../lib/tabs/tab-space.ts'

const face = suite('the face of a tab')

/** The internals of a space, which the tab that leads has alone. */
const internal = [
  'topic',
  'topicSecret',
  'attachable',
  'whenMember',
  'connected',
  'asks',
  'copiesChanged',
  'epochKeys',
  'noteFormer',
  'stepAside',
  'takeIn',
  'opens'
]

face('a device in a tab has every member of Skein', () => {
  const missing = Object.getOwnPropertyNames(Skein.prototype).filter(
    (name) => !(name in TabSkein.prototype)
  )
  assert.equal(
    missing,
    [],
    'add them to lib/tabs/tab-skein.ts, and what they ask to lib/tabs/leader.ts'
  )
})

face('a space in a tab has every member of Space', () => {
  const missing = Object.getOwnPropertyNames(Space.prototype).filter(
    (name) => !internal.includes(name) && !(name in TabSpace.prototype)
  )
  assert.equal(missing, [])
})

face('what a space answers without waiting, a tab answers by itself', () => {
  const asked = Object.entries(Object.getOwnPropertyDescriptors(Space.prototype))
    .filter(([name]) => !internal.includes(name))
    .filter(([, { value }]) => !/Async/.test(Object.prototype.toString.call(value)))
    .map(([name]) => name)
  assert.ok(asked.includes('members') && asked.includes('role'))
  const waiting = asked.filter((name) => {
    const own = Object.getOwnPropertyDescriptor(TabSpace.prototype, name)
    return typeof own?.value === 'function' && own.value.name === 'method'
  })
  assert.equal(
    waiting,
    [],
    'add them to SpaceState in lib/tabs/messages.ts, and to lib/tabs/tab-space.ts'
  )
})

face.run()
