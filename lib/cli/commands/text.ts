/** Answers the text of a document, as `edit` gives it to an editor. */
import { defineCommand } from '../command.ts'
import { textOf } from '../text.ts'

export default defineCommand({
  setUp: (command) =>
    command.argument('<document>').option('-s, --space <space>').option('--root <name>'),
  async run({ home, out }, [name], options) {
    const { document, release } = await home.document(home.space(options.space), name)
    try {
      out.answer(textOf(document.doc, options.root).toString())
    } finally {
      await release()
    }
  }
})
