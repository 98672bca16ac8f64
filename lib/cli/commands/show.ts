/** `skein show`: one entry in full. */
import type { EntryDetails } from 'skein'
import { defineCommand } from '../command.ts'
import { examples, spaceHelp } from '../help.ts'
import { dayOf, timeOf } from '../history-text.ts'
import { table, type Output } from '../output.ts'
import { counted, size } from '../words.ts'

export default defineCommand({
  setUp: (command) =>
    command
      .argument('<entry>', 'as `skein log` names it: alice:content:12, or its id')
      .option('-s, --space <space>', spaceHelp)
      .addHelpText(
        'after',
        examples(
          ['skein show alice:content:12', 'who wrote it, what they had seen, and what it says'],
          ['skein show 0123456789abcdef/12', 'by its id, which is the same on every device']
        )
      ),
  async run({ home, out }, [address], options) {
    const entry = await home.space(options.space).entry(address)
    out.emit(entry, () => textOf(entry, out))
  }
})

function textOf(entry: EntryDetails, out: Output): string {
  const { style } = out
  const rows: [string, string][] = [
    ['entry', `${style.bold(entry.address)}  ${style.dim(entry.id)}`],
    ['kind', `${entry.kind ?? 'unreadable'}, ${entry.state}`],
    ['author', `${entry.author} (${entry.role ?? 'no role'})`],
    ['', style.dim(entry.device)],
    ['written', `${dayOf(entry.timeMs)} ${timeOf(entry.timeMs)}, by its own clock`]
  ]
  if (entry.problem !== null) rows.push(['problem', style.red(entry.problem)])
  for (const { author, core, length, treeHash, log } of entry.saw) {
    const what =
      author === null ? `log ${log}` : `${author}:${core === 'content/0' ? 'content' : core}`
    rows.push(['had seen', `${what} up to ${length}  ${style.dim(treeHash)}`])
  }
  for (const { index, bytes, hash } of entry.blocks) {
    rows.push(['block', `${index}, ${size(bytes)}  ${style.dim(hash)}`])
  }
  const by =
    entry.seal.issuedBy.length > 0 ? `, given out by ${entry.seal.issuedBy.join(', ')}` : ''
  rows.push([
    'sealed under',
    `the ${entry.seal.kind}${by}  ${style.dim(entry.seal.key.slice(0, 16))}`
  ])
  rows.push(['tree hash', style.dim(entry.treeHash)])
  if (entry.head !== null) {
    rows.push(['signed', `in the head of ${counted(entry.head.length, 'block')}`])
    rows.push(['', style.dim(entry.head.treeHash)])
  }
  const header = table(rows.map(([name, value]) => [style.dim(name), value]))
  return `${header}\n${bodyOf(entry, out)}`
}

function bodyOf({ document, edit, event, control }: EntryDetails, { style }: Output): string {
  const lines: string[] = ['']
  if (edit !== null) {
    lines.push(style.bold(`edit of ${document?.name ?? document?.id ?? 'a document'}`))
    for (const root of edit.roots) lines.push(style.dim(`  in ${root}`))
    if (edit.inserted.length > 0) {
      lines.push(style.green(`  + ${counted(edit.inserted.length, 'character')}`))
      lines.push(...indented(edit.inserted.excerpt))
    }
    if (edit.deleted.length > 0) {
      lines.push(style.red(`  − ${counted(edit.deleted.length, 'character')}`))
      lines.push(...indented(edit.deleted.excerpt ?? 'no longer known'))
    }
    for (const other of edit.others) lines.push(`  ${other}`)
  } else if (event !== null) {
    lines.push(style.bold(`event ${event.type}`))
    lines.push(...indented(JSON.stringify(event.value, null, 2)))
  } else if (control !== null) {
    lines.push(style.bold(control.text))
    lines.push(...indented(JSON.stringify(control.details, null, 2)))
  }
  return lines.join('\n')
}

function indented(text: string): string[] {
  // What a member wrote must not drive the terminal.
  return text.split('\n').map((line) => `    ${line.replaceAll(/\p{Cc}/gu, '·')}`)
}
