/** `skein watch`: prints changes as they come, with who made them. */
import { once } from 'node:events'
import { defineCommand } from '../command.ts'
import { DocumentNames } from '../document-names.ts'
import { SharedTree } from '../folder/shared-tree.ts'
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
    let documentNames = await DocumentNames.of(home, space)
    const onChange = async (change: DocumentChange): Promise<void> => {
      const { document } = change
      // A file of a folder that is new, or was renamed.
      if (SharedTree.fileOf(document) !== null) documentNames = await DocumentNames.of(home, space)
      const named = { ...change, name: documentNames.nameOf(document) }

      const members = space.members()
      const authors = change.by.map((device) => ({
        device,
        name: members.find((member) => member.device === device)?.name ?? device.slice(0, 8)
      }))
      const atMs = Date.now()
      out.emit({ ...named, by: authors, atMs }, () =>
        shown(
          out,
          named,
          authors.map(({ name }) => name),
          atMs
        )
      )
    }
    const meant = names.map((name) => documentNames.documentOf(name))
    const watching = new Watching(home, space, meant, onChange, keep)
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
  { name, added, removed, isCompared, length }: DocumentChange & { readonly name: string },
  authors: readonly string[],
  atMs: number
): string {
  const { style } = out
  const head = `${style.dim(timeOfDay(atMs))}  ${style.bold(authors.join(', '))}  ${style.cyan(name)}`
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
