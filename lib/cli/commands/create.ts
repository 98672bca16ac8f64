/** `skein create`: makes a space whose owner is this device. */
import { defineCommand } from '../command.ts'
import { examples } from '../help.ts'
import { shortId } from '../words.ts'

export default defineCommand({
  setUp: (command) =>
    command
      .argument('<name>', 'what people call it; every member sees it')
      .option(
        '--owner <introduction>',
        'a device that owns it too, below this one: the line that `skein id` prints there; may be given again',
        (text: string, before: string[] | undefined) => [...(before ?? []), text]
      )
      .option('--recovery', 'with a key, to be printed and put away, that takes the space back')
      .addHelpText(
        'after',
        examples(
          ['skein create Notes', 'makes a space and prints its id'],
          ['skein create Notes --recovery', 'and a recovery key, which is on no device'],
          [
            "skein create Notes --owner 'skein-device:…'",
            'has a second owner, who comes in by an invite'
          ]
        )
      ),
  async run({ home, out }, [name], { recovery = false, owner: owners = [] }) {
    const space = await home.skein.createSpace({ name, recovery, owners })
    const { style } = out
    const key = space.recoveryKey
    const made = { id: space.id, name: space.name, role: space.role }
    out.emit(key === null ? made : { ...made, recoveryKey: key }, () => {
      const line = `Made the space ${style.bold(space.name)} ${style.dim(shortId(space.id))}`
      const others =
        owners.length === 0 ? [] : space.members().filter(({ isThisDevice }) => !isThisDevice)
      const ofOwners = others.map(
        (other) => `\n${other.name} ${style.dim(shortId(other.device))} is an owner`
      )
      return `${line}${ofOwners.join('')}\nNext: ${style.bold('skein invite')} lets another device in.`
    })
    if (key === null) return
    out.print(key)
    out.note(
      'That is its recovery key, shown this once: print it, and keep it off this device. Whoever has it is above every owner: `skein recover` takes the space back with it.'
    )
  }
})
