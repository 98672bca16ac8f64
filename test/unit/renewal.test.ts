/** A copy that becomes a device of its own: new keys, everything that was typed, and somebody's consent. */
import { cpSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { memory, MemoryNetwork } from '../../adapters/memory.ts'
import { platform as nodePlatform } from '../../adapters/node/platform.ts'
import {
  Skein,
  SkeinError,
  type DeviceKeys,
  type Document,
  type Platform,
  type Space,
  type SpaceEvents
} from '../../lib/index.ts'
import { fromHex, toHex } from '../../lib/bytes.ts'
import type HypercoreStorage from 'hypercore-storage'
import type { StoredAuth } from 'hypercore-storage'
import { signKeysFrom } from '../../lib/crypto.ts'
import { encodeCopyRequest, openCopyRequest, proofOfRenewal } from '../../lib/trust/copy.ts'
import { StoreImage, type StoredLog } from '../../lib/log/store-image.ts'
import { logKeyOf } from '../../lib/log/log.ts'
import { scratch } from '../crash/lab.ts'
import { rejects, until, waitMs, whenText } from '../devices.ts'
import { deadline } from '../events.ts'

const test = suite('a copy becomes a device of its own')

async function start(
  folder: string,
  name: string,
  network: MemoryNetwork | null,
  platform: Platform = nodePlatform
): Promise<Skein> {
  const transports = network === null ? [] : [memory(network)]
  const skein = new Skein({ storage: folder, name, transports, platform })
  await skein.ready()
  return skein
}

/** Types without waiting for anything to be written. */
function type(document: Document, text: string): void {
  const body = document.doc.getText('body')
  body.insert(body.length, text)
}

async function write(document: Document, text: string): Promise<void> {
  type(document, text)
  await document.saved()
}

function textOf(document: Document): string {
  return document.doc.getText('body').toJSON()
}

function whenCopied(skein: Skein, where: 'here' | 'elsewhere'): Promise<void> {
  return until(
    (listener) => skein.on('copied', listener),
    () => skein.copied === where,
    `it is told of the copy (${where})`
  )
}

function whenMayWrite(space: Space): Promise<void> {
  return until(
    (listener) => {
      const stops = [space.on('members', listener), space.on('storage', listener)]
      return () => stops.forEach((stop) => stop())
    },
    () => !space.readOnly,
    'it may write'
  )
}

/** Each of the words is there once, and all see the same. */
async function whenAllHave(
  documents: readonly Document[],
  words: readonly string[]
): Promise<void> {
  const isRight = (): boolean => {
    const [first, ...others] = documents.map(textOf)
    const counts = words.map((word) => first!.split(word).length - 1)
    return counts.every((count) => count === 1) && others.every((text) => text === first)
  }
  await until(
    (listener) => {
      const stops = documents.flatMap((document) => {
        const { doc } = document
        doc.on('update', listener)
        return [() => doc.off('update', listener), document.on('reset', listener)]
      })
      // A fresh document is listened to by looking again at it.
      const timer = setInterval(listener, 50)
      return () => {
        clearInterval(timer)
        for (const stop of stops) stop()
      }
    },
    isRight,
    `all have ${words.join()}; ${JSON.stringify(documents.map(textOf))}`
  )
}

interface Stage {
  readonly folder: string
  readonly network: MemoryNetwork
  readonly alice: Skein
  readonly atAlice: Space
  bob: Skein
}

/** Alice, the owner, and bob, whose folder is to be copied. */
async function stage(folder: string): Promise<Stage> {
  const network = new MemoryNetwork()
  const alice = await start(`${folder}/alice`, 'alice', network)
  const bob = await start(`${folder}/bob`, 'bob', network)
  const atAlice = await alice.createSpace({ name: 'Notes' })
  const atBob = await bob.join(await atAlice.invite())
  const note = await atBob.open('plans')
  await write(note, 'first;')
  await deadline(note.saved({ peers: 1 }), waitMs, 'alice holds the first')
  return { folder, network, alice, atAlice, bob }
}

function copyOfBob({ folder }: Stage): string {
  cpSync(`${folder}/bob`, `${folder}/copy`, { recursive: true, preserveTimestamps: true })
  return `${folder}/copy`
}

async function problemsIn(storage: string): Promise<string[]> {
  const problems: string[] = []
  for await (const { severity, where, message } of Skein.verify({ storage }))
    if (severity !== 'pending') problems.push(`${severity} ${where} ${message}`)
  return problems
}

/** Does a device's store have that device's secret key beside one of its logs? */
async function keepsKeysOf(folder: string, space: string, device: string): Promise<boolean> {
  const image = await nodePlatform.openImage!(folder)
  try {
    const store = await StoreImage.ofClosed(image.store as HypercoreStorage)
    const name = { space: fromHex(space), device: fromHex(device), core: 'content/0' } as const
    const log = (await store.log(name)) as StoredLog
    const auth = (await log.auth()) as StoredAuth
    assert.is(toHex(auth.key), toHex(logKeyOf(name)))
    await store.close()
    return auth.keyPair !== null
  } finally {
    await image.close()
  }
}

test('a clone steps aside, is renewed, reads on, is let in by an invite, and loses nothing', async () => {
  using folder = scratch('renewal')
  const story = await stage(folder.path)
  const { alice, atAlice, bob, network } = story
  const at = copyOfBob(story)
  await rejects(bob.becomeOwnDevice(), 'NOT_ALLOWED')
  let clone = await start(at, 'bob', network)
  const before = await clone.spaces()[0]!.open('plans')
  type(before, 'asking;')
  await whenCopied(clone, 'here')
  type(before, 'aside;')
  assert.is(textOf(before), 'first;asking;aside;')
  const [bobsId, space] = [bob.id, atAlice.id]
  assert.is(clone.id, bobsId)
  await clone.becomeOwnDevice({ name: 'bob’s copy' })
  assert.not(await keepsKeysOf(at, space, bobsId))
  assert.equal(await problemsIn(at), [])

  // On the way, with nobody there.
  clone = await start(at, 'ignored', null)
  assert.is.not(clone.id, bobsId)
  assert.is(clone.name, 'bob’s copy')
  assert.is(clone.copied, null)
  let atClone = clone.spaces()[0]!
  assert.is(atClone.role, null)
  assert.ok(atClone.readOnly)
  let note = await atClone.open('plans')
  assert.is(textOf(note), 'first;')
  type(note, 'offline;')
  await rejects(note.saved(), 'NOT_ALLOWED')
  await clone.close()

  clone = await start(at, 'ignored', network)
  atClone = clone.spaces()[0]!
  note = await atClone.open('plans')
  type(note, 'waiting;')
  await write(await bob.spaces()[0]!.open('plans'), 'original;')
  await deadline(clone.join(await atAlice.invite()), waitMs, 'it is let in')
  await deadline(whenMayWrite(atClone), waitMs, 'it may write')
  type(note, 'in;')
  const words = ['first;', 'asking;', 'aside;', 'offline;', 'waiting;', 'original;', 'in;']
  const others = [await atAlice.open('plans'), await bob.spaces()[0]!.open('plans')]
  await whenAllHave([note, ...others], words)
  assert.equal(
    atAlice
      .members()
      .map(({ name }) => name)
      .sort(),
    ['alice', 'bob', 'bob’s copy']
  )
  const authors = new Set<string>()
  for await (const { author, edit } of atAlice.history({ document: 'plans' }))
    if (/asking|aside|offline|waiting|in;/.test(edit?.inserted.excerpt ?? '')) authors.add(author!)
  assert.equal([...authors], ['bob’s copy'])
  // From here on it is a device as any other.
  await clone.close()
  clone = await start(at, 'ignored', network)
  await write(await clone.spaces()[0]!.open('plans'), 'again;')
  const all = (await clone.spaces()[0]!.open('plans')).doc.getText('body').toJSON()
  await whenText((await atAlice.open('plans')).doc, all)
  await clone.close()
  assert.equal(await problemsIn(at), [])
  await bob.close()
  await alice.close()
})

test('what a clone had written that nobody has comes through, also where the original wrote at the same places', async () => {
  for (const doesFork of [false, true]) {
    using folder = scratch('renewal')
    const story = await stage(folder.path)
    const { alice, atAlice, network } = story
    await story.bob.close()
    const at = copyOfBob(story)
    let clone = await start(at, 'bob', network)
    let atClone = clone.spaces()[0]!
    await deadline(whenMayWrite(atClone), waitMs, 'it is answered as a restored backup')
    network.partition([[fromHex(clone.id)], [fromHex(alice.id)]])
    await write(await atClone.open('plans'), 'lonely;')
    await atClone.append('note', 'lonely too')
    await clone.close()
    network.heal()
    const bob = await start(`${folder.path}/bob`, 'bob', network)
    const atBob = bob.spaces()[0]!
    const bobs = await atBob.open('plans')
    if (doesFork) await write(bobs, 'original;')
    if (doesFork) await deadline(bobs.saved({ peers: 1 }), waitMs, 'alice holds the original')
    clone = await start(at, 'bob', network)
    const steppedAside = whenCopied(clone, 'here')
    await deadline(steppedAside, waitMs, 'it steps aside')
    await clone.becomeOwnDevice({ name: 'clone' })
    clone = await start(at, 'clone', network)
    atClone = clone.spaces()[0]!
    await deadline(clone.join(await atAlice.invite()), waitMs, 'it is let in')
    await deadline(whenMayWrite(atClone), waitMs, 'it may write')
    const note = await atClone.open('plans')
    await write(note, 'new;')
    const words = ['first;', 'lonely;', 'new;', ...(doesFork ? ['original;'] : [])]
    const spaces = [atClone, atAlice, atBob]
    await whenAllHave(await Promise.all(spaces.map((space) => space.open('plans'))), words)
    for (const space of spaces) {
      const events: unknown[] = []
      for await (const { value } of space.entries({ type: 'note' })) events.push(value)
      assert.equal(events, ['lonely too'])
    }
    for (const one of [clone, bob, alice]) await one.close()
    assert.equal(await problemsIn(at), [])
  }
})

test('who types through all of it loses no word and finds none twice', async () => {
  using folder = scratch('renewal')
  const story = await stage(folder.path)
  const { alice, atAlice, network } = story
  await story.bob.close()
  const at = copyOfBob(story)
  let clone = await start(at, 'bob', network)
  let atClone = clone.spaces()[0]!
  await deadline(whenMayWrite(atClone), waitMs, 'it is answered as a restored backup')
  const words: string[] = []
  let document = await atClone.open('plans')
  const typing = setInterval(() => {
    const word = `w${words.length};`
    words.push(word)
    type(document, word)
  }, 3)
  const typed = (count: number): Promise<void> =>
    until(
      (listener) => {
        const timer = setInterval(listener, 10)
        return () => clearInterval(timer)
      },
      () => words.length >= count,
      `${count} words are typed`
    )
  let bob: Skein
  try {
    await typed(20)
    bob = await start(`${folder.path}/bob`, 'bob', network)
    await deadline(whenCopied(clone, 'here'), waitMs, 'it steps aside')
    await typed(words.length + 20)
    clearInterval(typing)
    await clone.becomeOwnDevice({ name: 'clone' })
  } finally {
    clearInterval(typing)
  }
  clone = await start(at, 'clone', network)
  atClone = clone.spaces()[0]!
  document = await atClone.open('plans')
  await deadline(clone.join(await atAlice.invite()), waitMs, 'it is let in')
  await deadline(whenMayWrite(atClone), waitMs, 'it may write')
  await write(document, 'end;')
  const spaces = [atClone, atAlice, bob.spaces()[0]!]
  const documents = await Promise.all(spaces.map((space) => space.open('plans')))
  await whenAllHave(documents, ['first;', ...words, 'end;'])
  for (const one of [clone, bob, alice]) await one.close()
  assert.equal(await problemsIn(at), [])
})

test('a renewed clone asks members to be let in, and is by whoever may; nobody else asks in its place', async () => {
  using folder = scratch('renewal')
  const story = await stage(folder.path)
  const { alice, atAlice, bob, network } = story
  const [bobsId, at] = [bob.id, copyOfBob(story)]
  let clone = await start(at, 'bob', network)
  await whenCopied(clone, 'here')
  type(await clone.spaces()[0]!.open('plans'), 'typed;')
  await clone.becomeOwnDevice({ name: 'clone' })
  const asked: SpaceEvents['asked'][] = []
  const atBob = bob.spaces()[0]!
  atBob.on('asked', () => assert.unreachable('bob may let nobody in'))
  const isAsked = new Promise<void>((resolve) => {
    atAlice.on('asked', (asking) => {
      asked.push(asking)
      resolve()
    })
  })
  clone = await start(at, 'clone', network)
  const atClone = clone.spaces()[0]!
  await deadline(isAsked, waitMs, 'it asks')
  const asking = { device: clone.id, name: 'clone', person: 'bob', formerly: bobsId }
  assert.equal(asked, [asking])
  assert.equal(await atAlice.asking(), [asking])
  assert.equal(await atBob.asking(), [])
  await rejects(atBob.letIn(clone.id), 'DEVICE_UNKNOWN')
  await rejects(atAlice.letIn(bobsId), 'DEVICE_UNKNOWN')
  assert.is(atClone.role, null)
  assert.is(atAlice.members().length, 2)

  await atAlice.letIn(clone.id)
  assert.equal(await atAlice.asking(), [])
  await deadline(whenMayWrite(atClone), waitMs, 'it may write')
  assert.is(atClone.role, 'writer')
  const spaces = [atAlice, atBob, atClone]
  await whenAllHave(await Promise.all(spaces.map((space) => space.open('plans'))), [
    'first;',
    'typed;'
  ])
  // It asks no more.
  await clone.close()
  clone = await start(at, 'clone', network)
  const note = await clone.spaces()[0]!.open('plans')
  await write(note, 'more;')
  await deadline(note.saved({ peers: 1 }), waitMs, 'somebody holds it')
  assert.is(asked.length, 1)
  for (const one of [clone, bob, alice]) await one.close()
})

test('the copy of an owner comes back as an admin, those of a reader and a mirror as such, by default', async () => {
  for (const role of ['owner', 'reader', 'mirror'] as const) {
    using folder = scratch('renewal')
    const { alice, atAlice, bob, network } = await stage(folder.path)
    let copied = alice
    if (role !== 'owner') {
      copied = await start(`${folder.path}/carol`, 'carol', network)
      await copied.join(await atAlice.invite({ role }))
    }
    const at = `${folder.path}/copy`
    const original = `${folder.path}/${role === 'owner' ? 'alice' : 'carol'}`
    cpSync(original, at, { recursive: true, preserveTimestamps: true })
    let clone = await start(at, 'clone', network)
    await deadline(whenCopied(clone, 'here'), waitMs, 'it steps aside')
    await clone.becomeOwnDevice({ name: 'clone' })
    const isAsked = new Promise<SpaceEvents['asked']>((resolve) => {
      void atAlice.once('asked', resolve)
    })
    clone = await start(at, 'clone', network)
    const atClone = clone.spaces()[0]!
    const { device, formerly } = await deadline(isAsked, waitMs, 'it asks')
    assert.is(formerly, copied.id)
    await atAlice.letIn(device)
    const expected = role === 'owner' ? 'admin' : role
    await until(
      (listener) => atClone.on('members', listener),
      () => atClone.role === expected,
      `it is ${expected}`
    )
    if (role === 'reader') await whenText((await atClone.open('plans')).doc, 'first;')
    if (role === 'owner') await write(await atClone.open('plans'), 'second;')
    if (role === 'owner') await whenText((await atAlice.open('plans')).doc, 'first;second;')
    if (copied !== alice) await copied.close()
    for (const one of [clone, bob, alice]) await one.close()
  }
})

test('the copy of a removed device is not heard, and no device asks as the copy of another', async () => {
  using folder = scratch('renewal')
  const story = await stage(folder.path)
  const { alice, atAlice, bob, network } = story
  const at = copyOfBob(story)
  let clone = await start(at, 'bob', network)
  await whenCopied(clone, 'here')
  await clone.becomeOwnDevice({ name: 'clone' })
  await atAlice.remove(bob.id)
  atAlice.on('asked', () => assert.unreachable('the copy of a removed device is heard'))
  clone = await start(at, 'clone', network)
  await deadline(
    until(
      (listener) => alice.on('connection', listener),
      () => alice.peers.includes(clone.id),
      'they are connected'
    ),
    waitMs,
    'they are connected'
  )
  // What comes over one connection comes in order: the next invite is answered after the request.
  await deadline(clone.join(await atAlice.invite({ role: 'reader' })), waitMs, 'it joins')
  for (const one of [clone, bob, alice]) await one.close()

  const keys = (byte: number): DeviceKeys => signKeysFrom(new Uint8Array(32).fill(byte))
  const [former, device, other] = [keys(1), keys(2), keys(3)]
  const record = {
    signKey: device.publicKey,
    boxKey: new Uint8Array(32),
    salt: new Uint8Array(16),
    name: 'clone',
    person: 'bob'
  }
  const request = { record, former: former.publicKey }
  const right = encodeCopyRequest(request, proofOfRenewal(device.publicKey, former))
  assert.equal(openCopyRequest(right, device.publicKey), request)
  const wrong = [
    () => openCopyRequest(right, other.publicKey),
    () =>
      openCopyRequest(
        encodeCopyRequest(request, proofOfRenewal(device.publicKey, other)),
        device.publicKey
      ),
    () =>
      openCopyRequest(
        encodeCopyRequest(request, proofOfRenewal(other.publicKey, former)),
        device.publicKey
      )
  ]
  for (const open of wrong) assert.throws(open, (error: SkeinError) => error.code === 'BAD_SEAL')
})

test('a renewal that was cut short after the keys is ended at the next opening', async () => {
  using folder = scratch('renewal')
  const story = await stage(folder.path)
  const at = copyOfBob(story)
  let fails = true
  const failing: Platform = {
    ...nodePlatform,
    clock: nodePlatform.clock,
    randomBytes: (length) => nodePlatform.randomBytes(length),
    openStorage: async (location) => {
      const storage = await nodePlatform.openStorage(location)
      return new Proxy(storage, {
        get: (target, name) => {
          if (name === 'removeOutbox' && fails)
            return () => Promise.reject(new SkeinError('STORAGE_FAILED', 'The power is gone'))
          const value: unknown = Reflect.get(target, name, target)
          return typeof value === 'function' ? value.bind(target) : value
        }
      })
    }
  }
  const clone = await start(at, 'bob', story.network, failing)
  await whenCopied(clone, 'here')
  const bobsId = clone.id
  type(await clone.spaces()[0]!.open('plans'), 'typed;')
  await rejects(clone.becomeOwnDevice(), 'STORAGE_FAILED')
  fails = false
  await using renewed = await start(at, 'bob', story.network)
  assert.is.not(renewed.id, bobsId)
  const space = renewed.spaces()[0]!
  await deadline(renewed.join(await story.atAlice.invite()), waitMs, 'it is let in')
  await deadline(whenMayWrite(space), waitMs, 'it may write')
  const documents = [await space.open('plans'), await story.atAlice.open('plans')]
  await whenAllHave(documents, ['first;', 'typed;'])
  await story.bob.close()
  await story.alice.close()
})

test.run()
