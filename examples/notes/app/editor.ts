/** The editor of one note: CodeMirror, bound to the note's text and to who is in it. */
import { defaultKeymap, indentLess, indentMore } from '@codemirror/commands'
import { EditorState } from '@codemirror/state'
import { EditorView, drawSelection, keymap, placeholder } from '@codemirror/view'
import type { Document } from 'skein'
import { yCollab, yUndoManagerKeymap } from 'y-codemirror.next'
import * as Y from 'yjs'
import { bodyName } from '../shared.ts'
import { markdown } from './markdown.ts'
import { guarded } from './presence.ts'

export interface EditorOptions {
  readonly parent: HTMLElement
  readonly document: Document
  readonly isReadOnly: boolean
  readonly onEscape: () => void
}

export function openEditor({ parent, document, isReadOnly, onEscape }: EditorOptions): EditorView {
  const text = document.doc.getText(bodyName)
  const undoManager = new Y.UndoManager(text)
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: text.toString(),
      extensions: [
        // Tab leaves the editor, as everywhere in a page; Ctrl-] and Ctrl-[ indent.
        keymap.of([
          ...yUndoManagerKeymap,
          { key: 'Mod-]', run: indentMore },
          { key: 'Mod-[', run: indentLess },
          { key: 'Escape', run: () => (onEscape(), true) },
          ...defaultKeymap
        ]),
        drawSelection(),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ 'aria-label': 'Note', spellcheck: 'true' }),
        EditorState.readOnly.of(isReadOnly),
        EditorView.editable.of(!isReadOnly),
        placeholder('Title'),
        markdown(),
        yCollab(text, guarded(document.awareness), { undoManager })
      ]
    })
  })
  return view
}
