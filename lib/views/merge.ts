/** Merges a document that nobody has open, by building a `Y.Doc`: much faster than merging updates (design: log.md). */
import * as Y from 'yjs'
import { leaveMarksUntidied } from '../log/changes.ts'
import { Applier, type ApplierOptions, type IncomingEdit } from './applier.ts'

/** The state after these edits, or null while one of them waits for something. */
export function mergedState(
  state: Uint8Array | null,
  edits: readonly IncomingEdit[],
  clientIdsOf: ApplierOptions['clientIdsOf']
): Uint8Array | null {
  const doc = new Y.Doc()
  const origin = {}
  leaveMarksUntidied(doc, (transaction) => transaction.origin === origin)
  // What is refused here is reported when the document is opened by someone who listens.
  const applier = new Applier({ doc, origin, clientIdsOf, onRefused: () => {} })
  applier.apply(state, edits)
  const merged = applier.isWaiting ? null : Y.encodeStateAsUpdate(doc)
  doc.destroy()
  return merged
}
