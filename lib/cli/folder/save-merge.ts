/** Merges what an editor saved into the file's document, as a change of the text that it was made from. */
import * as Y from 'yjs'
import type { Document } from 'skein'
import {
  carryOut,
  planChange,
  planUnion,
  sameRuns,
  type AnchoredText,
  type Plan
} from './anchored-text.ts'
import type { Disk } from './disk.ts'
import type { Signature } from './disk-file.ts'
import type { DocumentsCache } from './documents-cache.ts'
import type { Candidate, FileVersions } from './file-versions.ts'
import { seenIn, type FileRecord, type LocalIndex, type Version } from './local-index.ts'
import { SharedTree, textName } from './shared-tree.ts'
import { diffText, type Replacement } from './text-diff.ts'

/** What was saved, from the file's own place or from one where it was set aside. */
export interface Saved {
  readonly text: string
  readonly hash: string
  readonly signature: Signature
  readonly aside: string | null
}

export interface SaveMergeOptions {
  readonly disk: Disk
  readonly index: LocalIndex
  readonly documents: DocumentsCache
  readonly versions: FileVersions
  /** Of the transactions in documents. */
  readonly origin: object
  /** A save was made from a text older than what was on the disk. */
  readonly onStale: (path: string) => void
}

export class SaveMerge {
  readonly #options: SaveMergeOptions

  constructor(options: SaveMergeOptions) {
    this.#options = options
  }

  /** Merges what was saved, made from one of these versions. */
  async merge(record: FileRecord, saved: Saved, candidates: readonly Candidate[]): Promise<void> {
    const { documents, onStale } = this.#options
    await documents.use(SharedTree.documentOf(record.id), async (document) => {
      const chosen = this.#options.versions.chooseBase(record, saved, candidates)
      if (chosen?.isStale === true) onStale(record.path)
      await this.#mergeInto(document, record, saved, chosen?.base ?? null)
    })
  }

  async #mergeInto(
    document: Document,
    record: FileRecord,
    saved: Saved,
    base: Version | null
  ): Promise<void> {
    const { index } = this.#options
    const replacements = base && diffText(base.text, saved.text)
    const { hash, signature, aside } = saved
    for (;;) {
      const { doc } = document
      const text = doc.getText(textName)
      const at = { client: doc.clientID, clock: Y.getState(doc.store, doc.clientID) }
      const plan = planFor(text, base, replacements, saved.text, at)
      const number = record.nextVersion++
      const seen = new Map(base === null ? seenIn(doc) : base.seen)
      seen.set(at.client, Math.max(seen.get(at.client) ?? 0, at.clock + plan.inserted))
      const version: Version = { ...plan.result, hash, seen }
      const { inserted } = plan
      record.intent = { kind: 'import', version: number, signature, ...at, inserted, aside }
      await index.put(record, {
        versions: [{ number, ...version }],
        // A file that is new, and lost from the index in a power cut, is found again by its name.
        durably: record.versions.length > 0
      })
      // Meanwhile something may have come: the plan must be the one that stands in the index.
      const isCurrent =
        document.doc === doc &&
        doc.clientID === at.client &&
        Y.getState(doc.store, at.client) === at.clock
      const now = isCurrent ? planFor(text, base, replacements, saved.text, at) : null
      if (now === null || !sameRuns(now.result, plan.result)) continue
      doc.transact(() => carryOut(text, now), this.#options.origin)
      await document.saved()
      await this.#imported(record, number, { hash, signature, aside })
      return
    }
  }

  /** Finishes a merge that was interrupted, or undoes that it was begun. */
  async resume(record: FileRecord): Promise<void> {
    const { documents, index } = this.#options
    const intent = record.intent
    if (intent?.kind !== 'import') return
    await documents.use(SharedTree.documentOf(record.id), async (document) => {
      const state = Y.getState(document.doc.store, intent.client)
      const version = await index.version(record.id, intent.version)
      const isIn = intent.inserted > 0 && state >= intent.clock + intent.inserted
      if (isIn && version !== null) {
        await document.saved()
        await this.#imported(record, intent.version, {
          hash: version.hash,
          signature: intent.signature,
          aside: intent.aside
        })
      } else {
        // Deletions can be made twice. Of insertions that are in by half nothing is known but the two texts.
        if (intent.inserted > 0 && state > intent.clock) record.versions = []
        record.intent = null
        await index.put(record)
      }
    })
  }

  async #imported(
    record: FileRecord,
    version: number,
    { hash, signature, aside }: Pick<Saved, 'hash' | 'signature' | 'aside'>
  ): Promise<void> {
    const { index, disk } = this.#options
    const before = record.versions
    record.intent = null
    if (aside === null) {
      record.versions = [{ number: version, supersededMs: 0 }]
      record.hash = hash
      record.signature = signature
    }
    // Others may have written meanwhile: the export that follows finds out.
    record.editCount = -1
    await index.put(record)
    if (aside === null) await this.#options.versions.drop(record, before)
    // It was needed as long as the intent stood.
    else await index.dropVersions(record.id, [version])
    if (aside !== null) await disk.discard(aside)
  }
}

function planFor(
  text: Y.Text,
  base: AnchoredText | null,
  replacements: readonly Replacement[] | null,
  after: string,
  at: { client: number; clock: number }
): Plan {
  const plan = base && replacements && planChange(text, base, replacements, at)
  if (plan) return plan
  // Nothing is known that both came from, or the document has not got it: all that is in either stays.
  return planUnion(text, after, at)
}
