/** Entries of a space's history in words, for the terminal: one line each, as wide as it is. */
import stringWidth from 'string-width'
import type { HistoryEntry } from 'skein'
import type { Style } from './output.ts'
import { counted, size } from './words.ts'

type Paint = (text: string) => string

/** A piece of a line, and how it looks. */
export interface Segment {
  readonly text: string
  readonly paint?: Paint
}

/** How people know a document. */
export type NameOf = (document: string) => string

/** Colours that tell authors apart, in the order in which these appear. */
export class AuthorColors {
  readonly #paints: readonly Paint[]
  readonly #byDevice = new Map<string, Paint>()

  constructor(style: Style) {
    const { cyan, magenta, yellow, green, blue, red } = style
    this.#paints = [cyan, magenta, yellow, green, blue, red]
  }

  of(device: string): Paint {
    let paint = this.#byDevice.get(device)
    if (paint === undefined) {
      paint = this.#paints[this.#byDevice.size % this.#paints.length]!
      this.#byDevice.set(device, paint)
    }
    return paint
  }
}

/** What an entry, or several in a row of one author and one document, did. */
export function whatOf(entries: readonly HistoryEntry[], style: Style, nameOf: NameOf): Segment[] {
  const [first] = entries
  if (first === undefined) return []
  const segments: Segment[] = []
  if (entries.length > 1) segments.push({ text: `${entries.length}× `, paint: style.bold })
  if (first.state === 'waiting') segments.push({ text: 'waiting ', paint: style.yellow })
  if (first.state === 'passed-over') segments.push({ text: 'left out ', paint: style.red })
  if (first.problem !== null) return [...segments, { text: first.problem, paint: style.red }]
  if (first.control !== null) return [...segments, { text: first.control.text }]
  if (first.event !== null) return [...segments, ...eventSegments(entries, style)]
  if (first.edit === null) return [...segments, { text: first.kind ?? 'unreadable' }]
  return [...segments, ...editSegments(entries, style, nameOf)]
}

/** As much of the segments as fits. */
export function fitted(segments: readonly Segment[], columns: number): string {
  let line = ''
  let left = columns
  for (const [i, { text, paint = plain }] of segments.entries()) {
    const flat = oneLine(text)
    const width = stringWidth(flat)
    const isLast = i === segments.length - 1
    if (width < left || (width === left && isLast)) {
      line += paint(flat)
      left -= width
      continue
    }
    return line + paint(`${cut(flat, left - 1)}…`)
  }
  return line
}

/** `14:02:09`, by the author's clock in this computer's time zone. */
export function timeOf(timeMs: number | null): string {
  if (timeMs === null) return '--:--:--'
  const date = new Date(timeMs)
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(':')
}

/** `Wed 25 Nov 2026`. */
export function dayOf(timeMs: number | null): string {
  if (timeMs === null) return ''
  return new Date(timeMs).toLocaleDateString('en-GB', {
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    year: 'numeric'
  })
}

/** The addresses of entries in a row: `alice:content:3…14`. */
export function addressesOf(entries: readonly HistoryEntry[]): string {
  const [first, last] = [entries[0], entries.at(-1)]
  if (first === undefined || last === undefined) return ''
  return first === last ? first.address : `${first.address}…${last.from}`
}

function editSegments(entries: readonly HistoryEntry[], style: Style, nameOf: NameOf): Segment[] {
  const { document } = entries[0]!
  const segments: Segment[] = [
    {
      text: document?.name == null ? `document ${document?.id ?? ''}` : nameOf(document.name),
      paint: style.bold
    },
    { text: ' ' }
  ]
  const edits = entries.flatMap(({ edit }) => edit ?? [])
  const inserted = edits.reduce((sum, { inserted: { length } }) => sum + length, 0)
  const deleted = edits.reduce((sum, { deleted: { length } }) => sum + length, 0)
  const others = edits.flatMap((edit) => edit.others)
  const one = edits.length === 1 ? edits[0] : undefined
  if (inserted > 0) {
    segments.push({ text: ` +${inserted}`, paint: style.green })
    if (one !== undefined) segments.push({ text: ` ${quoted(one.inserted.excerpt)}` })
  }
  if (deleted > 0) {
    segments.push({ text: ` −${deleted}`, paint: style.red })
    const text = one?.deleted.excerpt ?? ''
    if (text !== '') segments.push({ text: ` ${quoted(text)}`, paint: style.dim })
  }
  if (others.length > 0) {
    const shown = one === undefined ? counted(others.length, 'other change') : others.join(', ')
    segments.push({ text: ` ${shown}`, paint: style.dim })
  }
  return segments
}

function eventSegments(entries: readonly HistoryEntry[], style: Style): Segment[] {
  const { event } = entries[0]!
  const segments: Segment[] = [{ text: event!.type, paint: style.bold }]
  if (entries.length === 1) {
    const json = JSON.stringify(event!.value) ?? ''
    segments.push({ text: ` ${json.length > 400 ? `${size(json.length)} of JSON` : json}` })
  }
  return segments
}

function quoted(text: string): string {
  return `“${text}”`
}

/** Whatever is in a text, it is one line and cannot drive the terminal. */
function oneLine(text: string): string {
  return text
    .replaceAll(/\r?\n/g, '⏎')
    .replaceAll('\t', ' ')
    .replaceAll(/\p{Cc}/gu, '·')
}

function cut(text: string, columns: number): string {
  let kept = ''
  let width = 0
  for (const char of text) {
    width += stringWidth(char)
    if (width > columns) break
    kept += char
  }
  return kept
}

function twoDigits(number: number): string {
  return String(number).padStart(2, '0')
}

function plain(text: string): string {
  return text
}
