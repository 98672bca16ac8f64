/** Opens documents when they are wanted, keeps the last few open, and closes the others: memory stays bounded. */
import type { Document } from 'skein'

export interface OpenedDocument {
  readonly document: Document
  readonly release: () => Promise<void>
}

const idleDocuments = 32

export class DocumentsCache {
  readonly #open: (name: string) => Promise<OpenedDocument>
  /** By name, in the order of last use. */
  readonly #entries = new Map<string, { opening: Promise<OpenedDocument>; users: number }>()
  readonly #closing = new Map<string, Promise<void>>()

  constructor(open: (name: string) => Promise<OpenedDocument>) {
    this.#open = open
  }

  /** Runs `work` with the document open. */
  async use<T>(name: string, work: (document: Document) => Promise<T>): Promise<T> {
    await this.#closing.get(name)
    let entry = this.#entries.get(name)
    if (entry === undefined) entry = { opening: this.#open(name), users: 0 }
    this.#entries.delete(name)
    this.#entries.set(name, entry)
    entry.users++
    try {
      const { document } = await entry.opening
      return await work(document)
    } catch (error) {
      // One whose edits are not kept must be read anew, without them.
      entry.opening.then(
        () => {},
        () => this.#entries.delete(name)
      )
      throw error
    } finally {
      entry.users--
      await this.#trim()
    }
  }

  async close(): Promise<void> {
    const names = [...this.#entries.keys()]
    await Promise.all(names.map((name) => this.#closeOne(name)))
    await Promise.all(this.#closing.values())
  }

  async #trim(): Promise<void> {
    if (this.#entries.size <= idleDocuments) return
    for (const [name, { users }] of this.#entries) {
      if (users > 0) continue
      await this.#closeOne(name)
      if (this.#entries.size <= idleDocuments) return
    }
  }

  async #closeOne(name: string): Promise<void> {
    const entry = this.#entries.get(name)
    if (entry === undefined) return
    this.#entries.delete(name)
    const closed = entry.opening
      .then(({ release }) => release())
      .finally(() => {
        this.#closing.delete(name)
      })
    this.#closing.set(name, closed)
    await closed
  }
}
