/** Shows a board: a picture on a terminal that has room for one, else a line for each thing that happens. */
import type { Board } from './board.ts'
import { minColumns, minRows, showLive, type Picture } from './live.ts'

/** Returns what ends it. */
export function show(board: Board, picture: Picture, terminal = process.stdout): () => void {
  const { isTTY, columns, rows } = terminal
  const isPlain = !isTTY || process.env['TERM'] === 'dumb' || process.env['CI'] !== undefined
  if (isPlain || columns < minColumns || rows < minRows) return showLines(board, terminal)
  return showLive(board, picture, terminal)
}

function showLines(board: Board, terminal: NodeJS.WritableStream): () => void {
  const stops = [
    board.on('step', ({ step, number }) => {
      terminal.write(`\n${number}/${board.steps.length} ${step.what}\n    ${step.why}\n`)
    }),
    board.on('note', ({ atMs, name, text }) => {
      const at = `${(atMs / 1_000).toFixed(1)} s`.padStart(7)
      terminal.write(`${at}  ${name.padEnd(6)} ${text}\n`)
    })
  ]
  return () => stops.forEach((stop) => stop())
}
