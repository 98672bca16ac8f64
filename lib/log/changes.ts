/**
 * Turns what a local user did to a `Y.Doc` into updates for the log: *what this client's store holds past its last
 * logged clock, plus the deletes of the local transactions since*, encoded from the document's own store. Yjs's `update`
 * events will not do: where an observer edits they overlap, and they can hold other clients' structs.
 *
 * Answers for: every local change being in exactly one update, and nothing else being in any. Foreign content enters
 * through `receive`, which is how the two are told apart. Not for: whether peers accept an update (trust/validate.ts), when
 * one is taken, or where it goes. Nothing here needs undoing after an error: `take` either returns an update or throws
 * with nothing marked.
 *
 * What Yjs does, and this relies on (each has a test): an edit that an observer makes is a transaction of its own, local,
 * also when the observer was called for a foreign one; only a listener to `beforeTransaction`, or a caller who wraps
 * `receive` in `transact`, mixes local changes into a foreign transaction. A listener that throws from `update` leaves
 * the document without any later event except `beforeTransaction`, while edits still go into its store.
 */
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'
import { Places, type Ref } from '../trust/places.ts'
import { updateLimits } from '../trust/validate.ts'
import { DeleteRanges } from './delete-ranges.ts'

/** An update ends at the first struct that reaches this, or what peers accept: no pile of edits outgrows an entry. */
const maxBytes = 1024 * 1024
const { maxStructs, maxDeletes, maxPlaces } = updateLimits

export interface ChangesOptions {
  /** Becomes `doc.clientID`. Nobody else may ever write under it, and all it has written must be in `doc`. */
  readonly clientId: number
  /** The origin of the transactions by which entries enter. */
  readonly origin: object
  /** What `doc` holds, all of this client, is in no log yet: `take` returns it first. */
  readonly isUnlogged?: boolean
  /** Called at the end of the transaction that made the document dirty. Must not throw. */
  readonly onDirty?: () => void
  /**
   * An entry brought structs of `clientId` itself: the log holds more than this document did, so what was handed out as
   * new clocks may not be new. The id is not used again: Yjs has put a random one in its place, and what is edited under
   * that one is in no log. Take a new id, and a new `Changes`.
   */
  readonly onClientIdLost?: () => void
  /**
   * The document holds, or keeps as pending, structs of these clients that came neither from an entry nor from here:
   * somebody called `Y.applyUpdate` on it. They are in no log, and peers would wait for ever for what refers to them.
   */
  readonly onUnknownContent?: (clientIds: readonly number[]) => void
}

/** One `receive` within a transaction: what was deleted in it is not ours to log. */
interface Reception {
  readonly deletes: DeleteRanges
  /** False when the transaction holds nothing else. */
  isMixed: boolean
}

export class Changes {
  readonly clientId: number
  readonly #doc: Y.Doc
  readonly #options: ChangesOptions
  readonly #deletes = new DeleteRanges()
  readonly #receptions = new WeakMap<Y.Transaction, Reception>()
  /** Up to where each other client's structs came from entries. */
  readonly #receivedByClient: Map<number, number>
  readonly #detach: (() => void)[] = []
  /** Transactions whose deletes are not collected yet. */
  #open: Y.Transaction[] = []
  #loggedClock: number
  #dirty = false
  #isIdLost = false
  #mayHoldUnknown = false

  /** `doc` has been loaded: what it holds now is in the log, unless the options say otherwise. Throws a `TypeError` inside a transaction. */
  constructor(doc: Y.Doc, options: ChangesOptions) {
    if (doc._transaction !== null) throw new TypeError('Attach to a Y.Doc outside its transactions')
    this.#doc = doc
    this.#options = options
    this.clientId = options.clientId
    this.#loggedClock = options.isUnlogged ? 0 : Y.getState(doc.store, options.clientId)
    if (options.isUnlogged) {
      const { clients } = Y.createDeleteSetFromStructStore(doc.store)
      for (const [client, runs] of clients) this.#deletes.add(client, runs)
    }
    this.#dirty = this.#isBehind
    this.#receivedByClient = new Map()
    this.#noteReceived()
    doc.clientID = options.clientId
    this.#listen('beforeTransaction', (transaction) => this.#begin(transaction))
    // Right behind the place where Yjs replaces the id.
    this.#listen('afterTransactionCleanup', () => this.#keepClientId())
    this.#listen('afterAllTransactions', () => this.#settle())
    this.#detach.push(leaveMarksUntidied(doc, (transaction) => this.#receptions.has(transaction)))
  }

  /** This client's clock up to which `take` has returned everything. */
  get loggedClock(): number {
    return this.#loggedClock
  }

  /** True while `take` would return an update; inside a transaction, as of its beginning. */
  get dirty(): boolean {
    return this.#dirty
  }

  /**
   * Runs `apply`, which puts verified entries into the document, as one foreign transaction: nothing that happens in it
   * is logged, and Yjs does not tidy format marks after it. Take what is dirty first: entries are applied onto what peers
   * can know of.
   */
  receive(apply: () => void): void {
    const wasLost = this.#isIdLost
    const applyAndNote = (transaction: Y.Transaction): void => {
      const clock = Y.getState(this.#doc.store, this.clientId)
      const runsBefore = countRuns(transaction)
      try {
        apply()
      } finally {
        this.#noteReception(transaction, runsBefore, clock)
      }
    }
    try {
      Y.transact(this.#doc, applyAndNote, this.#options.origin, false)
    } finally {
      if (this.#isIdLost && !wasLost) this.#options.onClientIdLost?.()
    }
  }

  /**
   * An update (Yjs V1) of what was changed here since the last one, or null. A large change comes in several: call it
   * until it returns null. The order of the updates is part of their meaning.
   */
  take(): Uint8Array | null {
    this.#settle()
    if (!this.#dirty) return null
    const structs = this.#doc.store.clients.get(this.clientId) ?? []
    const body = new Y.UpdateEncoderV1()
    let clock = this.#loggedClock
    let count = 0
    if (Y.getState(this.#doc.store, this.clientId) > clock) {
      const first = Y.findIndexSS(structs, clock)
      const places = new Places(this.clientId, clock)
      let placesLeft = maxPlaces
      do {
        const struct = structs[first + count]!
        const offset = clock - struct.id.clock
        if (isApart(places, struct, offset) && --placesLeft < 0) break
        mendSurrogates(struct, offset)
        struct.write(body, offset)
        clock = struct.id.clock + struct.length
        count++
      } while (
        first + count < structs.length &&
        count < maxStructs &&
        encoding.length(body.restEncoder) < maxBytes
      )
    }
    const update = encoding.createEncoder()
    encoding.writeVarUint(update, count === 0 ? 0 : 1)
    if (count > 0) {
      encoding.writeVarUint(update, count)
      encoding.writeVarUint(update, this.clientId)
      encoding.writeVarUint(update, this.#loggedClock)
      encoding.writeUint8Array(update, body.toUint8Array())
    }
    this.#deletes.drainInto(update, {
      ownClient: this.clientId,
      ownEnd: clock,
      maxRuns: maxDeletes
    })
    this.#loggedClock = clock
    this.#dirty = this.#isBehind
    return encoding.toUint8Array(update)
  }

  /** Stops listening; what was not taken stays in the document only. */
  destroy(): void {
    for (const detach of this.#detach.splice(0)) detach()
  }

  get #isBehind(): boolean {
    return !this.#deletes.isEmpty || Y.getState(this.#doc.store, this.clientId) > this.#loggedClock
  }

  #listen(
    event: 'beforeTransaction' | 'afterTransactionCleanup' | 'afterAllTransactions',
    listener: (transaction: Y.Transaction) => void
  ): void {
    // The last event passes the document first; its listener takes no argument.
    const listen = listener as () => void
    this.#doc.on(event, listen)
    this.#detach.push(() => this.#doc.off(event, listen))
  }

  #begin(transaction: Y.Transaction): void {
    // Those before it have ended: also where no event has said so.
    if (this.#open.length > 0) this.#settle()
    this.#keepClientId()
    this.#open.push(transaction)
  }

  /**
   * Yjs replaces `doc.clientID` when a transaction that is not local advanced this client's clock. Where `receive` did
   * not do it, it was a local edit in one transaction with an `applyUpdate`: everything past the logged clock is in this
   * store and goes into our log, so going on with the id is safe. The same holds where the app has assigned another id.
   */
  #keepClientId(): void {
    if (this.#isIdLost || this.#doc.clientID === this.clientId) return
    this.#doc.clientID = this.clientId
    this.#mayHoldUnknown = true
  }

  #noteReception(
    transaction: Y.Transaction,
    runsBefore: ReadonlyMap<number, number>,
    clockBefore: number
  ): void {
    const others = transaction.origin !== this.#options.origin || runsBefore.size > 0
    let reception = this.#receptions.get(transaction)
    if (reception === undefined) {
      this.#receptions.set(
        transaction,
        (reception = { deletes: new DeleteRanges(), isMixed: others })
      )
    }
    for (const [client, runs] of transaction.deleteSet.clients) {
      reception.deletes.add(client, runs.slice(runsBefore.get(client) ?? 0))
    }
    this.#noteReceived()
    const clock = Y.getState(this.#doc.store, this.clientId)
    if (clock === clockBefore) return
    this.#isIdLost = true
    // What came from the log is not logged again.
    if (this.#loggedClock === clockBefore) this.#loggedClock = clock
  }

  #noteReceived(): void {
    for (const client of this.#doc.store.clients.keys()) {
      this.#receivedByClient.set(client, Y.getState(this.#doc.store, client))
    }
  }

  /** Collects what the transactions that have ended deleted, and looks at what they left. */
  #settle(): void {
    const running = this.#doc._transaction
    const ended = this.#open.filter((transaction) => transaction !== running)
    this.#open = this.#open.filter((transaction) => transaction === running)
    for (const transaction of ended) {
      const reception = this.#receptions.get(transaction)
      for (const [client, runs] of transaction.deleteSet.clients) {
        if (reception === undefined) this.#deletes.add(client, runs)
        else if (reception.isMixed) this.#deletes.addExcept(client, runs, reception.deletes)
      }
      if (!transaction.local && reception?.isMixed !== false) this.#mayHoldUnknown = true
    }
    if (this.#mayHoldUnknown || this.#isIdLost) this.#lookForUnknown()
    const wasDirty = this.#dirty
    this.#dirty = this.#isBehind
    if (this.#dirty && !wasDirty) this.#options.onDirty?.()
  }

  #lookForUnknown(): void {
    this.#mayHoldUnknown = false
    const { store } = this.#doc
    const unknown = new Set<number>()
    for (const client of store.clients.keys()) {
      const received = this.#receivedByClient.get(client) ?? 0
      if (client !== this.clientId && Y.getState(store, client) > received) unknown.add(client)
    }
    for (const update of [store.pendingStructs?.update, store.pendingDs]) {
      if (update == null) continue
      const { structs, ds } = Y.decodeUpdateV2(update)
      for (const struct of structs) unknown.add(struct.id.client)
      for (const client of ds.clients.keys()) unknown.add(client)
    }
    if (unknown.size === 0) return
    this.#noteReceived()
    this.#options.onUnknownContent?.([...unknown])
  }
}

/**
 * Yjs tidies format marks after foreign text, by a local transaction on every peer: entries that nobody typed, or, where
 * they are not logged, different rich text from the same entries. This keeps it from doing so after the transactions that
 * `isForeign` names. The field is private to Yjs: hence the pinned version and the test. Returns what ends it.
 */
export function leaveMarksUntidied(
  doc: Y.Doc,
  isForeign: (transaction: Y.Transaction) => boolean
): () => void {
  const listener = (transaction: Y.Transaction): void => {
    if (isForeign(transaction)) transaction._needFormattingCleanup = false
  }
  doc.on('afterTransaction', listener)
  return () => doc.off('afterTransaction', listener)
}

function countRuns(transaction: Y.Transaction): Map<number, number> {
  const counts = new Map<number, number>()
  for (const [client, runs] of transaction.deleteSet.clients) counts.set(client, runs.length)
  return counts
}

const loneSurrogates = /\p{Surrogate}/gu

/**
 * Half of a surrogate pair is U+FFFD once it is encoded. Typed in two halves with an update taken between them, a
 * character would stay whole here and be two U+FFFD elsewhere: so the document takes on what peers will read.
 */
function mendSurrogates(struct: Y.Item | Y.GC, offset: number): void {
  if (!(struct instanceof Y.Item) || !(struct.content instanceof Y.ContentString)) return
  const { content } = struct
  const text = content.str.slice(offset)
  const mended = text.replace(loneSurrogates, '\uFFFD')
  if (mended !== text) content.str = content.str.slice(0, offset) + mended
}

/** As the validator counts it when it reads the struct. */
function isApart(places: Places, struct: Y.Item | Y.GC, offset: number): boolean {
  if (!(struct instanceof Y.Item)) return false
  const { id, parent, parentSub, content } = struct
  const clock = id.clock + offset
  const origin: Ref | null = offset > 0 ? { client: id.client, clock: clock - 1 } : struct.origin
  const { rightOrigin } = struct
  const isInList = parent instanceof Y.AbstractType && origin === null && rightOrigin === null
  const parentItem = isInList ? (parent._item?.id ?? null) : null
  const spot = { origin, rightOrigin, parentItem, parent, key: parentSub }
  return places.add(clock, struct.length - offset, spot) || content instanceof Y.ContentDoc
}
