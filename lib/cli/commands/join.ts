/** `skein join`: joins a space by an invite. */
import { defineCommand } from '../command.ts'
import { examples } from '../help.ts'
import { duration, shortId } from '../words.ts'

export default defineCommand({
  setUp: (command) =>
    command
      .argument('<invite>', 'the line that `skein invite` printed')
      .option(
        '-t, --timeout <time>',
        'how long to wait for someone who may let this device in',
        duration,
        60_000
      )
      .addHelpText(
        'after',
        examples(["skein join 'skein:…'", 'waits until a member has answered'])
      ),
  async run({ home, out, signal }, [invite], { timeout }) {
    await home.online()
    out.live(() => ['Looking for a device that lets this one in …'])
    const space = await home.skein.join(invite.trim(), { timeoutMs: timeout, signal })
    out.live(null)
    const { style } = out
    out.emit({ id: space.id, name: space.name, role: space.role }, () => {
      const joined = `Joined the space ${style.bold(space.name)} ${style.dim(shortId(space.id))} as ${space.role}`
      return `${joined}\nNext: ${style.bold('skein sync')} keeps it in step.`
    })
  }
})
