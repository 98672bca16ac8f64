/** Changes a text to what it should be by as few characters as will do, so that what others write meanwhile stays. */
import { diffChars, diffWordsWithSpace } from 'diff'
import type * as Y from 'yjs'

/** Character by character, a large text takes long: by words then. */
const maxCharsByChar = 20_000

export interface Changed {
  readonly inserted: number
  readonly deleted: number
}

export function changeText(text: Y.Text, wanted: string): Changed {
  const before = text.toString()
  let inserted = 0
  let deleted = 0
  // What is equal at both ends is most of it, and costs the comparison nothing.
  let start = 0
  while (start < before.length && start < wanted.length && before[start] === wanted[start]) start++
  let end = 0
  const longest = Math.min(before.length, wanted.length) - start
  while (end < longest && before[before.length - 1 - end] === wanted[wanted.length - 1 - end]) end++
  // Never between the halves of a character.
  if (isLowSurrogate(before, start) || isLowSurrogate(wanted, start)) start--
  if (
    end > 0 &&
    (isLowSurrogate(before, before.length - end) || isLowSurrogate(wanted, wanted.length - end))
  )
    end--
  const old = before.slice(start, before.length - end)
  const now = wanted.slice(start, wanted.length - end)
  const compare = old.length + now.length > maxCharsByChar ? diffWordsWithSpace : diffChars
  const parts = old === '' || now === '' ? replaced(old, now) : compare(old, now)
  const change = (): void => {
    let at = start
    for (const part of parts) {
      if (part.added) {
        text.insert(at, part.value)
        inserted += part.value.length
        at += part.value.length
      } else if (part.removed) {
        text.delete(at, part.value.length)
        deleted += part.value.length
      } else at += part.value.length
    }
  }
  if (text.doc === null) change()
  else text.doc.transact(change)
  return { inserted, deleted }
}

function replaced(old: string, now: string): { value: string; added: boolean; removed: boolean }[] {
  return [
    { value: old, added: false, removed: true },
    { value: now, added: true, removed: false }
  ].filter(({ value }) => value !== '')
}

function isLowSurrogate(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code >= 0xdc00 && code <= 0xdfff
}
