/** `skein sync`: exchanges with other devices, until stopped or until nothing is missing. */
import { once } from 'node:events'
import { defineCommand } from '../command.ts'
import { examples } from '../help.ts'

export default defineCommand({
  restarts: true,
  setUp: (command) =>
    command
      .argument('[space...]', 'which spaces (default: all)')
      .addHelpText('after', examples(['skein sync', 'keeps all spaces in step, until Ctrl-C'])),
  async run({ home, out, signal }, [wanted]) {
    const spaces =
      wanted.length === 0 ? home.skein.spaces() : wanted.map((name) => home.space(name))
    await home.online()
    for (const space of spaces) out.note(`${space.name}: in step as long as this runs`)
    if (!signal.aborted) await once(signal, 'abort')
  }
})
