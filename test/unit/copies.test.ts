/** Two copies of one device's folder that run at a time: one steps aside, whichever is found first. */
import { cpSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { memory, MemoryNetwork } from '../../adapters/memory.ts'
import {
  Skein,
  type DeviceKeys,
  type Document,
  type SkeinError,
  type Space
} from '../../lib/index.ts'
import { toHex } from '../../lib/bytes.ts'
import { signKeysFrom } from '../../lib/crypto.ts'
import { Copies } from '../../lib/sync/copies.ts'
import {
  encodeCopyRequest,
  encodeLetter,
  openLetter,
  proofOfRenewal,
  stepsAside
} from '../../lib/trust/copy.ts'
import { scratch } from '../crash/lab.ts'
import { rejects, until, whenText } from '../devices.ts'
import { deadline } from '../events.ts'
import { HandClock } from './hand-clock.ts'

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

function whenMayWrite(space: Space): Promise<void> {
  return until(
    (listener) => space.on('storage', listener),
    () => !space.readOnly,
    'it may write'
  )
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
  await whenMayWrite(space)
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
  await whenMayWrite(atClone)
  const note = await atClone.open('plans')
  await write(note, 'copy;')
  await deadline(note.saved({ peers: 1 }), 20_000, 'alice holds it')

  const original = await start(`${folder.path}/bob`, 'bob', network)
  await Promise.all([whenCopied(clone, 'here'), whenCopied(original, 'elsewhere')])
  assert.ok(atClone.readOnly)
  const atOriginal = original.spaces()[0]!
  await whenText((await atOriginal.open('plans')).doc, 'first;copy;')
  // What the copy wrote as the same device had to come first.
  await whenMayWrite(atOriginal)
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

/** A device's own side, without a network: what a member says to it, and what came of it. */
function side(byte: number, run: number, copyIds: number[] = []) {
  const clock = new HandClock()
  const heard: string[] = []
  const sent: Uint8Array[] = []
  const keys = signKeysFrom(new Uint8Array(32).fill(byte))
  const copies = new Copies({
    clock,
    keys,
    run: new Uint8Array(16).fill(run),
    copyIds: copyIds.map((id) => new Uint8Array(16).fill(id)),
    asks: () => copyIds.length > 0,
    onAside: () => heard.push('aside'),
    onMet: () => heard.push('met'),
    onChange: () => {}
  })
  const member = { device: 'b0b', sendCopies: (bytes: Uint8Array) => void sent.push(bytes) }
  return { copies, clock, heard, sent, keys, member }
}

function runsOf(tag: number, runs: number[]): Uint8Array {
  return new Uint8Array([tag, ...runs.flatMap((run) => Array<number>(16).fill(run))])
}

function letterOf(to: number, from: number, copies: number[], keys: DeviceKeys): Uint8Array {
  const name = (byte: number): string => toHex(new Uint8Array(16).fill(byte))
  const letter = { to: name(to), from: name(from), asks: false, copies: copies.map(name) }
  return new Uint8Array([2, ...encodeLetter(letter, keys)])
}

test('letters and requests have the bytes that they always had', () => {
  const fill = (byte: number, length = 32): Uint8Array => new Uint8Array(length).fill(byte)
  const name = (byte: number): string => toHex(fill(byte, 16))
  const [former, device] = [signKeysFrom(fill(0x33)), signKeysFrom(fill(0x66))]
  const letter = { to: name(0x11), from: name(0x22), asks: true, copies: [name(0x44), name(0x55)] }
  assert.is(
    toHex(encodeLetter(letter, former)),
    '01' +
      '11'.repeat(16) +
      '22'.repeat(16) +
      '0102' +
      '44'.repeat(16) +
      '55'.repeat(16) +
      '7fdfacfcfdfdea58405f17fa89b89eafb1dcb4060a7ff4830c168bf0ad8fea46' +
      'eda29af92142312a6355f5207f500ad404537cb5089dbd8b6dc4e85e13615501'
  )
  assert.equal(openLetter(encodeLetter(letter, former), former.publicKey), letter)
  const record = {
    signKey: device.publicKey,
    boxKey: fill(0x77),
    salt: fill(0x88, 16),
    name: 'clone',
    person: 'bob'
  }
  const proof = proofOfRenewal(device.publicKey, former)
  assert.is(
    toHex(encodeCopyRequest({ record, former: former.publicKey }, proof)),
    '0134b4d9043156cb6dcf0beb0a2949b7559c940d2bcb6dbe8c53a9b30278e3a746' +
      '77'.repeat(32) +
      '88'.repeat(16) +
      '05636c6f6e6503626f62' +
      '17cb79fb2b4120f2b1ec65e4198d6e08b28e813feb01e4a400839b85e18080ce' +
      '21cdd207d94d8406334c360428685cb9b83073db251b576fc2e538a9b5631a21' +
      'f9cf3081805d590b4719f8b72e51693c4bd1bb413a554bf9e75dc38ce8f2da0c'
  )
})

test('a member that lies makes no device step aside, and is found out where it forges', () => {
  const thief = signKeysFrom(new Uint8Array(32).fill(9))
  for (const copyIds of [[], [7]]) {
    const { copies, heard, member, keys } = side(1, 2, copyIds)
    // It tells of runs that never were, without end.
    for (let i = 0; i < 300; i++) copies.receive(member, runsOf(1, [i % 250, (i * 7) % 250]))
    const forged = [letterOf(2, 3, [], thief), letterOf(2, 3, [], keys)]
    forged[1]![60]! ^= 1
    for (const letter of forged)
      assert.throws(
        () => copies.receive(member, letter),
        (error: SkeinError) => ['BAD_SEAL', 'BAD_ENCODING'].includes(error.code)
      )
    // A letter to a run of before, which the device has signed.
    copies.receive(member, letterOf(4, 3, [], keys))
    // Its own, turned round.
    copies.receive(member, letterOf(2, 2, [], keys))
    assert.equal(heard, [])
    copies.stop()
  }
  const original = side(1, 2)
  original.copies.receive(original.member, letterOf(2, 3, [5], original.keys))
  original.copies.receive(original.member, letterOf(2, 4, [], original.keys))
  assert.equal(original.heard, ['met', 'met'], 'who is no copy is only told')
})

test('a copy that asks waits for runs that it is told of, and not for ever', () => {
  const { copies, clock, member, heard, keys } = side(1, 2, [7])
  copies.met(member)
  assert.not(copies.isSettledBy('b0b'), 'it has not said')
  copies.receive(member, runsOf(1, []))
  assert.ok(copies.isSettledBy('b0b'))
  copies.receive(member, runsOf(1, [3]))
  assert.not(copies.isSettledBy('b0b'))
  clock.pass(9_000)
  assert.not(copies.isSettledBy('b0b'))
  clock.pass(1_000)
  assert.ok(copies.isSettledBy('b0b'), 'the run is gone, or never was')
  copies.left(member, false)
  assert.not(copies.isSettledBy('b0b'))
  copies.receive(member, runsOf(1, [3]))
  assert.ok(copies.isSettledBy('b0b'), 'it is not waited for twice')
  copies.receive(member, letterOf(2, 3, [], keys))
  assert.equal(heard, ['aside'], 'but heard')
})

test('a member hands letters on between runs of one device alone, and tells of none that has ended', () => {
  const { copies } = side(8, 9)
  const peer = (device: string) => {
    const got: string[] = []
    return { got, device, sendCopies: (bytes: Uint8Array) => void got.push(toHex(bytes)) }
  }
  const { keys } = side(1, 1)
  const letter = letterOf(3, 2, [], keys)
  const [first, second, other] = [peer('d'), peer('d'), peer('e')]
  copies.receive(second, runsOf(0, [3]))
  copies.left(second, false)
  copies.receive(other, runsOf(0, [4]))
  copies.receive(other, letter)
  assert.equal(other.got, [toHex(runsOf(1, []))])
  copies.receive(first, runsOf(0, [2]))
  assert.equal(first.got, [toHex(runsOf(1, [3]))])
  copies.receive(first, letter)
  copies.left(first, true)
  const again = peer('d')
  copies.receive(again, runsOf(0, [3]))
  assert.equal(again.got, [toHex(runsOf(1, [])), toHex(letter)], 'the first has said that it ends')
})

test.run()
