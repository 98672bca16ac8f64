/** Follows the documents of a space: what changed in them, and who changed it. */
import { diffWordsWithSpace } from 'diff'
import type { DeviceId, Document, Space } from 'skein'
import type { Home } from './command.ts'
import { renderAll } from './text.ts'

/** Changes that come closer together are told of together: nobody reads letter by letter. */
const gatherMs = 150
/** Of this many documents, the texts are kept, so that what changed can be told at their first change. */
const keepTexts = 200

export interface DocumentChange {
  readonly document: string
  /** Whoever wrote it; usually one. */
  readonly by: readonly DeviceId[]
  readonly added: readonly string[]
  readonly removed: readonly string[]
  /** False for a document that was not followed before: only the length it has now is known. */
  readonly isCompared: boolean
  readonly length: number
}

/** What was last shown of a document. */
export interface Shown {
  /** Edits delivered by then. */
  readonly edits: number
  /** Null where it was too long to be kept. */
  readonly text: string | null
}

/** A text that is longer is not handed to the process that goes on. */
const maxShownChars = 200_000

interface Followed {
  readonly document: Document
  readonly release: () => Promise<void>
  text: string | null
}

export class Watching {
  readonly #home: Home
  readonly #space: Space
  readonly #names: readonly string[]
  readonly #onChange: (change: DocumentChange) => Promise<void>
  readonly #onShown: (document: string, shown: Shown) => void
  readonly #followedByName = new Map<string, Followed>()
  readonly #authorsByName = new Map<string, Set<DeviceId>>()
  readonly #new = new Set<string>()
  #looking: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | null = null
  #stops: (() => void)[] = []

  /** `names`: of the documents; none for all of them. */
  constructor(
    home: Home,
    space: Space,
    names: readonly string[],
    onChange: (change: DocumentChange) => Promise<void>,
    onShown: (document: string, shown: Shown) => void
  ) {
    this.#home = home
    this.#space = space
    this.#names = names
    this.#onChange = onChange
    this.#onShown = onShown
  }

  /** `before`: by document, what another process had shown of it that followed them until now. */
  async start(before: ReadonlyMap<string, Shown>): Promise<void> {
    this.#stops = [
      this.#space.on('document', ({ name }) => this.#new.add(name)),
      this.#space.on('edit', ({ name, device }) => this.#edited(name, device))
    ]
    const known = this.#space.documents()
    const names = this.#names.length > 0 ? this.#names : known.slice(0, keepTexts)
    for (const name of names) {
      const shown = before.get(name)
      const isKnown = known.includes(name)
      const isNew = before.size > 0 && shown === undefined && isKnown
      const fresh = isKnown && !isNew ? null : ''
      await this.#follow(name, shown === undefined ? fresh : (shown.text ?? undefined))
      if (shown === undefined ? isNew : this.#space.editCount(name) > shown.edits) {
        for (const device of await this.#authorsSince(name, shown?.edits ?? 0)) {
          this.#edited(name, device)
        }
      }
    }
  }

  /** Who wrote the edits of a document that were delivered after so many. */
  async #authorsSince(document: string, edits: number): Promise<Set<DeviceId>> {
    const devices: DeviceId[] = []
    for await (const { device } of this.#space.history({ document })) devices.push(device)
    return new Set(devices.slice(edits - this.#space.editCount(document)))
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops) stop()
    if (this.#timer !== null) clearTimeout(this.#timer)
    await this.#look()
    for (const { release } of this.#followedByName.values()) await release()
  }

  #edited(name: string, device: DeviceId): void {
    if (this.#names.length > 0 && !this.#names.includes(name)) return
    const authors = this.#authorsByName.get(name) ?? new Set()
    this.#authorsByName.set(name, authors.add(device))
    this.#timer ??= setTimeout(() => {
      this.#timer = null
      void this.#look()
    }, gatherMs)
  }

  /** One look at a time; a failure of one is the next one's matter. */
  #look(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#compare())
    return this.#looking
  }

  async #compare(): Promise<void> {
    const changed = [...this.#authorsByName]
    this.#authorsByName.clear()
    for (const [document, authors] of changed) {
      const isNew = this.#new.delete(document)
      const followed =
        this.#followedByName.get(document) ?? (await this.#follow(document, isNew ? '' : undefined))
      const before = followed.text
      const now = renderAll(followed.document.doc)
      followed.text = now
      this.#tell(document, now)
      const parts = before === null ? [] : diffWordsWithSpace(before, now)
      const added = parts.filter((part) => part.added).map(({ value }) => value)
      const removed = parts.filter((part) => part.removed).map(({ value }) => value)
      if (before !== null && added.length + removed.length === 0) continue
      const isCompared = before !== null
      await this.#onChange({
        document,
        by: [...authors],
        added,
        removed,
        isCompared,
        length: now.length
      })
    }
  }

  /** `before`: its text as people last saw it; null to take what is there now, undefined where that is not known. */
  async #follow(name: string, before: string | null | undefined): Promise<Followed> {
    const { document, release } = await this.#home.document(this.#space, name)
    const text = before === undefined ? null : (before ?? renderAll(document.doc))
    const followed = { document, release, text }
    this.#followedByName.set(name, followed)
    if (text !== null) this.#tell(name, text)
    return followed
  }

  #tell(document: string, text: string): void {
    const edits = this.#space.editCount(document)
    this.#onShown(document, { edits, text: text.length > maxShownChars ? null : text })
  }
}
