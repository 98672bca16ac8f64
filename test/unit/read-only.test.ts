/** Documents that this device may not write to, and how they are reset. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MemoryNetwork } from '../../adapters/memory.ts'
import type { DocumentEvents } from '../../lib/index.ts'
import { deadline, eventually, once } from '../events.ts'
import { device, joinAs, rejects, spaceOf, waitMs, whenText } from '../devices.ts'
import { Pair, bodyOf, nextError } from './document-pair.ts'

const test = suite('read only')

test('what a reader writes is reported, goes nowhere, and leaves its document again', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice)
  await joinAs(space, bob, { role: 'reader' })
  const note = await space.open('ideas')
  bodyOf(note).insert(0, 'alice')
  const copy = await bob.space.open('ideas')
  await whenText(copy.doc, 'alice')
  assert.ok(copy.readOnly)
  assert.not(note.readOnly)
  const first = copy.doc
  const failed = nextError(copy)
  const reset = once<DocumentEvents['reset']>((tell) => copy.on('reset', tell), waitMs, 'the reset')
  bodyOf(copy).insert(5, ' and bob')
  assert.is((await failed).error.code, 'NOT_ALLOWED')
  await rejects(copy.saved(), 'NOT_ALLOWED')
  assert.not(copy.safety.durable)
  await rejects(bob.space.append('event', 1), 'NOT_ALLOWED')
  const { doc, previous, reason } = await reset
  assert.is(doc, copy.doc)
  assert.is(previous, first)
  assert.is(reason, 'read-only')
  assert.is(bodyOf(copy).toString(), 'alice')
  assert.is(previous.getText('body').toString(), 'alice and bob')
  assert.ok(copy.safety.durable)
  bodyOf(note).insert(0, 'still ')
  await whenText(copy.doc, 'still alice')
  await copy.close()
  assert.is(bodyOf(await bob.space.open('ideas')).toString(), 'still alice')
  assert.is(bodyOf(note).toString(), 'still alice')
  await bob.restart()
  await whenText((await bob.space.open('ideas')).doc, 'still alice')
})

test('an editor that writes whenever it is bound does not keep a reader’s document busy', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  await joinAs(await spaceOf(alice), bob, { role: 'reader' })
  const copy = await bob.space.open('ideas')
  let resets = 0
  copy.on('reset', ({ doc }) => {
    resets++
    doc.getText('body').insert(0, 'here')
  })
  const startedAt = performance.now()
  bodyOf(copy).insert(0, 'here')
  await eventually(() => resets === 3)
  // The first comes at once.
  assert.ok(performance.now() - startedAt > 1_900, 'two seconds apart at the least')
})

// Rebuilding

test('a reset document holds the same, and goes on: edits, presence, and what arrives meanwhile', async () => {
  await using pair = await Pair.open()
  const { note, copy } = pair
  bodyOf(note).insert(0, 'from alice')
  await whenText(copy.doc, 'from alice')
  copy.awareness.setLocalState({ name: 'bob' })
  await eventually(() => note.awareness.getStates().size === 2)
  for (let round = 0; round < 5; round++) {
    const { doc: before, clientID } = { doc: copy.doc, clientID: copy.doc.clientID }
    bodyOf(copy).insert(0, 'b')
    const resetting = copy.reset('entries-left')
    bodyOf(note).insert(0, 'a')
    await new Promise((resolve) => setImmediate(resolve))
    bodyOf(copy).insert(0, 'c')
    await resetting
    assert.is.not(copy.doc, before)
    assert.is(copy.doc.clientID, clientID)
    bodyOf(copy).insert(0, 'd')
    await deadline(copy.saved({ peers: 1 }), waitMs, 'alice holds it')
    await deadline(note.saved({ peers: 1 }), waitMs, 'bob holds it')
    const text = bodyOf(note).toString()
    assert.is(text.length, 10 + 4 * (round + 1))
    await whenText(copy.doc, text)
    await whenText(note.doc, text)
  }
  assert.equal(copy.awareness.getLocalState(), { name: 'bob' })
  copy.awareness.setLocalState({ name: 'bob again' })
  await eventually(() =>
    [...note.awareness.getStates().values()].some(({ name }) => name === 'bob again')
  )
  await copy.close()
  assert.is(bodyOf(await pair.bob.space.open('ideas')).toString(), bodyOf(note).toString())
})

test.run()
