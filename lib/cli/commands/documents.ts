/** `skein documents`: the documents of a space. */
import { defineCommand } from '../command.ts'
import { examples, spaceHelp } from '../help.ts'

export default defineCommand({
  setUp: (command) =>
    command
      .option('-s, --space <space>', spaceHelp)
      .addHelpText('after', examples(['skein documents', 'their names, one a line'])),
  run({ home, out }, _, options) {
    const names = home
      .space(options.space)
      .documents()
      .sort((a, b) => a.localeCompare(b, 'en'))
    out.emit(
      names.map((name) => ({ name })),
      () => names.join('\n')
    )
    return Promise.resolve()
  }
})
