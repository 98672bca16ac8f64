import { ChevronDown, Pin, Plus, Search, Trash2, UserPlus, X } from 'lucide'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { NoteSummary } from '../../shared.ts'
import type { Notebook } from '../notebook.ts'
import { ago } from '../safety.ts'
import { wordsIn } from '../search.ts'
import { createNote, enter, go, notebooks, query } from '../state.ts'
import { Icon } from './icon.tsx'
import { People } from './people.tsx'
import { Share } from './share.tsx'
import { NetworkBar } from './network-bar.tsx'

/** Notes that are drawn at first; more as one scrolls. */
const pageLength = 60

export function focusSearch(): void {
  const field = document.querySelector<HTMLInputElement>('.search input')
  if (field === null) return
  // At once, or the next keys would go nowhere.
  field.focus()
  if (document.activeElement === field) return
  // On a phone the open note is in front of it.
  go(null)
  addEventListener('hashchange', () => requestAnimationFrame(() => field.focus()), { once: true })
}

export function Sidebar({ notebook }: { notebook: Notebook }) {
  const [isSharing, setSharing] = useState(false)
  const [isTrash, setTrash] = useState(false)
  const isReadOnly = notebook.isReadOnly.value
  return (
    <section class="sidebar" aria-label="Notebook">
      <header class="sidebar-head">
        <Switcher notebook={notebook} />
        <button class="bare" aria-label="Share" title="Share" onClick={() => setSharing(true)}>
          <Icon node={UserPlus} />
        </button>
        <button
          class="primary round"
          aria-label="New note"
          title="New note (Alt N)"
          disabled={isReadOnly}
          onClick={createNote}
        >
          <Icon node={Plus} />
        </button>
      </header>
      <SearchField notebook={notebook} />
      <NoteList notebook={notebook} isTrash={isTrash} />
      {(notebook.trashed.value.length > 0 || isTrash) && (
        <button class="plain trash-link" aria-pressed={isTrash} onClick={() => setTrash(!isTrash)}>
          <Icon node={Trash2} size={16} />
          {isTrash ? 'Back to the notes' : `Deleted notes (${notebook.trashed.value.length})`}
        </button>
      )}
      <People notebook={notebook} />
      <NetworkBar notebook={notebook} />
      {isSharing && <Share notebook={notebook} onClose={() => setSharing(false)} />}
    </section>
  )
}

function Switcher({ notebook }: { notebook: Notebook }) {
  const { id, name } = notebook.space
  if (notebooks.value.length < 2) return <h2 class="notebook-name">{name}</h2>
  return (
    <label class="notebook-name switcher">
      <span class="visually-hidden">Notebook</span>
      <select value={id} onChange={({ currentTarget }) => void enter(currentTarget.value)}>
        {notebooks.value.map((one) => (
          <option key={one.id} value={one.id}>
            {one.name}
          </option>
        ))}
      </select>
      <Icon node={ChevronDown} size={16} />
    </label>
  )
}

function SearchField({ notebook }: { notebook: Notebook }) {
  const left = notebook.search.left.value
  return (
    <div class="search">
      <Icon node={Search} size={16} />
      <input
        type="search"
        aria-label="Search all notes"
        placeholder="Search"
        value={query.value}
        onInput={({ currentTarget }) => (query.value = currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') query.value = ''
          if (event.key === 'ArrowDown') focusNote(0)
          if (event.key === 'Enter') document.querySelector<HTMLElement>('.note-link')?.click()
        }}
      />
      {query.value === '' ? (
        <kbd>Ctrl K</kbd>
      ) : (
        <button class="bare small" aria-label="Clear the search" onClick={() => (query.value = '')}>
          <Icon node={X} size={14} />
        </button>
      )}
      <span class="visually-hidden" role="status">
        {query.value !== '' && left !== null && left > 0 ? `${left} notes are still read` : ''}
      </span>
    </div>
  )
}

function NoteList({ notebook, isTrash }: { notebook: Notebook; isTrash: boolean }) {
  const [shown, setShown] = useState(pageLength)
  const end = useRef<HTMLLIElement>(null)
  const notes = chosen(notebook, isTrash)
  useEffect(() => {
    if (end.current === null) return
    const observer = new IntersectionObserver(([entry]) => {
      if (entry?.isIntersecting === true) setShown((before) => before + pageLength)
    })
    observer.observe(end.current)
    return () => observer.disconnect()
  }, [notes.length > shown, shown])
  const open = notebook.note.value?.id
  const nowMs = Date.now()
  return (
    <nav class="list" aria-label={isTrash ? 'Deleted notes' : 'Notes'} onKeyDown={moveInList}>
      {notes.length === 0 && <Empty />}
      <ul>
        {notes.slice(0, shown).map((note) => (
          <li key={note.id}>
            <a
              class="note-link"
              href={`#note/${note.id}`}
              aria-current={note.id === open ? 'page' : undefined}
            >
              <span class="note-title">
                {note.isPinned && <Icon node={Pin} size={13} />}
                {note.title === '' ? <em>New note</em> : <Marked text={note.title} />}
              </span>
              <span class="note-excerpt">
                <time dateTime={new Date(note.changedMs).toISOString()}>
                  {ago(note.changedMs, nowMs)}
                </time>{' '}
                <Marked text={notebook.search.excerpt(note.id, query.value) ?? note.excerpt} />
              </span>
            </a>
          </li>
        ))}
        {notes.length > shown && <li ref={end} class="more" />}
      </ul>
    </nav>
  )
}

function chosen(notebook: Notebook, isTrash: boolean): readonly NoteSummary[] {
  const notes = (isTrash ? notebook.trashed : notebook.listed).value
  const wanted = query.value.trim()
  if (wanted === '') return notes
  // Read, so that the list is made anew when more has been.
  void notebook.search.version.value
  const byId = new Map(notes.map((note) => [note.id, note]))
  return notebook.search.find(wanted, notes).flatMap((id) => byId.get(id) ?? [])
}

function Marked({ text }: { text: string }) {
  const wanted = query.value.trim()
  if (wanted === '') return <span>{text}</span>
  const parts = text.split(wordsIn(wanted))
  return <span>{parts.map((part, i) => (i % 2 === 1 ? <mark key={i}>{part}</mark> : part))}</span>
}

function Empty() {
  return (
    <p class="empty">
      {query.value === '' ? 'No notes yet.' : `Nothing found for “${query.value}”.`}
    </p>
  )
}

function moveInList(event: KeyboardEvent): void {
  const links = noteLinks()
  const at = links.indexOf(document.activeElement as HTMLElement)
  if (event.key === 'ArrowDown') focusNote(at + 1)
  else if (event.key === 'ArrowUp') focusNote(at - 1)
  else if (event.key === 'Home') focusNote(0)
  else if (event.key === 'End') focusNote(links.length - 1)
  else return
  event.preventDefault()
}

function noteLinks(): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>('.note-link')]
}

function focusNote(index: number): void {
  if (index < 0) focusSearch()
  else noteLinks()[index]?.focus()
}
