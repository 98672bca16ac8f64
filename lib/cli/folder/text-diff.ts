/**
 * What changed between two texts, as replacements: lines first, then the words of lines that changed, then the characters
 * of words that stayed much the same. Bounded by counting steps, not by a clock, so that the same two texts always give
 * the same answer: beyond the bounds a part is replaced whole. No replacement begins or ends within what is one
 * character to a reader (surrogate pairs, combining marks, joined emoji, CR LF).
 */
import { diffArrays } from 'diff'

/** `before.slice(from, to)` becomes `text`. In UTF-16 code units, like all offsets here. */
export interface Replacement {
  readonly from: number
  readonly to: number
  readonly text: string
}

/** The replaced part of both texts. */
interface Span {
  aFrom: number
  aTo: number
  bFrom: number
  bTo: number
}

interface Level {
  readonly split: (text: string) => string[]
  /** Does a token end, or begin, at that place? */
  readonly isEdge: (text: string, at: number) => boolean
  /** Texts that differ in more tokens than that have little in common. */
  readonly maxEdits: number
  readonly maxChars: number
}

const levels: readonly Level[] = [
  {
    split: (text) => text.match(/[^\n]*\n|[^\n]+/g) ?? [],
    isEdge: (text, at) => text[at - 1] === '\n',
    maxEdits: 2_000,
    maxChars: Infinity
  },
  {
    split: (text) => text.match(/[\p{L}\p{N}\p{M}_]+|\s+|[^\p{L}\p{N}\p{M}_\s]/gu) ?? [],
    isEdge: (text, at) => !/^(?:[\p{L}\p{N}\p{M}_\p{Surrogate}]{2}|\s{2})$/u.test(around(text, at)),
    maxEdits: 2_000,
    maxChars: Infinity
  },
  { split: (text) => Array.from(text), isEdge: () => true, maxEdits: 1_000, maxChars: 4_000 }
]
const words = 1
const characters = 2
/** Letters in a row that two words have in common for more than chance. */
const minShared = 3

/** In order, apart from each other. */
export function diffText(before: string, after: string): Replacement[] {
  return toReplacements(after, spansOf(before, after, characters))
}

/** Which part of the shorter text the longer one has too: 0 to 1, and 1 for an empty one. */
export function likeness(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length)
  if (shorter === 0) return 1
  const spans = spansOf(a, b, words)
  const common = a.length - spans.reduce((sum, { aFrom, aTo }) => sum + aTo - aFrom, 0)
  return common / shorter
}

/** Characters taken away and put in. */
export function costOf(replacements: readonly Replacement[]): number {
  return replacements.reduce((sum, { from, to, text }) => sum + to - from + text.length, 0)
}

export function applyReplacements(before: string, replacements: readonly Replacement[]): string {
  let after = ''
  let at = 0
  for (const { from, to, text } of replacements) {
    after += before.slice(at, from) + text
    at = to
  }
  return after + before.slice(at)
}

function spansOf(a: string, b: string, finest: number): Span[] {
  const spans: Span[] = []
  refine(a, b, { aFrom: 0, aTo: a.length, bFrom: 0, bTo: b.length }, 0, finest, spans)
  return aligned(a, b, spans)
}

/** Adds the parts of a span that really differ. */
function refine(
  a: string,
  b: string,
  whole: Span,
  level: number,
  finest: number,
  into: Span[]
): void {
  const span = trimmed(a, b, whole, levels[Math.min(level, finest)]!)
  const { aFrom, aTo, bFrom, bTo } = span
  if (aFrom === aTo && bFrom === bTo) return
  if (level > finest || (level < characters && (aFrom === aTo || bFrom === bTo))) {
    into.push(span)
    return
  }
  const { split, maxEdits, maxChars } = levels[level]!
  const isTooLong = aTo - aFrom + bTo - bFrom > maxChars
  const changes = isTooLong
    ? undefined
    : diffArrays<string>(split(a.slice(aFrom, aTo)), split(b.slice(bFrom, bTo)), {
        maxEditLength: maxEdits
      })
  if (changes === undefined) {
    into.push(span)
    return
  }
  const parts: Span[] = []
  let [atA, atB] = [aFrom, bFrom]
  let same = sharedRun(aFrom - whole.aFrom) + sharedRun(whole.aTo - aTo)
  let part: Span | null = null
  for (const { value, added, removed } of changes) {
    const length = value.reduce((sum, token) => sum + token.length, 0)
    if (added || removed) {
      if (part === null) parts.push((part = { aFrom: atA, aTo: atA, bFrom: atB, bTo: atB }))
      if (added) part.bTo += length
      else part.aTo += length
    } else {
      part = null
      same += sharedRun(length)
    }
    if (!added) atA += length
    if (!removed) atB += length
  }
  // Letters that two words happen to share would be woven into nonsense when others edit them too.
  const isUnlike = 2 * same < Math.max(whole.aTo - whole.aFrom, whole.bTo - whole.bFrom)
  if (level === characters && isUnlike) into.push(whole)
  else if (level === characters) into.push(...withoutChance(parts, whole))
  else for (const inner of parts) refine(a, b, inner, level + 1, finest, into)
}

/** What a run of characters that two words share says of their likeness: a letter or two are in both by chance. */
function sharedRun(length: number): number {
  return length >= minShared ? length : 0
}

/** Changes within a word, with the letters in between, or before and behind a replacement, that are in both by chance. */
function withoutChance(parts: readonly Span[], whole: Span): Span[] {
  const result: Span[] = []
  for (const part of parts) {
    const before = result.at(-1)
    if (before !== undefined && part.aFrom - before.aTo < minShared) {
      result[result.length - 1] = joined(before, part)
    } else result.push({ ...part })
  }
  const isReplaced = ({ aFrom, aTo, bFrom, bTo }: Span): boolean => aFrom < aTo && bFrom < bTo
  const [first, last] = [result[0]!, result.at(-1)!]
  if (isReplaced(first) && first.aFrom - whole.aFrom < minShared) {
    first.aFrom = whole.aFrom
    first.bFrom = whole.bFrom
  }
  if (isReplaced(last) && whole.aTo - last.aTo < minShared) {
    last.aTo = whole.aTo
    last.bTo = whole.bTo
  }
  return result
}

/** The two code units around a place. */
function around(text: string, at: number): string {
  return text.slice(at - 1, at + 1)
}

/** Without the tokens that both begin or end with. */
function trimmed(a: string, b: string, whole: Span, { isEdge }: Level): Span {
  let { aFrom, aTo, bFrom, bTo } = whole
  while (aFrom < aTo && bFrom < bTo && a.charCodeAt(aFrom) === b.charCodeAt(bFrom)) {
    aFrom++
    bFrom++
  }
  while (aFrom < aTo && bFrom < bTo && a.charCodeAt(aTo - 1) === b.charCodeAt(bTo - 1)) {
    aTo--
    bTo--
  }
  if (aFrom === aTo && bFrom === bTo) return { aFrom, aTo, bFrom, bTo }
  while (aFrom > whole.aFrom && !(isEdge(a, aFrom) && isEdge(b, bFrom))) {
    aFrom--
    bFrom--
  }
  while (aTo < whole.aTo && !(isEdge(a, aTo) && isEdge(b, bTo))) {
    aTo++
    bTo++
  }
  return { aFrom, aTo, bFrom, bTo }
}

/** Widens spans to whole characters, and joins those that touch. What lies between spans is the same in both texts. */
function aligned(a: string, b: string, spans: readonly Span[]): Span[] {
  const result: Span[] = []
  for (let at = 0; at < spans.length; at++) {
    let span = { ...spans[at]! }
    const isWhole = (aAt: number, bAt: number): boolean => isBoundary(a, aAt) && isBoundary(b, bAt)
    while (span.aFrom > 0 && span.bFrom > 0 && !isWhole(span.aFrom, span.bFrom)) {
      span.aFrom--
      span.bFrom--
      if (span.aFrom <= (result.at(-1)?.aTo ?? -1)) span = joined(result.pop()!, span)
    }
    for (;;) {
      const next = spans[at + 1]
      if (next !== undefined && span.aTo >= next.aFrom) {
        span = joined(span, next)
        at++
      } else if (span.aTo < a.length && span.bTo < b.length && !isWhole(span.aTo, span.bTo)) {
        span.aTo++
        span.bTo++
      } else break
    }
    result.push(span)
  }
  return result
}

function joined(first: Span, second: Span): Span {
  return { aFrom: first.aFrom, aTo: second.aTo, bFrom: first.bFrom, bTo: second.bTo }
}

const joins = /^(?:\p{M}|\u200d|[\u1160-\u11ff]|\p{Emoji_Modifier})/u
const isRegional = /^\p{Regional_Indicator}/u

function isBoundary(text: string, at: number): boolean {
  if (at <= 0 || at >= text.length) return true
  const before = text.charCodeAt(at - 1)
  const code = text.charCodeAt(at)
  // Most text, quickly.
  if (before < 0x300 && code < 0x300) return !(before === 0x0d && code === 0x0a)
  if (isHigh(before) && isLow(code)) return false
  if (before === 0x200d) return false
  const here = text.slice(at, at + 2)
  if (joins.test(here)) return false
  return !(isRegional.test(here) && at >= 2 && isRegional.test(text.slice(at - 2, at)))
}

function isHigh(code: number): boolean {
  return code >= 0xd800 && code < 0xdc00
}

function isLow(code: number): boolean {
  return code >= 0xdc00 && code < 0xe000
}

function toReplacements(after: string, spans: readonly Span[]): Replacement[] {
  return spans.map(({ aFrom, aTo, bFrom, bTo }) => ({
    from: aFrom,
    to: aTo,
    text: after.slice(bFrom, bTo)
  }))
}
