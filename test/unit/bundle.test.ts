/**
 * A space carried as one bundle: to members, to a newcomer who never met anyone, in parts, and tampered with.
 * WRITE_FIXTURE=1 writes the bundle that is kept: only for a new format.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { encodeRecord, endOfRecords } from '../../lib/bundle/contents.ts'
import { sealBundle } from '../../lib/bundle/envelope.ts'
import { SkeinError, type ExportOptions, type Space } from '../../lib/index.ts'
import { device, joinAs, rejects, spaceOf, whenText, type Device } from '../devices.ts'

const test = suite('bundle')
/** SHA-256 of a bundle of no logs, its salt 0, 1, 2 …, under a space key of 32 times 0x22. */
const vector = 'd8a17942d5cc149269817a91eefac783e2a928057ad45d8dfd0bad676b372fc9'

async function exported(space: Space, options: ExportOptions = {}): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const part of space.export(options)) parts.push(part)
  return new Uint8Array(Buffer.concat(parts))
}

/** As a file is read: in pieces whose ends mean nothing. */
async function* pieces(bytes: Uint8Array, size = 10_007): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    await Promise.resolve()
    yield bytes.subarray(at, at + size)
  }
}

async function textOf(space: Space, name = 'ideas'): Promise<string> {
  const note = await space.open(name)
  return note.doc.getText('body').toString()
}

/** A space of alice and bob with content of both. */
async function written(alice: Device, bob: Device, turns = 10): Promise<Space> {
  const space = await spaceOf(alice, bob)
  const mine = await space.open('ideas')
  const his = await bob.space.open('ideas')
  for (let turn = 0; turn < turns; turn++) {
    mine.doc.getText('body').insert(0, `alice ${turn} `)
    await mine.saved()
    his.doc.getText('body').insert(0, `bob ${turn} `)
    await his.saved()
  }
  await space.append('paste', 'x'.repeat(2_500_000))
  await whenText(mine.doc, his.doc.getText('body').toString())
  await bob.space.saved({ peers: 1 })
  await space.saved({ peers: 1 })
  await whenText(mine.doc, his.doc.getText('body').toString())
  return space
}

test('a newcomer that never met the others has equal documents from a bundle made for it', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol')
  const space = await written(alice, bob)
  const bundle = await exported(space, { for: carol.skein.introduction })
  const { space: hers, isNew, blocks, strangers } = await carol.skein.import(pieces(bundle))
  assert.ok(isNew && blocks > 20)
  assert.equal(strangers, [])
  assert.is(hers.id, space.id)
  assert.is(hers.role, 'writer')
  assert.equal(hers.documents(), space.documents())
  assert.is(await textOf(hers), await textOf(space))
  const events: unknown[] = []
  for await (const { value } of hers.entries()) events.push(value)
  assert.is(String(events[0]).length, 2_500_000)
  // What she writes goes back the same way, and means the same there.
  const note = await hers.open('ideas')
  note.doc.getText('body').insert(0, 'carol ')
  await note.saved()
  const back = await exported(hers, { since: await hers.contentsOf(pieces(bundle)) })
  assert.ok(back.length < bundle.length / 10)
  const imported = await alice.skein.import(pieces(back))
  assert.is(imported.isNew, false)
  assert.is(await textOf(space), await textOf(hers))
  for await (const problem of hers.verify()) assert.unreachable(problem.message)
  for await (const problem of space.verify()) assert.unreachable(problem.message)
  await carol.restart()
  assert.is(await textOf(carol.space), await textOf(space))
})

test('members that are apart bring each other up to date by bundles since what the other has', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await written(alice, bob, 3)
  network.partition([[alice.key], [bob.key]])
  const mine = await space.open('ideas')
  const his = await bob.space.open('ideas')
  for (let i = 0; i < 40; i++) {
    mine.doc.getText('body').insert(0, `a${i} `)
    await mine.saved()
    his.doc.getText('body').insert(0, `b${i} `)
    await his.saved()
  }
  // Bob says what he has; that alone is small.
  const has = await exported(bob.space, { contentsOnly: true })
  assert.ok(has.length < 70_000)
  const since = await space.contentsOf(pieces(has))
  const part = await exported(space, { since })
  assert.ok(part.length < 200_000)
  await bob.skein.import(pieces(part))
  await alice.skein.import(pieces(await exported(bob.space)))
  assert.is(await textOf(space), await textOf(bob.space))
  // Once more changes nothing.
  const { blocks } = await bob.skein.import(pieces(part))
  assert.is(blocks, 0)
  network.heal()
  await whenText(his.doc, await textOf(space))
})

test('a bundle that goes on from what is not here says so, and what comes before it mends that', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  network.partition([[alice.key], [bob.key]])
  const note = await space.open('ideas')
  const write = async (text: string): Promise<void> => {
    note.doc.getText('body').insert(0, text)
    await note.saved()
  }
  await write('one ')
  const first = await exported(space)
  await write('two ')
  const second = await exported(space, { since: await space.contentsOf(pieces(first)) })
  await rejects(bob.skein.import(pieces(second)), 'BUNDLE_GAP')
  await bob.skein.import(pieces(first))
  await bob.skein.import(pieces(second))
  assert.is(await textOf(bob.space), 'two one ')
  // An older one does no harm.
  await bob.skein.import(pieces(first))
  assert.is(await textOf(bob.space), 'two one ')
})

test('an older bundle, taken in where a newer one broke off, does no harm', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  network.partition([[alice.key], [bob.key]])
  const note = await space.open('ideas')
  const write = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      note.doc.getText('body').insert(0, `line ${i} ${'z'.repeat(1_000)}`)
      await note.saved()
    }
  }
  await write(100)
  const older = await exported(space)
  await write(120)
  const newer = await exported(space)
  await rejects(bob.skein.import(pieces(newer.subarray(0, 70_000))), 'BUNDLE_INVALID')
  await bob.skein.import(pieces(older))
  for await (const problem of bob.space.verify()) assert.is(problem.severity, 'pending')
  await bob.skein.import(pieces(newer))
  assert.is(await textOf(bob.space), await textOf(space))
})

test('nobody reads a bundle who has no key to it, and nobody is let in by one who may not', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol')
  await using dave = await device('dave')
  const space = await written(alice, bob, 2)
  const forCarol = await exported(space, { for: carol.skein.introduction, role: 'reader' })
  await rejects(dave.skein.import(pieces(forCarol)), 'BUNDLE_FOR_OTHERS')
  assert.equal(dave.skein.spaces(), [])
  const other = await dave.skein.createSpace({ name: 'Other' })
  await rejects(dave.skein.import(pieces(forCarol)), 'BUNDLE_FOR_OTHERS')
  await rejects(other.contentsOf(pieces(forCarol)), 'BUNDLE_FOR_OTHERS')
  await rejects(exported(bob.space, { for: dave.skein.introduction }), 'NOT_ALLOWED')
  await rejects(exported(space, { for: 'skein-device:AAAA' }), 'INVITE_INVALID')
  const { space: hers } = await carol.skein.import(pieces(forCarol))
  assert.is(hers.role, 'reader')
  // Nothing outside names a device, a log or the space.
  const bytes = Buffer.from(forCarol)
  for (const secret of [alice.key, bob.key, carol.key, Buffer.from(space.id, 'hex')]) {
    assert.is(bytes.indexOf(Buffer.from(secret)), -1)
  }
})

test('a bundle with any byte changed, or cut short anywhere, is refused with the place named', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  network.partition([[alice.key], [bob.key]])
  const note = await space.open('ideas')
  for (let i = 0; i < 60; i++) {
    note.doc.getText('body').insert(0, `line ${i} ${'y'.repeat(2000)}\n`)
    await note.saved()
  }
  const bundle = await exported(space)
  assert.ok(bundle.length > 2 * 65_552)
  // Every byte of the header, and bytes throughout.
  const places = [...Array(42).keys()]
  for (let at = 42; at < bundle.length; at += 4_001) places.push(at)
  places.push(bundle.length - 1)
  const before = await textOf(bob.space)
  for (const at of places) {
    const changed = new Uint8Array(bundle)
    changed[at]! ^= 1 << (at % 8)
    const error = await failureOf(bob.skein.import(pieces(changed)))
    // With another salt no key opens it.
    assert.ok(['BUNDLE_INVALID', 'BUNDLE_FOR_OTHERS'].includes(error.code), `${at}: ${error.code}`)
    if (at >= 42 + 65_552) {
      const [, from, to] = /bytes (\d+)–(\d+)/.exec(error.message)!
      assert.ok(Number(from) <= at && at <= Number(to), `${at}: ${error.message}`)
    }
  }
  for (const length of [
    0,
    7,
    41,
    100,
    42 + 65_552,
    65_700,
    bundle.length - 65_552,
    bundle.length - 1
  ]) {
    const error = await failureOf(bob.skein.import(pieces(bundle.subarray(0, length))))
    assert.is(error.code, 'BUNDLE_INVALID', `${length}: ${error.message}`)
  }
  const longer = new Uint8Array([...bundle, ...new Uint8Array(100)])
  assert.is((await failureOf(bob.skein.import(pieces(longer)))).code, 'BUNDLE_INVALID')
  // What was kept of all these holds: a true part of what was written.
  for await (const problem of bob.space.verify()) assert.is(problem.severity, 'pending')
  assert.is(before, '')
  await bob.skein.import(pieces(bundle))
  assert.is(await textOf(bob.space), await textOf(space))
})

test('a newcomer keeps nothing of a bundle that does not let it in', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await using carol = await device('carol')
  const space = await alice.skein.createSpace({ name: 'Notes' })
  await joinAs(space, bob)
  const bundle = await exported(space, { for: carol.skein.introduction })
  const cut = bundle.subarray(0, bundle.length - 70_000)
  await rejects(carol.skein.import(pieces(cut)), 'BUNDLE_INVALID')
  assert.equal(carol.skein.spaces(), [])
  const { space: hers } = await carol.skein.import(pieces(bundle))
  assert.is(hers.name, 'Notes')
})

/** Bytes that are the same each time: for a device that was made long ago, and a vector. */
function counting(): (length: number) => Uint8Array {
  let next = 0
  return (length) => Uint8Array.from({ length }, () => next++ % 251)
}

test('a bundle of format 1 is sealed as it is written down', async () => {
  async function* inside(): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(encodeRecord({ type: 'logs', logs: [] }))
    yield endOfRecords
  }
  const keys = { spaceKey: new Uint8Array(32).fill(0x22), genesis: new Uint8Array(3) }
  const hash = createHash('sha256')
  for await (const part of sealBundle(inside(), keys, [], counting())) hash.update(part)
  assert.is(hash.digest('hex'), vector)
})

test('a bundle of format 1 that was kept is taken in by the device it was made for', async () => {
  const randomBytes = counting()
  await using carol = await device('carol', new MemoryNetwork(), { randomBytes })
  const fixture = new URL('../fixtures/bundle-1.skein', import.meta.url)
  const write = process.env['WRITE_FIXTURE'] !== undefined
  if (write) {
    await using alice = await device('alice')
    const space = await alice.skein.createSpace({ name: 'Kept' })
    const note = await space.open('ideas')
    note.doc.getText('body').insert(0, 'What was written then.')
    await note.saved()
    await writeFile(fixture, await exported(space, { for: carol.skein.introduction }))
  }
  const { space } = await carol.skein.import(createReadStream(fixture))
  assert.is(space.name, 'Kept')
  assert.is(await textOf(space), 'What was written then.')
})

async function failureOf(promise: Promise<unknown>): Promise<SkeinError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof SkeinError) return error
    throw error
  }
  throw new Error('It did not fail')
}

test.run()
