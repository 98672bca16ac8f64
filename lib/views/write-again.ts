/**
 * Writes again what has left a document though its author means it: what hung on a version of a log that does not stay.
 * Clocks and client ids of it count for nothing any more, so it is put into the document as it is now, as new content in
 * the same places: behind what it stood behind, as far as that is there. What was deleted along with it is deleted again.
 */
import * as Y from 'yjs'

/** Clocks of one client. */
export interface Clocks {
  readonly client: number
  readonly clock: number
  readonly length: number
}

/** What left. */
export interface Lost {
  /** By client id, the clock from which on its content did. */
  readonly from: ReadonlyMap<number, number>
  readonly deletes: readonly Clocks[]
}

/** What is in these updates (V1) of one author. */
export function lostIn(updates: Iterable<Uint8Array>): Lost {
  const from = new Map<number, number>()
  const deletes: Clocks[] = []
  for (const update of updates) {
    const { structs, ds } = Y.decodeUpdate(update)
    for (const { id } of structs)
      from.set(id.client, Math.min(from.get(id.client) ?? Infinity, id.clock))
    for (const [client, runs] of ds.clients)
      for (const { clock, len } of runs) deletes.push({ client, clock, length: len })
  }
  return { from, deletes }
}

/** Puts what left `before` into `after`, as edits of the client that `after` writes as. O(both documents). */
export function writeAgain(before: Y.Doc, after: Y.Doc, lost: Lost): void {
  after.transact((transaction) => {
    const writing = new Writing(transaction, lost)
    // What it is made of is not to change meanwhile.
    before.transact(() => {
      for (const [name, type] of before.share)
        writing.type(type as Type, (after.share.get(name) ?? after.get(name)) as Type)
    })
    writing.deletes()
  })
}

type Type = Y.AbstractType<unknown>

class Writing {
  readonly #transaction: Y.Transaction
  readonly #store: Y.Doc['store']
  readonly #lost: Lost

  constructor(transaction: Y.Transaction, lost: Lost) {
    this.#transaction = transaction
    this.#store = transaction.doc.store
    this.#lost = lost
  }

  /** What left a shared type, and those within it. */
  type(from: Type, to: Type): void {
    /** Of what stands before, the last that is there. */
    let behind: Y.ID | null = null
    for (let item = from._start; item !== null; item = item.right) {
      const kept = this.#keptOf(item)
      const there = this.#thereOf(item, kept, to)
      if (there !== null) {
        behind = there
        this.#within(item)
      }
      if (item.deleted) continue
      const isTaken = kept < item.length || (there === null && this.#holdsLost(item))
      if (isTaken) behind = this.#insert(to, behind, null, contentOf(item, kept))
    }
    for (const [key, item] of from._map) {
      if (item.deleted) continue
      const kept = this.#keptOf(item)
      if (this.#thereOf(item, kept, to) !== null) this.#within(item)
      const current = to._map.get(key)
      const isFree = current === undefined || current.deleted
      if (kept < item.length || (isFree && this.#holdsLost(item)))
        this.#insert(to, current?.lastId ?? null, key, contentOf(item, kept))
    }
  }

  deletes(): void {
    for (const { client, clock, length } of this.#lost.deletes) {
      // Of what left itself, what was deleted was not written again.
      const end = Math.min(clock + length, this.#lost.from.get(client) ?? Infinity)
      const state = Y.getState(this.#store, client)
      for (let at = clock; at < Math.min(end, state);) {
        const found = Y.getItem(this.#store, Y.createID(client, at))
        const next = found.id.clock + found.length
        if (found instanceof Y.Item && !found.deleted) {
          const item = Y.getItemCleanStart(this.#transaction, Y.createID(client, at))
          const last = Y.createID(client, Math.min(end, state, item.id.clock + item.length) - 1)
          Y.getItemCleanEnd(this.#transaction, this.#store, last)
          item.delete(this.#transaction)
          at = last.clock + 1
        } else at = next
      }
    }
  }

  /** How many clocks of an item, from its first on, did not leave with what is written again. */
  #keptOf({ id, length }: Y.Item): number {
    const from = this.#lost.from.get(id.client)
    return from === undefined ? length : Math.max(0, Math.min(length, from - id.clock))
  }

  /** The last id of the kept part of an item that is in that type; null where there is none. */
  #thereOf({ id }: Y.Item, kept: number, to: Type): Y.ID | null {
    const count = Math.min(kept, Y.getState(this.#store, id.client) - id.clock)
    if (count <= 0) return null
    const last = Y.createID(id.client, id.clock + count - 1)
    const found = Y.getItem(this.#store, last)
    return found instanceof Y.Item && found.parent === to ? last : null
  }

  /** What left the shared type that an item holds, where that is there itself. */
  #within({ content, id }: Y.Item): void {
    if (!(content instanceof Y.ContentType)) return
    const found = Y.getItem(this.#store, id)
    const isThere = found instanceof Y.Item && !found.deleted
    if (isThere && found.content instanceof Y.ContentType)
      this.type(content.type as Type, found.content.type as Type)
  }

  /** Does an item that is not there hold anything that is to be written again? */
  #holdsLost({ content }: Y.Item): boolean {
    if (!(content instanceof Y.ContentType)) return false
    const type = content.type as Type
    for (let item = type._start; item !== null; item = item.right)
      if (!item.deleted && (this.#keptOf(item) < item.length || this.#holdsLost(item))) return true
    return [...type._map.values()].some(
      (item) => !item.deleted && (this.#keptOf(item) < item.length || this.#holdsLost(item))
    )
  }

  /** Returns the id behind which the next stands. */
  #insert(
    to: Type,
    behind: Y.ID | null,
    key: string | null,
    content: Y.Item['content'] | null
  ): Y.ID | null {
    if (content === null) return behind
    const { doc } = this.#transaction
    const left = behind === null ? null : Y.getItemCleanEnd(this.#transaction, this.#store, behind)
    const right = key !== null ? null : left === null ? to._start : left.right
    const id = Y.createID(doc.clientID, Y.getState(this.#store, doc.clientID))
    const item = new Y.Item(
      ...([id, left, left?.lastId ?? null, right, right?.id ?? null] as const),
      ...([to, key, content] as const)
    )
    item.integrate(this.#transaction, 0)
    // Where Yjs remembers places by their numbers, they are others now.
    if (to._searchMarker !== null) to._searchMarker.length = 0
    return item.lastId
  }
}

/** The content of an item from an offset on, for another; null where there is none. */
function contentOf({ content, length }: Y.Item, kept: number): Y.Item['content'] | null {
  if (content instanceof Y.ContentDeleted) return null
  if (content instanceof Y.ContentType) return new Y.ContentType((content.type as Type).clone())
  const copy = content.copy()
  return kept > 0 && kept < length ? copy.splice(kept) : copy
}
