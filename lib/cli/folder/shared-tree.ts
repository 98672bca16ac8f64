/**
 * The directory that the devices share: a document of the space, named `folder`, with three maps. What a file holds is in
 * a document of its own, `folder/<id>`, as the text `body`; so a file keeps its identity, its text and what others are
 * writing in it, wherever it is moved.
 *
 *     paths     file id                → [path, order, name of the device]      the newest claim; of two made apart, one
 *     deleted   file id / device id    → Yjs state vector of what was deleted
 *     folders   path                   → true
 *
 * Whether a file is there is a function of the document's content, not of who was last: it is gone once all that its
 * document holds had been seen by those who deleted it. An edit that they had not seen brings it back, on every device
 * alike, with everything in it: the edit wins. A rename that was made apart from a deletion does not.
 */
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'
import type { Claim } from './placement.ts'

export const directoryName = 'folder'
export const textName = 'body'

type PathValue = readonly [path: string, order: number, by: string]

export interface Changes {
  readonly create?: readonly { id: string; path: string }[]
  readonly move?: readonly { id: string; path: string }[]
  readonly remove?: readonly { id: string; seen: ReadonlyMap<number, number> }[]
  readonly addFolders?: readonly string[]
  readonly removeFolders?: readonly string[]
}

export class SharedTree {
  #doc!: Y.Doc
  #paths!: Y.Map<unknown>
  #deleted!: Y.Map<unknown>
  #folders!: Y.Map<unknown>
  readonly #device: { id: string; name: string }
  #claims: Map<string, Claim> | null = null
  #deletions: Map<string, Map<number, number>> | null = null

  constructor(doc: Y.Doc, device: { id: string; name: string }) {
    this.#device = device
    this.bind(doc)
  }

  /** Goes on with another `Y.Doc`, after the document was reset. */
  bind(doc: Y.Doc): void {
    this.#doc = doc
    this.#paths = doc.getMap('paths')
    this.#deleted = doc.getMap('deleted')
    this.#folders = doc.getMap('folders')
    this.#claims = null
    this.#deletions = null
    this.#paths.observe(() => (this.#claims = null))
    this.#deleted.observe(() => (this.#deletions = null))
  }

  static documentOf(id: string): string {
    return `${directoryName}/${id}`
  }

  /** The file that a document of the space holds, or null. */
  static fileOf(document: string): string | null {
    return document.startsWith(`${directoryName}/`)
      ? document.slice(directoryName.length + 1)
      : null
  }

  /** By file, also of those that are deleted. What a member wrote in another form is passed over. */
  get claims(): ReadonlyMap<string, Claim> {
    if (this.#claims !== null) return this.#claims
    this.#claims = new Map()
    for (const [id, value] of this.#paths) {
      if (isPathValue(value)) {
        const [path, order, by] = value
        this.#claims.set(id, { id, path, order, by })
      }
    }
    return this.#claims
  }

  get folders(): string[] {
    return [...this.#folders.keys()]
  }

  /** What those who deleted the file had seen of it, by client up to which clock; null when nobody did. */
  deletion(id: string): ReadonlyMap<number, number> | null {
    if (this.#deletions === null) {
      this.#deletions = new Map()
      for (const [key, value] of this.#deleted) {
        const file = key.slice(0, key.indexOf('/'))
        if (!(value instanceof Uint8Array)) continue
        const seen = this.#deletions.get(file) ?? new Map<number, number>()
        for (const [client, clock] of decodeSeen(value))
          seen.set(client, Math.max(seen.get(client) ?? 0, clock))
        this.#deletions.set(file, seen)
      }
    }
    return this.#deletions.get(id) ?? null
  }

  /** One edit of the directory. */
  change(changes: Changes): void {
    let order = 1
    for (const claim of this.claims.values()) order = Math.max(order, claim.order + 1)
    this.#doc.transact(() => {
      for (const { id, path } of [...(changes.create ?? []), ...(changes.move ?? [])]) {
        const value: PathValue = [path, order++, this.#device.name]
        this.#paths.set(id, value)
      }
      for (const { id, seen } of changes.remove ?? []) {
        const key = `${id}/${this.#device.id}`
        const before = this.#deleted.get(key)
        const all = before instanceof Uint8Array ? decodeSeen(before) : new Map<number, number>()
        for (const [client, clock] of seen) all.set(client, Math.max(all.get(client) ?? 0, clock))
        this.#deleted.set(key, encodeSeen(all))
      }
      for (const path of changes.addFolders ?? [])
        if (!this.#folders.has(path)) this.#folders.set(path, true)
      for (const path of changes.removeFolders ?? [])
        if (this.#folders.has(path)) this.#folders.delete(path)
    })
  }
}

/** Whether `deletion` covers everything that the document holds. */
export function isCovered(doc: Y.Doc, deletion: ReadonlyMap<number, number>): boolean {
  for (const [client, clock] of Y.decodeStateVector(Y.encodeStateVector(doc)))
    if (clock > (deletion.get(client) ?? 0)) return false
  return true
}

function isPathValue(value: unknown): value is PathValue {
  if (!Array.isArray(value) || value.length !== 3) return false
  const [path, order, by] = value as unknown[]
  return typeof path === 'string' && isOrder(order) && typeof by === 'string'
}

/** Far from where adding one would no longer be exact. */
function isOrder(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 48
}

/** The form of a Yjs state vector. */
export function encodeSeen(seen: ReadonlyMap<number, number>): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, seen.size)
  for (const [client, clock] of seen) {
    encoding.writeVarUint(encoder, client)
    encoding.writeVarUint(encoder, clock)
  }
  return encoding.toUint8Array(encoder)
}

/** Nothing, for bytes that are no state vector: a member may write anything. */
export function decodeSeen(bytes: Uint8Array): Map<number, number> {
  try {
    const decoder = decoding.createDecoder(bytes)
    const seen = new Map<number, number>()
    for (let left = decoding.readVarUint(decoder); left > 0; left--) {
      const client = decoding.readVarUint(decoder)
      seen.set(client, decoding.readVarUint(decoder))
    }
    return seen
  } catch {
    return new Map() // Then it covers nothing, and the file stays: the safe side.
  }
}
