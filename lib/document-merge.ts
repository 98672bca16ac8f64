/** A document's merged state, which is written now and then so that opening it again need not read all its edits. */
import * as Y from 'yjs'
import type { DocumentHost } from './document-host.ts'
import { storageError, type SkeinError } from './errors.ts'

const mergeAtBytes = 64 * 1024

export interface MergedStateOptions {
  readonly host: DocumentHost
  readonly doc: () => Y.Doc
  /** As it was when that was made: see `StoredDocument`. */
  readonly refiled: () => number
  /** Does the document hold exactly the entries filed? */
  readonly isSettled: () => boolean
  readonly onFailed: (error: SkeinError) => void
}

export class MergedState {
  readonly #options: MergedStateOptions
  #writing: Promise<void> | null = null

  constructor(options: MergedStateOptions) {
    this.#options = options
  }

  /** Writes it where enough has come since the last time. */
  writeMaybe(): void {
    const { since, merged } = this.#options.host.bytesToMerge()
    // A state takes about twice the bytes of the edits that it is made of: see `applier.ts`.
    if (since < Math.max(mergeAtBytes, merged / 2) || this.#writing !== null) return
    this.#writing = this.write(false)
      .catch((cause: unknown) => {
        this.#options.onFailed(storageError('A merged state could not be written', cause))
      })
      .finally(() => {
        this.#writing = null
      })
  }

  /** Writes it, if this is a moment when the document holds exactly the entries filed; `always`: however little has come. */
  async write(always: boolean): Promise<void> {
    const { host, doc, refiled, isSettled } = this.#options
    if (!isSettled() || host.isCanonical()) return
    if (always && host.bytesToMerge().since === 0) return
    await host.writeState(Y.encodeStateAsUpdate(doc()), refiled())
  }
}
