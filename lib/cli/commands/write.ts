/** `skein write`: replaces a document by standard input, changing only what differs. */
import { defineCommand } from '../command.ts'
import { changeText } from '../edits.ts'
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
          ['echo "Take a tent" | skein write packing', 'the whole text'],
          ['skein write ideas < ideas.md', 'from a file'],
          ['skein cat ideas | sort | skein write ideas', 'only the differences are written']
        )
      ),
  async run({ home, out, input }, [name], options) {
    const space = home.space(options.space)
    const text = await readText(input)
    const { document, release } = await home.document(space, await documentMeant(home, space, name))
    try {
      const changed = changeText(textOf(document.doc, options.root), text)
      await document.saved()
      out.emit({ document: name, ...changed }, () => '')
      out.note(
        `Saved ${name}: ${counted(changed.inserted, 'character')} added, ${changed.deleted.toLocaleString('en')} removed`
      )
    } finally {
      await release()
    }
  }
})
