/**
 * What happened in the folder: the files on the disk against those that were known. Pure; what has to be read is asked
 * for.
 *
 * A name means its file: what is saved at a path, in whatever way, is a change of the file that was there. Only when the
 * old file is found elsewhere, and another known one in its place, have they been moved. A file that is nowhere under its
 * name is looked for by its inode, and then by what it held.
 */
import type { DiskFile, Signature } from './disk.ts'

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

/** `hashAt` reads a file, and gives null when it cannot now. */
export async function matchFiles(
  known: readonly Known[],
  filesByPath: ReadonlyMap<string, DiskFile>,
  hashAt: (file: DiskFile) => Promise<string | null>
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

  const moved: Known[] = []
  const nowhere: Known[] = []
  for (const one of known) {
    const here = filesByPath.get(one.path)
    if (here === undefined) {
      nowhere.push(one)
      continue
    }
    const isOther = inodeOf(here.signature) !== inodeOf(one.signature)
    const other = isOther ? knownByInode.get(inodeOf(here.signature)) : undefined
    const elsewhere = isOther ? filesByInode.get(inodeOf(one.signature)) : undefined
    if (other !== undefined && elsewhere !== undefined) moved.push(one)
    else take(one.id, here)
  }
  const missing: Known[] = []
  for (const one of [...moved, ...nowhere]) {
    const file = filesByInode.get(inodeOf(one.signature))
    if (file !== undefined && free.has(file.path) && (await isTheSame(one, file, hashAt)))
      take(one.id, file)
    else if (moved.includes(one) && free.has(one.path)) take(one.id, free.get(one.path)!)
    else missing.push(one)
  }

  const lost: string[] = []
  for (const one of missing) {
    const file = one.signature.size === 0 ? undefined : await findByContent(one, free, hashAt)
    if (file === undefined) lost.push(one.id)
    else take(one.id, file)
  }
  return { fileById, missing: lost, untracked: [...free.values()] }
}

/** An inode's number is given to a new file soon after the old one is gone; the time of its birth is not. */
function inodeOf({ inode, birthNs }: Signature): string {
  return `${inode} ${birthNs}`
}

async function isTheSame(
  one: Known,
  file: DiskFile,
  hashAt: (file: DiskFile) => Promise<string | null>
): Promise<boolean> {
  if (Number(one.signature.birthNs) !== 0) return true
  // A file system that does not keep the time of birth: by what is in it.
  return (await hashAt(file)) === one.hash
}

async function findByContent(
  { hash, signature, path }: Known,
  free: ReadonlyMap<string, DiskFile>,
  hashAt: (file: DiskFile) => Promise<string | null>
): Promise<DiskFile | undefined> {
  const nameOf = (one: string): string => one.slice(one.lastIndexOf('/') + 1)
  const candidates = [...free.values()].filter((file) => file.signature.size === signature.size)
  candidates.sort(
    (a, b) =>
      Number(nameOf(b.path) === nameOf(path)) - Number(nameOf(a.path) === nameOf(path)) ||
      (a.path < b.path ? -1 : 1)
  )
  for (const file of candidates) if ((await hashAt(file)) === hash) return file
  return undefined
}
