/** `skein members`: who is in a space. */
import { defineCommand } from '../command.ts'
import { examples, spaceHelp } from '../help.ts'
import { table } from '../output.ts'
import { shortId } from '../words.ts'

export default defineCommand({
  setUp: (command) =>
    command
      .option('-s, --space <space>', spaceHelp)
      .addHelpText('after', examples(['skein members', 'device, person, role; who is connected'])),
  run({ home, out }, _, options) {
    const { style } = out
    const members = home.space(options.space).members()
    out.emit(members, () =>
      table(
        members.map((member) => [
          member.isConnected || member.isThisDevice ? style.green('●') : style.dim('○'),
          style.bold(member.name),
          member.person,
          member.role,
          style.dim(shortId(member.device)),
          member.isThisDevice ? 'this device' : member.isConnected ? 'connected' : ''
        ])
      )
    )
    return Promise.resolve()
  }
})
