/** Checks the spaces of a home that is in use, in the process that uses it: for `skein verify`. */
import { defineCommand } from '../command.ts'
import { VerifyPrinter } from '../verify-text.ts'

export default defineCommand({
  setUp: (command) => command.option('--space <id>'),
  async run({ home, out, signal }, _, { space: only }) {
    const printer = new VerifyPrinter(out)
    const spaces = home.skein.spaces().filter(({ id }) => only === undefined || id === only)
    for (const space of spaces) {
      await printer.take(space.verify({ signal, onProgress: printer.onProgress }))
    }
    return printer.end()
  }
})
