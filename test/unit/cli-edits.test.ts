// How the command line changes a text: as little as will do, and beside what others wrote meanwhile.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { changeText, rebase } from '../../lib/cli/edits.ts'

const test = suite('cli edits')

function textOf(content: string): Y.Text {
  const text = new Y.Doc().getText('body')
  text.insert(0, content)
  return text
}

test('only what differs is changed', () => {
  const text = textOf('Take a tent and socks')
  const changed = changeText(text, 'Take a tarp and socks')
  assert.is(text.toString(), 'Take a tarp and socks')
  assert.equal(changed, { inserted: 3, deleted: 3 })
  assert.equal(changeText(text, text.toString()), { inserted: 0, deleted: 0 })
})

test('a concurrent edit survives a text that is replaced', () => {
  const alice = new Y.Doc()
  alice.getText('body').insert(0, 'one two three')
  const bob = new Y.Doc()
  Y.applyUpdate(bob, Y.encodeStateAsUpdate(alice))
  changeText(alice.getText('body'), 'one 2 three')
  bob.getText('body').insert(13, ', four')
  Y.applyUpdate(bob, Y.encodeStateAsUpdate(alice))
  assert.is(bob.getText('body').toString(), 'one 2 three, four')
})

test('characters of two halves are never cut', () => {
  const text = textOf('a😀b')
  changeText(text, 'a😁b')
  assert.is(text.toString(), 'a😁b')
  changeText(text, '😁😀b')
  assert.is(text.toString(), '😁😀b')
})

test('what was edited is brought into a text that others changed meanwhile', () => {
  const text = textOf('Shopping\n- bread\n- eggs\n- milk\n')
  rebase(text, 'Shopping\n- bread\n- milk\n', 'Shopping list\n- bread\n- oat milk\n')
  assert.is(text.toString(), 'Shopping list\n- bread\n- eggs\n- oat milk\n')
})

test('what both deleted is deleted once, and what one wrote in a deleted place stays', () => {
  const text = textOf('one four')
  rebase(text, 'one two three four', 'one three four five')
  assert.is(text.toString(), 'one four five')
  const other = textOf('one two AND three')
  rebase(other, 'one two three', 'one')
  assert.match(other.toString(), /^one ?AND/)
})

test('any text becomes any other, also beside a third', () => {
  // A small generator of one's own, so that a failure repeats.
  let state = 12_345
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 8) % below
  }
  const letters = ['a', 'b', ' ', '\n', 'ä', '😀', '😁']
  const word = (): string => Array.from({ length: random(12) }, () => letters[random(7)]).join('')
  for (let round = 0; round < 500; round++) {
    const [before, now, after] = [word(), word(), word()] as const
    const text = textOf(before)
    changeText(text, now)
    assert.is(text.toString(), now)
    rebase(text, before, after)
    // Nobody changed it meanwhile: it reads as was wanted. Or the user changed nothing: as the others left it.
    const plain = textOf(before)
    rebase(plain, before, after)
    assert.is(plain.toString(), after)
    const untouched = textOf(now)
    rebase(untouched, before, before)
    assert.is(untouched.toString(), now)
    assert.ok(
      !/[\uD800-\uDBFF](?![\uDC00-\uDFFF])/.test(text.toString()),
      JSON.stringify({ before, now, after })
    )
  }
})

test.run()
