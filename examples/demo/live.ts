/** A story on a terminal: all of it at once, drawn anew in place a few times a second while something changes. */
import type { WriteStream } from 'node:tty'
import { createLogUpdate } from 'log-update'
import picocolors from 'picocolors'
import type { Board } from './board.ts'
import { cardOf, hueOf } from './card.ts'

const frameMs = 60
const maxColumns = 120

/** Fewer columns or rows than these hold no picture. */
export const minColumns = 66
export const minRows = 20

/** Returns what ends it and leaves the last picture there. */
export function showLive(board: Board, terminal: WriteStream): () => void {
  const draw = createLogUpdate(terminal)
  const show = (): void => draw(frameOf(board, terminal))
  const timer = setInterval(show, frameMs)
  terminal.on('resize', draw.clear)
  return () => {
    clearInterval(timer)
    terminal.off('resize', draw.clear)
    show()
    draw.done()
  }
}

/** What fills the terminal, up to a row for the cursor. */
export function frameOf(board: Board, size: { columns: number; rows: number }): string {
  const colors = picocolors.createColors()
  const columns = Math.min(size.columns, maxColumns)
  const isRoomy = size.rows >= 28
  const gap = isRoomy ? [''] : []
  const step = board.steps[board.at]
  const elapsed = `${(board.elapsedMs / 1_000).toFixed(0)} s`
  const title = ' Skein: three devices, no server'
  const words = board.steps.map(({ word }, index) => {
    if (index < board.at) return colors.green(`✓ ${word}`)
    return index === board.at ? colors.bold(`▸ ${word}`) : colors.dim(`· ${word}`)
  })
  const head = [
    colors.bold(title) + elapsed.padStart(columns - title.length - 1),
    ` ${words.join('  ')}`,
    ...gap,
    ` ${colors.bold(step?.what ?? '')}`,
    ...wrapWords(step?.why ?? '', columns - 2, 2).map((line) => ` ${line}`),
    ...gap
  ]
  const noteCount = isRoomy ? 5 : 3
  const lines = Math.max(4, size.rows - head.length - noteCount - 6)
  const width = Math.floor((columns - 2) / board.actors.length)
  const cards = board.actors.map((actor) =>
    cardOf(actor, { width, lines: Math.min(lines, 16), colors, actors: board.actors })
  )
  const rows = cards[0]!.map((_, row) => ` ${cards.map((card) => card[row]).join('')}`)
  const notes = board.notes.slice(-noteCount).map(({ atMs, actor, text }) => {
    const at = `${(atMs / 1_000).toFixed(1)} s`.padStart(7)
    const name = (actor?.name ?? '').padEnd(6)
    const hue = actor === null ? String : hueOf(colors, board.actors.indexOf(actor))
    return ` ${colors.dim(at)}  ${hue(name)} ${text.slice(0, columns - 18)}`
  })
  while (notes.length < noteCount) notes.push('')
  return [...head, ...rows, ...notes].join('\n')
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
