/**
 * Where each file of the space lies: a pure function of what the directory holds, so that all devices come to the same
 * names, whatever each of them heard first. Of files that claim one name (or names that some file system takes for one)
 * the earliest claim has it, and each of the others is named after the device that claimed it; when the first goes, the
 * next one has the name.
 */
import { ancestorsOf, distinctName, keyOf } from './path-names.ts'

export interface Claim {
  /** The file. */
  readonly id: string
  readonly path: string
  /** Higher than that of any claim its maker knew of. */
  readonly order: number
  /** The name of the device that claimed the path. */
  readonly by: string
}

export interface Placement {
  /** By file, the path it has. */
  readonly pathById: ReadonlyMap<string, string>
  /** Files that do not have the path they claim, by the file that has it; null where a folder has it. */
  readonly displacedBy: ReadonlyMap<string, string | null>
  /** Every folder there has to be. */
  readonly folders: ReadonlySet<string>
}

/** `claims` of the files that there are, `folders` those that were made as such. */
export function placeFiles(claims: readonly Claim[], folders: Iterable<string>): Placement {
  const sorted = [...claims].sort((a, b) => a.order - b.order || (a.id < b.id ? -1 : 1))
  const allFolders = new Set<string>()
  for (const folder of folders)
    for (const path of [...ancestorsOf(folder), folder]) allFolders.add(path)
  for (const { path } of sorted) for (const folder of ancestorsOf(path)) allFolders.add(folder)
  const folderKeys = new Set([...allFolders].map(keyOf))

  const ownerByKey = new Map<string, string>()
  const pathById = new Map<string, string>()
  const displacedBy = new Map<string, string | null>()
  for (const { id, path } of sorted) {
    const key = keyOf(path)
    if (folderKeys.has(key)) displacedBy.set(id, null)
    else if (ownerByKey.has(key)) displacedBy.set(id, ownerByKey.get(key)!)
    else {
      ownerByKey.set(key, id)
      pathById.set(id, path)
    }
  }
  for (const { id, path, by } of sorted) {
    if (!displacedBy.has(id)) continue
    let number = 1
    let distinct = distinctName(path, by, number)
    while (ownerByKey.has(keyOf(distinct)) || folderKeys.has(keyOf(distinct)))
      distinct = distinctName(path, by, ++number)
    ownerByKey.set(keyOf(distinct), id)
    pathById.set(id, distinct)
  }
  return { pathById, displacedBy, folders: allFolders }
}
