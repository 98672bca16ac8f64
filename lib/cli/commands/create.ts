/** `skein create`: makes a space whose owner is this device. */
import { defineCommand } from '../command.ts'
import { examples } from '../help.ts'
import { shortId } from '../words.ts'

export default defineCommand({
  setUp: (command) =>
    command
      .argument('<name>', 'what people call it; every member sees it')
      .addHelpText('after', examples(['skein create Notes', 'makes a space and prints its id'])),
  async run({ home, out }, [name]) {
    const space = await home.skein.createSpace({ name })
    const { style } = out
    out.emit({ id: space.id, name: space.name, role: space.role }, () => {
      const made = `Made the space ${style.bold(space.name)} ${style.dim(shortId(space.id))}`
      return `${made}\nNext: ${style.bold('skein invite')} lets another device in.`
    })
  }
})
