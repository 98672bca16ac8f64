/** `skein verify`: checks everything that this device has. */
import { existsSync } from 'node:fs'
import type { Verification } from 'skein'
import { defineLocalCommand, exitCodes, Failure } from '../command.ts'
import { isSkeinError } from '../failure.ts'
import { examples } from '../help.ts'
import { deviceFolder } from '../settings.ts'
import { VerifyPrinter } from '../verify-text.ts'

export default defineLocalCommand({
  setUp: (command) =>
    command.option('-s, --space <space>', 'id of a space: that one alone').addHelpText(
      'after',
      `
Every block against its hash and every hash against what the author signed, seals, roles, what entries had seen, the
outbox, the keys, and each document against one that is built anew from the logs. Nothing is changed. While a command
uses the home, its spaces are checked as they lie in the store, and not the files beneath.

Exit code: 0 when there is no damage, 3 when there is.
${examples(['skein verify', 'says what is wrong, and where'], ['skein verify --json', 'one problem a line'])}`
    ),
  async run({ settings, out, signal, call, askPassphrase }, _, options) {
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
      const { onProgress } = printer
      const verify = (passphrase: string | null): Verification =>
        Skein.verify({
          ...{ storage, signal, onProgress },
          ...(passphrase === null ? {} : { passphrase }),
          ...(options.space === undefined ? {} : { space: options.space })
        })
      await printer.take(withPassphrase(verify, settings.passphrase, askPassphrase))
    } catch (error) {
      out.live(null)
      if (!isSkeinError(error, 'STORAGE_LOCKED')) throw error
      await call('verify-open', [], options)
      return exitCodes.done
    }
    return printer.end()
  }
})

/** As `verify`, anew with the passphrase where one turns out to be needed and is given. */
async function* withPassphrase(
  verify: (passphrase: string | null) => Verification,
  given: string | null,
  ask: (prompt: string) => Promise<string | null>
): Verification {
  const problems = verify(given)
  for (let next = await problems.next(); ; next = await problems.next()) {
    if (next.done === true) return next.value
    const isShut = next.value.code === 'missing-key' && next.value.where === 'secrets'
    const passphrase = isShut && given === null ? await ask('Passphrase: ') : null
    if (passphrase !== null && passphrase !== '') return yield* verify(passphrase)
    yield next.value
  }
}
