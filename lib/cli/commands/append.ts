/** `skein append`: adds standard input at the end of a document. */
import { defineCommand } from '../command.ts'
import { documentMeant } from '../document-names.ts'
import { examples, spaceHelp } from '../help.ts'
import { readText } from '../input.ts'
import { rootHelp, textOf } from '../text.ts'
import { counted } from '../words.ts'

export default defineCommand({
  setUp: (command) =>
    command
      .argument('<document>', 'its name; it is made where there is none')
      .option('-s, --space <space>', spaceHelp)
      .option('--root <name>', rootHelp)
      .addHelpText(
        'after',
        examples(
          ['echo "- socks" | skein append packing', 'one more line'],
          ['date | skein append diary', 'a new document begins with it']
        )
      ),
  async run({ home, out, input }, [name], options) {
    const space = home.space(options.space)
    const added = await readText(input)
    const { document, release } = await home.document(space, await documentMeant(home, space, name))
    try {
      const text = textOf(document.doc, options.root)
      // What is appended begins a line of its own.
      const last = text.length === 0 ? '\n' : text.toString().slice(-1)
      const inserted = last === '\n' || added === '' ? added : `\n${added}`
      text.insert(text.length, inserted)
      await document.saved()
      out.emit({ document: name, inserted: inserted.length, deleted: 0 }, () => '')
      out.note(`Saved ${name}: ${counted(inserted.length, 'character')} added`)
    } finally {
      await release()
    }
  }
})
