/** `skein invites`: those that still let someone in. */
import { defineCommand } from '../command.ts'
import { examples, spaceHelp } from '../help.ts'
import { table } from '../output.ts'
import { counted, shortId, span } from '../words.ts'
import { Failure } from '../exit.ts'

export default defineCommand({
  setUp: (command) =>
    command
      .option('-s, --space <space>', spaceHelp)
      .option(
        '--revoke <invite>',
        'take it back: its line of text, its id, or the beginning of that'
      )
      .addHelpText(
        'after',
        examples(
          ['skein invites', 'what lets others in, for how many and how long'],
          ['skein invites --revoke 3fa91c', 'that one lets nobody in any more']
        )
      ),
  async run({ home, out }, _, options) {
    const { style } = out
    const space = home.space(options.space)
    const invites = await space.invites()
    if (options.revoke !== undefined) {
      const wanted = options.revoke.trim()
      const found = invites.filter(({ id }) => id.startsWith(wanted))
      if (found.length > 1) {
        throw new Failure(`${found.length} invites begin with ${wanted}`, {
          advice: 'Give more of its id.'
        })
      }
      await space.revokeInvite(found[0]?.id ?? wanted)
      out.emit(
        { revoked: found[0]?.id ?? null, space: space.id },
        () => 'It lets nobody in any more'
      )
      return
    }
    const members = space.members()
    out.emit(invites, () =>
      invites.length === 0
        ? `No invite to ${space.name} is open`
        : table(
            invites.map(({ id, role, usesLeft, expiresAtMs, issuer }) => [
              style.bold(shortId(id)),
              role,
              `for ${counted(usesLeft, 'device')}`,
              expiresAtMs === null
                ? 'until it is used'
                : `within ${span(Math.max(0, expiresAtMs - Date.now()))}`,
              style.dim(
                `by ${members.find(({ device }) => device === issuer)?.name ?? shortId(issuer)}`
              )
            ])
          )
    )
  }
})
