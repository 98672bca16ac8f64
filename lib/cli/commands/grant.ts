/** `skein grant`: gives a device another role, or lets one in again that was removed. */
import { Argument } from '@commander-js/extra-typings'
import { defineCommand } from '../command.ts'
import { examples, recoveryHelp, spaceHelp } from '../help.ts'
import { recoveryFrom } from '../input.ts'
import { deviceMeant } from '../who.ts'

const roles = ['admin', 'writer', 'reader', 'mirror'] as const

export default defineCommand({
  setUp: (command) =>
    command
      .argument('<device>', 'its name, id, or the beginning of that')
      .addArgument(new Argument('<role>', 'what it may do from now on').choices(roles))
      .option('-s, --space <space>', spaceHelp)
      .option('--recovery-key <key>', recoveryHelp)
      .addHelpText(
        'after',
        `
A device gives, and takes, only what is lower than its own role: owner, admin, writer, reader, mirror.
${examples(['skein grant phone reader', 'it may read from now on, and write no more'], ['skein grant tablet admin', 'it may invite others'])}`
      ),
  async run({ home, out, input }, [wanted, role], options) {
    const asOwner = await recoveryFrom(options.recoveryKey, input)
    const space = home.space(options.space)
    const { device, name } = deviceMeant(space, wanted)
    await space.grant(device, role, asOwner)
    out.emit(
      { device, name, role },
      () => `${out.style.bold(name)} is ${role} in ${space.name} now`
    )
    if (!home.isOnline) out.note('The others learn of it with the next `skein sync`.')
  }
})
