/** `skein verify`: checks everything that this device has. */
import { existsSync } from 'node:fs'
import { defineLocalCommand, exitCodes, Failure } from '../command.ts'
import { isSkeinError } from '../failure.ts'
import { examples } from '../help.ts'
import { deviceFolder } from '../settings.ts'
import { VerifyPrinter } from '../verify-text.ts'

export default defineLocalCommand({
  setUp: (command) =>
    command.addHelpText(
      'after',
      `
Every block against its hash and every hash against what the author signed, seals, roles, what entries had seen, the
outbox, the keys, and each document against one that is built anew from the logs. Nothing is changed. While a command
uses the home, its spaces are checked as they lie in the store, and not the files beneath.

Exit code: 0 when there is no damage, 3 when there is.
${examples(['skein verify', 'says what is wrong, and where'], ['skein verify --json', 'one problem a line'])}`
    ),
  async run({ settings, out, signal, call }) {
    const storage = deviceFolder(settings.home)
    if (!existsSync(storage)) {
      throw new Failure(`There is no device in ${settings.home} yet`, {
        exitCode: exitCodes.unknown,
        advice: 'Make one with `skein init --name NAME`, or name another folder with --home.'
      })
    }
    const { Skein } = await import('skein')
    const printer = new VerifyPrinter(out)
    try {
      await printer.take(Skein.verify({ storage, signal, onProgress: printer.onProgress }))
    } catch (error) {
      out.live(null)
      if (!isSkeinError(error, 'STORAGE_LOCKED')) throw error
      await call('verify-open', [])
      return exitCodes.done
    }
    return printer.end()
  }
})
