/** A board on a terminal: all of it at once, drawn anew in place a few times a second. */
import type { WriteStream } from 'node:tty'
import { createLogUpdate } from 'log-update'
import picocolors from 'picocolors'
import type { Board } from './board.ts'

export type Colors = ReturnType<typeof picocolors.createColors>

export interface Picture {
  /** Lines of that width, not more than `rows`. */
  draw(size: { columns: number; rows: number }, colors: Colors): string[]
  /** The colour that stands for a device. */
  hueOf(name: string, colors: Colors): (text: string) => string
}

const frameMs = 60
const maxColumns = 120
const roomyRows = 28

/** Fewer columns or rows than these hold no picture. */
export const minColumns = 66
export const minRows = 20

/** Returns what ends it and leaves the last picture there. */
export function showLive(board: Board, picture: Picture, terminal: WriteStream): () => void {
  const draw = createLogUpdate(terminal)
  const show = (): void => draw(frameOf(board, picture, terminal))
  const clear = (): void => draw.clear()
  const timer = setInterval(show, frameMs)
  terminal.on('resize', clear)
  return () => {
    clearInterval(timer)
    terminal.off('resize', clear)
    show()
    draw.done()
  }
}

/** What fills the terminal, up to a row for the cursor. */
function frameOf(board: Board, picture: Picture, size: { columns: number; rows: number }): string {
  const colors = picocolors.createColors()
  const columns = Math.min(size.columns, maxColumns)
  const isRoomy = size.rows >= roomyRows
  const gap = isRoomy ? [''] : []
  const step = board.steps[Math.min(board.at, board.steps.length - 1)]
  const elapsed = `${(board.elapsedMs / 1_000).toFixed(0)} s`
  const words = board.steps.map(({ word }, index) => {
    if (index < board.at) return colors.green(`✓ ${word}`)
    return index === board.at ? colors.bold(`▸ ${word}`) : colors.dim(`· ${word}`)
  })
  const head = [
    ` ${colors.bold(board.title)}${elapsed.padStart(columns - board.title.length - 2)}`,
    ` ${words.join('  ')}`,
    ...gap,
    ` ${colors.bold(step?.what ?? '')}`,
    ...wrapWords(step?.why ?? '', columns - 2, 2).map((line) => ` ${line}`),
    ...gap
  ]
  const noteCount = isRoomy ? 5 : 3
  const rows = size.rows - 1 - head.length - noteCount
  const body = picture.draw({ columns: columns - 2, rows }, colors).map((line) => ` ${line}`)
  const notes = board.notes.slice(-noteCount).map(({ atMs, name, text }) => {
    const at = `${(atMs / 1_000).toFixed(1)} s`.padStart(7)
    return ` ${colors.dim(at)}  ${picture.hueOf(name, colors)(name.padEnd(6))} ${text}`
  })
  while (notes.length < noteCount) notes.push('')
  return [...head, ...body, ...notes].join('\n')
}

/** Exactly `count` lines. */
function wrapWords(text: string, width: number, count: number): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!
    if (line.length + 1 + word.length <= width) lines[lines.length - 1] = `${line} ${word}`.trim()
    else lines.push(word)
  }
  return Array.from({ length: count }, (_, index) => lines[index] ?? '')
}
