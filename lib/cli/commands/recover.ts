/** `skein recover`: takes a space back with its recovery key. */
import { defineCommand } from '../command.ts'
import { examples } from '../help.ts'
import { recoveryFrom } from '../input.ts'
import { duration, shortId } from '../words.ts'

export default defineCommand({
  setUp: (command) =>
    command
      .argument('<key>', 'what `skein create --recovery` printed; - reads it from standard input')
      .option('-t, --timeout <time>', 'how long to wait for a member', duration, 60_000)
      .addHelpText(
        'after',
        `
This device becomes an admin of the space, whatever it was before, and can read all that members can. Some member must be
online; which one does not matter. Do it on one device at a time.
${examples(["skein recover 'skein-recovery:…'", 'waits until a member has answered'], ['skein recover - < key.txt', 'where others could see the arguments'])}`
      ),
  async run({ home, out, input, signal }, [given], { timeout }) {
    const { recoveryKey } = await recoveryFrom(given, input)
    await home.online()
    out.live(() => ['Looking for a member …'])
    const space = await home.skein.recover(recoveryKey!, { timeoutMs: timeout, signal })
    out.live(null)
    const { style } = out
    out.emit({ id: space.id, name: space.name, role: space.role }, () => {
      const back = `Took back the space ${style.bold(space.name)} ${style.dim(shortId(space.id))}, as ${space.role}`
      return `${back}\nNext: ${style.bold('skein members')} shows who is in; ${style.bold('skein remove')} and ${style.bold('skein grant')} with --recovery-key act above them all.`
    })
  }
})
