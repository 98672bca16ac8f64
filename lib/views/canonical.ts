/**
 * One order of a document's edits that every peer comes to, whatever the order of arrival: an edit comes after those it
 * refers to and after its session's earlier ones; of those that may come in any order, the one that hangs on fewer in a row
 * comes first, then that of the smaller device id. Its place rests on what it refers to alone, so an edit that comes late
 * goes between others and moves none.
 *
 * A document made in this order shows the same everywhere, hostile references or not.
 */
import * as Y from 'yjs'
import { leaveMarksUntidied } from '../log/changes.ts'
import { validateImport, validateUpdate } from '../trust/validate.ts'
import type { ApplierOptions, IncomingEdit } from './applier.ts'
import { integrateEdit } from './integrate.ts'

export interface Placed {
  readonly edit: IncomingEdit
  /** The length of the longest chain of edits that it hangs on, itself included. */
  readonly height: number
  readonly update: DecodedUpdate
}

export type DecodedUpdate = ReturnType<typeof Y.decodeUpdate>

/** Where the structs of a client's edits end, and the edits, in order. */
interface History {
  readonly ends: number[]
  readonly placed: Placed[]
}

export class CanonicalOrder {
  readonly #clientIdsOf: ApplierOptions['clientIdsOf']
  readonly #historyByClient = new Map<number, History>()
  readonly #lastBySession = new Map<string, Placed>()
  readonly #waitingBySession = new Map<string, IncomingEdit[]>()
  readonly #placed: Placed[] = []

  constructor(clientIdsOf: ApplierOptions['clientIdsOf']) {
    this.#clientIdsOf = clientIdsOf
  }

  /** Takes edits: each session's in the order of its log. What is refused has no place. */
  add(edits: readonly IncomingEdit[]): void {
    for (const edit of edits) {
      const session = sessionOf(edit)
      const queue = this.#waitingBySession.get(session)
      if (queue === undefined) this.#waitingBySession.set(session, [edit])
      else queue.push(edit)
    }
    for (let isMoving = true; isMoving;) {
      isMoving = false
      for (const [session, queue] of this.#waitingBySession) {
        let next = 0
        while (next < queue.length && this.#isDone(queue[next]!)) next++
        queue.splice(0, next)
        if (next > 0) isMoving = true
        if (queue.length === 0) this.#waitingBySession.delete(session)
      }
    }
  }

  /** Those that have all they refer to, in the canonical order. */
  get placed(): readonly Placed[] {
    return this.#placed.sort(
      (a, b) => a.height - b.height || (sessionOf(a.edit) < sessionOf(b.edit) ? -1 : 1)
    )
  }

  /** Those that wait for what they refer to. */
  get waiting(): IncomingEdit[] {
    return [...this.#waitingBySession.values()].flat()
  }

  /** All in one list: the canonical order, and behind it those that wait. */
  get edits(): IncomingEdit[] {
    return [...this.placed.map(({ edit }) => edit), ...this.waiting]
  }

  /** The document that this makes. */
  document(): Y.Doc {
    const doc = new Y.Doc()
    const origin = {}
    leaveMarksUntidied(doc, (transaction) => transaction.origin === origin)
    doc.transact(() => {
      for (const { edit } of this.placed) integrateEdit(doc, edit, origin)
    }, origin)
    return doc
  }

  /** The edit that brought a struct, if it is one of those that are placed. */
  editOf(client: number, clock: number): Placed | undefined {
    const history = this.#historyByClient.get(client)
    if (history === undefined) return undefined
    let [low, high] = [0, history.ends.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (history.ends[middle]! <= clock) low = middle + 1
      else high = middle
    }
    return history.placed[low]
  }

  /** False while it waits. */
  #isDone(edit: IncomingEdit): boolean {
    const clockOf = (client: number): number => this.#historyByClient.get(client)?.ends.at(-1) ?? 0
    const { importId } = edit
    if (importId !== undefined) {
      const result = clockOf(importId) > 0 ? null : validateImport(edit.update)
      if (result?.verdict === 'apply') this.#place(edit, importId, result.clock)
      return true
    }
    for (const clientId of this.#clientIdsOf(edit.device, edit.clientCounter)) {
      const result = validateUpdate(edit.update, { clientId, clockOf })
      if (result.verdict === 'wait') return false
      if (result.verdict === 'refuse') continue
      this.#place(edit, clientId, result.clock)
      return true
    }
    return true
  }

  #place(edit: IncomingEdit, clientId: number, end: number): void {
    const update = Y.decodeUpdate(edit.update)
    let height = this.#lastBySession.get(sessionOf(edit))?.height ?? 0
    for (const [client, clock] of referencesOf(update)) {
      height = Math.max(height, this.editOf(client, clock)?.height ?? 0)
    }
    const placed = { edit, height: height + 1, update }
    this.#lastBySession.set(sessionOf(edit), placed)
    this.#placed.push(placed)
    if (update.structs.length === 0) return
    let history = this.#historyByClient.get(clientId)
    if (history === undefined) {
      this.#historyByClient.set(clientId, (history = { ends: [], placed: [] }))
    }
    history.ends.push(end)
    history.placed.push(placed)
  }
}

/** Every struct that an update refers to, by client and clock; of a run that it deletes, the last. */
export function* referencesOf({ structs, ds }: DecodedUpdate): Generator<[number, number]> {
  for (const struct of structs) {
    if (!(struct instanceof Y.Item)) continue
    for (const id of [struct.origin, struct.rightOrigin, struct.parent]) {
      if (id instanceof Y.ID) yield [id.client, id.clock]
    }
  }
  for (const [client, runs] of ds.clients) {
    for (const { clock, len } of runs) yield [client, clock + len - 1]
  }
}

/** Edits of one session hang on each other; those of another session of the same device need not. */
export function sessionOf({ device, clientCounter, importId }: IncomingEdit): string {
  return importId === undefined ? `${device}/${clientCounter}` : `import/${importId}`
}
