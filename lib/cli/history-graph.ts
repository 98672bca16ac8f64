/**
 * A space's history as a graph: one lane a device, entries as they come, and between lanes what an author had newly
 * seen. Entries in a row of one author, in one document, that saw nothing new in between are one line.
 *
 *     ●      alice makes the space
 *     ├─●    bob had seen that, and writes
 *     ●─┤    alice had seen this, and goes on
 */
import type { HistoryEntry } from 'skein'
import {
  addressesOf,
  fitted,
  timeOf,
  whatOf,
  type AuthorColors,
  type NameOf,
  type Segment
} from './history-text.ts'
import type { Style } from './output.ts'

const widestAddress = 22

export class HistoryGraph {
  readonly #style: Style
  readonly #colors: AuthorColors
  readonly #nameOf: NameOf
  readonly #columns: number
  readonly #laneByDevice = new Map<string, number>()
  /** Entries that go into one line. */
  #run: HistoryEntry[] = []

  constructor(style: Style, colors: AuthorColors, columns: number, nameOf: NameOf) {
    this.#nameOf = nameOf
    this.#style = style
    this.#colors = colors
    this.#columns = columns
  }

  /** Takes the next entry; gives the line that is finished by that, if any. */
  add(entry: HistoryEntry): string[] {
    const [first] = this.#run
    if (first !== undefined && goesOn(first, entry)) {
      this.#run.push(entry)
      return []
    }
    const lines = this.end()
    this.#run = [entry]
    return lines
  }

  /** The last line. */
  end(): string[] {
    const [first] = this.#run
    if (first === undefined) return []
    const line = this.#line(this.#run)
    this.#run = []
    return [line]
  }

  #line(run: readonly HistoryEntry[]): string {
    const first = run[0]!
    const lane = this.#laneOf(first.device)
    const sources = new Set<number>()
    for (const { saw } of run) {
      for (const { device } of saw) {
        const source = device === null ? undefined : this.#laneByDevice.get(device)
        if (source !== undefined && source !== lane) sources.add(source)
      }
    }
    const lanes = this.#lanes(first, lane, sources)
    const paint = this.#colors.of(first.device)
    const address = addressesOf(run)
    const segments: Segment[] = [
      { text: `${timeOf(first.timeMs)} `, paint: this.#style.dim },
      { text: `${address.padEnd(widestAddress)} `, paint },
      ...whatOf(run, this.#style, this.#nameOf)
    ]
    const width = this.#laneByDevice.size * 2
    return `${lanes} ${fitted(segments, this.#columns - width - 1)}`
  }

  #lanes(entry: HistoryEntry, lane: number, sources: ReadonlySet<number>): string {
    const ends = [lane, ...sources]
    const [left, right] = [Math.min(...ends), Math.max(...ends)]
    const devices = [...this.#laneByDevice.keys()]
    let text = ''
    for (const [i, device] of devices.entries()) {
      const paint = this.#colors.of(device)
      const isWithin = i > left && i < right
      let glyph = '│'
      if (i === lane) glyph = glyphOf(entry)
      else if (sources.has(i)) glyph = isWithin ? '┼' : i === left ? '├' : '┤'
      else if (isWithin) glyph = '│'
      text += paint(glyph)
      if (i === devices.length - 1) break
      // The way from where something was seen to who saw it has the colour of the former.
      const from =
        i < lane
          ? [...sources].filter((one) => one <= i).at(-1)
          : [...sources].find((one) => one > i)
      const isJoined = i >= left && i < right && from !== undefined
      text += isJoined ? this.#colors.of(devices[from]!)('─') : ' '
    }
    return text
  }

  #laneOf(device: string): number {
    let lane = this.#laneByDevice.get(device)
    if (lane === undefined) this.#laneByDevice.set(device, (lane = this.#laneByDevice.size))
    return lane
  }
}

function goesOn(first: HistoryEntry, next: HistoryEntry): boolean {
  return (
    next.device === first.device &&
    next.core === first.core &&
    next.core !== 'control' &&
    next.kind === first.kind &&
    next.state === first.state &&
    next.problem === null &&
    next.document?.id === first.document?.id &&
    next.event?.type === first.event?.type &&
    // What it saw of its own author's other log tells nothing new.
    next.saw.every(({ device }) => device === next.device)
  )
}

function glyphOf({ state, kind, core }: HistoryEntry): string {
  if (state === 'passed-over') return '×'
  if (state === 'waiting') return '○'
  if (core === 'control') return '◆'
  return kind === 'event' ? '■' : '●'
}
