import { ArrowLeft, NotebookPen, Pin, PinOff, RotateCcw, Trash2 } from 'lucide'
import { useEffect, useRef } from 'preact/hooks'
import { openEditor } from '../editor.ts'
import type { Notebook, OpenNote } from '../notebook.ts'
import { go, trash } from '../state.ts'
import { Avatar } from './avatar.tsx'
import { Icon } from './icon.tsx'
import { SafetyBadge } from './safety-badge.tsx'

interface NoteViewProps {
  readonly notebook: Notebook
  readonly note: OpenNote | null
}

export function NoteView({ notebook, note }: NoteViewProps) {
  return (
    <section class="note" aria-label={note === null ? undefined : 'The open note'}>
      <header class="note-head">
        {note !== null && (
          <button class="bare back" aria-label="All notes" onClick={() => go(null)}>
            <Icon node={ArrowLeft} size={20} />
          </button>
        )}
        <SafetyBadge notebook={notebook} note={note} />
        <span class="space" />
        {note !== null && <Others note={note} />}
        {note !== null && !notebook.isReadOnly.value && <Actions notebook={notebook} note={note} />}
      </header>
      {note === null ? (
        <Nothing />
      ) : (
        <Editor
          key={`${note.id}/${note.version.value}/${notebook.isReadOnly.value}`}
          note={note}
          isReadOnly={notebook.isReadOnly.value}
        />
      )}
    </section>
  )
}

function Others({ note }: { note: OpenNote }) {
  const names = note.others.value.map(({ name }) => name)
  if (names.length === 0) return null
  return (
    <span class="faces" role="img" aria-label={`Also here: ${names.join(', ')}`}>
      {names.slice(0, 4).map((name) => (
        <Avatar key={name} name={name} />
      ))}
    </span>
  )
}

function Actions({ notebook, note }: { notebook: Notebook; note: OpenNote }) {
  const listed = notebook.notes.value.find(({ id }) => id === note.id)
  const isPinned = listed?.isPinned === true
  if (listed !== undefined && listed.trashedMs !== null) {
    return (
      <button class="plain" onClick={() => notebook.trash(note.id, false)}>
        <Icon node={RotateCcw} size={16} /> Restore
      </button>
    )
  }
  const pinWords = isPinned ? 'Unpin' : 'Pin to the top'
  return (
    <>
      <button
        class="bare"
        aria-label={pinWords}
        title={pinWords}
        onClick={() => notebook.pin(note.id, !isPinned)}
      >
        <Icon node={isPinned ? PinOff : Pin} />
      </button>
      <button
        class="bare"
        aria-label="Delete this note"
        title="Delete"
        onClick={() => trash(note.id)}
      >
        <Icon node={Trash2} />
      </button>
    </>
  )
}

function Nothing() {
  return (
    <div class="nothing">
      <Icon node={NotebookPen} size={40} />
      <p>Choose a note, or begin a new one.</p>
    </div>
  )
}

function Editor({ note, isReadOnly }: { note: OpenNote; isReadOnly: boolean }) {
  const parent = useRef<HTMLDivElement>(null)
  useEffect(() => {
    const view = openEditor({
      parent: parent.current!,
      document: note.document,
      isReadOnly,
      onEscape: () => document.querySelector<HTMLElement>('[aria-current=page]')?.focus()
    })
    // A new note is written at once; one that is only looked at calls up no keyboard.
    if (note.body === '' && !isReadOnly) view.focus()
    return () => view.destroy()
  }, [])
  return <div class="editor" ref={parent} />
}
