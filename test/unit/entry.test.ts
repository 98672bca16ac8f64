/** The block format: golden vectors, and that nothing but what was sealed for a place opens there. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as encoding from 'lib0/encoding'
import { fromHex, toHex } from '../../lib/bytes.ts'
import { encrypt, hash } from '../../lib/crypto.ts'
import {
  EntryAssembler,
  keyIdOf,
  keyIdOfBlock,
  kinds,
  maxBodyBytes,
  openBlock,
  sealEntry,
  type Entry,
  type Fragment,
  type Place
} from '../../lib/log/entry.ts'

const test = suite('entry')

const key = new Uint8Array(32).fill(0x11)
const nonce = new Uint8Array(24).fill(0x22)
const place: Place = {
  space: new Uint8Array(32).fill(0x33),
  device: new Uint8Array(32).fill(0x44),
  core: 'content/0',
  seq: 7
}
const timeMs = Date.UTC(2026, 0, 1)
const headerBytes = 1 + 32 + 24

function seal(entry: Partial<Entry>, at: Place = place): Uint8Array[] {
  const whole = { kind: kinds.edit, timeMs, deps: [], body: new Uint8Array(), ...entry }
  return sealEntry(whole, at, key, () => nonce)
}

/** Opens blocks that follow each other, and puts their entry together. */
function open(blocks: Uint8Array[], at: Place = place): Entry | null {
  const assembler = new EntryAssembler()
  let entry: Entry | null = null
  for (const [i, block] of blocks.entries()) {
    entry = assembler.add(openBlock(block, { ...at, seq: at.seq + i }, key))
  }
  return entry
}

function hasCode(code: string): (error: { code?: string }) => boolean {
  return (error) => error.code === code
}

/** Seals any bytes as a block for the place, as a hostile member could. */
function sealRaw(plain: Uint8Array): Uint8Array {
  const data = encoding.createEncoder()
  encoding.writeVarString(data, 'skein/block')
  encoding.writeUint8(data, 1)
  encoding.writeUint8Array(data, place.space)
  encoding.writeUint8Array(data, place.device)
  encoding.writeVarString(data, place.core)
  encoding.writeVarUint(data, place.seq)
  encoding.writeUint8Array(data, keyIdOf(key))
  const sealed = encrypt(key, nonce, encoding.toUint8Array(data), plain)
  return new Uint8Array([1, ...keyIdOf(key), ...nonce, ...sealed])
}

function text(string: string): Uint8Array {
  return new TextEncoder().encode(string)
}

/** Bytes that do not repeat, from a name. */
function bytes(name: string, length: number): Uint8Array {
  const out = new Uint8Array(length)
  for (let at = 0; at < length; at += 32) {
    out.set(hash('test', text(`${name} ${at}`)).subarray(0, Math.min(32, length - at)), at)
  }
  return out
}

const deps = [
  { log: '0102030405060708', length: 1, treeHash: '1112131415161718' },
  { log: 'f1f2f3f4f5f6f7f8', length: 300_000, treeHash: 'e1e2e3e4e5e6e7e8' }
]

// Golden vectors

test('a key is named by its hash', () => {
  assert.is(toHex(keyIdOf(key)), '33028411df1bc3c297affdfead6bb74593645379919cb48a8e5e67e34493d1fe')
})

test('an entry without deps is these bytes', () => {
  const [block, ...more] = seal({ body: text('Hello') })
  assert.is(more.length, 0)
  assert.is(
    toHex(block!),
    [
      '0133028411df1bc3c297affdfead6bb74593645379919cb48a8e5e67e34493d1fe2222222222222222222222',
      '22222222222222222222222222834667dcb60f53a7e5485caed115cee23297c3d4159efae4604b76e771e059',
      '255ed7b64385ffda42e77f632a5734232872b8282c6aa786083f14dcfbc7e13cca67369781c338482d8a7b0b',
      'e0fa1c4127'
    ].join('')
  )
})

test('an entry with deps is these bytes', () => {
  const [block, ...more] = seal({ kind: kinds.event, deps, body: text('Hello') })
  assert.is(more.length, 0)
  assert.is(
    toHex(block!),
    [
      '0133028411df1bc3c297affdfead6bb74593645379919cb48a8e5e67e34493d1fe2222222222222222222222',
      '22222222222222222222222222834567dcb60f53a7e74c16c8b97ca7e53a96d2c6068aeff2775387158214ac',
      'd3a92f56e4971e38a1039a85cdbf316b4d1ed4472c6aa786083f14dcfbc7e13cca6592d11c3859091c833c77',
      'fbb8e6d0f9'
    ].join('')
  )
})

test('an entry of the control log is these bytes', () => {
  const at = { ...place, core: 'control' as const, seq: 0 }
  const [block] = seal({ kind: kinds.genesis, body: text('Hello') }, at)
  assert.is(
    toHex(block!),
    [
      '0133028411df1bc3c297affdfead6bb74593645379919cb48a8e5e67e34493d1fe2222222222222222222222',
      '22222222222222222222222222836667dcb60f53a7e5485caed115cee23297c3d4159efae4604b76e771e059',
      '255ed7b64385ffda42e77f632a5734232872b8282c6aa786083f14dcfbc7e13ccad50d473949ed5ab8170c71',
      '57e86f4ac7'
    ].join('')
  )
})

test('an entry that goes over several blocks is these bytes', () => {
  const blocks = seal({ deps, body: bytes('long', 2_500_000) })
  assert.equal(
    blocks.map((block) => block.length),
    [1048649, 1048649, 417865]
  )
  assert.equal(
    blocks.map((block) => toHex(hash('golden', block))),
    [
      '6055fb96ea4407573997a257bcc6e370ea2ac9c654132151c0292b03f4cbb270',
      '5b385e2076081f0ffa26555cca8e4069c12665154f4d976ce76e23b1f9527c1a',
      'f57677194407481b9e0df77a1724f479b3c19a78eb8a98130fcbb0b1684f7946'
    ]
  )
})

// Round trips

test('what was sealed opens to the same entry', () => {
  for (const entry of [
    { kind: kinds.edit, timeMs, deps: [], body: new Uint8Array() },
    { kind: kinds.edit, timeMs: 0, deps, body: text('Hello') },
    { kind: 2 ** 32, timeMs: 2 ** 45, deps: [], body: bytes('body', 5_000) },
    { kind: kinds.grant, timeMs, deps, body: bytes('body', 1024 * 1024) },
    { kind: kinds.checkpoint, timeMs, deps, body: bytes('body', 3 * 1024 * 1024 + 1) }
  ]) {
    assert.equal(open(seal(entry)), entry)
  }
})

test('the largest entry opens, and one byte more is refused', () => {
  const body = bytes('body', maxBodyBytes)
  const blocks = seal({ body })
  assert.ok(blocks.every((block) => block.length <= 1024 * 1024 + headerBytes + 16))
  assert.equal(open(blocks)?.body, body)
  assert.throws(() => seal({ body: new Uint8Array(maxBodyBytes + 1) }), hasCode('ENTRY_TOO_LARGE'))
})

test('a block says under which key it is sealed', () => {
  assert.equal(keyIdOfBlock(seal({})[0]!), keyIdOf(key))
  for (const bad of [new Uint8Array(), new Uint8Array(56).fill(1), new Uint8Array(100)]) {
    assert.throws(() => keyIdOfBlock(bad), hasCode('BAD_ENCODING'))
  }
})

test('every block of an entry takes a nonce of its own', () => {
  const lengths: number[] = []
  const randomBytes = (length: number): Uint8Array => {
    lengths.push(length)
    return new Uint8Array(length).fill(lengths.length)
  }
  const entry = { kind: kinds.edit, timeMs, deps: [], body: new Uint8Array(2_500_000) }
  const nonces = sealEntry(entry, place, key, randomBytes).map((block) =>
    toHex(block.subarray(33, 57))
  )
  assert.equal(lengths, [24, 24, 24])
  assert.is(new Set(nonces).size, 3)
})

// Padding

test('a block’s length is one of few, at most an eighth above what it holds', () => {
  const overhead = headerBytes + 16
  const lengths = new Set<number>()
  for (let length = 0; length < 5_000; length++) {
    const [block] = seal({ body: new Uint8Array(length) })
    const padded = block!.length - overhead
    const plain = 1 + 1 + 6 + 1 + (length < 128 ? 1 : 2) + length
    assert.ok(padded >= plain && padded >= 64, `${length} bytes in ${padded}`)
    assert.ok(padded === 64 || padded <= plain * 1.125, `${length} bytes in ${padded}`)
    lengths.add(padded)
  }
  assert.ok(lengths.size < 100, `${lengths.size} lengths`)
})

// Tampering

test('a block with any byte changed does not open', () => {
  const [block] = seal({ deps, body: text('Hello') })
  for (let at = 0; at < block!.length; at++) {
    for (const bit of [1, 0x80]) {
      const tampered = new Uint8Array(block!)
      tampered[at]! ^= bit
      // What the block says of itself is checked first, and with it the seal.
      assert.throws(
        () => openBlock(tampered, place, key),
        hasCode(at === 0 ? 'BAD_ENCODING' : 'BAD_SEAL')
      )
    }
  }
})

test('a block that is cut short or goes on does not open', () => {
  const [block] = seal({ body: text('Hello') })
  for (let length = 0; length < block!.length; length++) {
    const isShort = length < headerBytes
    const code = isShort ? 'BAD_ENCODING' : 'BAD_SEAL'
    assert.throws(() => openBlock(block!.subarray(0, length), place, key), hasCode(code))
  }
  assert.throws(() => openBlock(new Uint8Array([...block!, 0]), place, key), hasCode('BAD_SEAL'))
})

test('a block opens at its own place only', () => {
  const [block] = seal({ body: text('Hello') })
  const others: Place[] = [
    { ...place, core: 'control' },
    { ...place, core: 'content/1' },
    { ...place, seq: 6 },
    { ...place, seq: 8 },
    { ...place, seq: 2 ** 40 }
  ]
  for (const field of ['space', 'device'] as const) {
    for (let at = 0; at < 32; at++) {
      const other = new Uint8Array(place[field])
      other[at]! ^= 1
      others.push({ ...place, [field]: other })
    }
  }
  for (const other of others) {
    assert.throws(() => openBlock(block!, other, key), hasCode('BAD_SEAL'))
  }
  assert.ok(openBlock(block!, place, key))
})

test('a block opens under its own key only, also when it is made to name another', () => {
  const [block] = seal({ body: text('Hello') })
  const other = new Uint8Array(32).fill(0x12)
  assert.throws(() => openBlock(block!, place, other), hasCode('BAD_SEAL'))
  const renamed = new Uint8Array(block!)
  renamed.set(keyIdOf(other), 1)
  assert.throws(() => openBlock(renamed, place, key), hasCode('BAD_SEAL'))
  assert.throws(() => openBlock(renamed, place, other), hasCode('BAD_SEAL'))
})

// Malformed, though rightly sealed

function fragment(write: (encoder: encoding.Encoder) => void): Uint8Array {
  const encoder = encoding.createEncoder()
  write(encoder)
  return sealRaw(encoding.toUint8Array(encoder))
}

function head(encoder: encoding.Encoder, { flags = 0, deps: count = 0 } = {}): void {
  encoding.writeUint8(encoder, flags)
  encoding.writeVarUint(encoder, kinds.edit)
  encoding.writeVarUint(encoder, timeMs)
  encoding.writeVarUint(encoder, count)
}

test('the bytes of a fragment are as documented', () => {
  const block = fragment((encoder) => {
    head(encoder, { deps: 1 })
    encoding.writeUint8Array(encoder, fromHex(deps[0]!.log))
    encoding.writeVarUint(encoder, deps[0]!.length)
    encoding.writeUint8Array(encoder, fromHex(deps[0]!.treeHash))
    encoding.writeVarUint8Array(encoder, text('Hello'))
  })
  const padded = fragment((encoder) => {
    head(encoder)
    encoding.writeVarUint8Array(encoder, text('Hello'))
    encoding.writeUint8Array(encoder, new Uint8Array(64 - encoding.length(encoder)))
  })
  assert.equal(seal({ body: text('Hello') }), [padded])
  const expected: Fragment = {
    kind: kinds.edit,
    timeMs,
    deps: deps.slice(0, 1),
    body: text('Hello'),
    goesOn: false,
    continues: false
  }
  assert.equal(openBlock(block, place, key), expected)
})

test('a fragment that is malformed is refused', () => {
  const shapes: Record<string, (encoder: encoding.Encoder) => void> = {
    empty: () => {},
    'unknown flags': (encoder) => {
      head(encoder, { flags: 4 })
      encoding.writeVarUint8Array(encoder, text('x'))
    },
    'no body': (encoder) => head(encoder),
    'a body that ends early': (encoder) => {
      head(encoder)
      encoding.writeVarUint(encoder, 10)
      encoding.writeUint8Array(encoder, text('short'))
    },
    'a body of a length that nothing has': (encoder) => {
      head(encoder)
      encoding.writeVarUint(encoder, 2 ** 40)
    },
    'deps that are not there': (encoder) => {
      head(encoder, { deps: 3 })
      encoding.writeVarUint8Array(encoder, text('x'))
    },
    'more deps than there can be': (encoder) => {
      head(encoder, { deps: 100_001 })
      encoding.writeUint8Array(encoder, new Uint8Array(1000))
    },
    'padding that is not zero': (encoder) => {
      head(encoder)
      encoding.writeVarUint8Array(encoder, text('x'))
      encoding.writeUint8Array(encoder, new Uint8Array([0, 0, 1, 0]))
    },
    'a number that does not end': (encoder) => {
      encoding.writeUint8(encoder, 0)
      encoding.writeUint8Array(encoder, new Uint8Array(20).fill(0xff))
    }
  }
  for (const [name, write] of Object.entries(shapes)) {
    assert.throws(() => openBlock(fragment(write), place, key), hasCode('BAD_ENCODING'), name)
  }
})

test('a fragment that continues another brings no deps of its own', () => {
  const block = fragment((encoder) => {
    head(encoder, { flags: 2, deps: 1 })
    encoding.writeUint8Array(encoder, new Uint8Array(17))
    encoding.writeVarUint8Array(encoder, text('x'))
  })
  assert.throws(() => openBlock(block, place, key), hasCode('BAD_ENCODING'))
})

// Fragments that do not fit together

function part(body: string | Uint8Array, flags: Partial<Fragment> = {}): Fragment {
  return {
    kind: kinds.edit,
    timeMs,
    deps: [],
    body: typeof body === 'string' ? text(body) : body,
    goesOn: false,
    continues: false,
    ...flags
  }
}

function read(entry: Entry | null): string | null {
  return entry === null ? null : new TextDecoder().decode(entry.body)
}

test('an entry that never ends counts for nothing, and the next one does', () => {
  const assembler = new EntryAssembler()
  assert.is(assembler.add(part('never', { goesOn: true })), null)
  assert.is(read(assembler.add(part('next'))), 'next')
  assert.ok(assembler.isEmpty)
})

test('a fragment that continues nothing is refused, and the next entry starts clean', () => {
  const assembler = new EntryAssembler()
  assert.throws(() => assembler.add(part('stray', { continues: true })), hasCode('BAD_ENCODING'))
  assert.is(assembler.add(part('a', { goesOn: true })), null)
  assert.is(read(assembler.add(part('b', { continues: true }))), 'ab')
})

test('a fragment of another kind ends the entry it claims to continue', () => {
  const assembler = new EntryAssembler()
  assembler.add(part('a', { goesOn: true }))
  const other = part('b', { continues: true, kind: kinds.event })
  assert.throws(() => assembler.add(other), hasCode('BAD_ENCODING'))
  assert.is(read(assembler.add(part('c'))), 'c')
})

test('fragments that add up to more than an entry may have are refused', () => {
  const assembler = new EntryAssembler()
  const megabyte = new Uint8Array(1024 * 1024)
  assembler.add(part(megabyte, { goesOn: true }))
  for (let i = 1; i < 16; i++) {
    assert.is(assembler.add(part(megabyte, { goesOn: true, continues: true })), null)
  }
  const last = part('x', { continues: true })
  assert.throws(() => assembler.add(last), hasCode('BAD_ENCODING'))
  assert.is(read(assembler.add(part('next'))), 'next')
})

test.run()
