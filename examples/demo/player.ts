/**
 * Makes one author's planned edits in the text of a real device, whatever else has arrived there, and tells from the
 * document alone which transactions of each author are in it. So a device that was killed goes on from the document it
 * finds on its disk.
 *
 * Units are found by their Yjs ids. Each time a device starts it may get another client id; before its first edit it
 * puts into the map `sessions` from which unit on, under which client id and from which clock its units are (a
 * character's UTF-16 units each take one clock, deletions none). That holds as long as nothing but this player writes
 * to the document on the author's device.
 */
import * as Y from 'yjs'
import type { Need, Plan, PlannedTransaction, Unit, UnitRun } from './plan.ts'

/** The author's units from `from` on, up to the next session, are `client`'s from `clock` on. */
interface Session {
  client: number
  from: number
  clock: number
}

export class Player {
  readonly #plan: Plan
  readonly #author: number
  readonly #text: Y.Text
  readonly #doc: Y.Doc
  readonly #sessions: Y.Map<Session>
  readonly #sessionsByAuthor: Session[][]
  readonly #heldByAuthor: number[]
  #ownSession: Session | undefined
  /** How many of the author's transactions have all that they need. */
  #satisfied = 0

  /**
   * Give it a document that has been loaded and, after a crash, has back from the peers what they had of the author's:
   * it goes on from what is there. `author` is an index into `plan.authors`.
   */
  constructor(plan: Plan, author: number, text: Y.Text) {
    if (text.doc === null) throw new TypeError('The text must belong to a document')
    if (plan.authors[author] === undefined) throw new TypeError(`The plan has no author ${author}`)
    this.#plan = plan
    this.#author = author
    this.#text = text
    this.#doc = text.doc
    this.#sessions = text.doc.getMap('sessions')
    this.#sessionsByAuthor = plan.authors.map(() => [])
    this.#heldByAuthor = plan.authors.map(() => 0)
  }

  /** All of this author's transactions are in the document. */
  get finished(): boolean {
    return this.held(this.#author) === this.#transactionsOf(this.#author).length
  }

  /** Every author's transactions are in the document, so the text must be the plan's `endContent`. */
  get complete(): boolean {
    return this.#plan.authors.every(
      ({ transactions }, author) => this.held(author) === transactions.length
    )
  }

  /**
   * The first thing that the next transaction waits for, if it waits. A transaction's needs do not repeat those of the
   * ones before; all are looked at, because `held` passes over what changes nothing without asking for its needs.
   */
  get waitingFor(): Need | undefined {
    const transactions = this.#transactionsOf(this.#author)
    const next = this.held(this.#author)
    for (; this.#satisfied <= next && this.#satisfied < transactions.length; this.#satisfied++) {
      const { needs } = transactions[this.#satisfied]!
      const missing = needs.find(({ author, transactions: count }) => this.held(author) < count)
      if (missing !== undefined) return missing
    }
    return undefined
  }

  /**
   * How many of an author's transactions are in the document.
   *
   * One local Yjs transaction arrives as a whole, and an author's arrive in order. So one that inserts is here when its
   * last unit is. One that only deletes is here, as far as anybody can see, when all of its units are deleted, even if it
   * was another author who deleted them: to make it again would change nothing.
   */
  held(author: number): number {
    const transactions = this.#transactionsOf(author)
    const units = this.#unitsOf(author)
    let count = this.#heldByAuthor[author] ?? 0
    for (; count < transactions.length; count++) {
      const transaction = transactions[count]!
      const inserts = transaction.units > (transactions[count - 1]?.units ?? 0)
      if (inserts ? transaction.units > units : !this.#areDeleted(transaction)) break
    }
    return (this.#heldByAuthor[author] = count)
  }

  /** Makes the author's next transaction as one local Yjs transaction; false if it has to wait or there is none. */
  next(): boolean {
    const done = this.held(this.#author)
    const transaction = this.#transactionsOf(this.#author)[done]
    if (transaction === undefined || this.waitingFor !== undefined) return false
    this.#doc.transact((tr) => {
      for (const operation of transaction.operations) {
        if ('delete' in operation) this.#delete(tr, operation.delete)
        else this.#insert(tr, operation.insert, operation.after, operation.before)
      }
      // Yjs remembers some indexes; they are wrong now (its UndoManager does the same).
      if (this.#text._searchMarker !== null) this.#text._searchMarker.length = 0
    })
    this.#heldByAuthor[this.#author] = done + 1
    return true
  }

  /**
   * `text.insert(index)` would not do: it goes past everything deleted up to the next visible character, also past what
   * was still visible at the edit's version, and an edit that arrives later may belong between. Here the item gets the
   * origins that it would have got at its version, and Yjs integrates it as if it had come from there.
   */
  #insert(tr: Y.Transaction, insert: string, after: Unit | null, before: Unit | null): void {
    this.#openSession()
    const { store, clientID } = this.#doc
    const left: Y.Item | null = after && Y.getItemCleanEnd(tr, store, this.#id(after))
    const right: Y.Item | null = before && Y.getItemCleanStart(tr, this.#id(before))
    const id = Y.createID(clientID, Y.getState(store, clientID))
    const content = new Y.ContentString(insert)
    const origins = [left, left && left.lastId, right, right && right.id] as const
    new Y.Item(id, ...origins, this.#text, null, content).integrate(tr, 0)
  }

  #delete(tr: Y.Transaction, runs: UnitRun[]): void {
    for (const { client, clock, end } of runs.flatMap((run) => this.#ranges(run))) {
      for (let at = clock; at < end;) {
        const item = Y.getItemCleanStart(tr, Y.createID(client, at))
        if (at + item.length > end) Y.getItemCleanStart(tr, Y.createID(client, end))
        item.delete(tr)
        at += item.length
      }
    }
  }

  #areDeleted({ operations }: PlannedTransaction): boolean {
    const { store } = this.#doc
    return operations.every(
      (operation) =>
        'delete' in operation &&
        operation.delete.every(
          (run) =>
            this.#unitsOf(run.author) >= run.unit + run.length &&
            this.#ranges(run).every(({ client, clock, end }) => {
              for (let at = clock; at < end;) {
                const item: Y.Item = Y.getItem(store, Y.createID(client, at))
                if (!item.deleted) return false
                at = item.id.clock + item.length
              }
              return true
            })
        )
    )
  }

  #transactionsOf(author: number): PlannedTransaction[] {
    return this.#plan.authors[author]?.transactions ?? []
  }

  #unitsOf(author: number): number {
    const last = this.#sessionsOf(author).at(-1)
    if (last === undefined) return 0
    return last.from + Math.max(0, Y.getState(this.#doc.store, last.client) - last.clock)
  }

  /** An author's sessions are numbered, so that there is always an order, even if a client id were used again. */
  #sessionsOf(author: number): Session[] {
    const known = this.#sessionsByAuthor[author]!
    for (let next; (next = this.#sessions.get(`${author}/${known.length}`)) !== undefined;) {
      known.push(next)
    }
    return known
  }

  /** Also begins a new one if the document changes its client id meanwhile. */
  #openSession(): void {
    const { store, clientID } = this.#doc
    if (this.#ownSession?.client === clientID) return
    const earlier = this.#sessionsOf(this.#author)
    // The entry itself takes one clock.
    const clock = Y.getState(store, clientID) + 1
    this.#ownSession = { client: clientID, from: this.#unitsOf(this.#author), clock }
    this.#sessions.set(`${this.#author}/${earlier.length}`, this.#ownSession)
  }

  #id({ author, unit }: Unit): Y.ID {
    const session = this.#sessionsOf(author).findLast(({ from }) => from <= unit)
    if (session === undefined) throw new Error(`Unit ${unit} of author ${author} is not here`)
    return Y.createID(session.client, session.clock + unit - session.from)
  }

  #ranges({ author, unit, length }: UnitRun): { client: number; clock: number; end: number }[] {
    const sessions = this.#sessionsOf(author)
    return sessions.flatMap(({ client, from, clock }, index) => {
      const start = Math.max(unit, from)
      const end = Math.min(unit + length, sessions[index + 1]?.from ?? Infinity)
      return start < end ? [{ client, clock: clock + start - from, end: clock + end - from }] : []
    })
  }
}
