/**
 * What commands print. Data goes to standard output, as text or with `--json` as one JSON value a line; everything beside
 * it (notes, warnings, live lines) goes to standard error, so that a pipe gets the data alone.
 */
import picocolors from 'picocolors'
import stringWidth from 'string-width'
import type { Terminal } from './terminal.ts'

export type Style = ReturnType<typeof picocolors.createColors>

const liveEveryMs = 80

export class Output {
  readonly isJson: boolean
  /** Colours for standard output. */
  readonly style: Style
  /** Colours for standard error, where live lines go. */
  readonly noteStyle: Style
  readonly #isQuiet: boolean
  readonly #terminal: Terminal
  readonly #answer: ((value: unknown) => void) | null
  #written: Promise<void> = Promise.resolve()
  #live: (() => string[]) | null = null
  #liveTimer: NodeJS.Timeout | null = null

  constructor(
    terminal: Terminal,
    options: { json: boolean; quiet: boolean; answer?: (value: unknown) => void }
  ) {
    const { traits } = terminal
    this.#terminal = terminal
    this.#answer = options.answer ?? null
    this.isJson = options.json
    this.#isQuiet = options.quiet
    this.style = picocolors.createColors(traits.hasColor)
    this.noteStyle = picocolors.createColors(traits.hasErrorColor)
  }

  get columns(): number {
    return this.#terminal.traits.columns
  }

  get rows(): number {
    return this.#terminal.traits.rows
  }

  /** Standard output is a terminal, and someone reads it. */
  get isTerminal(): boolean {
    return this.#terminal.traits.isTerminal && !this.isJson
  }

  /** Live lines are shown. */
  get isLive(): boolean {
    return this.#terminal.traits.isLive && !this.#isQuiet
  }

  /** Data: with `--json` the value in one line, else the text (none if it is empty). */
  emit(value: unknown, text: () => string): void {
    if (this.isJson) this.#line('out', JSON.stringify(value))
    else this.print(text())
  }

  /** Text for people alone, on standard output; nothing with `--json`. */
  print(text: string): void {
    if (!this.isJson && text !== '') this.#line('out', text)
  }

  /** Bytes for standard output, as they are. Resolves when there is room for more. */
  bytes(data: Uint8Array): Promise<void> {
    this.#queue('out', data)
    return this.#written
  }

  /** Beside the data: what happened, what to do next. Not with `--quiet`. */
  note(text: string): void {
    if (!this.#isQuiet) this.#line('error', text)
  }

  warn(text: string): void {
    this.#line('error', `${this.noteStyle.yellow('warning:')} ${text}`)
  }

  error(text: string): void {
    this.#line('error', text)
  }

  /**
   * Lines that are drawn over, below all else, until the next call; `null` takes them away. `draw` is called at most
   * every 80 ms, and not where nobody would see them. A line longer than the terminal is cut.
   */
  live(draw: (() => string[]) | null): void {
    if (!this.isLive) return
    this.#live = draw
    if (draw === null) {
      if (this.#liveTimer !== null) clearTimeout(this.#liveTimer)
      this.#liveTimer = null
      this.#terminal.live('')
      return
    }
    if (this.#liveTimer !== null) return
    this.#draw()
    this.#liveTimer = setTimeout(() => {
      this.#liveTimer = null
      if (this.#live !== null && this.#live !== draw) this.live(this.#live)
    }, liveEveryMs)
  }

  /** What `context.call` gives its caller. */
  answer(value: unknown): void {
    this.#answer?.(value)
  }

  /** Resolves when everything has been written. */
  drained(): Promise<void> {
    return this.#written
  }

  #draw(): void {
    if (this.#live !== null) this.#terminal.live(this.#live().join('\n'))
  }

  #line(stream: 'out' | 'error', text: string): void {
    this.#queue(stream, new TextEncoder().encode(text.endsWith('\n') ? text : `${text}\n`))
  }

  #queue(stream: 'out' | 'error', data: Uint8Array): void {
    this.#written = this.#written.then(() => this.#terminal.write(stream, data))
  }
}

/** Rows with their columns one below the other; numbers are given as texts. The last column is not padded. */
export function table(
  rows: readonly (readonly string[])[],
  options: { right?: number[] } = {}
): string {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, stringWidth(cell))))
  }
  const lines = rows.map((row) =>
    row
      .map((cell, i) => {
        const gap = ' '.repeat((widths[i] ?? 0) - stringWidth(cell))
        if (options.right?.includes(i) === true) return gap + cell
        return i === row.length - 1 ? cell : cell + gap
      })
      .join('  ')
      .trimEnd()
  )
  return lines.join('\n')
}
