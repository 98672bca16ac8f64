/**
 * Reads a recorded editing history and plans its replay by one device per author. Every process plans the same from
 * the same file, so no device has to be told anything by another.
 *
 * A recorded edit names positions in the state of its parents. A device that has received more than that needs names
 * that do not move: every UTF-16 unit ever inserted is called (author, k), the k-th that this author inserted. The plan
 * gives each edit in these names and says what has to be in a device's document before it can be made there; player.ts
 * makes it. Nothing here touches Yjs: the histories are merged by `Weave`, which can look at any version of them.
 */
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'

/** `position` and `deleteCount` are in Unicode code points. */
export type Patch = [position: number, deleteCount: number, insert: string]

export interface RecordedTransaction {
  /** Index into the trace's `agents`. */
  author: number
  /** Indexes of earlier transactions: the patches refer to the merge of these and of all that they build upon. */
  parents: number[]
  /** Applied in turn, each to what the one before has left. */
  patches: Patch[]
}

export interface Trace {
  /** The recorded numbers of those authors that occur, ascending. */
  agents: number[]
  transactions: RecordedTransaction[]
  endContent: string
}

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

/** A file that is no editing history, or one that contradicts itself. */
export class TraceError extends Error {
  override readonly name = 'TraceError'
}

/** Reads a trace file, gzipped or plain JSON, concurrent or sequential. Throws `TraceError` if it is none. */
export async function readTrace(path: string): Promise<Trace> {
  let bytes: Uint8Array = await readFile(path)
  try {
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = await promisify(gunzip)(bytes)
    return parseTrace(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)))
  } catch (error) {
    throw new TraceError(`${path}: ${(error as Error).message}`, { cause: error })
  }
}

/** Checks a trace's JSON value. A sequential history becomes one author's; `startContent` the first transaction. */
export function parseTrace(value: unknown): Trace {
  const { startContent = '', endContent, txns } = record(value, 'A trace')
  if (typeof endContent !== 'string') throw new TraceError('endContent must be a string')
  if (typeof startContent !== 'string') throw new TraceError('startContent must be a string')
  if (!Array.isArray(txns)) throw new TraceError('txns must be an array')
  const raw = txns.map((txn, index) => record(txn, `Transaction ${index}`))
  const concurrent = raw.some((txn) => txn['parents'] !== undefined)
  const agentOf = (txn: Record<string, unknown>) => (concurrent ? txn['agent'] : 0) as number

  // Whatever begins with no parents begins with what was there before anyone wrote.
  const start: RecordedTransaction[] = []
  if (startContent !== '') start.push({ author: 0, parents: [], patches: [[0, 0, startContent]] })
  const transactions = raw.map((txn, index): RecordedTransaction => {
    const where = `Transaction ${index}`
    const { patches, parents = [] } = txn
    if (!isCount(agentOf(txn))) throw new TraceError(`${where}: agent must be a whole number`)
    if (!Array.isArray(patches) || !patches.every(isPatch)) {
      throw new TraceError(`${where}: patches must be [position, deleteCount, insertText] each`)
    }
    if (!Array.isArray(parents) || !parents.every((parent) => isCount(parent) && parent < index)) {
      throw new TraceError(
        `${where}: parents must be indexes of earlier transactions, not ${JSON.stringify(parents)}`
      )
    }
    const before = concurrent ? (parents as number[]) : index === 0 ? [] : [index - 1]
    return {
      author: agentOf(txn),
      parents: before.length === 0 ? start.map(() => 0) : before.map((i) => i + start.length),
      patches
    }
  })
  const agents = [...new Set(transactions.map(({ author }) => author))].sort((a, b) => a - b)
  if (agents.length === 0) agents.push(0)
  const indexByAgent = new Map(agents.map((agent, index) => [agent, index]))
  for (const transaction of transactions) {
    transaction.author = indexByAgent.get(transaction.author) as number
  }
  if (start[0] !== undefined) start[0].author = transactions[0]?.author ?? 0
  return { agents, transactions: [...start, ...transactions], endContent }
}

function record(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TraceError(`${name} must be an object`)
  }
  return value as Record<string, unknown>
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isPatch(value: unknown): value is Patch {
  return (
    Array.isArray(value) && isCount(value[0]) && isCount(value[1]) && typeof value[2] === 'string'
  )
}

/** Where an insertion goes when characters were deleted at its position, and which of two at one place goes first. */
interface Rules {
  keepsTo: 'left' | 'right'
  /** By author. The lower rank goes first. */
  ranks: number[]
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

/** No element: the start or the end of the text. */
const NONE = -1
/** An element's state at the version looked at: absent, visible, or deleted by `state - 1` transactions. */
const ABSENT = 0
const VISIBLE = 1

/** Which of two versions have a transaction. */
const FROM = 1
const TO = 2
const BOTH = FROM | TO

const MAX_BLOCK_LENGTH = 512

interface Block {
  elements: number[]
  visible: number
}

/**
 * All characters that were ever inserted, in the order in which Yjs would hold them, and a version to look at them:
 * some set of transactions, which can be moved to any other. One such structure replaces a document per branch, so that
 * a history with hundreds of branches costs little more than one without. The idea is Joseph Gentle's and Martin
 * Kleppmann's (https://arxiv.org/abs/2409.14252), the order of concurrent insertions is Yjs's.
 */
class Weave {
  // By element. An element is one code point; they are numbered as they come.
  readonly author: number[] = []
  readonly unit: number[] = []
  readonly character: string[] = []
  readonly #origin: number[] = []
  readonly #rightOrigin: number[] = []
  readonly #state: number[] = []
  readonly #blockOf: Block[] = []

  /** Visible code points at the version looked at. */
  length = 0
  #blocks: Block[] = [{ elements: [], visible: 0 }]

  readonly #parents: number[][]
  readonly #rules: Rules
  #heads: number[] = []
  /** By transaction; all 0 but while it moves from one version to another. */
  readonly #sides: Uint8Array
  /** By transaction: its elements are `first` up to `end`. */
  readonly #effects: { first: number; end: number; deleted: number[] }[] = []

  constructor(parents: number[][], rules: Rules) {
    this.#parents = parents
    this.#rules = rules
    this.#sides = new Uint8Array(parents.length)
  }

  /** Looks at the merge of `parents`; what is inserted and deleted from here on is `transaction`. */
  begin(transaction: number, parents: number[]): void {
    this.#checkOut(parents)
    this.#heads = [transaction]
    const first = this.#state.length
    this.#effects.push({ first, end: first, deleted: [] })
  }

  checkOutAll(): void {
    const isParent = new Set(this.#parents.flat())
    this.#checkOut(this.#parents.map((_, index) => index).filter((index) => !isParent.has(index)))
  }

  has(element: number): boolean {
    return this.#state[element] !== ABSENT
  }

  text(): string {
    const visible = (element: number) => this.#state[element] === VISIBLE
    const characters = (block: Block) =>
      block.elements.filter(visible).map((element) => this.character[element])
    return this.#blocks.flatMap(characters).join('')
  }

  /** Returns the elements, in the order of the text. */
  delete(position: number, count: number): number[] {
    const deleted: number[] = []
    for (let [at, offset] = this.#seek(position); deleted.length < count; at++, offset = 0) {
      const { elements } = this.#blocks[at]!
      for (; offset < elements.length && deleted.length < count; offset++) {
        const element = elements[offset]!
        if (this.#state[element] !== VISIBLE) continue
        this.#change(element, +1)
        deleted.push(element)
      }
    }
    const effects = this.#effects.at(-1)!
    for (const element of deleted) effects.deleted.push(element)
    return deleted
  }

  /** Returns the elements that it now stands between. */
  insert(position: number, insert: string, author: number, unit: number): [number, number] {
    let [at, offset] = position === 0 ? [0, 0] : this.#seek(position - 1)
    let origin = NONE
    if (position > 0) origin = this.#blocks[at]!.elements[offset++]!
    let rightOrigin = NONE
    let unseen: number[] = []
    for (let i = at, j = offset; i < this.#blocks.length && rightOrigin === NONE; i++, j = 0) {
      const { elements } = this.#blocks[i]!
      for (; j < elements.length; j++) {
        const element = elements[j]!
        if (!this.has(element)) {
          unseen.push(element)
        } else if (this.#rules.keepsTo === 'left' || this.#state[element] === VISIBLE) {
          rightOrigin = element
          break
        } else {
          origin = element
          unseen = []
          at = i
          offset = j + 1
        }
      }
    }
    const skipped = this.#skip(unseen, origin, rightOrigin, author)
    for (let rest = skipped; rest > 0; rest--, offset++) {
      while (offset === this.#blocks[at]!.elements.length) [at, offset] = [at + 1, 0]
    }

    const first = this.#state.length
    const added: number[] = []
    for (const character of insert) {
      const element = first + added.length
      added.push(element)
      this.author.push(author)
      this.unit.push(unit)
      this.character.push(character)
      this.#origin.push(element === first ? origin : element - 1)
      this.#rightOrigin.push(rightOrigin)
      this.#state.push(VISIBLE)
      unit += character.length
    }
    this.length += added.length
    this.#effects.at(-1)!.end = first + added.length
    this.#put(at, offset, added)
    return [unseen[skipped - 1] ?? origin, unseen[skipped] ?? rightOrigin]
  }

  /** How many of `unseen`, all that others have put between the origins meanwhile, go first: Yjs's `Item.integrate`. */
  #skip(unseen: number[], origin: number, rightOrigin: number, author: number): number {
    const { ranks } = this.#rules
    let skipped = 0
    const passed = new Set<number>()
    let conflicting = new Set<number>()
    for (const [i, other] of unseen.entries()) {
      const otherOrigin = this.#origin[other]!
      let goesFirst = false
      passed.add(other)
      conflicting.add(other)
      if (otherOrigin === origin) {
        goesFirst = ranks[this.author[other]!]! < ranks[author]!
        if (!goesFirst && this.#rightOrigin[other] === rightOrigin) break
      } else if (passed.has(otherOrigin)) {
        goesFirst = !conflicting.has(otherOrigin)
      } else {
        break
      }
      if (!goesFirst) continue
      skipped = i + 1
      conflicting = new Set()
    }
    return skipped
  }

  #put(at: number, offset: number, added: number[]): void {
    const block = this.#blocks[at]!
    const { elements } = block
    if (elements.length + added.length <= MAX_BLOCK_LENGTH) {
      elements.splice(offset, 0, ...added)
      block.visible += added.length
      for (const element of added) this.#blockOf[element] = block
      return
    }
    const all = [...elements.slice(0, offset), ...added, ...elements.slice(offset)]
    const pieces: Block[] = []
    for (let start = 0; start < all.length; start += MAX_BLOCK_LENGTH / 2) {
      const piece: Block = { elements: all.slice(start, start + MAX_BLOCK_LENGTH / 2), visible: 0 }
      for (const element of piece.elements) {
        this.#blockOf[element] = piece
        if (this.#state[element] === VISIBLE) piece.visible++
      }
      pieces.push(piece)
    }
    this.#blocks = [...this.#blocks.slice(0, at), ...pieces, ...this.#blocks.slice(at + 1)]
  }

  /** Where the visible element number `position` is, or else the end: the block's index, and the offset in it. */
  #seek(position: number): [number, number] {
    let rest = position
    for (let at = 0; at < this.#blocks.length; at++) {
      const { elements, visible } = this.#blocks[at]!
      if (rest >= visible) {
        rest -= visible
        continue
      }
      let offset = 0
      while (this.#state[elements[offset]!] !== VISIBLE || rest-- > 0) offset++
      return [at, offset]
    }
    return [this.#blocks.length - 1, this.#blocks.at(-1)!.elements.length]
  }

  #change(element: number, by: 1 | -1): void {
    const before = this.#state[element] === VISIBLE ? 1 : 0
    this.#state[element]! += by
    const change = (this.#state[element] === VISIBLE ? 1 : 0) - before
    this.#blockOf[element]!.visible += change
    this.length += change
  }

  /** Looks at the version with these heads, from wherever it was: only what differs is left and entered. */
  #checkOut(heads: number[]): void {
    const sides = this.#sides
    let oneSided = 0
    let newest = -1
    let oldest = Infinity
    const visit = (transaction: number, side: number) => {
      const known = sides[transaction]!
      const now = known | side
      if (now === known) return
      oneSided += (now === BOTH ? 0 : 1) - (known === 0 ? 0 : 1)
      sides[transaction] = now
      if (transaction > newest) newest = transaction
      if (transaction < oldest) oldest = transaction
    }
    for (const head of this.#heads) visit(head, FROM)
    for (const head of heads) visit(head, TO)
    // The newest first: all that builds upon it has then been seen, so its side is certain.
    const entered: number[] = []
    for (let transaction = newest; oneSided > 0; transaction--) {
      const side = sides[transaction]!
      if (side === 0) continue
      if (side !== BOTH) oneSided--
      if (side === FROM) this.#pass(transaction, -1)
      if (side === TO) entered.push(transaction)
      for (const parent of this.#parents[transaction]!) visit(parent, side)
    }
    for (const transaction of entered.reverse()) this.#pass(transaction, +1)
    if (newest >= 0) sides.fill(0, oldest, newest + 1)
    this.#heads = heads
  }

  #pass(transaction: number, by: 1 | -1): void {
    const { first, end, deleted } = this.#effects[transaction]!
    for (let element = first; element < end; element++) this.#change(element, by)
    for (const element of deleted) this.#change(element, by)
  }
}
