/** A fresh `Y.Doc` in the place of another: what goes over into it, and what a `Y.Doc` that an app gives may hold. */
import * as Y from 'yjs'
import type { DocumentHost } from './document-host.ts'
import { SkeinError } from './errors.ts'
import type { Changes } from './log/changes.ts'
import { heldBy, validateUpdate } from './trust/validate.ts'
import { Applier, type IncomingEdit } from './views/applier.ts'
import { integrateUpdate } from './views/integrate.ts'
import type { StoredDocument } from './views/view-store.ts'
import { lostIn, writeAgain } from './views/write-again.ts'

/** What came to a document while it was being built anew: an edit of this device, or one that was delivered. */
export type Arrival =
  { readonly own: Uint8Array } | { readonly number: number; readonly edit: IncomingEdit }

/** A `Y.Doc` that is being filled. */
export interface Filling {
  readonly doc: Y.Doc
  readonly applier: Applier
  readonly origin: object
}

/**
 * Takes in what arrived while the entries filed before were read. `clientId` is this session's; `onLeftOut` is given what of
 * this device is not taken in.
 */
export function applyArrivals(
  { doc, applier, origin }: Filling,
  arrivals: readonly Arrival[],
  filed: number,
  clientId: number,
  onLeftOut: (update: Uint8Array) => void
): void {
  for (const arrival of arrivals) {
    if ('own' in arrival) {
      // Refused is what has been read already, or what hung on entries that are gone.
      if (validateUpdate(arrival.own, { clientId, ...heldBy(doc) }).verdict === 'apply')
        integrateUpdate(doc, arrival.own, origin)
      else onLeftOut(arrival.own)
    } else if (arrival.number >= filed) applier.apply(null, [arrival.edit])
  }
}

/**
 * Hands on what was edited in the `Y.Doc` of before up to now, update by update: `take` puts each into `doc`. Returns what
 * refers to entries that are gone, and all behind it.
 */
export function carryOver(
  doc: Y.Doc,
  { before, clientId }: { readonly before: Changes; readonly clientId: number },
  take: (update: Uint8Array) => void
): Uint8Array[] {
  const left: Uint8Array[] = []
  for (const update of taken(before)) {
    const context = { clientId, ...heldBy(doc) }
    if (left.length === 0 && validateUpdate(update, context).verdict === 'apply') take(update)
    else left.push(update)
  }
  return left
}

/** Edits what was edited in the `Y.Doc` of before into `doc` as new content in the same places. */
export function writeOver(previous: Y.Doc, updates: readonly Uint8Array[], doc: Y.Doc): void {
  if (updates.length > 0) writeAgain(previous, doc, lostIn(updates))
}

/** What was edited, and has not left. Fails where the document holds a value that cannot be encoded. */
export function* taken(changes: Changes): Generator<Uint8Array, void, void> {
  for (let update = changes.take(); update !== null; update = changes.take()) yield update
}

/** Puts an update of this client in as if it were edited here: it is still to be logged. */
export function integrateUnlogged(doc: Y.Doc, update: Uint8Array, origin: object): void {
  doc.transact((transaction) => {
    integrateUpdate(doc, update, origin)
    transaction.local = true
  }, origin)
}

/** Was something in an app's `Y.Doc` before it was bound? Fails with `DOCUMENT_NOT_EMPTY` unless it is this session's own. */
export function holdsOwnContent(
  {
    name,
    doc,
    clientId
  }: { readonly name: string; readonly doc: Y.Doc; readonly clientId: number },
  clientIdsOf: DocumentHost['clientIdsOf'],
  stored: StoredDocument,
  edits: readonly IncomingEdit[]
): boolean {
  const clients = [...doc.store.clients.keys()]
  if (clients.length === 0) return false
  if (clients.length === 1 && clients[0] === clientId) {
    // Were something of this client in the logs already, the same clocks would stand for two things.
    const logged = new Y.Doc()
    const applier = new Applier({ doc: logged, origin: logged, clientIdsOf, onRefused: () => {} })
    applier.apply(stored.state, edits)
    if (Y.getState(logged.store, clientId) === 0) return true
  }
  throw new SkeinError(
    'DOCUMENT_NOT_EMPTY',
    `The Y.Doc given for "${name}" already has content of its own; give an empty one`
  )
}

/** A subdocument lies in its parent, where Yjs puts a fresh one; the document of the parent opens that. */
export function renewSubdocument(subdocument: Y.Doc): void {
  const content = subdocument._item?.content
  subdocument.destroy()
  if (content instanceof Y.ContentDoc) content.doc.load()
}

/** What a fresh `Y.Doc` takes over from the one before. */
export function optionsOf(doc: Y.Doc): ConstructorParameters<typeof Y.Doc>[0] {
  const { guid, gc, gcFilter, meta, autoLoad, collectionid } = doc
  return { guid, gc, gcFilter, meta: meta as unknown, autoLoad, collectionid }
}
