/**
 * One file and its document. What an editor saved becomes edits of the text that the editor had, made in the document
 * where that text's characters are now; what the document holds is written over the file only if the file is still what
 * was last seen. So nothing is ever compared with what the editor cannot have known.
 *
 * Which text had the editor? Mostly what was last on the disk. But an editor may hold an older text, which this device has
 * since overwritten with what came from elsewhere, and save that with a change. So a save is compared with the texts that
 * this device has overwritten in the last minutes, too, and the one that it differs from least is taken for the one it was
 * made from. A save that equals an older text exactly may be such an old text saved without a change, or the deliberate
 * removal of just what had come: the first time it counts as the former, and what came is written again; the second time
 * as the latter. Doing again what was undone is better than losing what someone wrote.
 */
import { anchoredTextOf } from './anchored-text.ts'
import { Aside, versionOfAside } from './aside.ts'
import type { Disk } from './disk.ts'
import { isSame, type Signature } from './disk-file.ts'
import type { DocumentsCache } from './documents-cache.ts'
import { FileExport, type Written } from './file-export.ts'
import { FileVersions } from './file-versions.ts'
import { seenIn, type FileRecord, type LocalIndex } from './local-index.ts'
import { SaveMerge, type Saved } from './save-merge.ts'
import { SharedTree, textName } from './shared-tree.ts'

export interface FileMergeOptions {
  readonly disk: Disk
  readonly index: LocalIndex
  readonly documents: DocumentsCache
  readonly editCount: (document: string) => number
  readonly now: () => number
  readonly maxBytes: number
  /** What was saved in the very moment when the file was written here has been merged. */
  readonly onRaced: (path: string) => void
  /** A save was made from a text older than what was on the disk. */
  readonly onStale: (path: string) => void
}

export class FileMerge {
  readonly #options: FileMergeOptions
  readonly versions: FileVersions
  readonly aside: Aside
  readonly #saves: SaveMerge
  readonly #exports: FileExport

  constructor(options: FileMergeOptions) {
    this.#options = options
    const { index, now } = options
    const neededOf = (id: string): number[] => this.aside.neededOf(id)
    this.versions = new FileVersions({ index, now, neededOf })
    const { versions } = this
    this.#saves = new SaveMerge({ ...options, versions, origin: this })
    this.aside = new Aside({ ...options, versions, saves: this.#saves })
    this.#exports = new FileExport({ ...options, versions, aside: this.aside })
  }

  /** A record for a file that is not on the disk, or in the space, yet. */
  newRecord(id: string, path: string): FileRecord {
    return {
      id,
      path,
      signature: null,
      hash: '',
      versions: [],
      nextVersion: 0,
      editCount: -1,
      echo: null,
      frozen: null,
      intent: null,
      former: null
    }
  }

  /** Takes what is on the disk into the document. */
  async import(record: FileRecord, saved: Omit<Saved, 'aside'>): Promise<void> {
    const { index } = this.#options
    record.frozen = null
    if (saved.hash === record.hash && record.versions.length > 0) {
      record.signature = saved.signature
      return index.put(record)
    }
    await this.#saves.merge(record, { ...saved, aside: null }, await this.versions.of(record))
  }

  /** Notes that what is on the disk is no text now: it is neither read nor written over. */
  async freeze(record: FileRecord, hash: string, signature: Signature): Promise<void> {
    record.frozen = hash
    record.signature = signature
    await this.#options.index.put(record)
  }

  /** Writes what the document holds to the disk. */
  async export(record: FileRecord): Promise<Written> {
    if (record.frozen !== null) return 'blocked'
    const { documents } = this.#options
    return documents.use(SharedTree.documentOf(record.id), (document) =>
      this.#exports.export(record, document)
    )
  }

  /** What the newest text that was on the disk had seen of the document: what its deletion deletes. */
  async seenOf(record: FileRecord): Promise<ReadonlyMap<number, number>> {
    const versions = await this.versions.of(record)
    return versions.at(-1)?.seen ?? new Map()
  }

  /**
   * Takes a file off the disk that others have deleted. False when it is not what was last seen. Its record stays until it
   * is sure that nobody was saving it in that moment.
   */
  async remove(record: FileRecord): Promise<boolean> {
    const { disk, index } = this.#options
    if (record.signature !== null) {
      if (!(await disk.hasRealParents(record.path))) return false
      const there = await disk.signature(record.path)
      if (there !== null && !isSame(there, record.signature)) return false
      const version = record.versions.at(-1)?.number ?? 0
      const aside = there && (await disk.setAside(record.path, this.aside.nameOf(record)))
      const isOther = aside !== null && (await this.aside.restoreOther(record, aside))
      await this.forget(record)
      if (aside !== null && !isOther) this.aside.keepForNow(aside, record.id, version)
      return true
    }
    const isDisplaced = this.aside.neededOf(record.id).length > 0
    if (!isDisplaced && !this.versions.isRecent(record.former)) await index.remove(record.id)
    return true
  }

  /** Notes that the file is no longer on the disk. What it was is known for a while: an editor may have it open. */
  async forget(record: FileRecord): Promise<void> {
    record.signature = null
    record.former = { path: record.path, ms: this.#options.now() }
    await this.#options.index.put(record)
  }

  /** Takes what was saved at a path away from there, and merges it into the file that it was meant for. */
  async divert(path: string, meant: FileRecord, record: FileRecord | null): Promise<void> {
    const { disk, index } = this.#options
    if (record !== null) {
      // It is written anew. First of all, so that a crash does not make a deletion of it.
      record.signature = null
      await index.put(record)
    }
    const version = meant.versions.at(-1)?.number ?? 0
    const aside = await disk.setAside(path, this.aside.nameOf(meant))
    if (aside === null) return
    await this.aside.importAside(meant, aside, version)
  }

  /** Lets the file on the disk go on as that of another document, which holds the same text. */
  async rebind(record: FileRecord, id: string): Promise<void> {
    const { index, documents, editCount } = this.#options
    const name = SharedTree.documentOf(id)
    await documents.use(name, async ({ doc }) => {
      const text = anchoredTextOf(doc.getText(textName))
      const bound: FileRecord = {
        ...this.newRecord(id, record.path),
        signature: record.signature,
        hash: record.hash,
        versions: [{ number: 0, supersededMs: 0 }],
        nextVersion: 1,
        editCount: editCount(name)
      }
      const version = { number: 0, ...text, hash: record.hash, seen: seenIn(doc) }
      await index.put(bound, { versions: [version], durably: true })
    })
    await index.remove(record.id)
  }

  /** Finishes what a crash, or a failed write, has interrupted. */
  async resume(record: FileRecord): Promise<void> {
    const { intent } = record
    if (intent?.kind === 'import') {
      await this.#saves.resume(record)
      if (intent.aside !== null)
        await this.aside.importAside(record, intent.aside, versionOfAside(intent.aside))
    } else if (intent?.kind === 'write') await this.#exports.resume(record)
  }
}
