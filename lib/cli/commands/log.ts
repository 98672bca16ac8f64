/** `skein log`: what happened in a space, entry by entry. */
import type { HistoryEntry, Space } from 'skein'
import { defineCommand, exitCodes, Failure } from '../command.ts'
import { DocumentNames } from '../document-names.ts'
import { examples, spaceHelp } from '../help.ts'
import { HistoryGraph } from '../history-graph.ts'
import { AuthorColors, dayOf, fitted, timeOf, whatOf, type NameOf } from '../history-text.ts'
import type { Output } from '../output.ts'
import { count } from '../words.ts'

const addressColumns = 18

export default defineCommand({
  setUp: (command) =>
    command
      .argument('[document]', 'only the edits of this document')
      .option('-s, --space <space>', spaceHelp)
      .option(
        '-a, --author <device>',
        'only what this device wrote: its name, or the beginning of its id'
      )
      .option('-n, --last <number>', 'only the last of them', count)
      .option('-g, --graph', 'the devices’ logs as lanes, and how they weave')
      .addHelpText(
        'after',
        examples(
          ['skein log', 'every entry, in an order in which it could be delivered'],
          ['skein log ideas --author phone -n 20', 'what phone last wrote there'],
          ['skein log --graph', 'who had seen what: ● edit, ■ event, ◆ members and keys'],
          ['skein show alice:content:12', 'one of them in full']
        )
      ),
  async run({ home, out, signal }, [named], options) {
    const space = home.space(options.space)
    const names = await DocumentNames.of(home, space)
    const document = named === undefined ? undefined : names.documentOf(named)
    if (document !== undefined && !space.documents().includes(document)) {
      throw new Failure(`No document "${named}" in ${space.name}`, {
        exitCode: exitCodes.unknown,
        advice: '`skein documents` lists them.'
      })
    }
    const author = options.author === undefined ? undefined : deviceOf(space, options.author)
    const entries = space.history({
      signal,
      ...(document === undefined ? {} : { document }),
      ...(author === undefined ? {} : { author })
    })
    const nameOf = (document: string): string => names.nameOf(document)
    const print = options.graph === true ? graphPrinter(out, nameOf) : linePrinter(out, nameOf)
    if (options.last === undefined) {
      for await (const entry of entries) print(entry)
    } else {
      const last: HistoryEntry[] = []
      for await (const entry of entries) {
        last.push(entry)
        if (last.length > 2 * options.last) last.splice(0, last.length - options.last)
      }
      for (const entry of last.slice(-options.last)) print(entry)
    }
    print(null)
  }
})

/** Prints an entry, and at null what is left. */
type Printer = (entry: HistoryEntry | null) => void

function linePrinter(out: Output, nameOf: NameOf): Printer {
  const colors = new AuthorColors(out.style)
  const sayDay = dayPrinter(out)
  return (entry) => {
    if (entry === null) return
    out.emit(entry, () => {
      sayDay(entry.timeMs)
      const { style } = out
      const segments = [
        { text: `${timeOf(entry.timeMs)}  `, paint: style.dim },
        { text: `${entry.address.padEnd(addressColumns)}  `, paint: colors.of(entry.device) },
        ...whatOf([entry], style, nameOf)
      ]
      return fitted(segments, out.isTerminal ? out.columns : Number.POSITIVE_INFINITY)
    })
  }
}

function graphPrinter(out: Output, nameOf: NameOf): Printer {
  const columns = out.isTerminal ? out.columns : Number.POSITIVE_INFINITY
  const graph = new HistoryGraph(out.style, new AuthorColors(out.style), columns, nameOf)
  return (entry) => {
    if (entry !== null && out.isJson) {
      out.emit(entry, () => '')
      return
    }
    for (const line of entry === null ? graph.end() : graph.add(entry)) out.print(line)
  }
}

/** A line where the day changes. */
function dayPrinter(out: Output): (timeMs: number | null) => void {
  let shown = ''
  return (timeMs) => {
    const day = dayOf(timeMs)
    if (day === shown || day === '') return
    shown = day
    out.print(out.style.dim(`── ${day}`))
  }
}

function deviceOf(space: Space, wanted: string): string {
  const found = space
    .members()
    .filter(
      ({ name, device }) => name === wanted || (wanted.length >= 4 && device.startsWith(wanted))
    )
  if (found.length === 1) return found[0]!.device
  throw new Failure(
    found.length === 0
      ? `No member "${wanted}" in ${space.name}`
      : `Several members are called "${wanted}"`,
    {
      exitCode: exitCodes.unknown,
      advice: '`skein members` lists them, with the beginnings of their ids.'
    }
  )
}
