/** `skein watch`: prints changes as they come, with who made them. */
import { once } from 'node:events'
import { defineCommand } from '../command.ts'
import { examples, spaceHelp } from '../help.ts'
import { timeOfDay } from '../words.ts'
import { Watching, type DocumentChange, type Shown } from '../watching.ts'
import type { Output } from '../output.ts'

export default defineCommand({
  restarts: true,
  setUp: (command) =>
    command
      .argument('[document...]', 'their names (default: all)')
      .option('-s, --space <space>', spaceHelp)
      .addHelpText(
        'after',
        examples(
          ['skein watch', 'every document of the space, until Ctrl-C'],
          ['skein watch ideas --json | jq .added', 'for a program']
        )
      ),
  async run({ home, out, signal, kept, keep }, [names], options) {
    const space = home.space(options.space)
    const before = new Map(Object.entries(kept as Record<string, Shown>))
    const onChange = (change: DocumentChange): void => {
      const members = space.members()
      const authors = change.by.map((device) => ({
        device,
        name: members.find((member) => member.device === device)?.name ?? device.slice(0, 8)
      }))
      const atMs = Date.now()
      out.emit({ ...change, by: authors, atMs }, () =>
        shown(
          out,
          change,
          authors.map(({ name }) => name),
          atMs
        )
      )
    }
    const watching = new Watching(home, space, names, onChange, keep)
    await watching.start(before)
    try {
      await home.online()
      const what = names.length === 0 ? 'every document' : names.join(', ')
      out.note(`Watching ${what} of ${space.name}, until Ctrl-C`)
      if (!signal.aborted) await once(signal, 'abort')
    } finally {
      await watching.stop()
    }
  }
})

function shown(
  out: Output,
  { document, added, removed, isCompared, length }: DocumentChange,
  authors: readonly string[],
  atMs: number
): string {
  const { style } = out
  const head = `${style.dim(timeOfDay(atMs))}  ${style.bold(authors.join(', '))}  ${style.cyan(document)}`
  if (!isCompared) return `${head}  ${style.dim(`now ${length.toLocaleString('en')} characters`)}`
  const room = Math.max(20, out.columns - 14)
  const lines = [
    ...removed.map((text) => style.red(`- ${excerpt(text, room)}`)),
    ...added.map((text) => style.green(`+ ${excerpt(text, room)}`))
  ]
  const most = 8
  const rest = lines.length - most
  if (rest > 0) lines.splice(most, rest, style.dim(`… and ${rest} more`))
  return [head, ...lines.map((line) => `          ${line}`)].join('\n')
}

/** A text in one line. */
function excerpt(text: string, room: number): string {
  const line = text.replaceAll('\n', '⏎').replaceAll(/\p{Cc}/gu, '�')
  const characters = [...line]
  return characters.length <= room ? line : `${characters.slice(0, room - 1).join('')}…`
}
