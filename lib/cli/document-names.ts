/**
 * What people call the documents of a space: one that holds a file of a synced folder goes by the file's path, every other
 * by its own name.
 */
import type { Space } from 'skein'
import type { Home } from './command.ts'
import { directoryName, isCovered, SharedTree } from './folder/shared-tree.ts'

export class DocumentNames {
  readonly #pathByDocument: ReadonlyMap<string, string>
  readonly #documentByPath: ReadonlyMap<string, string>

  private constructor(pathByDocument: ReadonlyMap<string, string>) {
    this.#pathByDocument = pathByDocument
    this.#documentByPath = new Map([...pathByDocument].map(([document, path]) => [path, document]))
  }

  /** As they are now. */
  static async of(home: Home, space: Space): Promise<DocumentNames> {
    const documents = new Set(space.documents())
    if (!documents.has(directoryName)) return new DocumentNames(new Map())
    const { document: directory, release } = await home.document(space, directoryName)
    try {
      const tree = new SharedTree(directory.doc, { id: '', name: '' })
      const claims = [...tree.claims.values()].sort((a, b) => b.order - a.order)
      const pathByDocument = new Map<string, string>()
      const taken = new Set<string>()
      for (const { id, path } of claims) {
        const document = SharedTree.documentOf(id)
        // What is not told apart by its path, or is gone, goes by its own name.
        if (taken.has(path) || documents.has(path) || !documents.has(document)) continue
        if (await isGone(home, space, document, tree.deletion(id))) continue
        taken.add(path)
        pathByDocument.set(document, path)
      }
      return new DocumentNames(pathByDocument)
    } finally {
      await release()
    }
  }

  /** How people know it. */
  nameOf(document: string): string {
    return this.#pathByDocument.get(document) ?? document
  }

  /** The document that is meant. */
  documentOf(name: string): string {
    return this.#documentByPath.get(name) ?? name
  }
}

/** The document that is meant by a name, which may be a path; also one that is not there yet. */
export async function documentMeant(home: Home, space: Space, name: string): Promise<string> {
  if (space.documents().includes(name)) return name
  return (await DocumentNames.of(home, space)).documentOf(name)
}

async function isGone(
  home: Home,
  space: Space,
  name: string,
  deletion: ReadonlyMap<number, number> | null
): Promise<boolean> {
  if (deletion === null) return false
  const { document, release } = await home.document(space, name)
  try {
    return isCovered(document.doc, deletion)
  } finally {
    await release()
  }
}
