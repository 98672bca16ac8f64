/** `skein init`: makes a device in the home, with a name that others will see. */
import { existsSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import { defineLocalCommand, exitCodes, Failure } from '../command.ts'
import { examples } from '../help.ts'
import { deviceFolder, type Configuration } from '../settings.ts'

export default defineLocalCommand({
  setUp: (command) =>
    command
      .option(
        '-n, --name <name>',
        "what others see this device called (default: the machine's name)"
      )
      .option(
        '-p, --person <name>',
        'whose it is; the same on all devices of one person (default: you)'
      )
      .option(
        '--passphrase',
        'seal the keys on this disk with a passphrase, which every start needs'
      )
      .addHelpText(
        'after',
        examples(
          ['skein init', 'a device named after this machine'],
          ['skein init --name laptop --person Alice', 'named as you like'],
          [
            'skein --home ./a init --bootstrap 10.0.0.5:49737',
            'for a private network: kept in the home'
          ]
        )
      ),
  async run({ settings, out, call, askPassphrase }, _, options) {
    const { home, bootstrap } = settings
    const device = deviceFolder(home)
    if (existsSync(device)) {
      throw new Failure(`There is a device in ${home} already`, {
        advice: 'Use it as it is, or make another one with --home FOLDER.'
      })
    }
    if (options.passphrase === true && settings.passphrase === null)
      await newPassphrase(askPassphrase)
    const name = options.name ?? settings.name ?? (hostname() || 'device')
    const configuration: Configuration = {
      name,
      person: options.person ?? settings.person ?? personHere() ?? name,
      ...(bootstrap === null ? {} : { bootstrap })
    }
    await mkdir(home, { recursive: true, mode: 0o700 })
    const file = join(home, 'config.json')
    await writeFile(`${file}.new`, `${JSON.stringify(configuration, null, 2)}\n`, { mode: 0o600 })
    await rename(`${file}.new`, file)
    await mkdir(device, { mode: 0o700 })
    const made = (await call('device', [])) as { id: string; name: string }
    const { style } = out
    out.emit({ ...made, person: configuration.person, home }, () => {
      const next = `Next: ${style.bold('skein create NAME')} or ${style.bold('skein join INVITE')}`
      return `This is the device ${style.bold(made.name)} ${style.dim(made.id.slice(0, 8))}, in ${home}\n${next}`
    })
  }
})

/** Fails where there is no terminal to ask on, and where both are not the same. */
async function newPassphrase(ask: (prompt: string) => Promise<string | null>): Promise<void> {
  const usage = { exitCode: exitCodes.usage }
  const once = await ask('A passphrase for this device: ')
  if (once === null) {
    const advice = 'Give it in SKEIN_PASSPHRASE, or by --passphrase-file.'
    throw new Failure('There is no terminal to ask for the passphrase on', { ...usage, advice })
  }
  if (once === '') throw new Failure('A passphrase is not empty', usage)
  if ((await ask('Once more: ')) !== once) throw new Failure('Those are two passphrases', usage)
}

function personHere(): string | undefined {
  try {
    return userInfo().username
  } catch {
    return undefined // Some systems know no name for the user.
  }
}
