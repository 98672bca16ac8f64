/**
 * Puts verified edits into a `Y.Doc`, and is the only thing that does: the validator stands in front of every one of
 * them. An edit that refers to what is not here waits, and holds up its client only; one that breaks a rule is left out
 * alone, on every peer alike.
 */
import * as Y from 'yjs'
import { SkeinError } from '../errors.ts'
import type { Dep } from '../log/entry.ts'
import type { EntryRef } from '../log/read-back.ts'
import { heldBy, validateImport, validateUpdate } from '../trust/validate.ts'
import type { DeviceId } from '../trust/members.ts'
import { integrateEdit } from './integrate.ts'

export interface IncomingEdit {
  readonly device: DeviceId
  readonly clientCounter: number
  readonly update: Uint8Array
  /** The client id of content that was made elsewhere, which hangs on nothing. */
  readonly importId?: number
  readonly ref: EntryRef
  /** What its author says it had of other logs by then, as far as that is more than before. */
  readonly deps?: readonly Pick<Dep, 'log' | 'length'>[]
}

export interface ApplierOptions {
  readonly doc: Y.Doc
  /** The origin of the transactions, by which others tell them apart. */
  readonly origin: object
  /** The client ids that a device may have used with that counter. */
  readonly clientIdsOf: (device: DeviceId, clientCounter: number) => number[]
  readonly onRefused: (edit: IncomingEdit, error: SkeinError) => void
}

/** V1 of a document without content. */
const emptyBytes = 2

interface Waiting {
  readonly clientId: number
  /** In the order of their log. */
  readonly edits: IncomingEdit[]
  readonly for: { readonly client: number; readonly clock: number }
}

/**
 * Merged states are Yjs updates V1, which take twice the bytes of V2 and a good half of its time to open. V2, in stores of
 * before, begins with a 0, where V1 has its number of clients.
 */
function applyState(doc: Y.Doc, state: Uint8Array, origin: object): void {
  if (state[0] === 0 && state.length > emptyBytes) Y.applyUpdateV2(doc, state, origin)
  else Y.applyUpdate(doc, state, origin)
}

export class Applier {
  readonly #options: ApplierOptions
  readonly #waitingByClient = new Map<number, Waiting>()
  /** The same, by the client that they wait for. */
  readonly #waitingForClient = new Map<number, Set<Waiting>>()
  /** Clients that have got further, and that others may wait for. */
  #advanced: number[] = []

  constructor(options: ApplierOptions) {
    this.#options = options
  }

  /** True while an edit waits for what it refers to. */
  get isWaiting(): boolean {
    return this.#waitingByClient.size > 0
  }

  /** Applies a merged state, which was validated edit by edit when it was made, and then edits, as one transaction. */
  apply(state: Uint8Array | null, edits: readonly IncomingEdit[]): void {
    const { doc, origin } = this.#options
    doc.transact(() => {
      if (state !== null) applyState(doc, state, origin)
      for (const edit of edits) this.take(edit)
    }, origin)
  }

  /** Applies one edit, or lets it wait. */
  take(edit: IncomingEdit): void {
    if (edit.importId !== undefined) return this.#import(edit, edit.importId)
    const clientIds = this.#options.clientIdsOf(edit.device, edit.clientCounter)
    for (const clientId of clientIds) {
      const waiting = this.#waitingByClient.get(clientId)
      if (waiting !== undefined) return void waiting.edits.push(edit)
    }
    const waiting = this.#tryApply(edit, clientIds)
    if (waiting !== null) this.#wait(waiting)
    this.#resume()
  }

  /** Whole or, where it is here, not at all. */
  #import(edit: IncomingEdit, importId: number): void {
    const { doc, origin, onRefused } = this.#options
    if (Y.getState(doc.store, importId) > 0) return
    const result = validateImport(edit.update)
    if (result.verdict === 'refuse') {
      const message = `An import was left out: ${result.reason}`
      return onRefused(edit, new SkeinError('EDIT_INVALID', message))
    }
    integrateEdit(doc, edit, origin)
    if (this.#waitingForClient.has(importId)) this.#advanced.push(importId)
    this.#resume()
  }

  #wait(waiting: Waiting): void {
    this.#waitingByClient.set(waiting.clientId, waiting)
    const { client } = waiting.for
    const others = this.#waitingForClient.get(client)
    if (others === undefined) this.#waitingForClient.set(client, new Set([waiting]))
    else others.add(waiting)
  }

  /** Looks again at what waited for those that have got further. */
  #resume(): void {
    const { store } = this.#options.doc
    for (let client = this.#advanced.pop(); client !== undefined; client = this.#advanced.pop()) {
      for (const waiting of this.#waitingForClient.get(client) ?? []) {
        if (Y.getState(store, client) < waiting.for.clock) continue
        this.#waitingForClient.get(client)!.delete(waiting)
        this.#waitingByClient.delete(waiting.clientId)
        this.#applyWaiting(waiting)
      }
      if (this.#waitingForClient.get(client)?.size === 0) this.#waitingForClient.delete(client)
    }
  }

  #applyWaiting({ edits }: Waiting): void {
    for (let edit = edits[0]; edit !== undefined; edit = edits[0]) {
      const clientIds = this.#options.clientIdsOf(edit.device, edit.clientCounter)
      const again = this.#tryApply(edit, clientIds)
      if (again !== null) return this.#wait({ ...again, edits })
      edits.shift()
    }
  }

  /** What the edit has to wait for, or null when it is applied or refused. */
  #tryApply(edit: IncomingEdit, clientIds: readonly number[]): Waiting | null {
    const { doc, origin } = this.#options
    let reason = 'its author may not write here'
    for (const clientId of clientIds) {
      const result = validateUpdate(edit.update, { clientId, ...heldBy(doc) })
      if (result.verdict === 'apply') {
        integrateEdit(doc, edit, origin)
        if (this.#waitingForClient.has(clientId)) this.#advanced.push(clientId)
        return null
      }
      if (result.verdict === 'wait') return { clientId, edits: [edit], for: result.for }
      reason = result.reason
    }
    this.#options.onRefused(edit, new SkeinError('EDIT_INVALID', `An edit was left out: ${reason}`))
    return null
  }
}
