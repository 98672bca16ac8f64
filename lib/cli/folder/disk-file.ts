/** One file on a disk, at its absolute path: what it is, reading it whole, and the steps that writing it is made of. */
import { createHash } from 'node:crypto'
import { constants, type BigIntStats } from 'node:fs'
import { link, lstat, open, rename } from 'node:fs/promises'

/** How systems say that a file system cannot do what was asked. */
export const unsupported = ['EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EPERM', 'EMLINK']

/** What tells, without reading it, that a file is still as it was. Whole numbers, as text. */
export interface Signature {
  readonly inode: string
  readonly birthNs: string
  readonly size: number
  readonly modifiedNs: string
}

/** What was read, and the signature that it had before and after. */
export interface ReadResult {
  readonly bytes: Uint8Array
  readonly signature: Signature
}

export function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64url')
}

export function isSame(a: Signature | null, b: Signature | null): boolean {
  if (a === null || b === null) return false
  return a.inode === b.inode && a.size === b.size && a.modifiedNs === b.modifiedNs
}

export function isCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}

export function signatureOf(stats: BigIntStats): Signature {
  return {
    inode: String(stats.ino),
    birthNs: String(stats.birthtimeNs),
    size: Number(stats.size),
    modifiedNs: String(stats.mtimeNs)
  }
}

export async function signatureAt(path: string): Promise<Signature | null> {
  const stats = await statOf(path)
  return stats?.isFile() === true ? signatureOf(stats) : null
}

export async function statOf(path: string): Promise<BigIntStats | null> {
  try {
    return await lstat(path, { bigint: true })
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR')) return null
    throw error
  }
}

export async function readStable(path: string): Promise<ReadResult | null> {
  let file
  try {
    file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0))
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return null
    throw error
  }
  try {
    const before = await file.stat({ bigint: true })
    if (!before.isFile()) return null
    const bytes = await file.readFile()
    const after = signatureOf(await file.stat({ bigint: true }))
    const there = await signatureAt(path)
    const isStable =
      isSame(signatureOf(before), after) && isSame(after, there) && bytes.length === after.size
    return isStable ? { bytes, signature: after } : null
  } finally {
    await file.close()
  }
}

export async function linkIfFree(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false
    if (!isCode(error, ...unsupported)) throw error
    // No hard links (FAT …): the next best. It is checked that the name is free, in the moment before.
    if ((await statOf(to)) !== null) return false
    await rename(from, to)
    return true
  }
}

export async function copyOwner(
  file: { chmod(mode: number): Promise<void>; chown(uid: number, gid: number): Promise<void> },
  { mode, uid, gid }: BigIntStats
): Promise<void> {
  await file.chmod(Number(mode) & 0o7777)
  const isOwn = process.getuid?.() === Number(uid) && process.getgid?.() === Number(gid)
  // Only root may give files away; for others the file becomes theirs, as with any editor that saves by renaming.
  if (!isOwn && process.getuid?.() === 0) await file.chown(Number(uid), Number(gid))
}

export async function writeOnce(path: string, text: string): Promise<void> {
  try {
    const file = await open(path, 'wx')
    await file.writeFile(text)
    await file.close()
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error
  }
}

export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const folder = await open(path, constants.O_RDONLY)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
