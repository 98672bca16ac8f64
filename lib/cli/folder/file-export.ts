/** Writes what a document holds over its file, if that is still what was last seen. */
import type { Document } from 'skein'
import { anchoredTextOf, sameRuns } from './anchored-text.ts'
import type { Aside } from './aside.ts'
import type { Disk } from './disk.ts'
import { hashOf, isSame, type Signature } from './disk-file.ts'
import type { FileVersions } from './file-versions.ts'
import { seenIn, type FileRecord, type LocalIndex, type Version } from './local-index.ts'
import { SharedTree, textName } from './shared-tree.ts'
import { bytesOf } from './text-file.ts'

/** How writing the document's text to the disk ended. */
export type Written =
  | 'written'
  /** The disk had it. */
  | 'unchanged'
  /** The file is not what was seen: it has to be read first. */
  | 'changed'
  /** Something else has the name. */
  | 'blocked'
  | 'too-large'

export interface FileExportOptions {
  readonly disk: Disk
  readonly index: LocalIndex
  readonly versions: FileVersions
  readonly aside: Aside
  readonly editCount: (document: string) => number
  readonly maxBytes: number
}

export class FileExport {
  readonly #options: FileExportOptions

  constructor(options: FileExportOptions) {
    this.#options = options
  }

  async export(record: FileRecord, document: Document): Promise<Written> {
    const { disk, index, maxBytes } = this.#options
    const name = SharedTree.documentOf(record.id)
    // First, so that what comes while this is written marks the record again.
    record.editCount = this.#options.editCount(name)
    const text = anchoredTextOf(document.doc.getText(textName))
    const seen = seenIn(document.doc)
    const bytes = bytesOf(text.text)
    const hash = hashOf(bytes)
    if (record.signature !== null && hash === record.hash) {
      await this.#sameText(record, { ...text, hash, seen })
      return 'unchanged'
    }
    if (bytes.length > maxBytes) return 'too-large'
    if (!isSameOrNew(await disk.signature(record.path), record.signature)) {
      record.editCount = -1
      return 'changed'
    }

    const number = record.nextVersion++
    const temporary = await disk.writeTemporary(bytes, record.signature && record.path)
    const { signature } = temporary
    record.intent = { kind: 'write', version: number, temporary: temporary.name, signature }
    const isNew = record.signature === null
    await index.put(record, { versions: [{ number, ...text, hash, seen }], durably: !isNew })
    const before = record.versions.at(-1)?.number ?? 0
    // Just before: a save that came while this was written is not displaced without need.
    const isAsSeen = isSameOrNew(await disk.signature(record.path), record.signature)
    const isDone =
      isAsSeen &&
      (isNew
        ? await disk.putNew(temporary.name, record.path)
        : await disk.exchange(temporary.name, record.path))
    if (!isDone) {
      record.intent = null
      record.editCount = -1
      if (isNew) await index.remove(record.id)
      else await index.put(record)
      await disk.discard(temporary.name)
      return isNew ? 'blocked' : 'changed'
    }
    const displaced = isNew
      ? null
      : await disk.renameTemporary(temporary.name, this.#options.aside.nameOf(record))
    const isOther =
      displaced !== null && (await this.#options.aside.restoreOther(record, displaced))
    await this.#options.versions.wrote(record, number, hash, signature)
    if (displaced === null) await disk.discard(temporary.name)
    else if (!isOther) this.#options.aside.keepForNow(displaced, record.id, before)
    return 'written'
  }

  /** Finishes writing that was interrupted, or undoes that it was begun. */
  async resume(record: FileRecord): Promise<void> {
    const { disk, index } = this.#options
    const intent = record.intent
    if (intent?.kind !== 'write') return
    const { temporary, signature, version } = intent
    const there = await disk.signature(record.path)
    const left = await disk.temporarySignature(temporary)
    const isNew = record.signature === null
    // The two have changed places, or the new one was linked: the temporary name has the other file, or none.
    const isDone = there?.inode === signature.inode || (!isNew && left?.inode !== signature.inode)
    const before = record.versions.at(-1)?.number ?? null
    if (!isDone) {
      record.intent = null
      if (isNew) await index.remove(record.id)
      else await index.put(record)
      await disk.discard(temporary)
      return
    }
    const text = await index.version(record.id, version)
    await this.#options.versions.wrote(record, version, text?.hash ?? '', signature)
    if (left === null || left.inode === signature.inode || before === null)
      return disk.discard(temporary)
    await this.#options.aside.importAside(record, temporary, before)
  }

  /** The disk has the document's text; its characters may be others than before. */
  async #sameText(record: FileRecord, version: Version): Promise<void> {
    const { index } = this.#options
    const last = record.versions.at(-1)
    const known = last && (await index.version(record.id, last.number))
    if (known && sameRuns(known, version) && sameSeen(known.seen, version.seen))
      return index.put(record)
    const number = record.nextVersion++
    const before = record.versions
    record.versions = [...before.slice(0, -1), { number, supersededMs: 0 }]
    await index.put(record, { versions: [{ number, ...version }] })
    await this.#options.versions.drop(record, before)
  }
}

function isSameOrNew(there: Signature | null, expected: Signature | null): boolean {
  return expected === null ? there === null : isSame(there, expected)
}

function sameSeen(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): boolean {
  return a.size === b.size && [...a].every(([client, clock]) => b.get(client) === clock)
}
