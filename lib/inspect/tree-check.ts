/**
 * Checks one log's hash tree: each block against its leaf, each node against its children, the roots against the head
 * that the author signed; and says which record is wrong, not merely that something is.
 *
 * The tree is computed anew from the blocks. What of it hashes up to the signed head is right, and what is stored and
 * differs is damaged; where the two part, the one that fits the node above is followed down. So a damaged block, leaf or
 * node is told apart from what lies above and below it. Memory does not grow with the log but by 80 bytes a 256 blocks.
 */
import flat from 'flat-tree'
import crypto, { type TreeNode } from 'hypercore-crypto'
import { equalBytes } from '../bytes.ts'
import { Unreadable, type Stored } from '../log/store-image.ts'

const chunkBlocks = 256

/** What is checked: `StoredLog` is one. */
export interface TreeRecords {
  blocks(from: number, to: number): Promise<Stored<Uint8Array>[]>
  nodes(from: number, to: number): Promise<Stored<TreeNode>[]>
}

export type TreeFault =
  | { readonly what: 'block' | 'node'; readonly index: number; readonly reason: string }
  /** Nothing that is stored fits the node above: which of these blocks are right cannot be told. */
  | { readonly what: 'branch'; readonly from: number; readonly to: number; readonly reason: string }
  | { readonly what: 'head'; readonly reason: string }
  /** A node that the store cannot read. */
  | { readonly what: 'unreadable'; readonly index: number; readonly reason: Unreadable }

export interface TreeCheckOptions {
  readonly records: TreeRecords
  readonly length: number
  /** Is this the tree that the head's signature is for? */
  readonly isSigned: (treeHash: Uint8Array) => boolean
  /** True for a block that the log does not say it has: it may be missing. */
  readonly mayLack: (index: number) => boolean
  /** Each block, once, in order. */
  readonly onBlock: (index: number, block: Stored<Uint8Array>) => void
  readonly onProgress: (blocks: number) => void
}

export interface TreeCheck {
  readonly faults: readonly TreeFault[]
  /** Blocks that the log says it has. */
  readonly missing: readonly number[]
  readonly unreadable: readonly { readonly index: number; readonly reason: Unreadable }[]
}

export async function checkTree(options: TreeCheckOptions): Promise<TreeCheck> {
  return new Check(options).run()
}

class Check {
  readonly #options: TreeCheckOptions
  readonly #faults: TreeFault[] = []
  readonly #missing: number[] = []
  readonly #unreadable: { index: number; reason: Unreadable }[] = []
  /** Nodes above the chunks, and the chunks' roots: as computed from below, and as stored. */
  readonly #computed = new Map<number, TreeNode>()
  readonly #stored = new Map<number, Stored<TreeNode>>()
  /** Chunks in which something differs, by their root. */
  readonly #dirty = new Set<number>()

  constructor(options: TreeCheckOptions) {
    this.#options = options
  }

  async run(): Promise<TreeCheck> {
    const { length } = this.#options
    const roots = length === 0 ? [] : flat.fullRoots(2 * length)
    for (const root of roots) await this.#climb(root)
    if (length > 0) await this.#judge(roots)
    return { faults: this.#faults, missing: this.#missing, unreadable: this.#unreadable }
  }

  /** Computes the node from what lies below it. */
  async #climb(index: number): Promise<void> {
    const [first, end] = spanOf(index)
    if (end - first <= chunkBlocks) {
      const chunk = await this.#chunk(index)
      if (chunk.isDirty) this.#dirty.add(index)
      this.#stored.set(index, chunk.stored.get(index) ?? null)
      const own = chunk.computed.get(index)
      if (own !== undefined) this.#computed.set(index, own)
      this.#noteBlocks(chunk)
      this.#options.onProgress(end)
      return
    }
    const [left, right] = flat.children(index)!
    await this.#climb(left)
    await this.#climb(right)
    const [stored] = await this.#options.records.nodes(index, index + 1)
    this.#stored.set(index, stored ?? null)
    const node = joined(index, this.#computed.get(left), this.#computed.get(right))
    if (node !== null) this.#computed.set(index, node)
    else if (isNode(stored)) this.#computed.set(index, stored)
  }

  async #chunk(root: number): Promise<Chunk> {
    const [first, end] = spanOf(root)
    const { records } = this.#options
    const [blocks, nodes] = await Promise.all([
      records.blocks(first, end),
      records.nodes(2 * first, 2 * end - 1)
    ])
    return new Chunk(root, blocks, nodes)
  }

  #noteBlocks({ first, blocks }: Chunk): void {
    blocks.forEach((block, i) => {
      const index = first + i
      this.#options.onBlock(index, block)
      if (block === null && !this.#options.mayLack(index)) this.#missing.push(index)
      if (block instanceof Unreadable) this.#unreadable.push({ index, reason: block })
    })
  }

  async #judge(roots: readonly number[]): Promise<void> {
    const right = this.#signedRoots(roots)
    if (right === null) {
      this.#faults.push({ what: 'head', reason: 'its signature is for another tree' })
      // With no head to go by, what differs within the tree is told all the same.
      for (const root of roots) {
        const computed = this.#computed.get(root)
        const stored = this.#stored.get(root)
        if (computed !== undefined && isNode(stored) && isSame(computed, stored)) {
          await this.#descend(root, computed)
        } else if (this.#isDirtyBelow(root)) {
          const [from, to] = spanOf(root)
          this.#faults.push({ what: 'branch', from, to, reason: 'and its hashes do not fit' })
        }
      }
      return
    }
    for (const [i, root] of roots.entries()) await this.#descend(root, right[i]!)
  }

  /** The roots that are signed: those computed, those stored, or some of each. */
  #signedRoots(roots: readonly number[]): TreeNode[] | null {
    let choices: TreeNode[][] = [[]]
    for (const root of roots) {
      const candidates = candidatesOf(this.#computed.get(root), this.#stored.get(root))
      choices = choices.flatMap((chosen) => candidates.map((node) => [...chosen, node]))
      // So many damaged roots at once are beyond telling apart.
      if (choices.length > 4096) choices = choices.slice(0, 4096)
    }
    return choices.find((nodes) => this.#options.isSigned(crypto.tree(nodes))) ?? null
  }

  /** `right` is what this node must be. */
  async #descend(index: number, right: TreeNode): Promise<void> {
    this.#compare(index, right, this.#stored.get(index) ?? null)
    const [first, end] = spanOf(index)
    if (end - first <= chunkBlocks) {
      if (this.#dirty.has(index)) this.#descendInChunk(await this.#chunk(index), index, right)
      return
    }
    const computed = this.#computed.get(index)
    if (computed !== undefined && isSame(computed, right) && !this.#isDirtyBelow(index)) return
    const children = flat.children(index)!
    const pair = children.map((child) =>
      candidatesOf(this.#computed.get(child), this.#stored.get(child))
    )
    // Nothing of it is here: a part that was never fetched.
    if (pair.every((candidates) => candidates.length === 0)) return
    const found = fitting(right, pair[0]!, pair[1]!)
    if (found === null) {
      this.#tellBranch(
        index,
        children.map((child) => this.#stored.get(child) ?? null)
      )
      return
    }
    await this.#descend(children[0], found[0])
    await this.#descend(children[1], found[1])
  }

  #descendInChunk(chunk: Chunk, index: number, right: TreeNode): void {
    const children = flat.children(index)
    if (children === null) {
      const block = chunk.blocks[index / 2 - chunk.first]
      const computed = chunk.computed.get(index)
      if (block instanceof Uint8Array && computed !== undefined && !isSame(computed, right)) {
        const reason = 'its bytes are not those that were signed'
        this.#faults.push({ what: 'block', index: index / 2, reason })
      }
      return
    }
    const [left, other] = children
    const leftCandidates = candidatesOf(chunk.computed.get(left), chunk.stored.get(left))
    const rightCandidates = candidatesOf(chunk.computed.get(other), chunk.stored.get(other))
    // Nothing of it is here: a part that was never fetched.
    if (leftCandidates.length === 0 && rightCandidates.length === 0) return
    const found = fitting(right, leftCandidates, rightCandidates)
    if (found === null) {
      this.#tellBranch(
        index,
        children.map((child) => chunk.stored.get(child) ?? null)
      )
      return
    }
    this.#compare(left, found[0], chunk.stored.get(left) ?? null)
    this.#compare(other, found[1], chunk.stored.get(other) ?? null)
    this.#descendInChunk(chunk, left, found[0])
    this.#descendInChunk(chunk, other, found[1])
  }

  #tellBranch(index: number, children: readonly Stored<TreeNode>[]): void {
    const reasons = children.filter((child) => child instanceof Unreadable)
    for (const reason of reasons) this.#faults.push({ what: 'unreadable', index, reason })
    if (reasons.length > 0) return
    const [from, to] = spanOf(index)
    const reason = 'several of their hashes are damaged'
    this.#faults.push({ what: 'branch', from, to, reason })
  }

  #compare(index: number, right: TreeNode, stored: Stored<TreeNode>): void {
    if (isNode(stored) && isSame(stored, right)) return
    if (stored instanceof Unreadable) {
      this.#faults.push({ what: 'unreadable', index, reason: stored })
      return
    }
    const reason = stored === null ? 'is missing' : 'is not the one that was signed'
    this.#faults.push({ what: 'node', index, reason })
  }

  #isDirtyBelow(index: number): boolean {
    const [first, end] = spanOf(index)
    for (const root of this.#dirty) {
      const [from] = spanOf(root)
      if (from >= first && from < end) return true
    }
    for (const [node, stored] of this.#stored) {
      const [from, to] = spanOf(node)
      if (from < first || to > end) continue
      const computed = this.#computed.get(node)
      if (computed === undefined || !isNode(stored) || !isSame(computed, stored)) return true
    }
    return false
  }
}

/** A subtree of up to 256 blocks, as stored and as computed from its blocks. */
class Chunk {
  readonly first: number
  readonly blocks: readonly Stored<Uint8Array>[]
  readonly stored = new Map<number, Stored<TreeNode>>()
  readonly computed = new Map<number, TreeNode>()
  readonly isDirty: boolean

  constructor(
    root: number,
    blocks: readonly Stored<Uint8Array>[],
    nodes: readonly Stored<TreeNode>[]
  ) {
    this.first = spanOf(root)[0]
    this.blocks = blocks
    nodes.forEach((node, i) => {
      if (node !== null) this.stored.set(2 * this.first + i, node)
    })
    this.isDirty = this.#climb(root)
  }

  /** True where something differs. */
  #climb(index: number): boolean {
    const stored = this.stored.get(index) ?? null
    const children = flat.children(index)
    if (children === null) {
      const block = this.blocks[index / 2 - this.first] ?? null
      if (block instanceof Uint8Array) {
        const node = { index, size: block.length, hash: crypto.data(block) }
        this.computed.set(index, node)
        return !isNode(stored) || !isSame(stored, node)
      }
      if (isNode(stored)) this.computed.set(index, stored)
      return stored instanceof Unreadable
    }
    const isDirty = [this.#climb(children[0]), this.#climb(children[1])].includes(true)
    const node = joined(index, this.computed.get(children[0]), this.computed.get(children[1]))
    if (node !== null) {
      this.computed.set(index, node)
      return isDirty || !isNode(stored) || !isSame(stored, node)
    }
    if (isNode(stored)) this.computed.set(index, stored)
    // One child is here and the other is not: a part of a branch is never fetched without what it takes to check it.
    const isTorn = this.computed.has(children[0]) !== this.computed.has(children[1])
    return isDirty || isTorn || stored instanceof Unreadable
  }
}

function joined(
  index: number,
  left: TreeNode | undefined,
  right: TreeNode | undefined
): TreeNode | null {
  if (left === undefined || right === undefined) return null
  return { index, size: left.size + right.size, hash: crypto.parent(left, right) }
}

/** Of each child the one that fits the node above: what is computed from the blocks comes first. */
function fitting(
  parent: TreeNode,
  left: readonly TreeNode[],
  right: readonly TreeNode[]
): [TreeNode, TreeNode] | null {
  for (const a of left) {
    for (const b of right) {
      const node = joined(parent.index, a, b)
      if (node !== null && isSame(node, parent)) return [a, b]
    }
  }
  return null
}

function candidatesOf(
  computed: TreeNode | undefined,
  stored: Stored<TreeNode> | undefined
): TreeNode[] {
  const candidates = computed === undefined ? [] : [computed]
  if (isNode(stored) && (computed === undefined || !isSame(computed, stored)))
    candidates.push(stored)
  return candidates
}

function isNode(stored: Stored<TreeNode> | undefined): stored is TreeNode {
  return stored !== null && stored !== undefined && !(stored instanceof Unreadable)
}

function isSame(a: TreeNode, b: TreeNode): boolean {
  return a.size === b.size && equalBytes(a.hash, b.hash)
}

/** The blocks below a node: [from, to). */
function spanOf(index: number): [number, number] {
  return [flat.leftSpan(index) / 2, flat.rightSpan(index) / 2 + 1]
}
