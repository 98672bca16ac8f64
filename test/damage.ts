/** Damages to a device's folder, for tests of `verify`: each says what has to be found for it, and is the same for the same random source. */
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TreeNode } from 'hypercore-crypto'
import type { CoreRecords, StoredAuth, StoredHead } from 'hypercore-storage'
import type { ProblemCode } from '../lib/index.ts'
import type { DamagedHome, Writer } from './damaged-home.ts'

export interface Expected {
  /** One of these, and no other. */
  readonly codes: readonly ProblemCode[]
  readonly where: RegExp
  /** How many problems tell of it, at most; 1 if nothing is said. */
  readonly most?: number
  /** True where the outbox has what the store lost by it. */
  readonly isMended?: boolean
}

export interface Damage {
  readonly name: string
  readonly expected: Expected
  readonly plant: (home: DamagedHome) => Promise<void>
}

async function lengthOf(records: CoreRecords): Promise<number> {
  const reader = records.read()
  const head = reader.getHead()
  reader.tryFlush()
  return (await head)!.length
}

async function readOf<T>(
  records: CoreRecords,
  read: (reader: ReturnType<CoreRecords['read']>) => Promise<T | null>
): Promise<T> {
  const reader = records.read()
  const value = read(reader)
  reader.tryFlush()
  return (await value)!
}

function at(where: string): RegExp {
  return new RegExp(`^${where}$`)
}

const logs = ['alice:control', 'alice:content', 'bob:content'] as const

function blockDamages(): Damage[] {
  return logs.map((where) => ({
    name: `a bit of a block of ${where}`,
    expected: { codes: ['block'], where: at(where) },
    plant: (home) =>
      home.core(where, async (records, writer) => {
        const index = home.random(await lengthOf(records))
        writer.putBlock(index, home.flipped(await readOf(records, (r) => r.getBlock(index))))
      })
  }))
}

function nodeDamages(): Damage[] {
  const change = (
    name: string,
    where: string,
    pick: (length: number, home: DamagedHome) => number,
    put: (writer: Writer, node: TreeNode, home: DamagedHome) => void
  ): Damage => ({
    name: `${name} of ${where}`,
    expected: { codes: ['tree-node'], where: at(where) },
    plant: (home) =>
      home.core(where, async (records, writer) => {
        const index = pick(await lengthOf(records), home)
        put(writer, await readOf(records, (r) => r.getTreeNode(index)), home)
      })
  })
  const hash = (writer: Writer, node: TreeNode, home: DamagedHome): void =>
    writer.putTreeNode({ ...node, hash: home.flipped(node.hash) })
  const size = (writer: Writer, node: TreeNode): void =>
    writer.putTreeNode({ ...node, size: node.size + 1 })
  const gone = (writer: Writer, node: TreeNode): void => writer.deleteTreeNode(node.index)
  const leaf = (length: number, home: DamagedHome): number => 2 * home.random(length)
  /** Above two leaves. */
  const low = (length: number, home: DamagedHome): number => 4 * home.random(length >> 1) + 1
  /** The largest tree's root. */
  const top = (length: number): number => 2 ** Math.floor(Math.log2(length)) - 1
  return [
    change('the hash of a leaf', 'alice:content', leaf, hash),
    change('the hash of a leaf', 'bob:content', leaf, hash),
    change('the size of a leaf', 'alice:content', leaf, size),
    change('a leaf, gone,', 'bob:content', leaf, gone),
    change('the hash of a node', 'alice:content', low, hash),
    change('the size of a node', 'bob:content', low, size),
    change('a node, gone,', 'alice:content', low, gone),
    change('the hash of a root', 'alice:content', top, hash),
    change('a root, gone,', 'alice:content', top, gone),
    change('the hash of a root', 'alice:control', top, hash)
  ]
}

function headDamages(): Damage[] {
  const change = (
    name: string,
    where: string,
    put: (head: StoredHead, home: DamagedHome) => StoredHead | null
  ): Damage => ({
    name: `${name} of the head of ${where}`,
    expected: { codes: ['head'], where: at(where) },
    plant: (home) =>
      home.core(where, async (records, writer) => {
        const head = put(await readOf(records, (r) => r.getHead()), home)
        if (head === null) writer.deleteHead()
        else writer.setHead(head)
      })
  })
  const shorter = (head: StoredHead): StoredHead => ({ ...head, length: head.length - 1 })
  const signature = (head: StoredHead, home: DamagedHome): StoredHead => ({
    ...head,
    signature: home.flipped(head.signature, 3)
  })
  return [
    change('the signature', 'alice:content', signature),
    change('the signature', 'alice:control', signature),
    change('the length, one less,', 'alice:content', shorter),
    change('the length, one more,', 'bob:content', (head) => ({
      ...head,
      length: head.length + 1
    })),
    change('the hash', 'bob:content', (head, home) => ({
      ...head,
      rootHash: home.flipped(head.rootHash)
    })),
    change('the fork', 'alice:content', (head) => ({ ...head, fork: 1 })),
    change('the whole', 'bob:content', () => null)
  ]
}

function recordDamages(): Damage[] {
  const missing = (
    name: string,
    where: string,
    span: (length: number, home: DamagedHome) => [number, number]
  ): Damage => ({
    name: `${name} of ${where}`,
    expected: { codes: ['block-missing'], where: at(where) },
    plant: (home) =>
      home.core(where, async (records, writer) => {
        writer.deleteBlockRange(...span(await lengthOf(records), home))
      })
  })
  const page = (
    name: string,
    where: string,
    change: (page: Uint8Array, home: DamagedHome) => Uint8Array | null
  ): Damage => ({
    name: `${name} of ${where}`,
    expected: { codes: ['bitfield'], where: at(where) },
    plant: (home) =>
      home.core(where, async (records, writer) => {
        for await (const { index, page: bytes } of records.createBitfieldStream()) {
          const changed = change(new Uint8Array(bytes), home)
          if (changed === null) writer.deleteBitfieldPage(index)
          else writer.putBitfieldPage(index, changed)
        }
      })
  })
  const auth = (
    name: string,
    where: string,
    change: (auth: StoredAuth, home: DamagedHome) => StoredAuth
  ): Damage => ({
    name: `${name} of ${where}`,
    expected: { codes: ['log'], where: at(where) },
    plant: (home) =>
      home.core(where, async (records, writer) => {
        writer.setAuth(change(await readOf(records, (r) => r.getAuth()), home))
      })
  })
  return [
    missing('a block, gone,', 'alice:content', (length, home) => {
      const index = home.random(length)
      return [index, index + 1]
    }),
    missing('the last block, gone,', 'bob:content', (length) => [length - 1, length]),
    missing('a range of blocks, gone,', 'bob:content', (length, home) => {
      const from = home.random(length - 5)
      return [from, from + 5]
    }),
    page('a bit of the bitfield, cleared,', 'alice:content', (bytes, home) => {
      bytes[0]! &= ~(1 << home.random(8))
      return bytes
    }),
    page('a bit of the bitfield beyond the end', 'bob:content', (bytes) => {
      bytes[500]! |= 1
      return bytes
    }),
    page('the bitfield, gone,', 'alice:content', () => null),
    {
      name: 'the hint how much of bob:content is here',
      expected: { codes: ['bitfield'], where: at('bob:content') },
      plant: (home) =>
        home.core('bob:content', async (records, writer) => {
          const contiguousLength = (await lengthOf(records)) + 3
          writer.setHints({ contiguousLength, remoteContiguousLength: 0, recovering: 0 })
        })
    },
    auth('the key', 'bob:content', (one, home) => ({ ...one, key: home.flipped(one.key) })),
    auth('the manifest', 'alice:content', (one, home) => {
      const [signer] = one.manifest!.signers
      const signers = [{ ...signer!, namespace: home.flipped(signer!.namespace) }]
      return { ...one, manifest: { ...one.manifest!, signers } }
    }),
    auth('the signing key', 'alice:content', (one, home) => ({
      ...one,
      keyPair: { ...one.keyPair!, secretKey: home.flipped(one.keyPair!.secretKey!) }
    })),
    {
      name: 'the log bob:content, gone',
      expected: { codes: ['log-short'], where: /bob:content|log [0-9a-f]{16}/ },
      plant: (home) =>
        home.store(async (storage) => {
          const records = (await home.records(storage, 'bob:content')) as CoreRecords & {
            core: object
          }
          const { core } = records
          await records.close()
          await (storage as unknown as { deleteCore(core: object): Promise<void> }).deleteCore(core)
        })
    }
  ]
}

function viewDamages(): Damage[] {
  const view = (
    name: string,
    table: string,
    change: (value: Uint8Array, home: DamagedHome) => Uint8Array | null,
    where: RegExp,
    codes: ProblemCode[] = ['view']
  ): Damage => ({
    name: `${name} of the views`,
    expected: { codes, where },
    plant: (home) => home.view(table, (value) => change(value, home))
  })
  const document = /^document /
  return [
    view(
      'the name in a document record',
      'd',
      (value) => Uint8Array.from([...value.slice(0, 1), value[1]! ^ 1, ...value.slice(2)]),
      document
    ),
    view(
      'a count in a document record',
      'd',
      (value) => {
        value[1 + value[0]!]! += 1
        return value
      },
      document
    ),
    view('a document record, gone,', 'd', () => null, document),
    view('a document record cut short', 'd', (value) => value.slice(0, 4), /^views$/),
    view(
      'a merged state',
      's',
      (value) => {
        // A letter of its text, or of a key: many another bit says nothing, and changes nothing.
        const changed = Buffer.from(value)
        const letter = Math.max(changed.indexOf('alice'), changed.indexOf('done'))
        changed[letter]! ^= 1
        return new Uint8Array(changed)
      },
      document
    ),
    view('a merged state, gone,', 's', () => null, document),
    view('a reference to an entry, gone,', 'f', () => null, document),
    view(
      'a reference to an entry',
      'f',
      (value) => {
        value[8]! ^= 1
        return value
      },
      document
    ),
    view('an event, gone,', 'e', () => null, /^events$/),
    view(
      'the kind of an event',
      'e',
      (value) => {
        value[value.length - 1]! ^= 1
        return value
      },
      /^events$/
    ),
    view('the cut', 'c', (value) => value.slice(0, value.length - 1), /^views$/),
    view(
      'a length in the cut',
      'c',
      (value) => {
        value[8]! |= 127
        return value
      },
      /^(alice|bob):content$/,
      ['log-short']
    )
  ]
}

function ownDamages(): Damage[] {
  return [
    {
      name: 'a bit in the outbox',
      expected: { codes: ['outbox'], where: /^outbox\/[0-9a-f]{64}\.\d+$/ },
      plant: async (home) => home.flip(await home.outboxFile(), 0.1, 0.9)
    },
    {
      name: 'the head of the outbox',
      expected: { codes: ['outbox'], where: /^outbox\/[0-9a-f]{64}\.\d+$/ },
      plant: async (home) => home.flip(await home.outboxFile(), 0, 0.000_01)
    },
    {
      name: 'the outbox, cut short',
      expected: { codes: ['outbox'], where: /^outbox\/[0-9a-f]{64}\.\d+$/ },
      plant: async (home) => home.cut(await home.outboxFile(), 0.999)
    },
    {
      name: 'another block in the outbox',
      expected: { codes: ['outbox'], where: at('alice:content') },
      plant: (home) =>
        home.outbox((records) => {
          const i = records.findLastIndex(({ kind }) => kind === 1)
          const record = { ...records[i]!, bytes: home.flipped(records[i]!.bytes) }
          return records.with(i, record)
        })
    },
    {
      name: 'a watermark above the log',
      expected: { codes: ['log-short'], where: at('alice:content') },
      plant: (home) =>
        home.outbox((records) => [
          ...records,
          { kind: 3, index: 1, bytes: new Uint8Array([0xff, 0x7f]) }
        ])
    },
    {
      name: 'a bit of the secrets',
      expected: { codes: ['secrets'], where: at('secrets') },
      plant: (home) => home.flip(join(home.folder, 'secrets'))
    },
    {
      name: 'the secrets, gone',
      expected: { codes: ['secrets'], where: at('secrets') },
      plant: (home) => rm(join(home.folder, 'secrets'))
    },
    {
      name: 'another box key',
      expected: { codes: ['secrets'], where: at('secrets') },
      plant: (home) =>
        home.writeSecrets((secrets) => ({ ...secrets, boxSeed: home.flipped(secrets.boxSeed) }))
    },
    {
      name: 'another space key',
      expected: { codes: ['secrets'], where: at('secrets') },
      plant: (home) =>
        home.writeSecrets((secrets) => ({
          ...secrets,
          spaces: secrets.spaces.map((one) => ({ ...one, spaceKey: home.flipped(one.spaceKey) }))
        }))
    }
  ]
}

function fileDamages(): Damage[] {
  const sst = (n: number): Damage => ({
    name: `a bit of a table (${n})`,
    expected: { codes: ['unreadable'], where: /\.sst$|the store/ },
    plant: async (home) => home.flip((await home.files('.sst'))[0]!, 0, 0.9)
  })
  return [
    ...[1, 2, 3].map(sst),
    {
      name: 'a table, cut short',
      expected: { codes: ['unreadable'], where: /\.sst$|the store/ },
      plant: async (home) => home.cut((await home.files('.sst'))[0]!, 0.7)
    },
    {
      name: 'a table, gone',
      expected: { codes: ['unreadable'], where: /\.sst$|the store/ },
      plant: async (home) => rm((await home.files('.sst'))[0]!)
    },
    {
      name: 'a bit of a file of large values',
      expected: { codes: ['unreadable'], where: /\.blob$|block \d+ of alice:content/ },
      plant: async (home) => home.flip((await home.files('.blob'))[0]!, 0.1, 0.9)
    },
    {
      name: 'a bit of the write-ahead file',
      expected: { codes: ['file'], where: /\.log$/, isMended: true },
      plant: async (home) => home.flip((await home.files('.log'))[0]!, 0.1, 0.9)
    },
    {
      name: 'the write-ahead file, cut short',
      expected: { codes: ['file'], where: /\.log$/, isMended: true },
      plant: async (home) => home.cut((await home.files('.log'))[0]!, 0.503)
    },
    {
      name: 'a bit of the manifest of the database',
      expected: { codes: ['unreadable'], where: /the store|MANIFEST/ },
      plant: async (home) => {
        const folder = join(home.folder, 'store', 'db')
        const name = (await readdir(folder)).find((one) => one.startsWith('MANIFEST'))!
        await home.flip(join(folder, name), 0.2, 0.9)
      }
    },
    {
      name: 'the name of the manifest, gone',
      expected: { codes: ['unreadable'], where: /the store/ },
      plant: (home) => rm(join(home.folder, 'store', 'db', 'CURRENT'))
    },
    {
      name: 'the file that says where the store was made',
      expected: { codes: ['file'], where: /CORESTORE$/ },
      plant: (home) => writeFile(join(home.folder, 'store', 'CORESTORE'), 'device/inode=7\n')
    }
  ]
}

export const damages: readonly Damage[] = [
  ...blockDamages(),
  ...nodeDamages(),
  ...headDamages(),
  ...recordDamages(),
  ...viewDamages(),
  ...ownDamages(),
  ...fileDamages()
]

/** Plants the i-th of many damages in a log, somewhere in the 16 blocks from `first` on; how `verify` is to tell it. */
export async function plantInside(
  home: DamagedHome,
  records: CoreRecords,
  writer: Writer,
  i: number,
  first: number
): Promise<string> {
  const index = first + home.random(16)
  const where = 'writer:content:'
  const node = (of: number): Promise<TreeNode> => readOf(records, (r) => r.getTreeNode(of))
  switch (i % 5) {
    case 0:
      writer.putBlock(index, home.flipped(await readOf(records, (r) => r.getBlock(index))))
      return `block ${where} block ${index}: `
    case 1: {
      const leaf = await node(2 * index)
      writer.putTreeNode({ ...leaf, hash: home.flipped(leaf.hash) })
      return `tree-node ${where} node ${2 * index} `
    }
    case 2: {
      const above = 2 * (index & ~1) + 1
      const inner = await node(above)
      writer.putTreeNode({ ...inner, size: inner.size + 1 })
      return `tree-node ${where} node ${above} `
    }
    case 3: {
      const top = 2 * first + 15
      writer.deleteTreeNode((await node(top)).index)
      return `tree-node ${where} node ${top} `
    }
    default:
      writer.deleteBlock(index)
      return `block-missing ${where} blocks ${index} `
  }
}
