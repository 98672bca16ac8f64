/** Changes a text to what it should be by as few characters as will do, so that what others write meanwhile stays. */
import { diffChars, diffLines, diffWordsWithSpace } from 'diff'
import type * as Y from 'yjs'

/** Character by character, a large text takes long: by words then. */
const maxCharsByChar = 20_000

interface Part {
  readonly value: string
  readonly added?: boolean
  readonly removed?: boolean
}

export interface Changed {
  readonly inserted: number
  readonly deleted: number
}

/** Makes the text read as `wanted`. */
export function changeText(text: Y.Text, wanted: string): Changed {
  return apply(text, partsOf(text.toString(), wanted))
}

/**
 * Does to the text what was done from `before` to `after`, where the text may have been changed since it read `before`:
 * what others wrote meanwhile stays, and what both deleted is deleted once.
 */
export function rebase(text: Y.Text, before: string, after: string): Changed {
  const now = text.toString()
  if (now === before) return changeText(text, after)
  const places = new Places(before.length, partsOf(before, now))
  const parts: Part[] = []
  let read = 0
  let at = 0
  const keepTo = (place: number): void => {
    if (place > at) parts.push({ value: now.slice(at, place) })
    at = Math.max(at, place)
  }
  for (const part of partsOf(before, after)) {
    if (part.added === true) {
      keepTo(places.of(read))
      parts.push(part)
      continue
    }
    if (part.removed === true) {
      for (let i = read; i < read + part.value.length; i++) {
        if (!places.isThere(i)) continue
        keepTo(places.of(i))
        let end = i + 1
        // As one where nothing came between.
        while (end < read + part.value.length && places.isNext(end)) end++
        parts.push({ value: now.slice(at, at + end - i), removed: true })
        at += end - i
        i = end - 1
      }
    }
    read += part.value.length
  }
  return apply(text, parts)
}

/** Where the characters of a text are in what others made of it. */
class Places {
  readonly #places: Int32Array
  readonly #isThere: Uint8Array

  constructor(length: number, parts: readonly Part[]) {
    this.#places = new Int32Array(length + 1)
    this.#isThere = new Uint8Array(length)
    let from = 0
    let to = 0
    for (const { value, added, removed } of parts) {
      if (added === true) {
        to += value.length
        continue
      }
      for (let i = 0; i < value.length; i++) {
        this.#places[from] = to
        if (removed !== true) {
          this.#isThere[from] = 1
          to++
        }
        from++
      }
    }
    this.#places[from] = to
  }

  of(index: number): number {
    return this.#places[index]!
  }

  isThere(index: number): boolean {
    return this.#isThere[index] === 1
  }

  /** Is the character there, right behind the one before it? */
  isNext(index: number): boolean {
    return this.isThere(index) && this.of(index) === this.of(index - 1) + 1
  }
}

/** How `before` becomes `after`: lines first, so that one that came between is told as such; in changed lines, characters. */
function partsOf(before: string, after: string): Part[] {
  return trimmed(before, after, '\n', (old, now) => {
    const lines = diffLines(old, now)
    const parts: Part[] = []
    for (let i = 0; i < lines.length; i++) {
      const [line, next] = [lines[i]!, lines[i + 1]]
      if (line.removed && next?.added === true) {
        parts.push(...trimmed(line.value, next.value, '', inLine))
        i++
      } else parts.push(line)
    }
    return parts
  })
}

function inLine(old: string, now: string): Part[] {
  return (old.length + now.length > maxCharsByChar ? diffWordsWithSpace : diffChars)(old, now)
}

/** Compares what lies between equal ends, which are most of it and need no comparison. `unit`: only whole ones are equal. */
function trimmed(
  before: string,
  after: string,
  unit: '\n' | '',
  compare: (old: string, now: string) => Part[]
): Part[] {
  let start = 0
  while (start < before.length && start < after.length && before[start] === after[start]) start++
  if (unit !== '' && start > 0 && start < Math.max(before.length, after.length)) {
    start = before.lastIndexOf(unit, start - 1) + 1
  }
  let end = 0
  const longest = Math.min(before.length, after.length) - start
  while (end < longest && before[before.length - 1 - end] === after[after.length - 1 - end]) end++
  if (unit !== '' && end > 0 && !beginsUnit(before, after, end, unit)) {
    const at = before.indexOf(unit, before.length - end)
    end = at === -1 ? 0 : before.length - at - unit.length
  }
  // Never between the halves of a character.
  if (isLowSurrogate(before, start) || isLowSurrogate(after, start)) start--
  const ends = [before, after].some((text) => isLowSurrogate(text, text.length - end))
  if (end > 0 && ends) end--
  const old = before.slice(start, before.length - end)
  const now = after.slice(start, after.length - end)
  return [
    { value: before.slice(0, start) },
    ...(old === '' || now === '' ? replaced(old, now) : compare(old, now)),
    { value: before.slice(before.length - end) }
  ].filter(({ value }) => value !== '')
}

/** Does a unit begin in both texts where their last `end` characters do? */
function beginsUnit(before: string, after: string, end: number, unit: string): boolean {
  return [before, after].every((text) => {
    const at = text.length - end
    return at === 0 || text.slice(at - unit.length, at) === unit
  })
}

function replaced(old: string, now: string): Part[] {
  return [
    { value: old, removed: true },
    { value: now, added: true }
  ]
}

function apply(text: Y.Text, parts: readonly Part[]): Changed {
  let inserted = 0
  let deleted = 0
  const change = (): void => {
    let at = 0
    for (const { value, added, removed } of parts) {
      if (added === true) {
        text.insert(at, value)
        inserted += value.length
      } else if (removed === true) {
        text.delete(at, value.length)
        deleted += value.length
      }
      if (removed !== true) at += value.length
    }
  }
  if (text.doc === null) change()
  else text.doc.transact(change)
  return { inserted, deleted }
}

function isLowSurrogate(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code >= 0xdc00 && code <= 0xdfff
}
