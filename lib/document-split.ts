/** Whether a document looks here as it must of its entries, once another device sees something else of the same ones. */
import type * as Y from 'yjs'
import type { DocumentHost } from './document-host.ts'
import { devicesToBlame } from './views/blame.ts'
import { CanonicalOrder } from './views/canonical.ts'
import { SplitWatch, type Look } from './views/split.ts'
import { visibleHash } from './views/visible.ts'

export interface DocumentSplitOptions {
  readonly host: DocumentHost
  readonly doc: () => Y.Doc
  /** Does the document hold exactly the entries filed? */
  readonly isSettled: () => boolean
  readonly isClosing: () => boolean
  /** Makes the document anew, of its entries in their canonical order. */
  readonly reset: () => Promise<void>
  readonly onFailed: (message: string, cause: unknown) => void
}

export class DocumentSplit {
  readonly watch: SplitWatch
  readonly #options: DocumentSplitOptions
  #examining: Promise<void> = Promise.resolve()

  constructor(options: DocumentSplitOptions) {
    this.#options = options
    this.watch = new SplitWatch({
      clock: options.host.clock,
      look: () => this.#look(),
      announce: (look) => options.host.sendLook(look),
      onDifferent: () => this.#examineSoon(),
      onFailed: (cause) => options.onFailed('What the document looks like could not be told', cause)
    })
  }

  /** Looks no more; resolves when an examination under way has ended. */
  async stop(): Promise<void> {
    this.watch.stop()
    await this.#examining
  }

  /** What is seen here now; null while something is on its way into the document or out of it. */
  async #look(): Promise<Look | null> {
    if (this.#options.host.isCanonical()) await this.#examine()
    if (!this.#options.isSettled()) return null
    return { cut: this.#options.host.documentCut(), visible: visibleHash(this.#options.doc()) }
  }

  #examineSoon(): void {
    this.#examining = this.#examining
      .then(() => this.#examine())
      .catch((cause: unknown) =>
        this.#options.onFailed('The document could not be made anew', cause)
      )
  }

  /**
   * Another device sees something else of the same entries, or did once: looks whether this one sees what it should, and
   * whose doing it is.
   */
  async #examine(): Promise<void> {
    if (this.#options.isClosing()) return
    const cut = this.#options.host.documentCut()
    const order = new CanonicalOrder(this.#options.host.clientIdsOf)
    order.add(await this.#options.host.readAll())
    const isCurrent = this.#options.isSettled() && cut === this.#options.host.documentCut()
    const isRight = !isCurrent || visibleHash(order.document()) === visibleHash(this.#options.doc())
    if (!this.#options.host.isCanonical()) {
      const blamed = devicesToBlame(order)
      // Nothing is wrong with it here: it is for the other to see what is wrong there, if it speaks the truth.
      if (isRight && blamed.size === 0) return
      this.#options.host.becomeCanonical([...blamed])
    }
    // What comes meanwhile is looked at when it is quiet again.
    if (!isCurrent) this.watch.changed()
    else if (!isRight) await this.#options.reset()
  }
}
