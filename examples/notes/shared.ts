/**
 * How a notebook lies in a space, in Node and in the page alike. Each note is a document of its own, `note/<id>`, whose
 * text `body` is Markdown: what `skein cat` and any other Yjs app read too. The document `notes` lists them, so that a
 * list needs no note to be opened:
 *
 *     Y.Map 'notes': id → Y.Map { title, excerpt, changedMs, pinned?, trashedMs? }
 *
 * The list is made of what is in the notes, by whoever edits them; where both differ, the note is right.
 */
import type { Document, Space } from 'skein'
import * as Y from 'yjs'

export const listName = 'notes'
export const bodyName = 'body'
const notePrefix = 'note/'
const maxTitleChars = 120
const maxExcerptChars = 160

export interface NoteSummary {
  readonly id: string
  readonly title: string
  readonly excerpt: string
  /** By the clock of the device that changed it. */
  readonly changedMs: number
  readonly isPinned: boolean
  readonly trashedMs: number | null
}

export function documentNameOf(id: string): string {
  return notePrefix + id
}

export function noteIdOf(documentName: string): string | null {
  return documentName.startsWith(notePrefix) ? documentName.slice(notePrefix.length) : null
}

export function newNoteId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(10))
  return Array.from(bytes, (byte) => (byte % 36).toString(36)).join('')
}

/** The first line is a note's title, and what follows its excerpt; both without Markdown's marks. */
export function summaryOf(body: string): Pick<NoteSummary, 'title' | 'excerpt'> {
  const lines = body.slice(0, 2_000).split('\n').map(plain)
  const at = lines.findIndex((line) => line !== '')
  if (at === -1) return { title: '', excerpt: '' }
  const rest = lines.slice(at + 1).filter((line) => line !== '')
  return {
    title: lines[at]!.slice(0, maxTitleChars),
    excerpt: rest.join(' · ').slice(0, maxExcerptChars)
  }
}

export function plain(line: string): string {
  return line
    .replace(/^\s*(#{1,6}\s+|>\s?|[-*+]\s+(\[[ xX]\]\s*)?|\d+[.)]\s+|```.*$|-{3,}$)/, '')
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/\*\*|__|~~|`|\*(?=\S)|(?<=\S)\*/g, '')
    .trim()
}

export function readList(doc: Y.Doc): NoteSummary[] {
  const notes: NoteSummary[] = []
  for (const [id, entry] of doc.getMap('notes')) {
    // Another app, or a member who means no good, may have put anything here.
    if (entry instanceof Y.Map) notes.push(readEntry(id, entry as Y.Map<unknown>))
  }
  return notes.sort((a, b) => Number(b.isPinned) - Number(a.isPinned) || b.changedMs - a.changedMs)
}

function readEntry(id: string, entry: Y.Map<unknown>): NoteSummary {
  const text = (key: string): string => {
    const value = entry.get(key)
    return typeof value === 'string' ? value.slice(0, 2 * maxExcerptChars) : ''
  }
  const time = (key: string): number | null => {
    const value = entry.get(key)
    return typeof value === 'number' && Number.isFinite(value) ? value : null
  }
  return {
    id,
    title: text('title'),
    excerpt: text('excerpt'),
    changedMs: time('changedMs') ?? 0,
    isPinned: entry.get('pinned') === true,
    trashedMs: time('trashedMs')
  }
}

/** Changes an entry of the list, making it where there is none; what is as it should be is not written again. */
export function writeEntry(
  doc: Y.Doc,
  id: string,
  changes: Readonly<Record<string, string | number | boolean | null>>
): void {
  doc.transact(() => {
    const list = doc.getMap('notes')
    let entry = list.get(id)
    if (!(entry instanceof Y.Map)) list.set(id, (entry = new Y.Map<unknown>()))
    const map = entry as Y.Map<unknown>
    for (const [key, value] of Object.entries(changes)) {
      if (value === null) map.delete(key)
      else if (map.get(key) !== value) map.set(key, value)
    }
  })
}

/** Writes a note without opening it in an editor. */
export async function writeNote(
  space: Space,
  list: Document,
  { id, body, changedMs }: { id: string; body: string; changedMs: number }
): Promise<void> {
  const note = await space.open(documentNameOf(id))
  note.doc.getText(bodyName).insert(0, body)
  await note.close()
  writeEntry(list.doc, id, { ...summaryOf(body), changedMs })
}
