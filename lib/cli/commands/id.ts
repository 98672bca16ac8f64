/** `skein id`: how this device introduces itself. */
import { defineCommand } from '../command.ts'
import { examples } from '../help.ts'

export default defineCommand({
  setUp: (command) =>
    command.addHelpText(
      'after',
      `
One line that holds no secret. A member that may let others in makes a bundle for this device with it, where the two
never meet; where they do, \`skein invite\` and \`skein join\` need none.
${examples(['skein id', 'prints it'], ["skein export new.skein --for 'skein-device:…'", 'on the other device'])}`
    ),
  run({ home, out }) {
    const { introduction, id, name } = home.skein
    out.emit({ introduction, id, name }, () => introduction)
    return Promise.resolve()
  }
})
