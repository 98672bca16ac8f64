/**
 * Plans the replay of a recorded history by one device per author. Every process plans the same from the same file, so no
 * device has to be told anything by another.
 *
 * A recorded edit names positions in the state of its parents. A device that has received more than that needs names
 * that do not move: every UTF-16 unit ever inserted is called (author, k), the k-th that this author inserted. The plan
 * gives each edit in these names and says what has to be in a device's document before it can be made there; player.ts
 * makes it. Nothing here touches Yjs: the histories are merged by `Weave`, which can look at any version of them.
 */
import { TraceError, type RecordedTransaction, type Trace } from './trace.ts'
import { NONE, Weave, type Rules } from './weave.ts'

/** The `unit`-th UTF-16 unit that `author` inserted, counted from 0 in the order of the author's transactions. */
export interface Unit {
  author: number
  unit: number
}

export interface UnitRun extends Unit {
  length: number
}

/** `after` and `before` are neighbours at the version the edit was made against; null is the start or end of the text. */
export type Operation =
  { insert: string; after: Unit | null; before: Unit | null } | { delete: UnitRun[] }

/** At least the first `transactions` transactions of `author`. */
export interface Need {
  author: number
  transactions: number
}

export interface PlannedTransaction {
  /** What of the others' it builds upon, beyond what earlier transactions of its author already needed. */
  needs: Need[]
  /** Done in turn. Empty for a merge that changes nothing. */
  operations: Operation[]
  /** How many units its author has inserted with this transaction and all before. */
  units: number
}

export interface PlannedAuthor {
  /** The number that the recording gives this author. */
  agent: number
  transactions: PlannedTransaction[]
}

export interface Plan {
  authors: PlannedAuthor[]
  endContent: string
  /** Insertions that met another at the very same place at the same time; see `planTrace`. */
  ties: number
}

/**
 * Turns a trace into what each author's device has to do. Throws `TraceError` if a position lies outside its text or if
 * the merge of all transactions is not `endContent`.
 *
 * Recordings are made so that no two insert at the same place at the same time and every correct merge agrees. That
 * depends on what is a place: where `y` was deleted from `xyz`, an insertion between `x` and `z` is beside `x` for some
 * algorithms and beside `z` for others, Yjs among them, and so may or may not meet one made at `y` meanwhile. (In
 * friendsforever Yjs's way gives four ties, and `endContent` only if the client ids happen to be in the right order.) So the plan takes the
 * rules that lead to `endContent`: beside `x`, which makes friendsforever free of ties, or else as Yjs does, and what
 * still ties in the order of the agents' numbers, of their first edits, or the reverse.
 *
 * The devices do not have to agree on rules, for the plan names both neighbours. In a tie, whichever comes later in the
 * file *waits* for the other and is put beside it by name, so random client ids never decide anything. All that a
 * transaction waits for stands before it in the file, so the replay cannot come to a standstill.
 */
export function planTrace(trace: Trace): Plan {
  let first: TraceError | undefined
  for (const rules of rulesToTry(trace)) {
    try {
      return planBy(rules, trace)
    } catch (error) {
      // In another order, positions hit other characters, so also a position out of reach may come of the rules.
      if (!(error instanceof TraceError)) throw error
      first ??= error
    }
  }
  throw first
}

function* rulesToTry({ agents, transactions }: Trace): Generator<Rules> {
  const byNumber = agents.map((_, author) => author)
  const appeared = [...new Set(transactions.map(({ author }) => author))]
  const byAppearance = byNumber.map((author) => appeared.indexOf(author))
  const reverse = byNumber.map((author) => -author)
  for (const ranks of [byNumber, byAppearance, reverse]) {
    yield { keepsTo: 'left', ranks }
    yield { keepsTo: 'right', ranks }
  }
}

function planBy(rules: Rules, trace: Trace): Plan {
  const authors = trace.agents.map((agent): PlannedAuthor => ({ agent, transactions: [] }))
  const parentsByTransaction = trace.transactions.map(({ parents }) => parents)
  const weave = new Weave(parentsByTransaction, rules)
  const versions = new Versions(trace.transactions, authors.length)
  const needed = authors.map(() => new Uint32Array(authors.length))
  let ties = 0

  const firstUnit = (element: number): Unit | null =>
    element === NONE ? null : { author: weave.author[element]!, unit: weave.unit[element]! }
  const lastUnit = (element: number): Unit | null => {
    const first = firstUnit(element)
    return first && { ...first, unit: first.unit + weave.character[element]!.length - 1 }
  }

  for (const [index, { author, parents, patches }] of trace.transactions.entries()) {
    const mine = authors[author]!.transactions
    const builtUpon = versions.enter(index, mine.length + 1)
    const operations: Operation[] = []
    let units = mine.at(-1)?.units ?? 0
    weave.begin(index, parents)
    for (const [position, deleteCount, insert] of patches) {
      if (position + deleteCount > weave.length) {
        throw new TraceError(
          `Transaction ${index} deletes ${deleteCount} and inserts ${insert.length} at ${position}, ` +
            `but its text has only ${weave.length} code points`
        )
      }
      if (deleteCount > 0) {
        operations.push({ delete: runs(weave, weave.delete(position, deleteCount)) })
      }
      if (insert === '') continue
      const [after, before] = weave.insert(position, insert, author, units)
      units += insert.length
      operations.push({ insert, after: lastUnit(after), before: firstUnit(before) })
      // In a tie, a neighbour is none of the parents' and has to be waited for.
      const met = [after, before].filter((element) => element !== NONE && !weave.has(element))
      if (met.length > 0) ties++
      for (const element of met) {
        const other = weave.author[element]!
        const count = transactionsUntil(authors[other]!, weave.unit[element]!)
        builtUpon[other] = Math.max(builtUpon[other]!, count)
      }
    }
    const needs: Need[] = []
    const known = needed[author]!
    for (let other = 0; other < authors.length; other++) {
      if (other === author || builtUpon[other]! <= known[other]!) continue
      needs.push({ author: other, transactions: (known[other] = builtUpon[other]!) })
    }
    mine.push({ needs, operations, units })
  }
  weave.checkOutAll()
  checkEnd(weave.text(), trace.endContent)
  return { authors, endContent: trace.endContent, ties }
}

/** Neighbouring elements of one author as runs. */
function runs(weave: Weave, elements: number[]): UnitRun[] {
  const found: UnitRun[] = []
  for (const element of elements) {
    const author = weave.author[element]!
    const unit = weave.unit[element]!
    const length = weave.character[element]!.length
    const last = found.at(-1)
    if (last?.author === author && last.unit + last.length === unit) last.length += length
    else found.push({ author, unit, length })
  }
  return found
}

/** How many of the author's transactions it takes until `unit` is there. */
function transactionsUntil({ transactions }: PlannedAuthor, unit: number): number {
  let low = 0
  let high = transactions.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (transactions[middle]!.units > unit) high = middle
    else low = middle + 1
  }
  return low + 1
}

function checkEnd(text: string, endContent: string): void {
  if (text === endContent) return
  let at = 0
  while (at < text.length && text[at] === endContent[at]) at++
  const show = (whole: string) => JSON.stringify(whole.slice(at, at + 20))
  throw new TraceError(
    `The merge of all transactions is not endContent: at ${at} of ${endContent.length} it reads ` +
      `${show(text)} instead of ${show(endContent)}`
  )
}

/** For each transaction, how many of every author's it builds upon; kept only until the last child has asked. */
class Versions {
  readonly #transactions: RecordedTransaction[]
  readonly #authorCount: number
  readonly #childrenToCome: Uint32Array
  readonly #counts = new Map<number, Uint32Array>()

  constructor(transactions: RecordedTransaction[], authorCount: number) {
    this.#transactions = transactions
    this.#authorCount = authorCount
    this.#childrenToCome = new Uint32Array(transactions.length)
    for (const { parents } of transactions) {
      for (const parent of parents) this.#childrenToCome[parent]!++
    }
  }

  /**
   * Counts are of an author's transactions in the order of the file. Where an author worked on branches, what is built
   * upon has gaps there; the count goes up to the last, for a device's document has no such gaps.
   */
  enter(index: number, ownCount: number): Uint32Array {
    const { author, parents } = this.#transactions[index]!
    const counts = new Uint32Array(this.#authorCount)
    for (const parent of parents) {
      const theirs = this.#counts.get(parent)!
      for (let i = 0; i < counts.length; i++) if (theirs[i]! > counts[i]!) counts[i] = theirs[i]!
      if (--this.#childrenToCome[parent]! === 0) this.#counts.delete(parent)
    }
    const own = counts.slice()
    own[author] = ownCount
    if (this.#childrenToCome[index]! > 0) this.#counts.set(index, own)
    return counts
  }
}
