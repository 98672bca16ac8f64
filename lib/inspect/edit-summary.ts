/**
 * What an edit changed, as far as its update says: what it inserted stands in it, what it deleted is named by place only.
 * `TextMemory` keeps what earlier edits inserted, so that deleted text can be shown.
 */
import * as Y from 'yjs'
import { SkeinError } from '../errors.ts'
import { UpdateReader } from '../trust/update-reader.ts'
import { validateUpdate } from '../trust/validate.ts'

const excerptChars = 200
const separator = ' … '

export interface EditSummary {
  /** UTF-16 units of text, and how it begins; pieces that lie apart are joined by ` … `. */
  readonly inserted: { readonly length: number; readonly excerpt: string }
  /** Units that were deleted (a character, or anything else that has a place); `excerpt` is null where it is not known. */
  readonly deleted: { readonly length: number; readonly excerpt: string | null }
  /** What else was put in: `bold: true`, `<paragraph>`, `title = "Notes"`. */
  readonly others: readonly string[]
  /** The names of the shared types at the document's root that the update names. */
  readonly roots: readonly string[]
}

/** A run of structs of one client. */
interface Run {
  readonly client: number
  readonly clock: number
  readonly length: number
}

interface Piece extends Run {
  readonly text: string
  readonly goesOn: boolean
}

/** Fails with `BAD_ENCODING`. */
export function summaryOf(update: Uint8Array, memory: TextMemory | null): EditSummary {
  const { structs, ds } = decoded(update)
  const pieces: Piece[] = []
  const others: string[] = []
  const roots = new Set<string>()
  for (const struct of structs) {
    if (!(struct instanceof Y.Item)) continue
    const parent: unknown = struct.parent
    if (typeof parent === 'string') roots.add(parent)
    const { content, origin, id } = struct
    if (content instanceof Y.ContentString) {
      const last = pieces.at(-1)
      const goesOn =
        last !== undefined &&
        origin?.client === last.client &&
        origin.clock === last.clock + last.length - 1
      const { client, clock } = id
      pieces.push({ client, clock, length: struct.length, text: content.str, goesOn })
    } else others.push(...describe(content, struct.parentSub))
  }
  const runs: Run[] = []
  for (const [client, items] of ds.clients) {
    for (const { clock, len } of items) runs.push({ client, clock, length: len })
  }
  const deletedText = runs.length === 0 ? '' : (memory?.find(runs) ?? null)
  for (const piece of pieces) memory?.add(piece)
  return {
    inserted: {
      length: pieces.reduce((sum, { length }) => sum + length, 0),
      excerpt: excerpt(
        pieces.map(({ text, goesOn }, i) => (i === 0 || goesOn ? text : separator + text))
      )
    },
    deleted: {
      length: runs.reduce((sum, { length }) => sum + length, 0),
      excerpt: deletedText === null ? null : excerpt([deletedText])
    },
    others,
    roots: [...roots]
  }
}

/** What the edits of one document inserted, up to a number of characters: the oldest goes first. */
export class TextMemory {
  readonly #maxChars: number
  /** By client, by increasing clock. */
  readonly #piecesByClient = new Map<number, Piece[]>()
  #chars = 0

  constructor(maxChars: number) {
    this.#maxChars = maxChars
  }

  add(piece: Piece): void {
    const pieces = this.#piecesByClient.get(piece.client) ?? []
    if (pieces.length === 0) this.#piecesByClient.set(piece.client, pieces)
    pieces.push(piece)
    this.#chars += piece.length
    if (this.#chars > this.#maxChars) this.#forget()
  }

  /** The text of these runs; null where none of it is known. */
  find(runs: readonly Run[]): string | null {
    const found: string[] = []
    for (const { client, clock, length } of runs) {
      const pieces = this.#piecesByClient.get(client) ?? []
      let text = ''
      for (let i = firstEndingAfter(pieces, clock); i < pieces.length; i++) {
        const piece = pieces[i]!
        if (piece.clock >= clock + length) break
        const from = Math.max(clock, piece.clock) - piece.clock
        text += piece.text.slice(from, clock + length - piece.clock)
      }
      if (text !== '') found.push(text)
    }
    return found.length === 0 ? null : found.join(separator)
  }

  /** The older half of what each client wrote. */
  #forget(): void {
    this.#chars = 0
    for (const [client, pieces] of this.#piecesByClient) {
      const kept = pieces.slice(Math.ceil(pieces.length / 2))
      this.#piecesByClient.set(client, kept)
      for (const { length } of kept) this.#chars += length
    }
  }
}

function firstEndingAfter(pieces: readonly Piece[], clock: number): number {
  let low = 0
  let high = pieces.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const { clock: start, length } = pieces[middle]!
    if (start + length > clock) high = middle
    else low = middle + 1
  }
  return low
}

/** Yjs decodes what the validator has looked at, whoever wrote it: no rule about authors is asked here. */
function decoded(update: Uint8Array): ReturnType<typeof Y.decodeUpdate> {
  const reader = new UpdateReader(update)
  let [client, clock] = [0, 0]
  if (reader.uint() > 0) {
    reader.uint()
    client = reader.uint()
    clock = reader.uint()
  }
  const clockOf = (other: number): number => (other === client ? clock : Number.MAX_SAFE_INTEGER)
  const verdict = validateUpdate(update, { clientId: client, clockOf })
  if (verdict.verdict === 'refuse') throw new SkeinError('BAD_ENCODING', verdict.reason)
  return Y.decodeUpdate(update)
}

function describe(content: Y.Item['content'], key: string | null): string[] {
  const named = (what: string): string => (key === null ? what : `${key} = ${what}`)
  if (content instanceof Y.ContentFormat) return [`${content.key}: ${short(content.value)}`]
  if (content instanceof Y.ContentType) return [named(typeName(content.type))]
  if (content instanceof Y.ContentAny || content instanceof Y.ContentJSON) {
    return content.arr.map((value) => named(short(value)))
  }
  if (content instanceof Y.ContentEmbed) return [named(short(content.embed))]
  if (content instanceof Y.ContentBinary) return [named(`${content.content.length} bytes`)]
  if (content instanceof Y.ContentDoc) return [named(`document ${content.doc.guid}`)]
  return []
}

function typeName(type: Y.AbstractType<unknown>): string {
  if (type instanceof Y.XmlElement) return `<${type.nodeName}>`
  if (type instanceof Y.XmlText) return 'XML text'
  if (type instanceof Y.XmlFragment) return 'XML'
  if (type instanceof Y.Text) return 'a text'
  if (type instanceof Y.Map) return 'a map'
  if (type instanceof Y.Array) return 'an array'
  return 'a type'
}

function short(value: unknown): string {
  const text = (JSON.stringify(value) as string | undefined) ?? 'undefined'
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}

function excerpt(parts: readonly string[]): string {
  let text = ''
  for (const part of parts) {
    text += part
    if (text.length > excerptChars) return `${text.slice(0, excerptChars - 1)}…`
  }
  return text
}
