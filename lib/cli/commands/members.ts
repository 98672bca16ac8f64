/** `skein members`: who is in a space. */
import { defineCommand } from '../command.ts'
import { examples, spaceHelp } from '../help.ts'
import { table } from '../output.ts'
import { shortId } from '../words.ts'

export default defineCommand({
  setUp: (command) =>
    command
      .option('-s, --space <space>', spaceHelp)
      .option('-a, --all', 'also those that left or were removed')
      .addHelpText(
        'after',
        examples(
          ['skein members', 'device, person, role; who is connected'],
          ['skein members --all', 'and who was a member once']
        )
      ),
  run({ home, out }, _, options) {
    const { style } = out
    const space = home.space(options.space)
    const members = space.members()
    const former = options.all === true ? space.formerMembers() : []
    const once = former.map((member) => ({ ...member, role: null }))
    out.emit([...members, ...once], () =>
      table([
        ...members.map((member) => [
          member.isConnected || member.isThisDevice ? style.green('●') : style.dim('○'),
          style.bold(member.name),
          member.person,
          member.role,
          style.dim(shortId(member.device)),
          member.isThisDevice ? 'this device' : member.isConnected ? 'connected' : ''
        ]),
        ...former.map(({ device, name, person }) => [
          style.dim('×'),
          name,
          person,
          style.dim('out'),
          style.dim(shortId(device))
        ])
      ])
    )
    return Promise.resolve()
  }
})
