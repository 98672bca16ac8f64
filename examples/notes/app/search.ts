/**
 * Search over all notes, by MiniSearch. Titles and excerpts can be searched at once; the first search opens each note for
 * a moment, one after another, and reads what is in it. What changes afterwards is read again.
 */
import { signal } from '@preact/signals'
import MiniSearch from 'minisearch'
import type { Space } from 'skein'
import { bodyName, documentNameOf, noteIdOf, plain, type NoteSummary } from '../shared.ts'

/** What of a line is shown before the first word that was found. */
const maxLeadChars = 24

interface Indexed {
  readonly id: string
  readonly title: string
  readonly body: string
}

/** Finds what begins with a word of the query. */
export function wordsIn(query: string): RegExp {
  const words = query
    .trim()
    .split(/\s+/)
    .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`(?<![\\p{L}\\p{N}])(${words.join('|')})`, 'giu')
}

export class NoteSearch {
  /** How many notes are still to be read; null before the first search. */
  readonly left = signal<number | null>(null)
  /** Goes up whenever results may be others. */
  readonly version = signal(0)
  readonly #space: Space
  readonly #index = new MiniSearch<Indexed>({
    fields: ['title', 'body'],
    searchOptions: { prefix: true, fuzzy: 0.15, boost: { title: 3 }, combineWith: 'AND' }
  })
  readonly #bodies = new Map<string, string>()
  readonly #unread = new Set<string>()
  readonly #stop: () => void
  #isReading = false
  #isClosed = false

  constructor(space: Space) {
    this.#space = space
    this.#stop = space.on('edit', ({ name }) => {
      const id = noteIdOf(name)
      if (id === null || this.left.value === null) return
      this.#unread.add(id)
      void this.#read()
    })
  }

  close(): void {
    this.#isClosed = true
    this.#stop()
  }

  /** The ids of the notes that fit, best first. */
  find(query: string, notes: readonly NoteSummary[]): string[] {
    if (this.left.value === null) {
      for (const name of this.#space.documents()) {
        const id = noteIdOf(name)
        if (id !== null) this.#unread.add(id)
      }
      void this.#read()
    }
    const found = this.#index.search(query).map(({ id }) => id as string)
    const words = query.toLowerCase().split(/\s+/)
    const seen = new Set(found)
    const listed = notes.filter(({ id, title, excerpt }) => {
      const text = `${title} ${excerpt}`.toLowerCase()
      return !seen.has(id) && words.every((word) => text.includes(word))
    })
    return [...found, ...listed.map(({ id }) => id)]
  }

  /** The line behind the title that has most words of the query; null if the note has not been read, or has none. */
  excerpt(id: string, query: string): string | null {
    if (query.trim() === '') return null
    const words = wordsIn(query)
    let text = ''
    let most = 0
    for (const line of this.#bodies.get(id)?.trimStart().split('\n').slice(1) ?? []) {
      const found = new Set(line.toLowerCase().match(words)).size
      if (found > most) [text, most] = [plain(line), found]
    }
    if (most === 0) return null
    const at = text.search(words)
    if (at <= maxLeadChars) return text
    return `… ${text.slice(at - maxLeadChars / 2).replace(/^\S*\s/, '')}`
  }

  async #read(): Promise<void> {
    if (this.#isReading) return
    this.#isReading = true
    for (const id of this.#unread) {
      if (this.#isClosed) break
      this.left.value = this.#unread.size
      this.#unread.delete(id)
      await this.#readOne(id)
    }
    this.left.value = this.#unread.size
    this.#isReading = false
  }

  async #readOne(id: string): Promise<void> {
    const name = documentNameOf(id)
    const isShown = this.shown?.id === id
    const body = isShown ? this.shown!.body() : await this.#bodyOf(name)
    if (this.#index.has(id)) this.#index.discard(id)
    this.#index.add({ id, title: plain(body.split('\n', 1)[0] ?? ''), body })
    this.#bodies.set(id, body)
    this.version.value++
  }

  /** The note that is open in the editor, which is not to be closed. */
  shown: { readonly id: string; readonly body: () => string } | null = null

  async #bodyOf(name: string): Promise<string> {
    const document = await this.#space.open(name)
    const body = document.doc.getText(bodyName).toString()
    // Opening gives the same document to whoever opens it meanwhile: then it stays.
    if (documentNameOf(this.shown?.id ?? '') !== name) await document.close()
    return body
  }
}
