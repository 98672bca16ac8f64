/** `skein cat`: prints a document. */
import { defineCommand, exitCodes, Failure } from '../command.ts'
import { documentMeant } from '../document-names.ts'
import { examples, spaceHelp } from '../help.ts'
import { render, rootHelp } from '../text.ts'

export default defineCommand({
  setUp: (command) =>
    command
      .argument('<document>', 'its name')
      .option('-s, --space <space>', spaceHelp)
      .option('--root <name>', rootHelp)
      .addHelpText(
        'after',
        examples(['skein cat ideas', 'its text'], ['skein cat ideas | wc -w', 'and nothing else'])
      ),
  async run({ home, out }, [name], options) {
    const space = home.space(options.space)
    const meant = await documentMeant(home, space, name)
    if (!space.documents().includes(meant)) {
      throw new Failure(`No document "${name}" in ${space.name}`, {
        exitCode: exitCodes.unknown,
        advice: '`skein documents` lists them; `skein write` makes one.'
      })
    }
    const { document, release } = await home.document(space, meant)
    try {
      const text = render(document.doc, options.root)
      if (out.isJson) out.emit({ document: name, text }, () => text)
      else {
        // As it is, for pipes; a terminal gets its end of line.
        const end = out.isTerminal && text !== '' && !text.endsWith('\n') ? '\n' : ''
        await out.bytes(new TextEncoder().encode(text + end))
      }
    } finally {
      await release()
    }
  }
})
