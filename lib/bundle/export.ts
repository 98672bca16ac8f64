/** Writes a space's logs, as they lie in the store at one moment, into the inside of a bundle. */
import flat from 'flat-tree'
import type { TreeNode } from 'hypercore-crypto'
import { equalBytes, toHex } from '../bytes.ts'
import { SkeinError } from '../errors.ts'
import { readSpace, type SpaceIdentity } from '../inspect/space-image.ts'
import { foldTree } from '../log/receive.ts'
import { Unreadable, type StoredLog, type StoreImage } from '../log/store-image.ts'
import type { GrantedRole } from '../trust/control.ts'
import { encodeRecord, endOfRecords, type BundleContents, type BundledLog } from './contents.ts'

const blocksAPiece = 32
const bytesAPiece = 4 * 1024 * 1024

export interface ExportOptions {
  /** What the reader has: of another bundle, see `Space.contentsOf`. */
  readonly since?: BundleContents
  /** A newcomer's introduction: one line of text. */
  readonly for?: string
  /** The newcomer's. Default 'writer'. */
  readonly role?: GrantedRole
  /** Only says what is here, for whoever is to export what has come since. */
  readonly contentsOnly?: boolean
  readonly onProgress?: (progress: ExportProgress) => void
  readonly signal?: AbortSignal
}

export interface ExportContext {
  readonly store: StoreImage
  readonly identity: SpaceIdentity
  /** By log, what the reader has. */
  readonly since: readonly BundledLog[]
  /** Says what is here and brings none of it. */
  readonly withoutBlocks: boolean
  readonly onProgress: (progress: ExportProgress) => void
  readonly signal: AbortSignal | undefined
}

export interface ExportProgress {
  readonly blocks: number
  readonly totalBlocks: number
}

interface Part extends BundledLog {
  readonly log: StoredLog
  readonly fork: number
  readonly signature: Uint8Array
  /** Blocks that are here without a gap. */
  readonly here: number
}

/** Fails with `STORAGE_DAMAGED`. */
export async function* insideOf(context: ExportContext): AsyncGenerator<Uint8Array, void, void> {
  const { store, identity, since, withoutBlocks, onProgress, signal } = context
  const { logs, control } = await readSpace(store, identity)
  const ranks = new Map([...control.members.keys()].map((device, i) => [device, i]))
  const rankOf = ({ name }: StoredLog): number => ranks.get(toHex(name.device)) ?? ranks.size
  // Who is let in by whom: so that the reader knows each log when it comes.
  const ordered = [...logs].sort((a, b) => coreOrder(a) - coreOrder(b) || rankOf(a) - rankOf(b))
  const parts: Part[] = []
  for (const log of ordered) {
    const part = await partOf(log, since)
    if (part !== null) parts.push(part)
  }
  yield encodeRecord({
    type: 'logs',
    logs: parts.map(({ device, core, from, to }) => ({ device, core, from, to }))
  })
  const totalBlocks = parts.reduce((sum, { from, here }) => sum + Math.max(0, here - from), 0)
  let blocks = 0
  for (const [index, part] of withoutBlocks ? [] : parts.entries()) {
    if (part.from === part.to) continue
    const cover = await coverOf(part)
    const { fork, signature } = part
    yield encodeRecord({ type: 'head', log: index, fork, signature, cover })
    for (const node of cover) {
      signal?.throwIfAborted()
      const first = flat.leftSpan(node.index) / 2
      const end = flat.rightSpan(node.index) / 2 + 1
      if (end <= part.from || end > part.here) continue
      const list = await blocksOf(part, first, end, node)
      yield encodeRecord({ type: 'blocks', first, blocks: list })
      blocks += list.length
      onProgress({ blocks: Math.min(blocks, totalBlocks), totalBlocks })
    }
  }
  yield endOfRecords
}

async function partOf(log: StoredLog, since: readonly BundledLog[]): Promise<Part | null> {
  const head = await log.head()
  const bits = await log.bits()
  if (head instanceof Unreadable || bits instanceof Unreadable) throw damaged(log, 'cannot be read')
  if (head === null) return null
  const { device, core } = log.name
  let here = 0
  while (here < head.length && bits.has(here)) here++
  const before = since.find((one) => one.core === core && equalBytes(one.device, device))?.to ?? 0
  return {
    device,
    core,
    log,
    fork: head.fork,
    signature: head.signature,
    from: Math.min(before, head.length),
    to: head.length,
    here
  }
}

/** Nodes side by side over the whole log: large ones over what the reader has and what is not here, small ones between. */
async function coverOf({ log, from, to, here }: Part): Promise<TreeNode[]> {
  const cover: TreeNode[] = []
  const nodeAt = async (index: number): Promise<TreeNode> => {
    const node = await log.node(index)
    if (node === null || node instanceof Unreadable)
      throw damaged(log, `lacks node ${index} of its tree`)
    return node
  }
  const take = async (index: number): Promise<void> => {
    const first = flat.leftSpan(index) / 2
    const end = flat.rightSpan(index) / 2 + 1
    const isOutside = end <= from || first >= here
    const node = await log.node(index)
    const isSmall =
      end - first <= blocksAPiece &&
      node !== null &&
      !(node instanceof Unreadable) &&
      node.size <= bytesAPiece
    const isWhole = isOutside || (isSmall && first >= from && end <= here)
    if (isWhole || flat.children(index) === null) {
      cover.push(await nodeAt(index))
      return
    }
    for (const child of flat.children(index)!) await take(child)
  }
  for (const root of flat.fullRoots(2 * to)) await take(root)
  return cover
}

async function blocksOf(
  { log }: Part,
  first: number,
  end: number,
  node: TreeNode
): Promise<Uint8Array[]> {
  const blocks = await log.blocks(first, end)
  const whole = blocks.map((block, i) => {
    if (block instanceof Uint8Array) return new Uint8Array(block)
    throw damaged(log, `lacks block ${first + i}`)
  })
  // Better said here than to whoever reads it.
  const [computed] = foldTree(first, whole)
  if (computed === undefined || !equalBytes(computed.hash, node.hash)) {
    throw damaged(log, `has another block among ${first}–${end - 1} than was signed`)
  }
  return whole
}

function coreOrder({ name }: StoredLog): number {
  return name.core === 'control' ? 0 : 1 + Number(name.core.slice('content/'.length))
}

function damaged({ name }: StoredLog, what: string): SkeinError {
  const log = `the ${name.core} log of ${toHex(name.device).slice(0, 8)}`
  return new SkeinError('STORAGE_DAMAGED', `${log} ${what}: \`skein verify\` says more`)
}
