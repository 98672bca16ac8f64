import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fromHex, toHex } from '../../lib/bytes.ts'
import { SkeinError } from '../../lib/errors.ts'
import {
  EntryAssembler,
  kinds,
  keyIdOf,
  keyIdOfBlock,
  maxBodyBytes,
  openBlock,
  sealEntry,
  type Entry,
  type Fragment,
  type Place
} from '../../lib/log/entry.ts'

const test = suite('entry')

const key = new Uint8Array(32).fill(7)
const place: Place = {
  space: new Uint8Array(32).fill(1),
  device: new Uint8Array(32).fill(2),
  core: 'content/0',
  seq: 3
}
const entry: Entry = {
  kind: kinds.edit,
  timeMs: 1_700_000_000_000,
  deps: [{ log: '0102030405060708', length: 300, treeHash: 'a1a2a3a4a5a6a7a8' }],
  body: new TextEncoder().encode('a body')
}
const nonces = (length: number): Uint8Array => new Uint8Array(length).fill(9)
let counter = 0
const different = (length: number): Uint8Array => new Uint8Array(length).fill(++counter)

function seal(of: Entry, at: Place = place): Uint8Array {
  const blocks = sealEntry(of, at, key, different)
  assert.is(blocks.length, 1)
  return blocks[0]!
}

/** The entry that blocks hold, from the place's seq on. */
function open(blocks: Uint8Array[], at: Place = place): Entry | null {
  const assembler = new EntryAssembler()
  let opened: Entry | null = null
  blocks.forEach((block, i) => {
    opened = assembler.add(openBlock(block, { ...at, seq: at.seq + i }, key))
  })
  return opened
}

function failsWith(code: string, run: () => unknown): void {
  try {
    run()
  } catch (error) {
    assert.instance(error, SkeinError)
    assert.is((error as SkeinError).code, code)
    return
  }
  assert.unreachable(`did not fail with ${code}`)
}

test('a block is, to the byte, what the format says', () => {
  const [block] = sealEntry(entry, place, key, nonces)
  assert.is(toHex(keyIdOf(key)), golden.keyId)
  assert.is(toHex(block!), golden.block)
  assert.equal(open([fromHex(golden.block)]), entry)
})

test('an entry comes out of its block as it went in', () => {
  for (const length of [0, 1, 63, 64, 65, 1000, 100_000]) {
    const body = new Uint8Array(length).map((_, i) => i)
    assert.equal(open([seal({ ...entry, body })]), { ...entry, body })
  }
})

test('no byte of a block can be changed unnoticed', () => {
  const block = seal(entry)
  for (let at = 0; at < block.length; at++) {
    const altered = block.slice()
    altered[at]! ^= 1
    failsWith(at === 0 ? 'BAD_ENCODING' : 'BAD_SEAL', () => openBlock(altered, place, key))
  }
  for (let length = 0; length < block.length; length++) {
    failsWith(length < 57 ? 'BAD_ENCODING' : 'BAD_SEAL', () =>
      openBlock(block.slice(0, length), place, key)
    )
  }
})

test('a block opens at its own place alone, and under its own key', () => {
  const block = seal(entry)
  const other = new Uint8Array(32).fill(5)
  const places: Place[] = [
    { ...place, space: other },
    { ...place, device: other },
    { ...place, core: 'content/1' },
    { ...place, core: 'control' },
    { ...place, seq: 4 }
  ]
  for (const elsewhere of places) failsWith('BAD_SEAL', () => openBlock(block, elsewhere, key))
  failsWith('BAD_SEAL', () => openBlock(block, place, other))
})

test('a block names its key', () => {
  assert.equal(keyIdOfBlock(seal(entry)), keyIdOf(key))
})

test('a length tells little of what is in it', () => {
  const lengths = new Set<number>()
  for (let length = 0; length < 4096; length++) {
    const body = new Uint8Array(length)
    const block = seal({ ...entry, body })
    lengths.add(block.length)
    assert.ok(
      block.length <= 73 + Math.max(64, (length + 40) * 1.12 + 1),
      `${length}: ${block.length}`
    )
  }
  assert.ok(lengths.size < 120, `${lengths.size} lengths`)
})

test('a long entry goes over several blocks, of which the first has the deps', () => {
  const body = new Uint8Array(3_000_000).map((_, i) => i % 251)
  const blocks = sealEntry({ ...entry, body }, place, key, different)
  assert.is(blocks.length, 3)
  for (const block of blocks) assert.ok(block.length <= 1.15 * 1024 * 1024)
  assert.equal(open(blocks), { ...entry, body })
  const second = openBlock(blocks[1]!, { ...place, seq: 4 }, key)
  assert.equal([second.deps, second.continues, second.goesOn], [[], true, true])
})

test('an entry over 16 MiB is refused, one of 16 MiB is not', () => {
  const most = new Uint8Array(maxBodyBytes)
  assert.is(
    open(sealEntry({ ...entry, body: most }, place, key, different))?.body.length,
    maxBodyBytes
  )
  failsWith('ENTRY_TOO_LARGE', () =>
    sealEntry({ ...entry, body: new Uint8Array(maxBodyBytes + 1) }, place, key, different)
  )
})

const fragment = (part: Partial<Fragment>): Fragment => ({
  ...entry,
  goesOn: false,
  continues: false,
  ...part
})

test('blocks that do not fit together hold no entry, and harm none that comes after', () => {
  const assembler = new EntryAssembler()
  failsWith('BAD_ENCODING', () => assembler.add(fragment({ continues: true })))
  assert.is(assembler.add(fragment({ goesOn: true })), null)
  failsWith('BAD_ENCODING', () => assembler.add(fragment({ continues: true, kind: kinds.event })))
  assert.equal(assembler.add(fragment({})), entry)
})

test('an entry that never ended gives way to the next', () => {
  const assembler = new EntryAssembler()
  assert.is(assembler.add(fragment({ goesOn: true })), null)
  assert.equal(assembler.add(fragment({})), entry)
})

test('pieces that add up to more than an entry may have are refused', () => {
  const assembler = new EntryAssembler()
  const piece = fragment({ goesOn: true, body: new Uint8Array(maxBodyBytes / 2) })
  assert.is(assembler.add(piece), null)
  assert.is(assembler.add({ ...piece, continues: true }), null)
  failsWith('BAD_ENCODING', () => assembler.add({ ...piece, continues: true }))
  assert.equal(assembler.add(fragment({})), entry)
})

const golden = {
  keyId: 'd3a69163764211244c1461b008b0afc39036c745a430d27f19184d6a12d39257',
  block:
    '01d3a69163764211244c1461b008b0afc39036c745a430d27f19184d6a12d39257090909090909090909' +
    '090909090909090909090909090909be53625ae955c553f5130a3f6c7601ec225fb53be2c23944002ab0' +
    '5ab2063134e65340dbd28bb5540c75bcd708deaa87578b291d3f17b54bfbeab551d085319af5cf3136cd' +
    'ddf53fd818d2dc3875f155'
}

test.run()
