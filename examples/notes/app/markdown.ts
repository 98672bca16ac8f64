/** How Markdown looks while it is written: marks are hidden but in the line where the cursor is; tasks can be ticked. */
import { markdown as language, markdownLanguage } from '@codemirror/lang-markdown'
import { HighlightStyle, syntaxHighlighting, syntaxTree } from '@codemirror/language'
import type { EditorState, Extension, Range } from '@codemirror/state'
import {
  Decoration,
  EditorView,
  ViewPlugin,
  WidgetType,
  type DecorationSet,
  type ViewUpdate
} from '@codemirror/view'
import { tags } from '@lezer/highlight'

const highlighting = HighlightStyle.define([
  { tag: tags.heading1, fontSize: '1.45em', fontWeight: '680' },
  { tag: tags.heading2, fontSize: '1.2em', fontWeight: '660' },
  { tag: tags.heading3, fontSize: '1.05em', fontWeight: '660' },
  { tag: tags.strong, fontWeight: '680' },
  { tag: tags.emphasis, fontStyle: 'italic' },
  { tag: tags.strikethrough, textDecoration: 'line-through' },
  { tag: tags.link, color: 'var(--accent-text)', textDecoration: 'underline' },
  { tag: tags.url, color: 'var(--muted)' },
  { tag: tags.monospace, fontFamily: 'var(--mono)', fontSize: '0.9em', color: 'var(--code)' },
  { tag: tags.quote, color: 'var(--muted)' },
  { tag: [tags.processingInstruction, tags.contentSeparator], color: 'var(--faint)' }
])

class Bullet extends WidgetType {
  override eq(): boolean {
    return true
  }

  override toDOM(): HTMLElement {
    const dot = document.createElement('span')
    dot.className = 'cm-bullet'
    dot.textContent = '•'
    return dot
  }
}

class TaskBox extends WidgetType {
  readonly isDone: boolean
  readonly #at: number

  constructor(isDone: boolean, at: number) {
    super()
    this.isDone = isDone
    this.#at = at
  }

  override eq(other: TaskBox): boolean {
    return this.isDone === other.isDone && this.#at === other.#at
  }

  override toDOM(view: EditorView): HTMLElement {
    const box = document.createElement('input')
    box.type = 'checkbox'
    box.className = 'cm-task'
    box.checked = this.isDone
    box.disabled = view.state.readOnly
    box.setAttribute('aria-label', 'Done')
    box.addEventListener('change', () => {
      const from = view.posAtDOM(box) + 1
      view.dispatch({ changes: { from, to: from + 1, insert: box.checked ? 'x' : ' ' } })
    })
    return box
  }

  override ignoreEvent(): boolean {
    return true
  }
}

const hidden = Decoration.replace({})
const bullet = Decoration.replace({ widget: new Bullet() })
const title = Decoration.line({ class: 'cm-title' })
const code = Decoration.mark({ class: 'cm-code' })
const quote = Decoration.line({ class: 'cm-quote' })
const item = Decoration.line({ class: 'cm-item' })
const number = Decoration.mark({ class: 'cm-number' })
const done = Decoration.mark({ class: 'cm-done' })
const marks = new Set([
  'HeaderMark',
  'EmphasisMark',
  'CodeMark',
  'LinkMark',
  'URL',
  'QuoteMark',
  'StrikethroughMark'
])

function decorate(view: EditorView): DecorationSet {
  const { state } = view
  const found: Range<Decoration>[] = [title.range(0)]
  for (const { from, to } of view.visibleRanges) {
    syntaxTree(state).iterate({
      from,
      to,
      enter: (node) => {
        const line = state.doc.lineAt(node.from)
        const isActive = view.hasFocus && isTouched(state, line.from, line.to)
        if (node.name === 'TaskMarker') {
          const isDone = /x/i.test(state.sliceDoc(node.from, node.to))
          const widget = new TaskBox(isDone, node.from)
          found.push(Decoration.replace({ widget }).range(node.from, node.to))
          if (isDone && node.to + 1 < line.to) found.push(done.range(node.to + 1, line.to))
        } else if (node.name === 'ListMark' && !isActive) {
          found.push(item.range(line.from))
          const isTask = /^\s*[-*+] \[[ xX]\] /.test(line.text)
          if (isTask) found.push(hidden.range(node.from, node.to + 1))
          else if (/[-*+]/.test(line.text[node.from - line.from] ?? '')) {
            found.push(bullet.range(node.from, node.to))
          } else found.push(number.range(node.from, node.to))
        } else if (node.name === 'InlineCode') {
          found.push(code.range(node.from, node.to))
        } else if (node.name === 'QuoteMark') {
          found.push(quote.range(line.from))
          if (!isActive) found.push(hidden.range(node.from, withSpace(state, node.to)))
        } else if (marks.has(node.name) && !isActive && node.from < node.to) {
          if (node.name === 'URL' && node.node.parent?.name !== 'Link') return
          const isHeader = node.name === 'HeaderMark'
          found.push(hidden.range(node.from, isHeader ? withSpace(state, node.to) : node.to))
        }
      }
    })
  }
  return Decoration.set(found, true)
}

function withSpace(state: EditorState, at: number): number {
  return state.sliceDoc(at, at + 1) === ' ' ? at + 1 : at
}

function isTouched(state: EditorState, from: number, to: number): boolean {
  return state.selection.ranges.some((range) => range.from <= to && range.to >= from)
}

const preview = ViewPlugin.fromClass(
  class {
    decorations: DecorationSet

    constructor(view: EditorView) {
      this.decorations = decorate(view)
    }

    update(update: ViewUpdate): void {
      const isParsed = syntaxTree(update.startState) !== syntaxTree(update.state)
      const { docChanged, selectionSet, viewportChanged, focusChanged } = update
      if (docChanged || selectionSet || viewportChanged || focusChanged || isParsed) {
        this.decorations = decorate(update.view)
      }
    }
  },
  { decorations: ({ decorations }) => decorations }
)

export function markdown(): Extension {
  return [language({ base: markdownLanguage }), syntaxHighlighting(highlighting), preview]
}
