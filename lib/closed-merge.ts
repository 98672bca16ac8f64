/** Merges the documents that nobody has open: what one costs to open stays in proportion to what it is. */
import type { DocumentEntries } from './document-entries.ts'
import { storageError, type SkeinError } from './errors.ts'
import { mergedState } from './views/merge.ts'
import type { ViewStore } from './views/view-store.ts'

/** A document that nobody has open is merged when this much has come for it, and half of what is merged. */
const mergeClosedAtBytes = 1024 * 1024
/** One that is open elsewhere, where nobody merges. */
const mergeAttachedAtBytes = 64 * 1024

export interface ClosedMergeOptions {
  readonly views: ViewStore
  readonly entries: DocumentEntries
  readonly isOpen: (id: string) => boolean
  /** Is it open elsewhere: in a tab? */
  readonly isAttached: (id: string) => boolean
  readonly onFailed: (error: SkeinError) => void
}

export class ClosedMerge {
  readonly #options: ClosedMergeOptions
  readonly #merging = new Set<string>()
  readonly #mergeAtBytes = new Map<string, number>()
  #merged: Promise<void> = Promise.resolve()
  #isStopped = false

  constructor(options: ClosedMergeOptions) {
    this.#options = options
  }

  /** Keeps what a document costs to open in proportion to what it is, also when nobody opens it for long. */
  mergeMaybe(id: string, isLast = false): void {
    const record = this.#options.views.document(id)
    if (record === null || record.isCanonical) return
    if (this.#merging.has(id) || this.#isStopped) return
    const usual = this.#options.isAttached(id) ? mergeAttachedAtBytes : mergeClosedAtBytes
    const atBytes = this.#mergeAtBytes.get(id) ?? usual
    // See `document-merge.ts`.
    const isDue = record.bytesSince >= Math.max(atBytes, record.bytesMerged / 2)
    if (!isDue && !(isLast && record.bytesSince > mergeAttachedAtBytes / 8)) return
    this.#merging.add(id)
    this.#merged = this.#merged
      .then(() => this.#merge(id))
      .catch((cause: unknown) => {
        if (this.#isStopped) return
        const message = 'A document could not be merged'
        this.#options.onFailed(storageError(message, cause))
      })
      .finally(() => this.#merging.delete(id))
  }

  async #merge(id: string): Promise<void> {
    const { views, entries } = this.#options
    if (this.#isStopped || this.#options.isOpen(id)) return
    const { state, since, filed, bytes, refiled } = await views.read(id)
    const edits = await entries.readEdits(since)
    const merged = mergedState(state, edits, (device, counter) =>
      entries.clientIdsOf(device, counter)
    )
    // One that waits for something is not tried again for every entry that comes.
    if (merged === null) this.#mergeAtBytes.set(id, 2 * bytes)
    if (merged === null || this.#options.isOpen(id)) return
    this.#mergeAtBytes.delete(id)
    await views.writeState(id, filed, merged, bytes, refiled)
  }

  /** Merges no more. */
  stop(): void {
    this.#isStopped = true
  }

  /** Resolves when what was under way has ended. */
  ended(): Promise<void> {
    return this.#merged
  }
}
