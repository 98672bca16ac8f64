/**
 * Texts of folder sync: what changed between two of them, and making that change in a document that has moved on.
 *
 *   FUZZ_ROUNDS=20000 SEED=… npm test -- folder-text     more random histories; 500 otherwise
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import {
  anchoredTextOf,
  carryOut,
  planChange,
  planUnion,
  type AnchoredText
} from '../../lib/cli/folder/anchored-text.ts'
import { applyReplacements, costOf, diffText, likeness } from '../../lib/cli/folder/text-diff.ts'
import { random, seedOf } from '../crash/lab.ts'

const rounds = Number(process.env['FUZZ_ROUNDS'] ?? 500)
const test = suite('folder texts')

const pieces = [
  'a',
  'b',
  ' ',
  '\n',
  '\r\n',
  'word ',
  'line\n',
  '👩‍👩‍👧',
  '😀',
  '😁',
  'e\u0301',
  'é',
  '🇩🇪',
  '🇫🇷',
  '한',
  '\u1112\u1161\u11ab',
  '\ufeff',
  '**'
]

function randomText(choose: () => number, length: number): string {
  let text = ''
  for (let i = 0; i < length; i++) text += pieces[Math.floor(choose() * pieces.length)]!
  return text
}

/** One of the edits that people make, at borders of what they see as characters. */
function editedText(choose: () => number, text: string): string {
  const clusters = Array.from(new Intl.Segmenter().segment(text), ({ segment }) => segment)
  for (let n = Math.floor(1 + choose() * 3); n > 0; n--) {
    const at = Math.floor(choose() * (clusters.length + 1))
    clusters.splice(
      at,
      Math.floor(choose() * 4),
      ...(choose() < 0.7 ? [randomText(choose, 3)] : [])
    )
  }
  return clusters.join('')
}

test('the replacements found make one text from the other, and cut no character in two', () => {
  const choose = random(seedOf('folder-text'))
  for (let round = 0; round < rounds; round++) {
    const before = randomText(choose, Math.floor(choose() * 40))
    const after = choose() < 0.3 ? randomText(choose, 30) : editedText(choose, before)
    const replacements = diffText(before, after)
    assert.is(applyReplacements(before, replacements), after)
    let end = -1
    for (const { from, to, text } of replacements) {
      assert.ok(from > end, 'apart and in order')
      end = to
      const cut = [before.slice(0, from), before.slice(from, to), text, before.slice(to)]
      for (const part of cut) {
        assert.not.match(part, /\p{Surrogate}/u)
        assert.not.match(part, /^(\p{M}|\u200d)/u)
      }
      assert.not(before[from - 1] === '\r' && before[from] === '\n')
      assert.not(before[to - 1] === '\r' && before[to] === '\n')
    }
    assert.equal(diffText(before, after), replacements)
  }
})

test('a small change is found small', () => {
  const lines = Array.from({ length: 2_000 }, (_, i) => `line ${i} of a long text\n`)
  const before = lines.join('')
  lines[700] = 'line 700 of a longer text\n'
  lines.splice(1_200, 1)
  assert.is(costOf(diffText(before, lines.join(''))), 2 + lines[1_199]!.length)
  assert.equal(diffText('a cat sat', 'a dog sat'), [{ from: 2, to: 5, text: 'dog' }])
  assert.equal(diffText('colour', 'color'), [{ from: 4, to: 5, text: '' }])
})

test('a word is not made of letters that it shares with another by chance', () => {
  assert.equal(diffText('uvjxbtlployv', 'avbkjtxllrey'), [
    { from: 0, to: 12, text: 'avbkjtxllrey' }
  ])
  // Of two that are written together, one is another now, which shares a letter here and there.
  assert.equal(diffText('abcdefghijklmnopqrst', 'azcyexgwivklmnopqrst'), [
    { from: 0, to: 10, text: 'azcyexgwiv' }
  ])
  assert.equal(diffText('walking', 'walker'), [{ from: 4, to: 7, text: 'er' }])
})

test('what two texts have in common is there once in their union, and what one has alone stays', () => {
  const union = (a: string, b: string): string => {
    const text = new Y.Doc().getText('body')
    text.insert(0, a)
    const plan = planUnion(text, b, { client: text.doc!.clientID, clock: a.length })
    carryOut(text, plan)
    assert.is(plan.result.text, b)
    return text.toString()
  }
  assert.is(union('one two\n', 'one two three\n'), 'one two three\n')
  assert.is(union('one two three\n', 'one three\n'), 'one two three\n')
  assert.is(union('colour', 'color'), 'colour')
  assert.is(union('a\nb\nc\n', 'a\nx\nc\n'), 'a\nxb\nc\n')
  assert.is(union('', 'new'), 'new')
  assert.is(union('same', 'same'), 'same')
  assert.ok(likeness('one two three four', 'one two three') > 0.9)
  assert.ok(likeness('apples and pears', 'xyz 123 !!') < 0.3)
})

test('megabytes that have little in common take a bounded time', () => {
  const choose = random(1)
  const block = (n: number): string =>
    Array.from({ length: n }, () => Math.floor(choose() * 1e9).toString(36)).join(
      choose() < 0.5 ? ' ' : '\n'
    )
  const before = block(150_000)
  const after = block(150_000)
  assert.is(applyReplacements(before, diffText(before, after)), after)
  const oneLine = before.replaceAll('\n', ' ')
  const edited =
    oneLine.slice(0, 1_000) + 'XX' + oneLine.slice(1_000, 700_000) + 'YY' + oneLine.slice(700_004)
  assert.is(applyReplacements(oneLine, diffText(oneLine, edited)), edited)
  assert.ok(costOf(diffText(oneLine, edited)) < 100)
})

test('a change made to an older text is made where its characters are now, and takes nothing of others’ away', () => {
  const alice = new Y.Doc()
  const bob = new Y.Doc()
  const text = alice.getText('body')
  text.insert(0, 'one two three four')
  const base = anchoredTextOf(text)
  Y.applyUpdate(bob, Y.encodeStateAsUpdate(alice))
  bob.getText('body').insert(4, 'BOB ')
  bob.getText('body').delete(0, 4)
  Y.applyUpdate(alice, Y.encodeStateAsUpdate(bob))
  assert.is(text.toString(), 'BOB two three four')
  change(text, base, 'one two 3 four five')
  assert.is(text.toString(), 'BOB two 3 four five')
})

test('a text whose characters the document never had is told', () => {
  const text = new Y.Doc().getText('body')
  text.insert(0, 'short')
  const unknown = { text: 'longer', runs: [{ client: 5, clock: 0, length: 6 }] }
  assert.is(planChange(text, unknown, [], { client: 1, clock: 0 }), null)
})

function change(text: Y.Text, base: AnchoredText, after: string): AnchoredText {
  const { clientID, store } = text.doc!
  const at = { client: clientID, clock: Y.getState(store, clientID) }
  const plan = planChange(text, base, diffText(base.text, after), at)!
  text.doc!.transact(() => carryOut(text, plan))
  assert.is(Y.getState(store, clientID), at.clock + plan.inserted)
  return plan.result
}

test('random changes to older and older texts: every token is there unless its reader took it away', () => {
  const choose = random(seedOf('folder-text'))
  for (let round = 0; round < rounds; round++) {
    const docs = [new Y.Doc(), new Y.Doc()]
    const alive = new Set<string>()
    const gone = new Set<string>()
    docs[0]!.getText('body').insert(0, 'start\n')
    Y.applyUpdate(docs[1]!, Y.encodeStateAsUpdate(docs[0]!))
    const seen = docs.map((doc) => anchoredTextOf(doc.getText('body')))
    for (let step = 0; step < 12; step++) {
      const who = Math.floor(choose() * 2)
      const text = docs[who]!.getText('body')
      const what = choose()
      if (what < 0.3) seen[who] = anchoredTextOf(text)
      else if (what < 0.5) Y.applyUpdate(docs[who]!, Y.encodeStateAsUpdate(docs[1 - who]!))
      else {
        const parts = seen[who]!.text.split(/(?<=[\n ])/)
        const at = Math.floor(choose() * (parts.length + 1))
        const [removed = ''] = choose() < 0.4 ? parts.splice(at, 1) : []
        for (const one of alive) if (removed.includes(one)) gone.add(one)
        const added = `${tokenOf(choose)}${choose() < 0.5 ? '\n' : ' '}`
        alive.add(added.trim())
        parts.splice(at, 0, added)
        seen[who] = change(text, seen[who]!, parts.join(''))
        assert.is(seen[who].text, parts.join(''))
        // The names that were foretold are those the characters got.
        const all = new Set(allNames(text))
        for (const { client, clock, length } of seen[who].runs)
          for (let i = 0; i < length; i++) assert.ok(all.has(`${client}:${clock + i}`))
      }
    }
    for (const who of [0, 1]) Y.applyUpdate(docs[who]!, Y.encodeStateAsUpdate(docs[1 - who]!))
    const end = docs[0]!.getText('body').toString()
    assert.is(docs[1]!.getText('body').toString(), end)
    for (const one of alive) assert.ok(gone.has(one) || end.includes(one), `${one} in ${end}`)
  }
})

/** Unlike any other: of two words that share most of their letters, one made from the other may hold some of both. */
function tokenOf(choose: () => number): string {
  return Array.from({ length: 12 }, () => String.fromCharCode(97 + Math.floor(choose() * 26))).join(
    ''
  )
}

function allNames(text: Y.Text): string[] {
  const names: string[] = []
  for (let item = text._start; item !== null; item = item.right)
    for (let i = 0; i < item.length; i++) names.push(`${item.id.client}:${item.id.clock + i}`)
  return names
}

test.run()
