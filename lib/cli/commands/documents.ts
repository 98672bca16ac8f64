/** `skein documents`: the documents of a space. */
import { defineCommand } from '../command.ts'
import { DocumentNames } from '../document-names.ts'
import { examples, spaceHelp } from '../help.ts'

export default defineCommand({
  setUp: (command) =>
    command
      .option('-s, --space <space>', spaceHelp)
      .addHelpText(
        'after',
        examples(['skein documents', 'their names, one a line; a file of a folder by its path'])
      ),
  async run({ home, out }, _, options) {
    const space = home.space(options.space)
    const names = await DocumentNames.of(home, space)
    const documents = space
      .documents()
      .map((name) => ({ name, shown: names.nameOf(name) }))
      .sort((a, b) => a.shown.localeCompare(b.shown, 'en'))
    out.emit(
      documents.map(({ name, shown }) => ({ name, path: shown === name ? null : shown })),
      () => documents.map(({ shown }) => shown).join('\n')
    )
  }
})
