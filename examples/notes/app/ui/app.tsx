import { Undo2, X } from 'lucide'
import { useEffect } from 'preact/hooks'
import { createNote, notebook, notice, phase } from '../state.ts'
import { Icon } from './icon.tsx'
import { NoteView } from './note-view.tsx'
import { focusSearch, Sidebar } from './sidebar.tsx'
import { Welcome } from './welcome.tsx'

export function App() {
  useEffect(() => {
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [])
  const open = notebook.value
  if (phase.value !== 'ready' || open === null) return <Welcome />
  const note = open.note.value
  const listed = open.notes.value.find(({ id }) => id === note?.id)
  return (
    <main class={note === null ? 'shell' : 'shell in-note'}>
      <h1 class="visually-hidden">
        {listed?.title || (note === null ? open.space.name : 'New note')}
      </h1>
      <Sidebar notebook={open} />
      <NoteView notebook={open} note={note} />
      <Notice />
    </main>
  )
}

function Notice() {
  const shown = notice.value
  const undo = shown?.undo
  return (
    <div class="notice-place" role="status">
      {shown !== null && (
        <div class="notice">
          {shown.text}
          {undo !== undefined && (
            <button
              class="plain"
              onClick={() => {
                notice.value = null
                undo()
              }}
            >
              <Icon node={Undo2} size={16} /> Undo
            </button>
          )}
          <button class="bare" aria-label="Dismiss" onClick={() => (notice.value = null)}>
            <Icon node={X} size={16} />
          </button>
        </div>
      )}
    </div>
  )
}

function onKey(event: KeyboardEvent): void {
  const open = notebook.value
  if (open === null || document.querySelector('dialog[open]') !== null) return
  const isCommand = event.ctrlKey || event.metaKey
  if (isCommand && event.key.toLowerCase() === 'k') {
    event.preventDefault()
    focusSearch()
  } else if (event.altKey && event.code === 'KeyN' && !open.isReadOnly.value) {
    event.preventDefault()
    createNote()
  }
}
