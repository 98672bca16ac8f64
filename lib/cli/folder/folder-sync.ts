/**
 * Keeps a folder of text files and a space in step, both ways.
 *
 * The model
 * - Every file has an identity, and a document of its own that holds its text. A directory document says which path each
 *   file has, and which are deleted (shared-tree.ts). Names are a function of the directory's content (placement.ts):
 *   files made under one name while apart become one if they hold the same, else the later is called `note (from bob).md`.
 * - A deletion deletes what its maker had seen. An edit that he had not seen brings the file back: the edit wins. A rename
 *   on one side and an edit on the other both hold. Of two renames made apart one holds, on all devices the same.
 * - What an editor saves is compared with the text that the editor had, and made in the document where that text's
 *   characters are now (file-merge.ts, anchored-text.ts). What comes from others is written over a file only while the
 *   file is what was last seen; if a program saves in that very moment, its text is in hand, and merged (disk.ts).
 * - What this device knows about each file lies in the folder (`.skein/index`, local-index.ts). What is going to be done
 *   stands there before it is done, so that a crash at any moment loses nothing and does nothing twice.
 * - Text is what is valid UTF-8 without a NUL and not too large; it is kept byte for byte. Everything else is left alone
 *   and named: `leftAlone`. So are names that begin with a dot, links, what editors leave beside files (path-names.ts).
 *
 * How it works: a loop of rounds. Each looks at the folder (from-disk.ts), then at the space (to-disk.ts); what is being
 * saved just now is left for the next one. Events of the system and of the space only say that a round is due.
 */
import { rename, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Emitter, SkeinError, type Document, type Space } from 'skein'
import { Disk } from './disk.ts'
import { isCode } from './disk-file.ts'
import { DocumentsCache, type OpenedDocument } from './documents-cache.ts'
import { FileMerge } from './file-merge.ts'
import { FromDisk } from './from-disk.ts'
import { LocalIndex } from './local-index.ts'
import type { Change, Conflict, LeftAlone, Parts, Round } from './parts.ts'
import { PathRules, quietReasons, type Reason } from './path-names.ts'
import { directoryName, SharedTree } from './shared-tree.ts'
import { ToDisk } from './to-disk.ts'
import { Watcher } from './watcher.ts'

export type { Change, Conflict, LeftAlone, Reason }

export interface FolderSyncOptions {
  readonly space: Space
  /** Made if it is not there. */
  readonly folder: string
  /** How documents are opened; default: by the space, and closed when they are not needed. */
  readonly open?: (document: string) => Promise<OpenedDocument>
  /** What else to leave alone on this device, as in a .gitignore. */
  readonly ignore?: readonly string[]
  /** Larger files are left alone. Default 8 MiB. */
  readonly maxBytes?: number
  /** For how long a file must not have changed before it is read. Default 150 ms. */
  readonly settleMs?: number
  /** For how long a file must be gone before it counts as deleted: editors take it away for a moment. Default 1 s. */
  readonly graceMs?: number
  /** How often to look at everything, whatever the system told. Default 60 s. */
  readonly rescanMs?: number
}

export interface FolderSyncEvents {
  /** Something went from the disk into the space, or from the space to the disk. */
  change: Change
  /** Two sides met; nothing of either is lost. */
  conflict: Conflict
  /** What is left alone, and why, has changed; without what goes without saying (hidden and editors' files). */
  'left-alone': { files: readonly LeftAlone[] }
  /** `busy`: there is something to do, or to wait for. `files`: how many are kept in step. */
  status: { busy: boolean; files: number }
  /** A file, or the whole folder, could not be read or written; it is tried again. */
  error: { path: string | null; error: SkeinError }
  /** The folder is gone, or is another one: nothing more is done. */
  stopped: { error: SkeinError }
}

const retryMs = 5_000

export class FolderSync extends Emitter<FolderSyncEvents> {
  readonly folder: string
  readonly #options: FolderSyncOptions
  readonly #settings: { settleMs: number; graceMs: number; maxBytes: number; rescanMs: number }
  readonly #disk: Disk
  readonly #rules: PathRules
  readonly #documents: DocumentsCache
  readonly #detach: (() => unknown)[] = []
  #index: LocalIndex
  #directory: OpenedDocument | null = null
  #parts: Parts | null = null
  #fromDisk: FromDisk | null = null
  #toDisk: ToDisk | null = null
  #watcher: Watcher | null = null
  #opening: Promise<void> | null = null
  #closing: Promise<void> | null = null
  #timer: NodeJS.Timeout | null = null
  #dueMs = Infinity
  /** Whether the round that is due is for something known, and not just to look whether there is something. */
  #hasWork = false
  #running: Promise<void> | null = null
  #stopped: SkeinError | null = null
  #leftAlone: readonly LeftAlone[] = []
  #status = { busy: true, files: 0 }
  readonly #settling = new Set<() => void>()

  constructor(options: FolderSyncOptions) {
    super()
    const { folder, ignore = [], settleMs = 150, graceMs = 1_000, rescanMs = 60_000 } = options
    if (typeof folder !== 'string' || folder === '') throw new TypeError('`folder` names a folder')
    const { maxBytes = 8 * 1024 * 1024 } = options
    this.folder = resolve(folder)
    this.#options = options
    this.#settings = { settleMs, graceMs, maxBytes, rescanMs }
    this.#rules = new PathRules(ignore, process.platform)
    this.#disk = new Disk(this.folder, this.#rules)
    this.#index = new LocalIndex(this.#disk.indexPath)
    const open = options.open ?? ((name) => this.#openDocument(name))
    this.#documents = new DocumentsCache(async (name) => this.#watched(await open(name)))
  }

  /**
   * Opens the folder and begins. Fails with `STORAGE_LOCKED` (another process keeps it in step), `NOT_ALLOWED` (it
   * belongs to another space), `STORAGE_FAILED`, `DISK_READ_ONLY`.
   */
  ready(): Promise<void> {
    this.#opening ??= this.#open()
    return this.#opening
  }

  /** Ends the round under way, and lets go of the folder. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** What is left alone and why, without what goes without saying. */
  get leftAlone(): readonly LeftAlone[] {
    return this.#leftAlone
  }

  get status(): { busy: boolean; files: number } {
    return this.#status
  }

  /**
   * Resolves once there is nothing left to do, as far as this device knows: the disk has what the space has, and the
   * space what the disk has. Fails with the reason once it has stopped.
   */
  async whenSettled(): Promise<void> {
    await this.ready()
    // Something may have happened that no event has told of yet.
    this.#wake(0)
    await new Promise<void>((done) => this.#settling.add(done))
    if (this.#stopped !== null) throw this.#stopped
    if (this.#closing !== null) throw new SkeinError('CLOSED', 'The folder sync was closed')
  }

  /** Looks at everything now. */
  rescan(): void {
    this.#wake(0)
  }

  async #open(): Promise<void> {
    const { space } = this.#options
    await space.ready()
    try {
      await this.#disk.ready()
      await this.#openIndex()
    } catch (error) {
      throw folderError(this.folder, error)
    }
    try {
      await this.#begin()
    } catch (error) {
      await this.#index.abandon()
      throw error
    }
  }

  async #begin(): Promise<void> {
    const { space } = this.#options
    const { meta } = this.#index
    if (meta !== null && meta.space !== space.id) {
      const message = `${this.folder} is kept in step with another space; to start anew, remove its folder .skein`
      throw new SkeinError('NOT_ALLOWED', message)
    }
    const isElsewhere = meta !== null && meta.place !== this.#disk.place
    const { wasClean } = await this.#index.begin(space.id, this.#disk.place)
    this.#directory = await (this.#options.open ?? ((name) => this.#openDocument(name)))(
      directoryName
    )
    const { document } = this.#directory
    const me = space.members().find(({ isThisDevice }) => isThisDevice)
    const tree = new SharedTree(document.doc, { id: me?.device ?? '', name: me?.name ?? 'device' })
    const now = (): number => Date.now()
    const merge = new FileMerge({
      disk: this.#disk,
      index: this.#index,
      documents: this.#documents,
      editCount: (name) => space.editCount(name),
      now,
      maxBytes: this.#settings.maxBytes,
      onRaced: (path) => this.emit('conflict', { path, kind: 'raced' }),
      onStale: (path) => this.emit('conflict', { path, kind: 'stale-save' })
    })
    const parts: Parts = {
      space,
      disk: this.#disk,
      index: this.#index,
      rules: this.#rules,
      merge,
      tree,
      directory: document,
      documents: this.#documents,
      settings: this.#settings,
      now,
      tell: (change) => this.emit('change', change),
      conflict: (conflict) => this.emit('conflict', conflict)
    }
    this.#parts = parts
    this.#fromDisk = new FromDisk(parts)
    this.#toDisk = new ToDisk(parts)

    // After a crash, or in a copy of the folder, it is not known which documents were looked at.
    if (!wasClean || isElsewhere)
      for (const record of this.#index.recordsById.values()) record.editCount = -1
    for (const record of [...this.#index.recordsById.values()]) await merge.resume(record)
    await merge.aside.sweep()
    const onUpdate = (): void => {
      this.#toDisk?.invalidate()
      this.#wake(20)
    }
    document.doc.on('update', onUpdate)
    this.#detach.push(() => document.doc.off('update', onUpdate))
    this.#detach.push(
      document.on('reset', ({ doc }) => {
        tree.bind(doc)
        doc.on('update', onUpdate)
        onUpdate()
      }),
      space.on('edit', ({ name }) => {
        const id = SharedTree.fileOf(name)
        if (id === null) return
        if (tree.deletion(id) !== null) this.#toDisk?.invalidate()
        this.#wake(20)
      }),
      space.on('members', () => this.#wake(0))
    )
    this.#watcher = new Watcher(
      this.folder,
      () => this.#wake(30),
      (error) => {
        this.emit('error', { path: null, error: folderError(this.folder, error) })
        this.#wake(0)
      }
    )
    try {
      await this.#watcher.start()
    } catch (error) {
      // Too many watches, most often: then it looks by itself, more seldom than it would be told.
      this.#watcher = null
      this.emit('error', { path: null, error: folderError(this.folder, error) })
    }
    this.#wake(0)
  }

  async #openIndex(): Promise<void> {
    try {
      await this.#index.open()
    } catch (error) {
      const code = error instanceof Error && error.cause instanceof Error ? error.cause : null
      if (code !== null && 'code' in code && code.code === 'LEVEL_LOCKED') {
        const message = `Another process keeps ${this.folder} in step`
        throw new SkeinError('STORAGE_LOCKED', message, { cause: error })
      }
      if (code === null || !('code' in code) || code.code !== 'LEVEL_CORRUPTION') throw error
      // What the index said is in the files and the documents, too; it is found again by comparing them.
      await rename(this.#disk.indexPath, `${this.#disk.indexPath}-damaged-${Date.now()}`)
      this.#index = new LocalIndex(this.#disk.indexPath)
      await this.#index.open()
      this.emit('error', { path: null, error: folderError(this.folder, error) })
    }
  }

  async #close(): Promise<void> {
    // An opening that failed has told its caller, and let go of everything.
    const isOpen = await (this.#opening?.then(() => true).catch(() => false) ?? false)
    if (!isOpen) return
    if (this.#timer !== null) clearTimeout(this.#timer)
    for (const detach of this.#detach) detach()
    await this.#watcher?.stop()
    await this.#running
    for (const done of this.#settling) done()
    await this.#documents.close()
    await this.#directory?.release()
    await this.#index.close()
  }

  /** A round is due in that time at the latest. */
  #wake(afterMs: number, isWork = true): void {
    if (this.#closing !== null || this.#stopped !== null) return
    if (isWork) this.#hasWork = true
    const dueMs = Date.now() + afterMs
    if (dueMs >= this.#dueMs) return
    this.#dueMs = dueMs
    if (this.#running !== null) return
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#runDue(), afterMs)
  }

  #runDue(): void {
    this.#timer = null
    this.#running ??= this.#round().finally(() => {
      this.#running = null
      if (this.#stopped !== null || this.#closing !== null) return
      if (!this.#hasWork) this.#settled()
      const { nextDueMs } = this.#parts!.merge.aside
      // What was displaced is looked at once more; nobody has to wait for that.
      if (nextDueMs !== null) this.#wake(Math.max(0, nextDueMs - Date.now()), false)
      this.#wake(this.#watcher === null ? retryMs : this.#settings.rescanMs, false)
      const dueMs = this.#dueMs
      this.#dueMs = Infinity
      const hadWork = this.#hasWork
      this.#wake(Math.max(0, dueMs - Date.now()), hadWork)
    })
  }

  async #round(): Promise<void> {
    this.#dueMs = Infinity
    this.#hasWork = false
    const parts = this.#parts!
    const leftAlone = new Map<string, Reason>()
    try {
      if (!(await this.#disk.isThere())) return this.#stop(await this.#whyGone())
      const scan = await this.#disk.scan()
      for (const [path, reason] of scan.leftAlone) leftAlone.set(path, reason)
      const round: Round = {
        scan,
        leftAlone,
        untouchable: new Set(),
        taken: new Set(),
        again: (afterMs) => this.#wake(afterMs),
        failed: (path, error) => this.#failed(path, error)
      }
      this.#setStatus(true)
      for (const record of parts.index.recordsById.values())
        if (record.intent !== null) await parts.merge.resume(record)
      if ((await parts.merge.aside.lookAtDisplaced()).length > 0) this.#toDisk!.invalidate()
      await this.#fromDisk!.run(round, await this.#toDisk!.placement())
      await this.#toDisk!.run(round)
    } catch (error) {
      this.#failed(null, error)
    }
    this.#setLeftAlone(leftAlone)
    if (!this.#hasWork) this.#setStatus(false)
  }

  #settled(): void {
    for (const done of this.#settling) done()
    this.#settling.clear()
  }

  #failed(path: string | null, error: unknown): void {
    if (this.#closing !== null) return
    this.emit('error', { path, error: folderError(path ?? this.folder, error) })
    this.#wake(retryMs, false)
  }

  #stop(error: SkeinError): void {
    this.#stopped = error
    this.emit('stopped', { error })
    this.#settled()
  }

  async #whyGone(): Promise<SkeinError> {
    const isThere = await stat(this.folder).then(
      () => true,
      () => false
    )
    const what = isThere ? `${this.folder}/.skein is gone or another` : `${this.folder} is gone`
    return new SkeinError('STORAGE_FAILED', `${what}: nothing is deleted from the space for that`)
  }

  #setStatus(busy: boolean): void {
    let files = 0
    for (const { signature } of this.#index.recordsById.values()) if (signature !== null) files++
    if (this.#status.busy === busy && this.#status.files === files) return
    this.#status = { busy, files }
    this.emit('status', this.#status)
  }

  #setLeftAlone(leftAlone: ReadonlyMap<string, Reason>): void {
    const files = [...leftAlone]
      .filter(([, reason]) => !quietReasons.includes(reason))
      .map(([path, reason]) => ({ path, reason }))
      .sort((a, b) => (a.path < b.path ? -1 : 1))
    if (JSON.stringify(files) === JSON.stringify(this.#leftAlone)) return
    this.#leftAlone = files
    this.emit('left-alone', { files })
  }

  async #openDocument(name: string): Promise<OpenedDocument> {
    const document: Document = await this.#options.space.open(name)
    return { document, release: () => document.close() }
  }

  /** An edit that was counted when it came may be put into an open `Y.Doc` only a moment later. */
  #watched(opened: OpenedDocument): OpenedDocument {
    const { document } = opened
    const id = SharedTree.fileOf(document.name)
    const onUpdate = (_update: Uint8Array, origin: unknown): void => {
      if (origin === this.#parts?.merge) return
      const record = id === null ? undefined : this.#index.recordsById.get(id)
      if (record !== undefined) record.editCount = -1
      this.#wake(20)
    }
    document.doc.on('update', onUpdate)
    const stop = document.on('reset', ({ doc }) => {
      doc.on('update', onUpdate)
      onUpdate(new Uint8Array(), null)
    })
    return {
      document,
      release: async () => {
        await opened.release()
        stop()
        document.doc.off('update', onUpdate)
      }
    }
  }
}

function folderError(path: string, cause: unknown): SkeinError {
  if (cause instanceof SkeinError) return cause
  const message = `${path}: ${cause instanceof Error ? cause.message : String(cause)}`
  const code = isCode(cause, 'ENOSPC', 'EDQUOT')
    ? 'DISK_FULL'
    : isCode(cause, 'EROFS', 'EACCES', 'EPERM')
      ? 'DISK_READ_ONLY'
      : 'STORAGE_FAILED'
  return new SkeinError(code, message, { cause })
}
