/** `skein remove`: removes a device, or all of a person's. */
import { defineCommand, exitCodes, Failure } from '../command.ts'
import { examples, recoveryHelp, spaceHelp } from '../help.ts'
import { recoveryFrom } from '../input.ts'
import { deviceMeant } from '../who.ts'
import { listed } from '../words.ts'

export default defineCommand({
  setUp: (command) =>
    command
      .argument('[device]', 'its name, id, or the beginning of that')
      .option('--person <name>', 'all devices of that person instead')
      .option('-s, --space <space>', spaceHelp)
      .option('--recovery-key <key>', recoveryHelp)
      .addHelpText(
        'after',
        `
What it writes from here on counts no more, and new keys are not for it. What has come from it stays, and so does
what it has read. \`skein grant\` lets it in again.
${examples(['skein remove phone', 'a device that was lost'], ['skein remove --person Bob', 'with everything of his'])}`
      ),
  async run({ home, out, input }, [wanted], { person, space: named, recoveryKey }) {
    const asOwner = await recoveryFrom(recoveryKey, input)
    const space = home.space(named)
    if ((wanted === undefined) === (person === undefined)) {
      throw new Failure('Name a device, or a person by --person', { exitCode: exitCodes.usage })
    }
    const one = wanted === undefined ? null : deviceMeant(space, wanted)
    const removed = space
      .members()
      .filter((member) => (one === null ? member.person === person : member.device === one.device))
      .map(({ device, name }) => ({ device, name }))
    await space.remove(one === null ? { person: person! } : one.device, asOwner)
    out.emit({ removed }, () => {
      const names = removed.length === 0 ? 'Nobody' : listed(removed.map(({ name }) => name))
      return `${out.style.bold(names)} ${removed.length > 1 ? 'are' : 'is'} out of ${space.name}`
    })
    if (!home.isOnline) out.note('The others learn of it with the next `skein sync`.')
  }
})
