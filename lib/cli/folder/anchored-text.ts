/**
 * A text of which each character is known by the name that Yjs gave it when it was typed: (client, clock). So a text that
 * was on disk some time ago can be changed by its editor, and the change made in the document where these very characters
 * are now, whatever has come or gone around them meanwhile. Nothing is compared with the document's present text, hence
 * nothing that others wrote is taken for a deletion.
 */
import * as Y from 'yjs'
import { diffText, type Replacement } from './text-diff.ts'

/** `length` characters that follow each other in the text and were typed one after the other. */
export interface Run {
  readonly client: number
  readonly clock: number
  readonly length: number
}

export interface AnchoredText {
  readonly text: string
  /** In the order of the text, and as long as it. */
  readonly runs: readonly Run[]
}

/** What to do to a `Y.Text`, in this order; made by `planChange`. */
export interface Operation {
  readonly index: number
  /** Characters to delete there, or the text to insert. */
  readonly change: number | string
}

export interface Plan {
  readonly operations: readonly Operation[]
  /** The changed text, with the names that its new characters will have. */
  readonly result: AnchoredText
  /** How many characters are inserted: clocks that this takes. */
  readonly inserted: number
}

/** A part of an anchored text, and where it is in the document now. */
interface Place {
  readonly offset: number
  readonly length: number
  /** Among what is visible. */
  readonly index: number
  readonly isVisible: boolean
}

export function anchoredTextOf(text: Y.Text): AnchoredText {
  const runs: Run[] = []
  let string = ''
  for (let item = text._start; item !== null; item = item.right) {
    if (item.deleted || !(item.content instanceof Y.ContentString)) continue
    string += item.content.str
    pushRun(runs, { ...item.id, length: item.length })
  }
  return { text: string.replace(/\p{Surrogate}/gu, '\uFFFD'), runs }
}

/**
 * How to make in `text` the changes that were made to `base`, if this client's next clock is `clock`. Null when the
 * document does not hold all of the base's characters, as when it is an older one.
 */
export function planChange(
  text: Y.Text,
  base: AnchoredText,
  replacements: readonly Replacement[],
  { client, clock }: { client: number; clock: number }
): Plan | null {
  const places = placesOf(text, base)
  if (places === null) return null
  const deletions: Operation[] = []
  const insertions: { index: number; change: string; number: number }[] = []
  for (const [number, { from, to, text: change }] of replacements.entries()) {
    if (change !== '') insertions.push({ index: indexAfter(places, from), change, number })
    for (let at = placeBehind(places, from); at < places.length; at++) {
      const place = places[at]!
      if (place.offset >= to) break
      const start = Math.max(from, place.offset)
      const length = Math.min(to, place.offset + place.length) - start
      if (length <= 0 || !place.isVisible) continue
      deletions.push({ index: place.index + start - place.offset, change: length })
    }
  }
  for (const insertion of insertions) {
    const around = deletions.find(({ index, change }) => {
      return index < insertion.index && insertion.index < index + Number(change)
    })
    if (around !== undefined) insertion.index = around.index
  }
  // From the end to the start, so that no operation moves what a later one is about.
  insertions.sort((a, b) => b.index - a.index || b.number - a.number)
  let next = clock
  const clockByNumber = new Map<number, number>()
  for (const { number, change } of insertions) {
    clockByNumber.set(number, next)
    next += change.length
  }
  const operations = [...deletions, ...insertions.map(({ index, change }) => ({ index, change }))]
  operations.sort((a, b) => b.index - a.index || typeOrder(a) - typeOrder(b))
  const result = changed(base, replacements, client, clockByNumber)
  return { operations, result, inserted: next - clock }
}

/**
 * How to bring into `text` what only `other` has, where no text is known that both came from: what the document has stays,
 * what both have is there once. The result is `other`, by its characters in the document.
 */
export function planUnion(
  text: Y.Text,
  other: string,
  at: { client: number; clock: number }
): Plan {
  const current = anchoredTextOf(text)
  const plan = planChange(text, current, diffText(current.text, other), at)
  if (plan === null) throw new TypeError('A text has its own characters')
  const operations = plan.operations.filter(({ change }) => typeof change === 'string')
  return { ...plan, operations }
}

/** Carries a plan out. The document must be as it was planned for. */
export function carryOut(text: Y.Text, { operations }: Plan): void {
  for (const { index, change } of operations) {
    if (typeof change === 'number') text.delete(index, change)
    else text.insert(index, change)
  }
}

/** Deletions first: what is inserted at the same place is not part of them. */
function typeOrder({ change }: Operation): number {
  return typeof change === 'number' ? 0 : 1
}

function changed(
  base: AnchoredText,
  replacements: readonly Replacement[],
  client: number,
  clockByNumber: ReadonlyMap<number, number>
): AnchoredText {
  const runs: Run[] = []
  let text = ''
  let kept = 0
  const reader = new RunReader(base.runs)
  for (const [number, { from, to, text: change }] of replacements.entries()) {
    text += base.text.slice(kept, from) + change
    for (const run of reader.take(from - kept)) pushRun(runs, run)
    if (change !== '')
      pushRun(runs, { client, clock: clockByNumber.get(number)!, length: change.length })
    reader.take(to - from)
    kept = to
  }
  for (const run of reader.take(base.text.length - kept)) pushRun(runs, run)
  return { text: text + base.text.slice(kept), runs }
}

class RunReader {
  readonly #runs: readonly Run[]
  #next = 0
  #offset = 0

  constructor(runs: readonly Run[]) {
    this.#runs = runs
  }

  take(length: number): Run[] {
    const taken: Run[] = []
    while (length > 0) {
      const { client, clock, length: whole } = this.#runs[this.#next]!
      const part = Math.min(length, whole - this.#offset)
      taken.push({ client, clock: clock + this.#offset, length: part })
      length -= part
      this.#offset += part
      if (this.#offset < whole) continue
      this.#next++
      this.#offset = 0
    }
    return taken
  }
}

function pushRun(runs: Run[], run: Run): void {
  const last = runs.at(-1)
  if (last?.client === run.client && last.clock + last.length === run.clock) {
    runs[runs.length - 1] = { ...last, length: last.length + run.length }
  } else runs.push(run)
}

/** The index just behind the character before `offset`, or where that was. */
function indexAfter(places: readonly Place[], offset: number): number {
  if (offset === 0) return 0
  const place = places[placeBehind(places, offset - 1)]!
  return place.isVisible ? place.index + Math.min(place.length, offset - place.offset) : place.index
}

function placesOf(text: Y.Text, base: AnchoredText): Place[] | null {
  const runsByClient = new Map<number, (Run & { offset: number })[]>()
  let offset = 0
  for (const run of base.runs) {
    const runs = runsByClient.get(run.client) ?? []
    runs.push({ ...run, offset })
    runsByClient.set(run.client, runs)
    offset += run.length
  }
  if (offset !== base.text.length) return null
  for (const runs of runsByClient.values()) runs.sort((a, b) => a.clock - b.clock)

  const places: Place[] = []
  let index = 0
  let found = 0
  for (let item = text._start; item !== null; item = item.right) {
    const { clock, client } = item.id
    const runs = runsByClient.get(client) ?? []
    const isVisible = !item.deleted && item.countable
    const first = firstWhere(runs, (run) => run.clock + run.length > clock)
    for (let at = first; at < runs.length; at++) {
      const run = runs[at]!
      const from = Math.max(run.clock, clock)
      const length = Math.min(run.clock + run.length, clock + item.length) - from
      if (length <= 0) break
      const shift = isVisible ? from - clock : 0
      places.push({
        offset: run.offset + from - run.clock,
        length,
        index: index + shift,
        isVisible
      })
      found += length
    }
    if (isVisible) index += item.length
  }
  if (found !== base.text.length) return null
  return places.sort((a, b) => a.offset - b.offset)
}

/** The first of the places that ends behind `offset`. */
function placeBehind(places: readonly Place[], offset: number): number {
  return firstWhere(places, (place) => place.offset + place.length > offset)
}

/** The first of those for which `isBehind` holds, which it does from some one on. */
function firstWhere<T>(sorted: readonly T[], isBehind: (one: T) => boolean): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (isBehind(sorted[middle]!)) high = middle
    else low = middle + 1
  }
  return low
}

export function sameRuns(a: AnchoredText, b: AnchoredText): boolean {
  return JSON.stringify(a.runs) === JSON.stringify(b.runs)
}
