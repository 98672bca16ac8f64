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
  const isInNote = open.note.value !== null
  return (
    <div class={isInNote ? 'shell in-note' : 'shell'}>
      <Sidebar notebook={open} />
      <NoteView notebook={open} note={open.note.value} />
      <Notice />
    </div>
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
