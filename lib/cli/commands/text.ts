/** Answers the text of a document, as `edit` gives it to an editor. */
import { defineCommand } from '../command.ts'
import { documentMeant } from '../document-names.ts'
import { textOf } from '../text.ts'

export default defineCommand({
  setUp: (command) =>
    command.argument('<document>').option('-s, --space <space>').option('--root <name>'),
  async run({ home, out }, [name], options) {
    const space = home.space(options.space)
    const meant = await documentMeant(home, space, name)
    const { document, release } = await home.document(space, meant)
    try {
      out.answer(textOf(document.doc, options.root).toString())
    } finally {
      await release()
    }
  }
})
