/**
 * Puts verified edits into a `Y.Doc`, and is the only thing that does: the validator stands in front of every one of
 * them. An edit that refers to what is not here waits, and holds up its client only; one that breaks a rule is left out
 * alone, on every peer alike.
 */
import * as Y from 'yjs'
import { SkeinError } from '../errors.ts'
import type { EntryRef } from '../log/feed.ts'
import { heldBy, validateUpdate } from '../trust/validate.ts'
import type { DeviceId } from '../trust/members.ts'

export interface IncomingEdit {
  readonly device: DeviceId
  readonly clientCounter: number
  readonly update: Uint8Array
  readonly ref: EntryRef
}

export interface ApplierOptions {
  readonly doc: Y.Doc
  /** The origin of the transactions, by which others tell them apart. */
  readonly origin: object
  /** The client ids that a device may have used with that counter. */
  readonly clientIdsOf: (device: DeviceId, clientCounter: number) => number[]
  readonly onRefused: (edit: IncomingEdit, error: SkeinError) => void
}

export class Applier {
  readonly #options: ApplierOptions
  /** By client id, edits that wait, in the order of their log. */
  readonly #waitingByClient = new Map<number, IncomingEdit[]>()

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
      if (state !== null) Y.applyUpdateV2(doc, state, origin)
      for (const edit of edits) this.#take(edit)
    }, origin)
  }

  #take(edit: IncomingEdit): void {
    const clientIds = this.#clientIdsOf(edit)
    const queue = clientIds
      .map((id) => this.#waitingByClient.get(id))
      .find((list) => list !== undefined)
    if (queue !== undefined) {
      queue.push(edit)
      return
    }
    const waiting = this.#tryApply(edit, clientIds)
    if (waiting === null) this.#retryWaiting()
    else this.#waitingByClient.set(waiting, [edit])
  }

  #retryWaiting(): void {
    for (let progress = this.isWaiting; progress;) {
      progress = false
      for (const [client, queue] of [...this.#waitingByClient]) {
        this.#waitingByClient.delete(client)
        for (let next = queue[0]; next !== undefined; next = queue[0]) {
          const waiting = this.#tryApply(next, this.#clientIdsOf(next))
          if (waiting !== null) {
            this.#waitingByClient.set(waiting, queue)
            break
          }
          queue.shift()
          progress = true
        }
      }
    }
  }

  /** A device that left and came back has more than one for the same counter. */
  #clientIdsOf({ device, clientCounter }: IncomingEdit): number[] {
    return this.#options.clientIdsOf(device, clientCounter)
  }

  /** The client id under which the edit has to wait, or null when it is applied or refused. */
  #tryApply(edit: IncomingEdit, clientIds: readonly number[]): number | null {
    const { doc, origin } = this.#options
    let reason = 'its author may not write here'
    for (const clientId of clientIds) {
      const result = validateUpdate(edit.update, {
        clientId,
        ...heldBy(doc)
      })
      if (result.verdict === 'apply') {
        Y.applyUpdate(doc, edit.update, origin)
        return null
      }
      if (result.verdict === 'wait') {
        return clientId
      }
      reason = result.reason
    }
    this.#options.onRefused(edit, new SkeinError('EDIT_INVALID', `An edit was left out: ${reason}`))
    return null
  }
}
