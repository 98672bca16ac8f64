/**
 * The file calls that storage is made of: one narrow place, so that tests can fail each call in turn and lose what
 * was not synced. Every failure becomes a `SkeinError` here and nowhere else.
 *
 * A missing file is no failure: `open` gives null and `list` nothing. Files are made for their owner alone.
 */
import { constants, writeSync } from 'node:fs'
import { mkdir, open, readdir, rename, rm, statfs, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { SkeinError, type ErrorCode } from '../../lib/errors.ts'

const smallWriteBytes = 64 * 1024

export interface Disk {
  /** Opens a file that exists, for reading and writing. */
  open(path: string): Promise<DiskFile | null>
  /** Makes an empty file, or empties the one there is. */
  make(path: string): Promise<DiskFile>
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
  /** How many bytes there is room for where `path` lies, as far as the system tells (not of quotas). */
  available(path: string): Promise<number>
  /** The names in a folder. */
  list(folder: string): Promise<string[]>
  /** Makes the names in a folder durable, or a file with its attributes. */
  sync(path: string): Promise<void>
}

export interface DiskFile {
  size(): Promise<number>
  /** The whole file. */
  read(): Promise<Uint8Array>
  /** Writes all of `bytes` at `position`, in one call unless the system takes fewer. */
  write(bytes: Uint8Array, position: number): Promise<void>
  truncate(length: number): Promise<void>
  /** Makes the bytes durable. */
  sync(): Promise<void>
  close(): Promise<void>
}

export const nodeDisk: Disk = {
  async open(path) {
    try {
      return new NodeFile(path, await open(path, 'r+'))
    } catch (error) {
      if (isMissing(error)) return null
      throw failure(error, path)
    }
  },
  make: async (path) =>
    new NodeFile(
      path,
      await guard(path, open(path, constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC, 0o600))
    ),
  rename: (from, to) => guard(from, rename(from, to)),
  remove: (path) => guard(path, rm(path, { force: true })),
  async available(path) {
    const { bavail, bsize } = await guard(path, statfs(path))
    return bavail * bsize
  },
  async list(folder) {
    try {
      return await readdir(folder)
    } catch (error) {
      if (isMissing(error)) return []
      throw failure(error, folder)
    }
  },
  async sync(path) {
    // Windows has no such call for folders and writes their entries through.
    if (process.platform === 'win32') return
    const handle = await guard(path, open(path, 'r'))
    try {
      await guard(path, handle.sync())
    } finally {
      await handle.close()
    }
  }
}

class NodeFile implements DiskFile {
  readonly #path: string
  readonly #handle: FileHandle

  constructor(path: string, handle: FileHandle) {
    this.#path = path
    this.#handle = handle
  }

  async size(): Promise<number> {
    return (await guard(this.#path, this.#handle.stat())).size
  }

  async read(): Promise<Uint8Array> {
    const bytes = new Uint8Array(await this.size())
    let at = 0
    while (at < bytes.length) {
      const { bytesRead } = await guard(
        this.#path,
        this.#handle.read(bytes, at, bytes.length - at, at)
      )
      if (bytesRead === 0) break
      at += bytesRead
    }
    return bytes.subarray(0, at)
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    let at = 0
    while (at < bytes.length) {
      at += await guard(this.#path, this.#writeSome(bytes.subarray(at), position + at))
    }
  }

  /** A small write only copies into the system's cache: a trip to a thread would cost more than it. */
  async #writeSome(bytes: Uint8Array, position: number): Promise<number> {
    if (bytes.length <= smallWriteBytes) {
      return writeSync(this.#handle.fd, bytes, 0, bytes.length, position)
    }
    const { bytesWritten } = await this.#handle.write(bytes, 0, bytes.length, position)
    return bytesWritten
  }

  truncate(length: number): Promise<void> {
    return guard(this.#path, this.#handle.truncate(length))
  }

  sync(): Promise<void> {
    return guard(this.#path, this.#handle.datasync())
  }

  close(): Promise<void> {
    return guard(this.#path, this.#handle.close())
  }
}

/**
 * Puts `bytes` in the place of the file at `path` and gives the new file, open: whoever opens it sees the old bytes or
 * the new, whole. The name becomes durable with the next `sync` of the folder. A temporary file that a crash leaves
 * behind does no harm.
 */
export async function replace(disk: Disk, path: string, bytes: Uint8Array): Promise<DiskFile> {
  const draft = path + '.tmp'
  const file = await disk.make(draft)
  try {
    await file.write(bytes, 0)
    await file.sync()
    await disk.rename(draft, path)
    return file
  } catch (error) {
    await file.close()
    // The draft is written anew each time; one that cannot be removed only takes room.
    await disk.remove(draft).catch(() => {})
    throw error
  }
}

/** Makes a folder and those above it, for their owner alone, durably. One that exists is left as it is. */
export async function makeFolder(disk: Disk, path: string): Promise<void> {
  // Not mkdir's own recursion, which tells of a read-only disk as of a missing folder.
  const make = () => mkdir(path, { mode: 0o700 })
  try {
    await make().catch(async (error: unknown) => {
      if (!isMissing(error) || dirname(path) === path) throw error
      await makeFolder(disk, dirname(path))
      await make()
    })
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return
    throw failure(error, path)
  }
  await disk.sync(dirname(path))
}

const codeByErrno: Record<string, ErrorCode | undefined> = {
  ENOSPC: 'DISK_FULL',
  EDQUOT: 'DISK_FULL',
  EFBIG: 'DISK_FULL',
  EROFS: 'DISK_READ_ONLY',
  EACCES: 'DISK_READ_ONLY',
  EPERM: 'DISK_READ_ONLY'
}

const adviceByCode: Partial<Record<ErrorCode, string>> = {
  DISK_FULL: 'The disk is full: make room on it, or raise the quota or file size limit',
  DISK_READ_ONLY:
    'The disk or folder cannot be written: give this user the right to write there, mount it for writing, or use another folder'
}

/** What a system error means; errors of our own pass. */
export function failure(cause: unknown, path: string): SkeinError {
  if (cause instanceof SkeinError) return cause
  const errno = errnoOf(cause)
  const code = codeByErrno[errno] ?? 'STORAGE_FAILED'
  const advice = adviceByCode[code] ?? 'The disk failed'
  return new SkeinError(code, `${advice} (${errno || String(cause)}, ${path})`, { cause })
}

export async function guard<T>(path: string, call: Promise<T>): Promise<T> {
  try {
    return await call
  } catch (error) {
    throw failure(error, path)
  }
}

function isMissing(error: unknown): boolean {
  return errnoOf(error) === 'ENOENT'
}

function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
