/** One direction of folder sync: what happened on the disk goes into the space. */
import { anchoredTextOf } from './anchored-text.ts'
import type { DiskFile } from './disk.ts'
import { hashOf, isCode, isSame } from './disk-file.ts'
import type { FileRecord } from './local-index.ts'
import { matchFiles, type Known } from './matching.ts'
import { forEach, isGone, newId, type Parts, type Round } from './parts.ts'
import { ancestorsOf, keyOf } from './path-names.ts'
import type { Placement } from './placement.ts'
import { SharedTree, textName } from './shared-tree.ts'
import { likeness } from './text-diff.ts'
import { textOf } from './text-file.ts'

/** A file that is always being written is read all the same after that. */
const patienceMs = 3_000
/** An empty file that was not empty is one that a program has just opened for writing, most often. */
const emptyMs = 1_500
const createAtOnce = 64

export class FromDisk {
  readonly #parts: Parts
  /** By path: since when it has been looking so, and since when it has been restless. */
  readonly #restless = new Map<string, { file: DiskFile; sinceMs: number; firstMs: number }>()
  readonly #missingSinceMs = new Map<string, number>()
  /** Files that are no text, as they were when that was found out. */
  readonly #notText = new Map<string, DiskFile>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** `placement` as of before this round. */
  async run(round: Round, placement: Placement): Promise<void> {
    const { index, disk } = this.#parts
    const known: Known[] = []
    for (const { id, path, signature, hash } of index.recordsById.values())
      if (signature !== null) known.push({ id, path, signature, hash })
    const matched = await matchFiles(known, round.scan.filesByPath, {
      hashAt: async ({ path }) => {
        const read = await disk.read(path)
        return read === null ? null : hashOf(read.bytes)
      },
      resembles: async ({ id }, { path }) => {
        const read = await disk.read(path)
        const text = read === null ? null : textOf(read.bytes)
        return (
          text === null || text === '' || (await this.#parts.merge.versions.resembles(id, text))
        )
      }
    })
    for (const id of this.#missingSinceMs.keys())
      if (matched.fileById.has(id)) this.#missingSinceMs.delete(id)

    if (this.#parts.space.readOnly) return this.#leaveChanges(round, matched)
    await this.#moved(matched.fileById)
    await this.#deleted(round, matched.missing)
    await this.#edited(round, matched.fileById)
    await this.#created(round, matched.untracked, placement)
    await this.#folders(round)
  }

  /** Where this device may not write, what was changed here stays here. */
  #leaveChanges(
    round: Round,
    matched: {
      fileById: ReadonlyMap<string, DiskFile>
      missing: readonly string[]
      untracked: readonly DiskFile[]
    }
  ): void {
    const { index } = this.#parts
    for (const { path } of matched.untracked) round.leftAlone.set(path, 'read-only')
    for (const [id, file] of matched.fileById) {
      const record = index.recordsById.get(id)!
      if (record.path === file.path && isSame(record.signature, file.signature)) continue
      round.leftAlone.set(file.path, 'read-only')
      round.untouchable.add(id)
    }
    for (const id of matched.missing) {
      round.leftAlone.set(index.recordsById.get(id)!.path, 'read-only')
      round.untouchable.add(id)
    }
  }

  async #moved(fileById: ReadonlyMap<string, DiskFile>): Promise<void> {
    const { index, tree, directory, tell } = this.#parts
    const moved: { record: FileRecord; path: string }[] = []
    for (const [id, { path }] of fileById) {
      const record = index.recordsById.get(id)!
      if (record.path !== path) moved.push({ record, path })
    }
    if (moved.length === 0) return
    tree.change({
      move: moved
        .filter(({ record, path }) => tree.claims.get(record.id)?.path !== path)
        .map(({ record, path }) => ({ id: record.id, path }))
    })
    await directory.saved()
    for (const { record, path } of moved) {
      const from = record.path
      record.path = path
      await index.put(record)
      tell({ direction: 'out', kind: 'renamed', path, from })
    }
  }

  async #deleted(round: Round, missing: readonly string[]): Promise<void> {
    const { index, tree, directory, merge, settings, now, tell } = this.#parts
    const deleted: FileRecord[] = []
    for (const id of missing) {
      const record = index.recordsById.get(id)!
      const paths = [...ancestorsOf(record.path), record.path]
      round.untouchable.add(id)
      // It is there, and cannot be read, or is something else now.
      if (paths.some((path) => round.scan.leftAlone.has(path))) continue
      const sinceMs = this.#missingSinceMs.get(id) ?? now()
      this.#missingSinceMs.set(id, sinceMs)
      const leftMs = sinceMs + settings.graceMs - now()
      if (leftMs > 0) round.again(leftMs)
      else deleted.push(record)
    }
    if (deleted.length === 0) return
    const remove: { id: string; seen: ReadonlyMap<number, number> }[] = []
    for (const record of deleted) {
      // What was saved while it was written last is no part of what was seen, and brings it back.
      await merge.aside.lookAtDisplaced(record.id)
      if (!(await isGone(this.#parts, record.id)))
        remove.push({ id: record.id, seen: await merge.seenOf(record) })
    }
    tree.change({ remove })
    await directory.saved()
    for (const record of deleted) {
      this.#missingSinceMs.delete(record.id)
      round.untouchable.delete(record.id)
      await merge.forget(record)
      tell({ direction: 'out', kind: 'deleted', path: record.path })
    }
  }

  async #edited(round: Round, fileById: ReadonlyMap<string, DiskFile>): Promise<void> {
    const { index } = this.#parts
    const changed: { record: FileRecord; file: DiskFile }[] = []
    for (const [id, file] of fileById) {
      const record = index.recordsById.get(id)!
      if (isSame(record.signature, file.signature)) {
        this.#restless.delete(file.path)
        if (record.frozen !== null) this.#stayFrozen(round, record, file)
      } else if (this.#isSettled(round, file, record.signature?.size !== 0)) {
        changed.push({ record, file })
      } else round.untouchable.add(id)
    }
    await forEach(
      changed,
      ({ record, file }) => this.#editedOne(round, record, file),
      ({ record, file }, error) => {
        round.untouchable.add(record.id)
        if (isCode(error, 'EACCES', 'EPERM')) round.leftAlone.set(file.path, 'unreadable')
        else round.failed(file.path, error)
      }
    )
  }

  async #editedOne(round: Round, record: FileRecord, file: DiskFile): Promise<void> {
    const { disk, merge, settings, tell } = this.#parts
    const { path, signature } = file
    if (signature.size > settings.maxBytes) {
      await merge.freeze(record, `${signature.size} bytes`, signature)
      return this.#stayFrozen(round, record, file)
    }
    const read = await disk.read(path)
    if (read === null) {
      round.untouchable.add(record.id)
      return round.again(settings.settleMs)
    }
    const text = textOf(read.bytes)
    const hash = hashOf(read.bytes)
    if (text === null) {
      await merge.freeze(record, hash, read.signature)
      return this.#stayFrozen(round, record, file)
    }
    const isChange = hash !== record.hash
    const meant = isChange ? await merge.versions.meantFor(path, text, record) : null
    if (meant !== null) {
      this.#parts.conflict({ path, kind: 'stale-save' })
      await merge.divert(path, meant, record)
      return round.again(0)
    }
    await merge.import(record, { text, hash, signature: read.signature })
    this.#restless.delete(path)
    if (isChange) tell({ direction: 'out', kind: 'edited', path })
  }

  #stayFrozen(round: Round, { id }: FileRecord, { path, signature }: DiskFile): void {
    const { settings } = this.#parts
    round.leftAlone.set(path, signature.size > settings.maxBytes ? 'too-large' : 'not-text')
    round.untouchable.add(id)
  }

  async #created(
    round: Round,
    untracked: readonly DiskFile[],
    placement: Placement
  ): Promise<void> {
    const { index, tree, directory, tell } = this.#parts
    const keys = new Map<string, string>()
    for (const { path, signature } of index.recordsById.values())
      if (signature !== null) keys.set(keyOf(path), path)
    const idByPath = new Map([...placement.pathById].map(([id, path]) => [path, id]))
    const files: DiskFile[] = []
    for (const file of [...untracked].sort((a, b) => (a.path < b.path ? -1 : 1))) {
      round.taken.add(file.path)
      const known = this.#notText.get(file.path)
      const clash = keys.get(keyOf(file.path))
      if (clash !== undefined && clash !== file.path) round.leftAlone.set(file.path, 'name-clash')
      else if (file.signature.size > this.#parts.settings.maxBytes)
        round.leftAlone.set(file.path, 'too-large')
      else if (known !== undefined && isSame(known.signature, file.signature))
        round.leftAlone.set(file.path, 'not-text')
      else if (this.#isSettled(round, file, false)) {
        keys.set(keyOf(file.path), file.path)
        files.push(file)
      }
    }
    const claim = async (): Promise<void> => {
      const create = [...index.recordsById.values()]
        .filter(({ id, signature }) => signature !== null && !tree.claims.has(id))
        .map(({ id, path }) => ({ id, path }))
      if (create.length === 0) return
      tree.change({ create })
      await directory.saved()
      for (const { path } of create) tell({ direction: 'out', kind: 'created', path })
    }
    // What a crash left without a claim, first.
    await claim()
    for (let at = 0; at < files.length; at += createAtOnce) {
      await forEach(
        files.slice(at, at + createAtOnce),
        (file) => this.#createdOne(round, file, idByPath.get(file.path)),
        ({ path }, error) => {
          if (isCode(error, 'EACCES', 'EPERM')) round.leftAlone.set(path, 'unreadable')
          else round.failed(path, error)
        }
      )
      await claim()
    }
  }

  async #createdOne(round: Round, file: DiskFile, idThere: string | undefined): Promise<void> {
    const { disk, merge, index, settings } = this.#parts
    const { path } = file
    const read = await disk.read(path)
    if (read === null) return round.again(settings.settleMs)
    const text = textOf(read.bytes)
    if (text === null) {
      this.#notText.set(path, file)
      round.leftAlone.set(path, 'not-text')
      return
    }
    this.#notText.delete(path)
    const meant = await merge.versions.meantFor(path, text, null)
    if (meant !== null) {
      this.#parts.conflict({ path, kind: 'stale-save' })
      await merge.divert(path, meant, null)
      return round.again(0)
    }
    const there = idThere === undefined ? undefined : index.recordsById.get(idThere)
    const isFree = idThere !== undefined && (there === undefined || there.signature === null)
    const id = isFree && (await this.#isMuchTheSame(idThere, text)) ? idThere : newId()
    const saved = { text, hash: hashOf(read.bytes), signature: read.signature }
    await merge.import(
      id === idThere && there !== undefined ? there : merge.newRecord(id, path),
      saved
    )
    round.taken.delete(path)
    this.#restless.delete(path)
  }

  /** Whether a file that is here, and one of the space that is to lie here, are taken for one: both texts are kept. */
  async #isMuchTheSame(id: string, text: string): Promise<boolean> {
    return this.#parts.documents.use(SharedTree.documentOf(id), async ({ doc }) => {
      const there = anchoredTextOf(doc.getText(textName)).text
      return there === text || (there !== '' && text !== '' && likeness(there, text) >= 0.5)
    })
  }

  async #folders(round: Round): Promise<void> {
    const { index, tree, directory } = this.#parts
    const added = [...round.scan.folders].filter((path) => !index.folders.has(path))
    const removed = [...index.folders].filter(
      (path) =>
        !round.scan.folders.has(path) &&
        ![...ancestorsOf(path), path].some((one) => round.scan.leftAlone.has(one))
    )
    if (added.length + removed.length === 0) return
    tree.change({ addFolders: added, removeFolders: removed })
    await directory.saved()
    for (const path of added) await index.putFolder(path)
    for (const path of removed) await index.removeFolder(path)
  }

  /** Whether a file has been as it is for long enough to be read: a program may be in the midst of saving it. */
  #isSettled(round: Round, file: DiskFile, wasFull: boolean): boolean {
    const { now, settings } = this.#parts
    const nowMs = now()
    const before = this.#restless.get(file.path)
    const isAsBefore = before !== undefined && isSame(before.file.signature, file.signature)
    const entry = isAsBefore ? before : { file, sinceMs: nowMs, firstMs: before?.firstMs ?? nowMs }
    this.#restless.set(file.path, entry)
    const ageMs = nowMs - Number(BigInt(file.signature.modifiedNs) / 1_000_000n)
    const quietMs = Math.max(nowMs - entry.sinceMs, ageMs)
    const neededMs = file.signature.size === 0 && wasFull ? emptyMs : settings.settleMs
    if (quietMs >= neededMs || nowMs - entry.firstMs > patienceMs) return true
    round.again(Math.max(10, neededMs - quietMs))
    return false
  }
}
