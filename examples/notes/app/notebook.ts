/** A space as a notebook: its list of notes, and the one note that is open. */
import { computed, signal } from '@preact/signals'
import type { Document, Member, Replica, Safety, Space } from 'skein'
import {
  bodyName,
  documentNameOf,
  listName,
  newNoteId,
  noteIdOf,
  readList,
  summaryOf,
  writeEntry,
  type NoteSummary
} from '../shared.ts'
import { othersIn, userOf, type User } from './presence.ts'
import { NoteSearch } from './search.ts'

const summaryAfterMs = 600
/** While one types, devices say with every edit what they hold. */
const lookAfterMs = 100

export class Notebook {
  readonly space: Space
  readonly search: NoteSearch
  readonly notes = signal<readonly NoteSummary[]>([])
  readonly listed = computed(() => this.notes.value.filter(({ trashedMs }) => trashedMs === null))
  readonly trashed = computed(() => this.notes.value.filter(({ trashedMs }) => trashedMs !== null))
  readonly members = signal<readonly Member[]>([])
  readonly replicas = signal<readonly Replica[]>([])
  readonly isReadOnly = signal(false)
  readonly peers = signal(0)
  readonly storageError = signal<string | null>(null)
  readonly note = signal<OpenNote | null>(null)
  readonly #list: Document
  readonly #person: string
  readonly #stops: (() => void)[] = []
  #opening: Promise<unknown> = Promise.resolve()

  static async open(space: Space, person: string): Promise<Notebook> {
    return new Notebook(space, await space.open(listName), person)
  }

  private constructor(space: Space, list: Document, person: string) {
    this.space = space
    this.search = new NoteSearch(space)
    this.#list = list
    this.#person = person
    const look = (): void => {
      this.notes.value = readList(list.doc)
    }
    const follow = (): void => list.doc.getMap('notes').observeDeep(look)
    const lookAround = (): void => {
      this.members.value = space.members()
      this.replicas.value = space.replicas()
      this.isReadOnly.value = space.readOnly
      this.peers.value = space.peers.length
    }
    let isLooking = false
    const lookAroundSoon = (): void => {
      if (isLooking) return
      isLooking = true
      setTimeout(() => {
        isLooking = false
        lookAround()
      }, lookAfterMs)
    }
    follow()
    look()
    lookAround()
    this.#stops.push(
      list.on('reset', () => {
        follow()
        look()
      }),
      space.on('members', lookAround),
      space.on('peers', lookAround),
      space.on('holdings', lookAroundSoon),
      space.on('edit', lookAroundSoon),
      space.on('storage', ({ error }) => {
        this.storageError.value = error === null ? null : storageWords(error.code)
        lookAround()
      }),
      space.on('document', ({ name }) => void this.#enlist(name))
    )
    const enlistAll = (): void => {
      for (const name of space.documents()) void this.#enlist(name)
    }
    this.#stops.push(list.on('synced', enlistAll))
    enlistAll()
  }

  async close(): Promise<void> {
    for (const stop of this.#stops) stop()
    this.search.close()
    await this.show(null)
    await this.#list.close()
  }

  /** Opens a note, and closes the one that was open. */
  show(id: string | null): Promise<void> {
    const shown = this.#opening.then(async () => {
      const before = this.note.value
      if (before?.id === id) return
      this.note.value = null
      this.search.shown = null
      if (before !== null) {
        this.#forgetIfEmpty(before)
        await before.close()
      }
      if (id === null) return
      const document = await this.space.open(documentNameOf(id))
      const onSummary = (summary: ReturnType<typeof summaryOf>): void => {
        const known = this.notes.value.find((note) => note.id === id)
        if (known?.title === summary.title && known.excerpt === summary.excerpt) return
        writeEntry(this.#list.doc, id, { ...summary, changedMs: Date.now() })
      }
      const note = new OpenNote(id, document, this.#person, onSummary)
      this.search.shown = { id, body: () => note.body }
      this.note.value = note
    })
    this.#opening = shown.catch(() => {}) // Whoever asked is told; the next one is opened all the same.
    return shown
  }

  create(): string {
    const id = newNoteId()
    writeEntry(this.#list.doc, id, { title: '', excerpt: '', changedMs: Date.now() })
    return id
  }

  trash(id: string, isTrashed: boolean): void {
    writeEntry(this.#list.doc, id, { trashedMs: isTrashed ? Date.now() : null })
  }

  pin(id: string, isPinned: boolean): void {
    writeEntry(this.#list.doc, id, { pinned: isPinned ? true : null })
  }

  /** One that was begun and left without a word is no note. */
  #forgetIfEmpty({ id, body }: OpenNote): void {
    const listed = this.notes.value.find((note) => note.id === id)
    if (body !== '' || listed?.title !== '' || this.isReadOnly.value) return
    this.#list.doc.getMap('notes').delete(id)
  }

  /** A note that another app made is in no list yet. */
  async #enlist(name: string): Promise<void> {
    const id = noteIdOf(name)
    if (id === null || this.isReadOnly.value || !this.#list.synced) return
    if (this.notes.value.some((note) => note.id === id) || this.note.value?.id === id) return
    const document = await this.space.open(name)
    const body = document.doc.getText(bodyName).toString()
    if (this.search.shown?.id !== id) await document.close()
    if (this.notes.value.some((note) => note.id === id)) return
    writeEntry(this.#list.doc, id, { ...summaryOf(body), changedMs: Date.now() })
  }
}

export class OpenNote {
  readonly id: string
  readonly document: Document
  /** Of what was written in it here; null while that is nothing. */
  readonly safety = signal<Safety | null>(null)
  readonly others = signal<readonly User[]>([])
  readonly problem = signal<string | null>(null)
  /** Goes up when an editor has to bind again: the document is another one. */
  readonly version = signal(0)
  readonly #onSummary: (summary: ReturnType<typeof summaryOf>) => void
  readonly #person: string
  readonly #stops: (() => void)[] = []
  #timer: ReturnType<typeof setTimeout> | null = null
  #isWritten = false

  constructor(
    id: string,
    document: Document,
    person: string,
    onSummary: (summary: ReturnType<typeof summaryOf>) => void
  ) {
    this.id = id
    this.document = document
    this.#person = person
    this.#onSummary = onSummary
    this.#stops.push(
      document.on('safety', (safety) => {
        if (this.#isWritten) this.safety.value = safety
        if (safety.durable) this.problem.value = null
      }),
      document.on('error', ({ error }) => {
        this.problem.value = storageWords(error.code)
      }),
      document.on('reset', () => {
        this.#bind()
        this.version.value++
      })
    )
    this.#bind()
  }

  get body(): string {
    return this.document.doc.getText(bodyName).toString()
  }

  async close(): Promise<void> {
    for (const stop of this.#stops) stop()
    if (this.#timer !== null) {
      clearTimeout(this.#timer)
      this.#summarize()
    }
    await this.document.close()
  }

  #bind(): void {
    const { doc, awareness } = this.document
    awareness.setLocalStateField('user', userOf(this.#person))
    const look = (): void => {
      this.others.value = othersIn(awareness)
    }
    awareness.on('change', look)
    look()
    doc.getText(bodyName).observe((_, { local }) => {
      if (!local) return
      this.#isWritten = true
      if (this.#timer !== null) return
      this.#timer = setTimeout(() => {
        this.#timer = null
        this.#summarize()
      }, summaryAfterMs)
    })
  }

  #summarize(): void {
    this.#onSummary(summaryOf(this.body))
  }
}

function storageWords(code: string): string {
  if (code === 'DISK_FULL') return 'Not saved: this device’s storage is full. It is tried again.'
  if (code === 'NOT_ALLOWED') return 'Not kept: you may read this notebook, but not write in it.'
  return 'Not saved: the browser’s storage failed. It is tried again.'
}
