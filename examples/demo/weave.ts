/**
 * All characters that were ever inserted, in the order in which Yjs would hold them, and a version to look at them:
 * some set of transactions, which can be moved to any other. One such structure replaces a document per branch, so that
 * a history with hundreds of branches costs little more than one without. The idea is Joseph Gentle's and Martin
 * Kleppmann's (https://arxiv.org/abs/2409.14252), the order of concurrent insertions is Yjs's.
 */

/** Where an insertion goes when characters were deleted at its position, and which of two at one place goes first. */
export interface Rules {
  keepsTo: 'left' | 'right'
  /** By author. The lower rank goes first. */
  ranks: number[]
}

/** No element: the start or the end of the text. */
export const NONE = -1
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

export class Weave {
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
