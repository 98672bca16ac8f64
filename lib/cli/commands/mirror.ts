/** `skein mirror`: this device keeps the spaces of others available, unread; or one that does is asked to keep a space. */
import { defineCommand, exitCodes } from '../command.ts'
import { examples, spaceHelp } from '../help.ts'
import { duration, shortId } from '../words.ts'
import { keepInStep } from './sync.ts'

export default defineCommand({
  restarts: true,
  setUp: (command) =>
    command
      .argument('[address]', 'of a mirror that is to keep a space of yours')
      .option('-s, --space <space>', `with an address: ${spaceHelp}`)
      .option(
        '-t, --timeout <time>',
        'with an address: how long to look for the mirror',
        duration,
        60_000
      )
      .option('--qr', 'show the address as a QR code too')
      .addHelpText(
        'after',
        `
A mirror holds everything of a space, encrypted, and reads nothing of it: a small machine that is always on. It prints its
address once it runs. Whoever is an admin of a space hands it over there, with \`skein mirror ADDRESS\`, and two devices
that are never online together meet by it. The address lets others fill the mirror's disk: give it to those you keep
spaces for. \`skein members\` lists the mirrors of a space, \`skein remove NAME\` ends one.
${examples(
  ['skein mirror', 'on the machine that is always on'],
  ["skein mirror 'skein-mirror:…' --space Notes", 'on your device: has it keep Notes']
)}`
      ),
  async run(context, [address], options) {
    const { home, out, signal } = context
    const { style } = out
    await home.online()
    if (address !== undefined) {
      const space = home.space(options.space)
      out.live(() => ['Looking for the mirror …'])
      const added = await space.addMirror(address, { timeoutMs: options.timeout, signal })
      out.live(null)
      out.emit({ space: space.id, device: added.device, name: added.name }, () => {
        const mirror = `${style.bold(added.name)} ${style.dim(shortId(added.device))}`
        return `${mirror} keeps ${space.name} from now on, and cannot read it`
      })
      return exitCodes.done
    }
    const own = await home.skein.mirror(
      home.bootstrap === null ? {} : { hints: home.bootstrap.slice(0, 16) }
    )
    out.emit({ address: own, device: home.skein.id }, () => own)
    if (options.qr === true && !out.isJson) {
      const { renderUnicodeCompact } = await import('uqr')
      out.print(renderUnicodeCompact(own, { border: 2 }))
    }
    out.note(
      "It keeps the spaces of those who have this address. On a device in a space: skein mirror 'ADDRESS'"
    )
    return keepInStep(context, home.skein.spaces(), true, null)
  }
})
