/**
 * One of the versions of a log that forked: a head that its author signed, with as much of hypercore's tree as shows how
 * it grew from a length up to which the versions are alike. In Yjs's notation:
 *
 *     branch    := varUint(common) • node*      // those that lie side by side over the first `common` blocks
 *                  • varUint(n) • varUint(point)*n • node*      // at each point: what the tree grew by since the one before
 *                  • varUint8Array(signature)
 *     node      := varUint(size) • hash(32)
 *
 * Which nodes these are follows from the lengths. The last point is the branch's length. This reaches into hypercore's
 * session state, which is why it stands apart, with a test.
 */
import flat from 'flat-tree'
import type Hypercore from 'hypercore'
import caps from 'hypercore/lib/caps.js'
import { MerkleTree } from 'hypercore/lib/merkle-tree.js'
import crypto, { type TreeNode } from 'hypercore-crypto'
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, equalBytes, readBytes } from '../bytes.ts'
import { SkeinError } from '../errors.ts'
import { climb, signatureOf, upgradeNodes } from './receive.ts'

const maxPoints = 64
const maxNodes = 64 * 64

export class Branch {
  /** The length up to which the versions are alike. */
  readonly common: number
  /** Lengths beyond that, at which the hash of its tree can be told; the last is its own. */
  readonly points: readonly number[]
  readonly signature: Uint8Array
  readonly #nodes: Map<number, TreeNode>

  constructor(
    common: number,
    points: readonly number[],
    nodes: readonly TreeNode[],
    signature: Uint8Array
  ) {
    this.common = common
    this.points = points
    this.signature = signature
    this.#nodes = new Map(nodes.map((node) => [node.index, node]))
  }

  get length(): number {
    return this.points.at(-1)!
  }

  /** The nodes that make the tree of one length, side by side. Fails with `BAD_SEAL` where they are not all here. */
  rootsAt(length: number): TreeNode[] {
    return flat.fullRoots(2 * length).map((root) => climb(this.#nodes, root))
  }

  /** The hash of its tree at `common` or one of the points. */
  treeHashAt(length: number): Uint8Array {
    return crypto.tree(this.rootsAt(length))
  }

  /** Is it of the log with this key, signed by its author? False also where its nodes make no tree. */
  isSignedBy(logKey: Uint8Array, device: Uint8Array): boolean {
    try {
      const signable = caps.treeSignable(logKey, this.treeHashAt(this.length), this.length, 0)
      return crypto.verify(signable, signatureOf(this.signature), device)
    } catch (error) {
      if (error instanceof SkeinError) return false
      throw error
    }
  }

  /** What the tree of `common` blocks grows by to that of the branch. */
  get growth(): TreeNode[] {
    return upgradeNodes(2 * this.common, 2 * this.length).map((index) => climb(this.#nodes, index))
  }

  /** Are these all its blocks from `common` on? */
  isMadeOf(blocks: readonly Uint8Array[]): boolean {
    return this.common + blocks.length === this.length && this.beginsWith(blocks)
  }

  /** Are these its blocks from `common` on, up to one of the points? */
  beginsWith(blocks: readonly Uint8Array[]): boolean {
    const end = this.common + blocks.length
    if (!this.points.includes(end)) return false
    const nodes = new Map(this.rootsAt(this.common).map((node) => [node.index, node]))
    for (const [i, block] of blocks.entries()) {
      const index = 2 * (this.common + i)
      nodes.set(index, { index, size: block.length, hash: crypto.data(block) })
    }
    const roots = flat.fullRoots(2 * end).map((root) => climb(nodes, root))
    return equalBytes(crypto.tree(roots), this.treeHashAt(end))
  }

  /** Fails with `BAD_ENCODING`. */
  static decode(bytes: Uint8Array): Branch {
    return decodeAll(bytes, 'branch of a log', (decoder) => {
      const common = readLength(decoder)
      const nodes = flat.fullRoots(2 * common).map((index) => readNode(decoder, index))
      const count = decoding.readVarUint(decoder)
      if (count === 0 || count > maxPoints) throw new RangeError(`${count} points`)
      const points = Array.from({ length: count }, () => readLength(decoder))
      let before = common
      for (const point of points) {
        if (point <= before) throw new RangeError('Its points do not ascend')
        for (const index of upgradeNodes(2 * before, 2 * point))
          nodes.push(readNode(decoder, index))
        if (nodes.length > maxNodes) throw new RangeError('Too many nodes')
        before = point
      }
      const signature = new Uint8Array(decoding.readVarUint8Array(decoder))
      return new Branch(common, points, nodes, signature)
    })
  }

  encode(): Uint8Array {
    const encoder = encoding.createEncoder()
    const write = (index: number): void => {
      const { size, hash } = climb(this.#nodes, index)
      encoding.writeVarUint(encoder, size)
      encoding.writeUint8Array(encoder, hash)
    }
    encoding.writeVarUint(encoder, this.common)
    flat.fullRoots(2 * this.common).forEach(write)
    encoding.writeVarUint(encoder, this.points.length)
    for (const point of this.points) encoding.writeVarUint(encoder, point)
    let before = this.common
    for (const point of this.points) {
      upgradeNodes(2 * before, 2 * point).forEach(write)
      before = point
    }
    encoding.writeVarUint8Array(encoder, this.signature)
    return encoding.toUint8Array(encoder)
  }
}

/**
 * The version of a log that is here, from `common` on, with the hash at each of `points`: those that are not beyond its
 * head. Null where the head is not beyond `common`, or part of the tree is not here.
 */
export async function branchOf(
  core: Hypercore,
  common: number,
  points: readonly number[]
): Promise<Branch | null> {
  const { length, signature, storage } = core.state
  if (signature === null || length <= common) return null
  const between = points.filter((point) => point > common && point < length)
  const all = [...new Set(between)].sort((a, b) => a - b).slice(0, maxPoints - 1)
  all.push(length)
  const indexes = new Set(flat.fullRoots(2 * common))
  let before = common
  for (const point of all) {
    for (const index of upgradeNodes(2 * before, 2 * point)) indexes.add(index)
    before = point
  }
  const reader = storage.read()
  const reading = Promise.all([...indexes].map((index) => reader.getTreeNode(index)))
  reader.tryFlush()
  const nodes = await reading
  return nodes.includes(null)
    ? null
    : new Branch(common, all, nodes as TreeNode[], new Uint8Array(signature))
}

/**
 * Puts a branch in the place of what is here behind its `common` length: blocks and tree, in one write. Its own blocks
 * are fetched from then on. Fails with `BAD_SEAL` where it does not grow from what is here, or is not signed.
 */
export async function takeBranch(log: Hypercore, branch: Branch): Promise<void> {
  const { core } = log
  const { state } = core
  const batch = state.createTreeBatch()
  await MerkleTree.truncate(state, branch.common, batch)
  if (!equalBytes(crypto.tree(batch.roots), branch.treeHashAt(branch.common)))
    throw new SkeinError('BAD_SEAL', 'A branch does not grow from the log that is here')
  const upgrade = {
    start: branch.common,
    length: branch.length - branch.common,
    nodes: branch.growth,
    additionalNodes: [],
    signature: branch.signature
  }
  try {
    batch.verifyUpgrade({ fork: 0, block: null, hash: null, seek: null, upgrade, manifest: null })
    core._verifyBatchUpgrade(batch, null)
  } catch (cause) {
    throw new SkeinError('BAD_SEAL', 'A branch is not what its author signed', { cause })
  }
  if (!(await core.reorg(batch)))
    throw new SkeinError(
      'STORAGE_FAILED',
      'The log changed while another branch was put in its place'
    )
  forgetNodes(log)
}

/**
 * Lets go of the nodes of a log's tree that the store has in memory: it takes them for good as long as the log's fork
 * number is the same, and would prove blocks by those of another version.
 */
export function forgetNodes({ state: { storage } }: Hypercore): void {
  const prefix = `${storage.core.dataPointer}:`
  for (const key of [...storage.treeCache.keys()])
    if (key.startsWith(prefix)) storage.treeCache.delete(key)
}

function readLength(decoder: decoding.Decoder): number {
  const length = decoding.readVarUint(decoder)
  if (length > 2 ** 40) throw new RangeError('A log is not so long')
  return length
}

function readNode(decoder: decoding.Decoder, index: number): TreeNode {
  return { index, size: decoding.readVarUint(decoder), hash: readBytes(decoder, 32) }
}
