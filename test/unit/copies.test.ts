/** Two copies of one device's folder that run at a time: one steps aside, whichever is found first. */
import { cpSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { memory, MemoryNetwork } from '../../adapters/memory.ts'
import { Skein, type Document, type Space } from '../../lib/index.ts'
import { scratch } from '../crash/lab.ts'
import { rejects, until, whenText } from '../devices.ts'
import { deadline } from '../events.ts'
import { stepsAside } from '../../lib/trust/copy.ts'

const test = suite('copies that run')

async function start(folder: string, name: string, network: MemoryNetwork): Promise<Skein> {
  const skein = new Skein({ storage: folder, name, transports: [memory(network)] })
  await skein.ready()
  return skein
}

async function write(document: Document, text: string): Promise<void> {
  const body = document.doc.getText('body')
  body.insert(body.length, text)
  await document.saved()
}

function whenCopied(skein: Skein, where: 'here' | 'elsewhere'): Promise<void> {
  return until(
    (listener) => skein.on('copied', listener),
    () => skein.copied === where,
    `it is told of the copy (${where})`
  )
}

function copy(from: string, to: string): void {
  cpSync(from, to, { recursive: true, preserveTimestamps: true })
}

/** Alice, the owner, and bob, whose folder is to be copied. */
async function pair(folder: string): Promise<{
  network: MemoryNetwork
  alice: Skein
  atAlice: Space
  bob: Skein
  atBob: Space
}> {
  const network = new MemoryNetwork()
  const alice = await start(`${folder}/alice`, 'alice', network)
  const bob = await start(`${folder}/bob`, 'bob', network)
  const atAlice = await alice.createSpace({ name: 'Notes' })
  const atBob = await bob.join(await atAlice.invite())
  await write(await atBob.open('plans'), 'first;')
  await deadline((await atBob.open('plans')).saved({ peers: 1 }), 20_000, 'alice holds the first')
  return { network, alice, atAlice, bob, atBob }
}

test('the copy of a running folder steps aside before it writes, and the original is told', async () => {
  using folder = scratch('copies')
  const { network, alice, atAlice, bob, atBob } = await pair(folder.path)
  copy(`${folder.path}/bob`, `${folder.path}/copy`)
  const told = whenCopied(bob, 'elsewhere')
  const clone = await start(`${folder.path}/copy`, 'bob', network)
  const atClone = clone.spaces()[0]!
  const forks: string[] = []
  for (const space of [atAlice, atBob]) space.on('fork', ({ device }) => forks.push(device))
  const errors: string[] = []
  atClone.on('storage', ({ error }) => errors.push(error?.code ?? 'none'))
  await Promise.all([whenCopied(clone, 'here'), told])
  assert.ok(atClone.readOnly)
  assert.ok(errors.includes('COPIED'), errors.join())
  assert.not(atBob.readOnly)
  await deadline(rejects(atClone.leave(), 'COPIED'), 20_000, 'it cannot leave')
  await deadline(rejects(clone.createSpace({ name: 'More' }), 'COPIED'), 20_000, 'nor found one')

  const note = await atBob.open('plans')
  await write(note, 'second;')
  await whenText((await atAlice.open('plans')).doc, 'first;second;')
  assert.equal(forks, [])
  assert.is(bob.copied, 'elsewhere')
  await clone.close()

  // Nothing is decided for good: it finds out anew.
  const again = await start(`${folder.path}/copy`, 'bob', network)
  assert.ok(again.spaces()[0]!.readOnly)
  await whenCopied(again, 'here')
  await again.close()

  // Once the original is gone, it is a restored backup.
  await bob.close()
  const restored = await start(`${folder.path}/copy`, 'bob', network)
  const space = restored.spaces()[0]!
  await until(
    (listener) => space.on('storage', listener),
    () => !space.readOnly,
    'it may write'
  )
  const restoredNote = await space.open('plans')
  await whenText(restoredNote.doc, 'first;second;')
  await write(restoredNote, 'third;')
  await whenText((await atAlice.open('plans')).doc, 'first;second;third;')
  assert.is(restored.copied, null)
  assert.equal(forks, [])
  await restored.close()
  await alice.close()
})

test('a copy that was answered steps aside once the original comes back, and asks again', async () => {
  using folder = scratch('copies')
  const { network, alice, atAlice, bob } = await pair(folder.path)
  await bob.close()
  copy(`${folder.path}/bob`, `${folder.path}/copy`)
  const clone = await start(`${folder.path}/copy`, 'bob', network)
  const atClone = clone.spaces()[0]!
  await until(
    (listener) => atClone.on('storage', listener),
    () => !atClone.readOnly,
    'it may write'
  )
  const note = await atClone.open('plans')
  await write(note, 'copy;')
  await deadline(note.saved({ peers: 1 }), 20_000, 'alice holds it')

  const original = await start(`${folder.path}/bob`, 'bob', network)
  await Promise.all([whenCopied(clone, 'here'), whenCopied(original, 'elsewhere')])
  assert.ok(atClone.readOnly)
  const atOriginal = original.spaces()[0]!
  assert.not(atOriginal.readOnly)
  await whenText((await atOriginal.open('plans')).doc, 'first;copy;')
  await write(await atOriginal.open('plans'), 'original;')
  await whenText((await atAlice.open('plans')).doc, 'first;copy;original;')
  await clone.close()
  await using again = await start(`${folder.path}/copy`, 'bob', network)
  assert.ok(again.spaces()[0]!.readOnly, 'it is not answered any more')
  await whenCopied(again, 'here')
  await original.close()
  await alice.close()
})

test('of two copies exactly one steps aside, and a folder that is none never does', () => {
  const none: string[] = []
  const chains = [none, ['a'], ['b'], ['a', 'b'], ['a', 'c'], ['a', 'b', 'c'], ['d', 'a']]
  for (const mine of chains) {
    for (const others of chains) {
      for (const asks of [0, 1, 2, 3]) {
        const [me, other] = [
          { asks: (asks & 1) === 1, copies: mine },
          { asks: (asks & 2) === 2, copies: others }
        ]
        const both = [stepsAside(me, other), stepsAside(other, me)]
        const isSame = mine.at(-1) === others.at(-1)
        assert.is(both.filter(Boolean).length, isSame ? 0 : 1, JSON.stringify([me, other]))
        if (mine.length === 0) assert.not(both[0])
      }
    }
  }
})

test.run()
