/**
 * `verify` finds each planted damage, says where it is, and finds nothing else and nothing in a sound store.
 * SEED=n plants others (default 1).
 */
import { createHash } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { Skein, type Problem, type VerifySummary } from '../../lib/index.ts'
import { DamagedHome, flushStore } from '../damaged-home.ts'
import { damages, plantInside } from '../damage.ts'
import { device, rejects, spaceOf, whenSynced, whenText, type Device } from '../devices.ts'

const test = suite('verify')
const seed = Number(process.env['SEED'] ?? 1)

interface Template {
  readonly alice: Device
  readonly bob: Device
  readonly devices: Readonly<Record<string, Uint8Array>>
}

let template: Template

/** A home with two members' logs, merged and unmerged documents, events, entries of many blocks, tables and a tail. */
test.before(async () => {
  const network = new MemoryNetwork()
  const alice = await device('alice', network)
  const bob = await device('bob', network)
  await spaceOf(alice, bob)
  await write(alice, bob, 40)
  await alice.space.append('paste', { text: 'x'.repeat(1_500_000) })
  const devices = { alice: alice.key, bob: bob.key }
  await alice.skein.close()
  await flushStore(alice.folder)
  await alice.start()
  await write(alice, bob, 12)
  await alice.skein.close()
  template = { alice, bob, devices }
})

test.after(async () => {
  await template.bob.skein.close()
  for (const { folder } of [template.alice, template.bob]) await rm(folder, { recursive: true })
})

async function write(alice: Device, bob: Device, turns: number): Promise<void> {
  const mine = await alice.space.open('ideas')
  const his = await bob.space.open('ideas')
  for (let turn = 0; turn < turns; turn++) {
    mine.doc.getText('body').insert(0, `alice ${turn} `)
    await mine.saved()
    his.doc.getText('body').insert(0, `bob ${turn} `)
    await his.saved()
    if (turn % 4 === 0) await alice.space.append('note', { turn })
    if (turn % 4 === 1) await bob.space.append('mark', { turn })
    if (turn % 8 === 2) {
      const todo = await alice.space.open(`todo ${turn}`)
      todo.doc.getMap('items').set(`${turn}`, { done: false })
      await todo.saved()
      await todo.close()
    }
  }
  await bob.space.saved({ peers: 1 })
  await whenSynced(alice.space)
  await whenText(mine.doc, his.doc.getText('body').toString())
}

async function verified(storage: string): Promise<{ problems: Problem[]; summary: VerifySummary }> {
  const problems: Problem[] = []
  const verification = Skein.verify({ storage })
  for (;;) {
    const next = await verification.next()
    if (next.done === true) return { problems, summary: next.value }
    problems.push(next.value)
  }
}

/** What is in the files of a folder, apart from who holds the lock. */
async function fingerprint(folder: string): Promise<string> {
  const hash = createHash('sha256')
  const names = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name !== 'lock')
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
  for (const name of names) hash.update(name).update(await readFile(name))
  return hash.digest('hex')
}

test('a sound store has nothing wrong, and nothing in it is changed', async () => {
  const before = await fingerprint(template.alice.folder)
  const { problems, summary } = await verified(template.alice.folder)
  assert.equal(problems, [])
  assert.is(await fingerprint(template.alice.folder), before)
  assert.is(summary.spaces, 1)
  assert.is(summary.logs, 4)
  assert.ok(summary.entries > 100 && summary.documents > 5 && summary.bytes > 1_500_000)
  assert.equal([summary.damage, summary.refused, summary.pending], [0, 0, 0])
})

test('a space that is open is verified beside its use', async () => {
  const { bob } = template
  const note = await bob.space.open('ideas')
  note.doc.getText('body').insert(0, 'open ')
  const problems: Problem[] = []
  const parts = new Set<string>()
  const verification = bob.space.verify({ onProgress: ({ part }) => parts.add(part) })
  for await (const problem of verification) problems.push(problem)
  assert.equal(problems, [])
  for (const part of ['alice:content', 'entries', 'documents'])
    assert.ok(parts.has(part), `${part} is not among ${[...parts].join()}`)
  await note.saved()
})

test('a space that began with several owners is verified by what its logs say of them', async () => {
  await using alice = await device('alice')
  const space = await alice.skein.createSpace({ name: 'Notes', recovery: true })
  const note = await space.open('ideas')
  note.doc.getText('body').insert(0, 'Hello')
  await note.saved()
  const problems: Problem[] = []
  for await (const problem of space.verify()) problems.push(problem)
  await alice.skein.close()
  for await (const problem of Skein.verify({ storage: alice.folder })) problems.push(problem)
  assert.equal(problems, [])
})

test('what was written a moment ago is verified too', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  const space = await alice.skein.createSpace({ name: 'shared' })
  const note = await space.open('ideas')
  for (const text of ['one ', 'two ']) {
    note.doc.getText('body').insert(0, text)
    await note.saved()
    await space.append('note', text)
    const verification = space.verify()
    const { value: summary, done } = await verification.next()
    assert.ok(done, `${JSON.stringify(summary)}`)
    assert.is((summary as VerifySummary).documents, 1)
  }
})

test('a store in use by another is not looked at, and one that is not there is not made', async () => {
  await rejects(verified(template.bob.folder), 'STORAGE_LOCKED')
  await rejects(verified(join(template.alice.folder, 'nowhere')), 'STORAGE_FAILED')
})

test('what a removed device wrote in vain is no damage', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice, bob)
  const his = await bob.space.open('ideas')
  his.doc.getText('body').insert(0, 'seen ')
  await his.saved({ peers: 1 })
  const mine = await space.open('ideas')
  await whenText(mine.doc, 'seen ')
  network.partition([[alice.key], [bob.key]])
  his.doc.getText('body').insert(0, 'unseen ')
  await his.saved()
  await space.append('kept', 1)
  await space.remove(bob.id)
  const bundle = bob.space.export()
  await alice.skein.import(bundle)
  assert.is(mine.doc.getText('body').toString(), 'seen ')
  const told: Problem[] = []
  for await (const problem of space.verify()) told.push(problem)
  assert.ok(
    told.every(({ severity }) => severity !== 'damage'),
    JSON.stringify(told)
  )
  await alice.skein.close()
  const { summary } = await verified(alice.folder)
  assert.is(summary.damage, 0)
  await alice.start()
})

test('fifty damages in one log are found one by one, each where it is', async () => {
  await using writer = await device('writer')
  const space = await writer.skein.createSpace({ name: 'Large' })
  for (let i = 0; i < 800; i++) await space.append('number', i)
  const devices = { writer: writer.key }
  await writer.skein.close()
  await using home = await DamagedHome.copy(writer.folder, devices, seed)
  const expected: string[] = []
  await home.core('writer:content', async (records, writes) => {
    for (let i = 0; i < 50; i++) expected.push(await plantInside(home, records, writes, i, i * 16))
  })
  const { problems } = await verified(home.folder)
  const told = problems.map(({ code, where, message }) => `${code} ${where}: ${message}`)
  assert.is(problems.length, 50, told.join('\n'))
  for (const one of expected) {
    assert.is(told.filter((line) => line.startsWith(one)).length, 1, `${one}\n${told.join('\n')}`)
  }
  await writer.start()
})

for (const [i, { name, expected, plant }] of damages.entries()) {
  test(`damage is found: ${name}`, async () => {
    await using home = await DamagedHome.copy(
      template.alice.folder,
      template.devices,
      seed * 1000 + i
    )
    await plant(home)
    const before = await fingerprint(home.folder)
    const { problems } = await verified(home.folder)
    const told = problems.map(({ severity, code, where, message }) => {
      return `${severity} ${code} ${where}: ${message}`
    })
    const found = problems.filter(({ severity }) => severity === 'damage')
    assert.ok(found.length > 0, 'nothing was found')
    assert.ok(found.length <= (expected.most ?? 1), told.join('\n'))
    for (const problem of problems) {
      // What the outbox has of it comes back at the next opening.
      const isMended = expected.isMended === true && problem.code === 'outbox'
      if (isMended && problem.severity === 'pending') continue
      const isRight =
        problem.severity === 'damage' &&
        expected.codes.includes(problem.code) &&
        expected.where.test(problem.where)
      assert.ok(isRight, told.join('\n'))
    }
    assert.is(await fingerprint(home.folder), before)
  })
}

test.run()
