/** What has left a document is written again into what it is now (lib/views/write-again.ts). */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { lostIn, writeAgain } from '../../lib/views/write-again.ts'
import { random } from '../crash/lab.ts'

const test = suite('writing again')

function docOf(client: number, ...updates: Uint8Array[]): Y.Doc {
  const doc = new Y.Doc()
  doc.clientID = client
  for (const update of updates) Y.applyUpdate(doc, update)
  return doc
}

/** The updates that an edit of a document makes. */
function editing(doc: Y.Doc, edit: (doc: Y.Doc) => void): Uint8Array[] {
  const updates: Uint8Array[] = []
  const take = (update: Uint8Array): void => void updates.push(update)
  doc.on('update', take)
  edit(doc)
  doc.off('update', take)
  return updates
}

const base = Y.encodeStateAsUpdate(
  (() => {
    const doc = docOf(1)
    doc.getText('body').insert(0, 'The quick brown fox')
    doc.getMap('meta').set('title', 'Fox')
    const list = new Y.Array<string>()
    doc.getMap('meta').set('list', list)
    list.push(['one', 'two'])
    return doc
  })()
)

/** The document after `kept`, with what `lost` did to that of before put in again. */
function again(
  lost: (doc: Y.Doc) => void,
  kept: (doc: Y.Doc) => void = () => {},
  foreign: (doc: Y.Doc) => void = () => {}
): Y.Doc {
  const before = docOf(3, base)
  foreign(before)
  before.clientID = 2
  const gone = lostIn(editing(before, lost))
  const after = docOf(4, base)
  after.clientID = 5
  kept(after)
  after.clientID = 4
  const updates = editing(after, () => writeAgain(before, after, gone))
  // As one edit of one client, that others come to the same by.
  const other = docOf(6, base)
  other.clientID = 5
  kept(other)
  for (const update of updates) Y.applyUpdate(other, update)
  assert.equal(other.getText('body').toDelta(), after.getText('body').toDelta())
  assert.equal(other.toJSON(), after.toJSON())
  return after
}

test('text stands where it stood, beside what others wrote meanwhile', () => {
  const doc = again(
    (before) => {
      before.getText('body').insert(9, ',sly')
      before.getText('body').insert(before.getText('body').length, ' jumps')
    },
    (after) => {
      after.getText('body').insert(0, '>> ')
      after.getText('body').delete(13, 5)
    }
  )
  assert.is(doc.getText('body').toJSON(), '>> The quick,sly  fox jumps')
})

test('a place that is remembered by its number is found anew', () => {
  const doc = again((before) => before.getText('body').insert(4, 'very '))
  const text = doc.getText('body')
  text.insert(text.length, '!')
  text.insert(5, '_')
  assert.is(text.toJSON(), 'The v_ery quick brown fox!')
})

test('what hangs on text that is gone stands behind what stood before that', () => {
  const doc = again(
    (before) => before.getText('body').insert(12, 'MINE'),
    () => {},
    (before) => before.getText('body').insert(10, 'theirs')
  )
  assert.is(doc.getText('body').toJSON(), 'The quick MINEbrown fox')
})

test('deletes, formatting, keys, lists and elements come again', () => {
  const doc = again(
    (before) => {
      before.getText('body').delete(0, 4)
      before.getText('body').format(0, 5, { bold: true })
      before.getMap('meta').set('title', 'The fox')
      before.getMap('meta').set('author', 'me')
      ;(before.getMap('meta').get('list') as Y.Array<string>).insert(1, ['and'])
      const paragraph = new Y.XmlElement('p')
      before.getXmlFragment('page').insert(0, [paragraph])
      paragraph.setAttribute('class', 'lead')
      paragraph.insert(0, [new Y.XmlText('Once')])
    },
    (after) => after.getText('body').insert(19, '.')
  )
  assert.equal(doc.getText('body').toDelta(), [
    { insert: 'quick', attributes: { bold: true } },
    { insert: ' brown fox.' }
  ])
  assert.equal(doc.getMap('meta').toJSON(), {
    title: 'The fox',
    author: 'me',
    list: ['one', 'and', 'two']
  })
  assert.is(doc.getXmlFragment('page').toString(), '<p class="lead">Once</p>')
})

test('what stands in an element that is gone brings the element', () => {
  const doc = again(
    (before) =>
      (before.getXmlFragment('page').get(0) as Y.XmlElement).insert(0, [new Y.XmlText('mine')]),
    () => {},
    (before) => before.getXmlFragment('page').insert(0, [new Y.XmlElement('p')])
  )
  assert.is(doc.getXmlFragment('page').toString(), '<p>mine</p>')
})

test('a client’s content of before what left stays as it is', () => {
  const before = docOf(2, base)
  before.getText('body').insert(0, 'kept ')
  const kept = Y.encodeStateAsUpdate(before)
  const gone = lostIn(editing(before, () => before.getText('body').insert(5, 'lost ')))
  const after = docOf(4, kept)
  writeAgain(before, after, gone)
  assert.is(after.getText('body').toJSON(), 'kept lost The quick brown fox')
})

test('nothing of any author is lost in random histories, and what was deleted stays so', () => {
  const seeds = Number(process.env['WRITE_AGAIN_SEEDS'] ?? 300)
  for (let seed = 1; seed <= seeds; seed++) {
    const choose = random(seed)
    const below = (count: number): number => Math.floor(choose() * count)
    let count = 0
    const living = new Set<string>()
    const edit = (doc: Y.Doc, own: string, times: number): void => {
      const text = doc.getText('body')
      for (let i = 0; i < times; i++) {
        const token = `[${own}${count++}]`
        // Between tokens alone, so that each stays whole.
        const places = [...`${text.toJSON()}`.matchAll(/\[|$/g)].map(({ index }) => index)
        const at = places[below(places.length)]!
        if (choose() < 0.2 && own === 'a' && /^\[[a]/.test(text.toJSON().slice(at))) {
          const gone = /^\[[a]\d+\]/.exec(text.toJSON().slice(at))![0]
          text.delete(at, gone.length)
          living.delete(gone)
          continue
        }
        text.insert(at, token)
        living.add(token)
      }
    }
    const start = docOf(1)
    edit(start, 'o', 5)
    const state = Y.encodeStateAsUpdate(start)
    const before = docOf(3, state)
    // Others' text that is gone, mixed with one's own.
    const gone: Uint8Array[] = []
    for (let round = 0; round < 4; round++) {
      before.clientID = 3
      const theirs = new Set(living)
      edit(before, 'x', below(4))
      for (const token of living) if (!theirs.has(token)) living.delete(token)
      before.clientID = 2
      gone.push(...editing(before, (doc) => edit(doc, 'a', 1 + below(5))))
    }
    const after = docOf(5, state)
    edit(after, 'k', below(6))
    after.clientID = 4
    writeAgain(before, after, lostIn(gone))
    const shown =
      after
        .getText('body')
        .toJSON()
        .match(/\[\w\d+\]/g) ?? []
    assert.equal([...shown].sort(), [...living].sort(), `seed ${seed}`)
  }
})

test.run()
