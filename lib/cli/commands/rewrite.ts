/** Brings what was made of a text since it was read into the document, beside what others have written meanwhile. */
import { defineCommand } from '../command.ts'
import { documentMeant } from '../document-names.ts'
import { rebase } from '../edits.ts'
import { textOf } from '../text.ts'

export default defineCommand({
  setUp: (command) =>
    command
      .argument('<document>')
      .argument('<before>')
      .argument('<after>')
      .option('-s, --space <space>')
      .option('--root <name>'),
  async run({ home, out }, [name, before, after], options) {
    const space = home.space(options.space)
    const meant = await documentMeant(home, space, name)
    const { document, release } = await home.document(space, meant)
    try {
      const changed = rebase(textOf(document.doc, options.root), before, after)
      await document.saved()
      out.answer(changed)
    } finally {
      await release()
    }
  }
})
