/** Subdocuments: documents within a document. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { MemoryNetwork } from '../../adapters/memory.ts'
import type { Document } from '../../lib/index.ts'
import { deadline, eventually } from '../events.ts'
import { device, joinAs, spaceOf, waitMs, whenDoc, whenText } from '../devices.ts'
import { Pair, nextError } from './document-pair.ts'

const test = suite('subdocument')

/** The subdocument, which begins to load. */
async function chapterOf({ doc }: Document): Promise<Y.Doc> {
  const chapters = doc.getMap<Y.Doc>('chapters')
  await whenDoc(doc, () => chapters.has('one'), 'the chapter')
  const chapter = chapters.get('one')!
  chapter.load()
  return chapter
}

test('a subdocument syncs, also what was written into it at once', async () => {
  await using pair = await Pair.open()
  const { note, copy } = pair
  const chapter = new Y.Doc()
  note.doc.getMap('chapters').set('one', chapter)
  chapter.getText('body').insert(0, 'Once')
  const atBob = await chapterOf(copy)
  await whenText(atBob, 'Once')
  atBob.getText('body').insert(4, ' upon a time')
  await whenText(chapter, 'Once upon a time')
})

test('a subdocument is there after a restart, and goes on', async () => {
  await using pair = await Pair.open()
  const chapter = new Y.Doc()
  pair.note.doc.getMap('chapters').set('one', chapter)
  chapter.getText('body').insert(0, 'Once')
  await pair.alice.restart()
  const note = await pair.alice.space.open('ideas')
  const again = note.doc.getMap('chapters').get('one') as Y.Doc
  again.load()
  await deadline(again.whenLoaded, waitMs, 'the chapter is loaded')
  assert.is(again.getText('body').toString(), 'Once')
  again.getText('body').insert(4, ' more')
  const atBob = await chapterOf(pair.copy)
  await whenText(atBob, 'Once more')
})

test('a subdocument that is edited before it has loaded fails clearly, and nothing of it is logged', async () => {
  await using pair = await Pair.open()
  const chapter = new Y.Doc()
  pair.note.doc.getMap('chapters').set('one', chapter)
  chapter.getText('body').insert(0, 'Once')
  await pair.note.saved()
  await pair.alice.restart()
  const note = await pair.alice.space.open('ideas')
  const again = note.doc.getMap('chapters').get('one') as Y.Doc
  const refused: unknown[] = []
  pair.bob.space.on('peer-error', (error) => refused.push(error))
  const failed = nextError(note)
  again.load()
  again.getText('body').insert(0, 'early')
  assert.is((await failed).error.code, 'DOCUMENT_NOT_EMPTY')
  const atBob = await chapterOf(pair.copy)
  await whenText(atBob, 'Once')
})

test('subdocuments are not among the documents of a space', async () => {
  await using pair = await Pair.open()
  const names: string[] = []
  pair.bob.space.on('document', ({ name }) => names.push(name))
  const chapter = new Y.Doc()
  pair.note.doc.getMap('chapters').set('one', chapter)
  chapter.getText('body').insert(0, 'Once')
  const space = pair.alice.space
  await eventually(() => chapter.isLoaded)
  await space.saved()
  assert.equal(space.documents(), ['ideas'])
  await deadline(space.saved({ peers: 1 }), waitMs, 'bob holds it')
  await chapterOf(pair.copy)
  assert.equal(names, ['ideas'])
})

test('a subdocument that a reader makes is reported, and goes nowhere', async () => {
  const network = new MemoryNetwork()
  await using alice = await device('alice', network)
  await using bob = await device('bob', network)
  const space = await spaceOf(alice)
  await joinAs(space, bob, { role: 'reader' })
  const copy = await bob.space.open('ideas')
  const errors: string[] = []
  copy.on('error', ({ error }) => errors.push(error.code))
  const chapter = new Y.Doc()
  copy.doc.getMap('chapters').set('one', chapter)
  chapter.getText('body').insert(0, 'Once')
  await eventually(() => errors.length > 1)
  assert.equal([...new Set(errors)], ['NOT_ALLOWED'])
  assert.equal(bob.space.documents(), [])
})

test.run()
