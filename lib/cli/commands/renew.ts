/** `skein renew`: makes a device of its own of a home that was copied. */
import { defineCommand, exitCodes, Failure, type HomeContext } from '../command.ts'
import { isSkeinError } from '../failure.ts'
import { examples } from '../help.ts'
import { duration } from '../words.ts'

export default defineCommand({
  setUp: (command) =>
    command
      .option('-n, --name <name>', 'what others see it called (default: as before)')
      .option('-y, --yes', 'really give up the keys of the device that it is a copy of')
      .option(
        '-t, --timeout <time>',
        'how long to look whether its device runs elsewhere',
        duration,
        30_000
      )
      .addHelpText(
        'after',
        `
For a home that was copied from one that goes on being used. It gets keys of its own, and shows what it shows, read-only,
until it is let in again: it asks who is online (\`skein admit\` there), or joins by an invite. Then what was typed in it, and
could not be written, is written under its own name.
A restored backup, whose original is gone, needs none of this: it goes on as the device that it was.
${examples(["skein renew --name 'new laptop' --yes", 'then skein sync, and somebody lets it in'])}`
      ),
  async run(context, _, { name, yes, timeout }) {
    const { home, out } = context
    if (yes !== true) {
      throw new Failure('This home would no longer be the device that it is a copy of', {
        exitCode: exitCodes.usage,
        advice: 'Add --yes to do so. Somebody in each of its spaces has to let it in again.'
      })
    }
    const spaces = home.skein.spaces().map((space) => space.name)
    try {
      await home.renew(name)
    } catch (error) {
      if (!isSkeinError(error, 'NOT_ALLOWED')) throw error
      await whenAside(context, timeout, error)
      await home.renew(name)
    }
    out.emit({ renewed: true, spaces }, () => {
      const { style } = out
      return `This home is a device of its own now.\nNext: ${style.bold('skein sync')}, while somebody in each of its spaces runs ${style.bold('skein admit')}.`
    })
  }
})

/** Resolves when this home has stepped aside for the one that it is a copy of; fails with `error` if it does not in time. */
async function whenAside(
  { home, out, signal }: HomeContext,
  timeoutMs: number,
  error: Error
): Promise<void> {
  await home.online()
  out.live(() => ['Looking whether this home’s device runs elsewhere …'])
  await new Promise<void>((resolve, reject) => {
    const done = (): void => {
      clearTimeout(timer)
      stop()
      signal.removeEventListener('abort', abort)
    }
    const look = (): void => {
      if (home.skein.copied !== 'here') return
      done()
      resolve()
    }
    const abort = (): void => {
      done()
      reject(signal.reason as Error)
    }
    const timer = setTimeout(() => {
      done()
      reject(error)
    }, timeoutMs)
    const stop = home.skein.on('copied', look)
    signal.addEventListener('abort', abort, { once: true })
    look()
  })
  out.live(null)
}
