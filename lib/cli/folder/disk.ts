/**
 * The folder on the disk. Everything that is written goes through here, and none of it can undo what another program
 * wrote meanwhile: a file takes the place of another by *swapping* the two, a new one by a link that fails if the name is
 * taken, and what is taken away is moved aside first. Whatever was displaced is in hand afterwards, and is looked at:
 * if it is not what was expected, it was saved by someone else in that very moment, and is merged. File systems that can
 * neither swap nor link get the next best, with a window of microseconds.
 *
 * Temporary files lie in `.skein/files`, within the folder since they have to be on its file system, and apart from it so
 * that no editor shows them.
 */
import { randomBytes } from 'node:crypto'
import { constants, type Dirent } from 'node:fs'
import { access, link, lstat, mkdir, open, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { swap } from 'fs-native-extensions'
import {
  copyOwner,
  isCode,
  linkIfFree,
  readStable,
  signatureAt,
  signatureOf,
  statOf,
  syncFolder,
  unsupported,
  writeOnce,
  type ReadResult,
  type Signature
} from './disk-file.ts'
import { ancestorsOf, keyOf, type PathRules, type Reason } from './path-names.ts'

export const ownFolder = '.skein'

export interface DiskFile {
  readonly path: string
  readonly signature: Signature
}

export interface Scan {
  readonly filesByPath: ReadonlyMap<string, DiskFile>
  readonly folders: ReadonlySet<string>
  /** Besides files and folders. */
  readonly leftAlone: ReadonlyMap<string, Reason>
}

export class Disk {
  readonly root: string
  readonly #rules: PathRules
  readonly #exchangeFiles: (a: string, b: string) => Promise<void>
  #device: bigint | null = null
  #rootInode: bigint | null = null

  /** `exchangeFiles` lets two files change places in one step; it may fail as system calls do. */
  constructor(
    root: string,
    rules: PathRules,
    exchangeFiles: (a: string, b: string) => Promise<void> = swap
  ) {
    this.root = root
    this.#rules = rules
    this.#exchangeFiles = exchangeFiles
  }

  /** Makes the folder, if it is not there, and what this keeps in it. */
  async ready(): Promise<void> {
    await mkdir(this.#own('files'), { recursive: true })
    await writeOnce(this.#own('.gitignore'), '*\n')
    const { dev, ino } = await lstat(this.#own(), { bigint: true })
    this.#device = dev
    this.#rootInode = ino
  }

  /** Names this very folder: a copy of it has another name. */
  get place(): string {
    return `${this.#device}:${this.#rootInode}`
  }

  get indexPath(): string {
    return this.#own('index')
  }

  /**
   * Whether the folder is still the one that was opened: after a disk was taken out, everything in it looks deleted.
   */
  async isThere(): Promise<boolean> {
    const now = await statOf(this.#own())
    return now !== null && now.dev === this.#device && now.ino === this.#rootInode
  }

  /** Everything in the folder, or in some folders of it (not below them). */
  async scan(): Promise<Scan> {
    const filesByPath = new Map<string, DiskFile>()
    const folders = new Set<string>()
    const leftAlone = new Map<string, Reason>()
    const look = async (folder: string | null): Promise<void> => {
      let entries: Dirent[]
      try {
        entries = await readdir(folder === null ? this.root : this.absolute(folder), {
          withFileTypes: true
        })
      } catch (error) {
        if (isCode(error, 'ENOENT', 'ENOTDIR') && folder !== null) return
        if (!isCode(error, 'EACCES', 'EPERM') || folder === null) throw error
        leftAlone.set(folder, 'unreadable')
        return
      }
      const below: string[] = []
      await Promise.all(
        entries.map(async (entry) => {
          const path = folder === null ? entry.name : `${folder}/${entry.name}`
          if (path === ownFolder) return
          const reason = this.#rules.reasonFor(path, entry.isDirectory())
          if (reason !== null) return leftAlone.set(path, reason)
          if (entry.isSymbolicLink()) return leftAlone.set(path, 'symbolic-link')
          if (!entry.isDirectory() && !entry.isFile()) return leftAlone.set(path, 'special')
          const stats = await statOf(this.absolute(path))
          if (stats === null) return
          if (stats.dev !== this.#device) return leftAlone.set(path, 'mount')
          if (stats.isDirectory()) {
            folders.add(path)
            below.push(path)
          } else if (stats.isFile()) filesByPath.set(path, { path, signature: signatureOf(stats) })
        })
      )
      for (const path of below) await look(path)
    }
    await look(null)
    return { filesByPath, folders, leftAlone }
  }

  /** Null when nothing, or no file, is there. */
  async signature(path: string): Promise<Signature | null> {
    return signatureAt(this.absolute(path))
  }

  /** Null when it is not there, or changed while it was read. Fails with EACCES and the like. */
  async read(path: string): Promise<ReadResult | null> {
    return readStable(this.absolute(path))
  }

  async isReadable(path: string): Promise<boolean> {
    return access(this.absolute(path), constants.R_OK).then(
      () => true,
      () => false
    )
  }

  /** Writes a temporary file, durably; with the permissions of the file at `like`. */
  async writeTemporary(
    bytes: Uint8Array,
    like: string | null
  ): Promise<{ name: string; signature: Signature }> {
    const stats = like === null ? null : await statOf(this.absolute(like))
    const name = ownName('new')
    const path = this.#own('files', name)
    const file = await open(path, 'wx', 0o666)
    try {
      await file.writeFile(bytes)
      if (stats !== null) await copyOwner(file, stats)
      // An earlier time than now: any later write, of the same length too, gives the file another one.
      const seconds = Date.now() / 1_000 - 0.02
      await file.utimes(seconds, seconds)
      await file.sync()
      return { name, signature: signatureOf(await file.stat({ bigint: true })) }
    } finally {
      await file.close()
    }
  }

  /** Puts a temporary file where nothing is. False when something is there. */
  async putNew(name: string, path: string): Promise<boolean> {
    await this.makeFolders(path)
    const done = await linkIfFree(this.#own('files', name), this.absolute(path))
    if (done) await this.#syncParent(path)
    return done
  }

  /**
   * Lets a temporary file and the file at `path` change places; what was there has the temporary name then. False when
   * nothing is there.
   */
  async exchange(name: string, path: string): Promise<boolean> {
    if (!(await this.hasRealParents(path))) return false
    try {
      await this.#exchangeFiles(this.#own('files', name), this.absolute(path))
    } catch (error) {
      if (isCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) return false
      if (!isCode(error, ...unsupported)) throw error
      if (!(await this.#exchangeInSteps(this.#own('files', name), this.absolute(path))))
        return false
    }
    await this.#syncParent(path)
    return true
  }

  /** Moves what is at `path` aside, under a name that begins with `kind`. Null when nothing is there. */
  async setAside(path: string, kind: string): Promise<string | null> {
    const name = ownName(kind)
    try {
      await rename(this.absolute(path), this.#own('files', name))
    } catch (error) {
      if (isCode(error, 'ENOENT', 'ENOTDIR')) return null
      throw error
    }
    return name
  }

  /**
   * Moves a file within the folder. `isDone` is false when something is at its new place; `aside` names what somebody
   * saved under the old name in that very moment, under a name that begins with `kind`.
   */
  async move(
    from: string,
    to: string,
    kind: string
  ): Promise<{ isDone: boolean; aside: string | null }> {
    await this.makeFolders(to)
    const before = await signatureAt(this.absolute(from))
    if (before === null || !(await this.hasRealParents(from))) return { isDone: false, aside: null }
    if (!(await linkIfFree(this.absolute(from), this.absolute(to)))) {
      const there = await signatureAt(this.absolute(to))
      if (there?.inode !== before.inode || keyOf(from) !== keyOf(to))
        return { isDone: false, aside: null }
      // One file to this file system: only the letters' case, or the form of Unicode, changes.
      await rename(this.absolute(from), this.absolute(to))
      return { isDone: true, aside: null }
    }
    await this.#syncParent(to)
    const linked = await signatureAt(this.absolute(to))
    if (linked?.inode !== before.inode) {
      // Another file had come under the old name, and was linked instead of the one that was meant.
      const other = await this.setAside(to, kind)
      const there = await signatureAt(this.absolute(from))
      if (other === null || there?.inode !== linked?.inode) return { isDone: false, aside: other }
      await this.discard(other)
      return { isDone: false, aside: null }
    }
    const aside = await this.setAside(from, kind)
    if (aside === null) return { isDone: true, aside }
    const moved = await signatureAt(this.#own('files', aside))
    if (moved !== null && moved.inode !== before.inode) return { isDone: true, aside }
    await this.discard(aside)
    return { isDone: true, aside: null }
  }

  async renameTemporary(name: string, kind: string): Promise<string> {
    const renamed = ownName(kind)
    await rename(this.#own('files', name), this.#own('files', renamed))
    return renamed
  }

  async readTemporary(name: string): Promise<ReadResult | null> {
    return readStable(this.#own('files', name))
  }

  async temporarySignature(name: string): Promise<Signature | null> {
    return signatureAt(this.#own('files', name))
  }

  async temporaries(): Promise<string[]> {
    return readdir(this.#own('files'))
  }

  async discard(name: string): Promise<void> {
    await rm(this.#own('files', name), { force: true })
  }

  /** Makes the folders that a path lies in, and fails with `ENOTDIR` where one of them is something else. */
  async makeFolders(path: string): Promise<void> {
    for (const folder of ancestorsOf(path)) await this.makeFolder(folder)
  }

  async makeFolder(path: string): Promise<void> {
    try {
      await mkdir(this.absolute(path))
      await this.#syncParent(path)
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error
      const stats = await statOf(this.absolute(path))
      // Never through a link: that would write outside of the folder.
      if (stats?.isDirectory() === true && stats.dev === this.#device) return
      throw Object.assign(new Error(`${path} is no folder`), { code: 'ENOTDIR' })
    }
  }

  /** False when it is not empty. */
  async removeFolder(path: string): Promise<boolean> {
    try {
      await rmdir(this.absolute(path))
      return true
    } catch (error) {
      if (isCode(error, 'ENOENT')) return true
      if (isCode(error, 'ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'EBUSY', 'EPERM', 'EACCES')) return false
      throw error
    }
  }

  /** Whether all folders that a path lies in are folders, and no links. */
  async hasRealParents(path: string): Promise<boolean> {
    for (const folder of ancestorsOf(path)) {
      const stats = await statOf(this.absolute(folder))
      if (stats?.isDirectory() !== true || stats.dev !== this.#device) return false
    }
    return true
  }

  absolute(path: string): string {
    return join(this.root, ...path.split('/'))
  }

  #own(...names: string[]): string {
    return join(this.root, ownFolder, ...names)
  }

  /**
   * Where the file system (NFS …) cannot swap: what was there is in hand as well, but for a save by renaming between the
   * two steps, which are microseconds apart.
   */
  async #exchangeInSteps(temporary: string, path: string): Promise<boolean> {
    const kept = `${temporary}-kept`
    try {
      await link(path, kept)
    } catch (error) {
      if (isCode(error, 'ENOENT', 'ENOTDIR')) return false
      if (!isCode(error, ...unsupported)) throw error
      await rename(path, kept)
    }
    await rename(temporary, path)
    await rename(kept, temporary)
    return true
  }

  async #syncParent(path: string): Promise<void> {
    await syncFolder(join(this.absolute(path), '..'))
  }
}

/** One that nothing has: a rename would put it in the place of what has it. */
function ownName(kind: string): string {
  return `${kind}-${randomBytes(8).toString('hex')}`
}
