/** Checks the spaces of a home that is in use, in the process that uses it: for `skein verify`. */
import { defineCommand } from '../command.ts'
import { VerifyPrinter } from '../verify-text.ts'

export default defineCommand({
  setUp: (command) => command,
  async run({ home, out, signal }) {
    const printer = new VerifyPrinter(out)
    for (const space of home.skein.spaces()) {
      await printer.take(space.verify({ signal, onProgress: printer.onProgress }))
    }
    return printer.end()
  }
})
