/** What the two directions of folder sync have in common: the parts they work with, and what they tell. */
import { randomBytes } from 'node:crypto'
import type { Document, Space } from 'skein'
import type { Disk, Scan } from './disk.ts'
import type { DocumentsCache } from './documents-cache.ts'
import type { FileMerge } from './file-merge.ts'
import type { LocalIndex } from './local-index.ts'
import type { PathRules, Reason } from './path-names.ts'
import { isCovered, SharedTree } from './shared-tree.ts'

export interface Change {
  /** `out`: from the disk into the space; `in`: from the space to the disk. */
  readonly direction: 'in' | 'out'
  readonly kind: 'created' | 'edited' | 'renamed' | 'deleted'
  readonly path: string
  /** The path before a rename. */
  readonly from?: string
}

export interface Conflict {
  readonly path: string
  readonly kind:
    /** Two files had one name: this one is named after the device that made it. */
    | 'same-name'
    /** Two files of one name held the same, and are one now. */
    | 'same-file'
    /** It was deleted on one side and edited on the other: it is there. */
    | 'edit-wins'
    /** A program saved the file in the moment when it was written here: merged. */
    | 'raced'
    /** A program saved a text older than what was on the disk: merged. */
    | 'stale-save'
}

export interface LeftAlone {
  readonly path: string
  readonly reason: Reason
}

export interface Parts {
  readonly space: Space
  readonly disk: Disk
  readonly index: LocalIndex
  readonly rules: PathRules
  readonly merge: FileMerge
  readonly tree: SharedTree
  readonly directory: Document
  readonly documents: DocumentsCache
  readonly settings: {
    readonly settleMs: number
    readonly graceMs: number
    readonly maxBytes: number
  }
  readonly now: () => number
  readonly tell: (change: Change) => void
  readonly conflict: (conflict: Conflict) => void
}

/** One round: what was found, and what it asks for. */
export interface Round {
  readonly scan: Scan
  readonly leftAlone: Map<string, Reason>
  /** Files that are not to be touched in this round, by id: they are being saved, or went missing a moment ago. */
  readonly untouchable: Set<string>
  /** Paths that a file of the space may not take in this round. */
  readonly taken: Set<string>
  /** Look again after that time at the latest. */
  again(afterMs: number): void
  failed(path: string, error: unknown): void
}

/** Most of the time is spent in waiting for the disk, which writes for many at once. */
const atATime = 24

/** Does all of it, some at a time. One that fails is told of, and the others go on. */
export async function forEach<T>(
  items: Iterable<T>,
  work: (item: T) => Promise<void>,
  onError: (item: T, error: unknown) => void
): Promise<void> {
  const queue = [...items]
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < queue.length) {
      const item = queue[next++]!
      try {
        await work(item)
      } catch (error) {
        onError(item, error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(atATime, queue.length) }, worker))
}

export function newId(): string {
  return randomBytes(9).toString('hex')
}

/** Whether a file was deleted, and has not been edited by anyone who did not know. */
export async function isGone(
  { tree, index, space, documents }: Parts,
  id: string
): Promise<boolean> {
  const deletion = tree.deletion(id)
  if (deletion === null) return false
  const name = SharedTree.documentOf(id)
  const editCount = space.editCount(name)
  if (index.goneById.get(id) === editCount) return true
  const gone = await documents.use(name, async ({ doc }) => isCovered(doc, deletion))
  if (gone) await index.putGone(id, editCount)
  return gone
}
