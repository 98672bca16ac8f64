/**
 * Takes blocks that did not come from a peer, and verifies them as a peer's are: by hypercore, against a head that the
 * log's author signed. Knows hypercore's proofs, which is why it stands alone, with `push.ts`.
 *
 * The tree's nodes above the blocks need not come along: those that lie side by side over the whole log are given, the
 * rest is computed from these and from the blocks.
 */
import flat from 'flat-tree'
import type Hypercore from 'hypercore'
import caps from 'hypercore/lib/caps.js'
import type { Proof } from 'hypercore'
import crypto, { type TreeNode } from 'hypercore-crypto'
import { equalBytes } from '../bytes.ts'
import { SkeinError, storageError } from '../errors.ts'
import { coded } from './database.ts'

const attempts = 5

export interface ReceivedHead {
  readonly length: number
  readonly fork: number
  readonly signature: Uint8Array
  /** Nodes side by side over all the blocks. */
  readonly cover: readonly TreeNode[]
}

export class Receiver {
  readonly #core: Hypercore
  readonly #head: ReceivedHead
  readonly #roots: readonly number[]
  /** Of the tree that is signed. */
  readonly treeHash: Uint8Array
  readonly #nodes = new Map<number, TreeNode>()

  /** Fails with `BAD_SEAL` where the head is not signed by the log's author, or is that of another tree. */
  constructor(core: Hypercore, head: ReceivedHead) {
    this.#core = core
    this.#head = head
    this.#roots = head.length === 0 ? [] : flat.fullRoots(2 * head.length)
    for (const node of head.cover) this.#nodes.set(node.index, node)
    const roots = this.#roots.map((root) => climb(this.#nodes, root))
    this.treeHash = crypto.tree(roots)
    if (!this.#isSigned(this.treeHash))
      throw new SkeinError('BAD_SEAL', 'its head is not what its author signed')
  }

  /** The blocks' place in the tree that is signed. Fails with `BAD_SEAL` where they have none. */
  async take(first: number, blocks: readonly Uint8Array[]): Promise<number> {
    const end = first + blocks.length
    const nodes = foldTree(first, blocks)
    const [top] = nodes
    const signed = top === undefined ? undefined : this.#nodes.get(top.index)
    const isRight =
      top !== undefined &&
      signed !== undefined &&
      flat.leftSpan(top.index) === 2 * first &&
      flat.rightSpan(top.index) === 2 * (end - 1) &&
      equalBytes(signed.hash, top.hash)
    if (!isRight)
      throw new SkeinError('BAD_SEAL', `blocks ${first}–${end - 1} are not what was signed`)
    const below = new Map(nodes.map((node) => [node.index, node]))
    const nodeAt = (index: number): TreeNode => below.get(index) ?? this.#nodes.get(index)!
    if (this.#core.length < end && this.#core.length < this.#head.length) {
      if (this.#core.length < first) {
        const gap = `this device has ${this.#core.length} blocks of it, and the next here is ${first}`
        throw new SkeinError('BUNDLE_GAP', gap)
      }
      await this.#upgrade(nodeAt)
    }
    return this.#takeBlocks(first, blocks, top.index, nodeAt)
  }

  /** Takes the head where there are no blocks to take. */
  async #upgrade(nodeAt: (index: number) => TreeNode): Promise<void> {
    const { length, fork, signature } = this.#head
    for (let left = attempts; left > 0; left--) {
      const start = this.#core.length
      if (start >= length) return
      const nodes = upgradeNodes(2 * start, 2 * length).map(nodeAt)
      const upgrade = { start, length: length - start, nodes, additionalNodes: [], signature }
      // False where a peer brought the log on meanwhile.
      if (await this.#apply({ ...noProof, fork, upgrade })) return
    }
    throw new SkeinError('STORAGE_FAILED', 'The log could not be brought on')
  }

  /** Returns how many were not here. */
  async #takeBlocks(
    first: number,
    blocks: readonly Uint8Array[],
    top: number,
    nodeAt: (index: number) => TreeNode
  ): Promise<number> {
    const lacking = blocks.flatMap((value, i) =>
      this.#core.core.bitfield.get(first + i) ? [] : [{ index: first + i, value }]
    )
    const { fork } = this.#head
    const proofOf = ({ index, value }: { index: number; value: Uint8Array }, to: number): Proof => {
      const nodes: TreeNode[] = []
      for (let at = 2 * index; at !== to; at = flat.parent(at)) nodes.push(nodeAt(flat.sibling(at)))
      return { ...noProof, fork, block: { index, value, nodes } }
    }
    // The first goes up to what is known; then the node over all of them is, too.
    const [next, ...rest] = lacking
    if (next === undefined) return 0
    const root = this.#roots.find((one) => flat.leftSpan(one) <= top && top <= flat.rightSpan(one))!
    // A log that is longer here, and has gaps, may not know the roots of this length: a peer brings what it lacks.
    if (!(await this.#isKnown(root))) return 0
    await this.#apply(proofOf(next, root))
    await Promise.all(rest.map((one) => this.#apply(proofOf(one, top))))
    return lacking.length
  }

  async #isKnown(index: number): Promise<boolean> {
    const reader = this.#core.state.storage.read()
    const node = reader.getTreeNode(index)
    reader.tryFlush()
    return (await coded('The log could not be read', () => node)) !== null
  }

  async #apply(proof: Proof): Promise<boolean> {
    try {
      return await this.#core.applyProof(proof)
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
      if (!code.startsWith('INVALID_')) throw storageError('The log could not be written', cause)
      throw new SkeinError('BAD_SEAL', 'its blocks do not fit what is here of it', { cause })
    }
  }

  #isSigned(hash: Uint8Array): boolean {
    const { length, fork, signature } = this.#head
    const { verifier } = this.#core.core
    try {
      return verifier.verify(
        {
          length,
          fork,
          hash: () => hash,
          signable: (context) => caps.treeSignable(context, hash, length, fork)
        },
        signature
      )
    } catch {
      return false // A signature that cannot even be decoded is none.
    }
  }
}

/** The nodes over blocks that lie under one node: that one comes first. Empty for none. */
export function foldTree(first: number, blocks: readonly Uint8Array[]): TreeNode[] {
  let level = blocks.map((block, i) => {
    return { index: 2 * (first + i), size: block.length, hash: crypto.data(block) }
  })
  const all: TreeNode[] = [...level]
  while (level.length > 1) {
    const above: TreeNode[] = []
    for (let i = 0; i + 1 < level.length; i += 2) {
      const [left, right] = [level[i]!, level[i + 1]!]
      const hash = crypto.parent(left, right)
      above.push({ index: flat.parent(left.index), size: left.size + right.size, hash })
    }
    all.unshift(...above)
    level = above
  }
  return all
}

/** The node, computed from those below it where it is not given. Fails with `BAD_SEAL` where these are not all given. */
export function climb(nodes: Map<number, TreeNode>, index: number): TreeNode {
  const known = nodes.get(index)
  if (known !== undefined) return known
  const children = flat.children(index)
  if (children === null) throw new SkeinError('BAD_SEAL', 'its tree is not whole')
  const [left, right] = children.map((child) => climb(nodes, child)) as [TreeNode, TreeNode]
  const node = { index, size: left.size + right.size, hash: crypto.parent(left, right) }
  nodes.set(index, node)
  return node
}

/** The device's signature, of hypercore's encoding of several. Fails with `BAD_SEAL`. */
export function signatureOf(encoded: Uint8Array): Uint8Array {
  // One signature, that of the first signer, without a patch.
  const frame = [encoded[0], encoded[1], encoded[66], encoded[67]]
  if (encoded.length !== 68 || frame.join() !== '1,0,0,0')
    throw new SkeinError('BAD_SEAL', 'it is not signed by one device')
  return encoded.subarray(2, 66)
}

/** Which nodes a tree of one length needs to grow to another, in hypercore's order (both doubled). */
export function upgradeNodes(from: number, to: number): number[] {
  const nodes: number[] = []
  for (const root of flat.fullRoots(to)) {
    if (flat.rightSpan(root) < from) continue
    const last = from - 2
    if (from > 0 && flat.leftSpan(root) <= last && last <= flat.rightSpan(root)) {
      for (let at = last; at !== root; at = flat.parent(at)) {
        const sibling = flat.sibling(at)
        if (sibling > last) nodes.push(sibling)
      }
    } else nodes.push(root)
  }
  return nodes
}

const noProof = { block: null, hash: null, seek: null, upgrade: null, manifest: null }
