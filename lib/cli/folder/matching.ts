/**
 * What happened in the folder: the files on the disk against those that were known. Pure; what has to be read is asked
 * for.
 *
 * A name means its file: what is saved at a path, in whatever way, is a change of the file that was there. Only when
 * another known file has taken its place, or what is there has little in common with it, and it is found elsewhere, has it
 * been moved. A file that is nowhere under its name is looked for by its inode, and then by what it held.
 */
import type { DiskFile } from './disk.ts'
import type { Signature } from './disk-file.ts'

export interface Known {
  readonly id: string
  readonly path: string
  readonly signature: Signature
  readonly hash: string
}

export interface Matched {
  /** By file, where it is now. */
  readonly fileById: ReadonlyMap<string, DiskFile>
  /** Files that are nowhere. */
  readonly missing: readonly string[]
  /** Files that were not known. */
  readonly untracked: readonly DiskFile[]
}

export interface Reader {
  /** Null when it cannot be read now. */
  hashAt(file: DiskFile): Promise<string | null>
  /** Whether what is in a file is much like what a known one held. */
  resembles(one: Known, file: DiskFile): Promise<boolean>
}

export async function matchFiles(
  known: readonly Known[],
  filesByPath: ReadonlyMap<string, DiskFile>,
  reader: Reader
): Promise<Matched> {
  const fileById = new Map<string, DiskFile>()
  const free = new Map(filesByPath)
  const take = (id: string, file: DiskFile): void => {
    fileById.set(id, file)
    free.delete(file.path)
  }
  const knownByInode = new Map(known.map((one) => [inodeOf(one.signature), one]))
  const filesByInode = new Map<string, DiskFile>()
  for (const file of filesByPath.values()) {
    // Of several links to one file the known name counts.
    const there = filesByInode.get(inodeOf(file.signature))
    if (there === undefined || knownByInode.get(inodeOf(file.signature))?.path === file.path)
      filesByInode.set(inodeOf(file.signature), file)
  }

  const knownPaths = new Set(known.map(({ path }) => path))
  const away = new Set<Known>()
  for (const one of known) {
    const here = filesByPath.get(one.path)
    if (here === undefined) away.add(one)
    else if (await hasLeft(one, here)) away.add(one)
    else take(one.id, here)
  }
  const settle = async (find: (one: Known) => Promise<DiskFile | undefined>): Promise<void> => {
    for (const one of away) {
      const file = await find(one)
      if (file === undefined || !free.has(file.path)) continue
      take(one.id, file)
      away.delete(one)
    }
  }
  await settle(async (one) => {
    const file = filesByInode.get(inodeOf(one.signature))
    return file !== undefined && (await isTheSame(one, file, reader)) ? file : undefined
  })
  await settle(async (one) =>
    one.signature.size === 0 ? undefined : findByContent(one, free, reader)
  )
  // Saved anew by its editor where another one had been: two that were swapped, then written to.
  await settle(async (one) => {
    if (one.signature.size === 0 || !filesByPath.has(one.path)) return undefined
    for (const file of free.values())
      if (
        knownPaths.has(file.path) &&
        file.path !== one.path &&
        (await reader.resembles(one, file))
      )
        return file
    return undefined
  })
  await settle(async (one) => free.get(one.path))
  return { fileById, missing: [...away].map(({ id }) => id), untracked: [...free.values()] }

  async function hasLeft(one: Known, here: DiskFile): Promise<boolean> {
    if (inodeOf(here.signature) === inodeOf(one.signature)) return false
    const other = knownByInode.get(inodeOf(here.signature))
    const elsewhere = filesByInode.get(inodeOf(one.signature))
    if (other !== undefined && elsewhere !== undefined) return true
    if (other === undefined && elsewhere === undefined) return false
    return !(await reader.resembles(one, here))
  }
}

/** An inode's number is given to a new file soon after the old one is gone; the time of its birth is not. */
function inodeOf({ inode, birthNs }: Signature): string {
  return `${inode} ${birthNs}`
}

async function isTheSame(one: Known, file: DiskFile, reader: Reader): Promise<boolean> {
  if (Number(one.signature.birthNs) !== 0) return true
  // A file system that does not keep the time of birth: by what is in it.
  return (await reader.hashAt(file)) === one.hash
}

async function findByContent(
  { hash, signature, path }: Known,
  free: ReadonlyMap<string, DiskFile>,
  reader: Reader
): Promise<DiskFile | undefined> {
  const nameOf = (one: string): string => one.slice(one.lastIndexOf('/') + 1)
  const candidates = [...free.values()].filter((file) => file.signature.size === signature.size)
  candidates.sort(
    (a, b) =>
      Number(nameOf(b.path) === nameOf(path)) - Number(nameOf(a.path) === nameOf(path)) ||
      (a.path < b.path ? -1 : 1)
  )
  for (const file of candidates) if ((await reader.hashAt(file)) === hash) return file
  return undefined
}
