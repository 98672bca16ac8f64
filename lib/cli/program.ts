/** The `skein` program: what may be typed, its help, and how what was typed comes to a command. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Command, CommanderError } from 'commander'
import type { Command as TypedCommand } from '@commander-js/extra-typings'
import { exitCodes, Told } from './exit.ts'
import { commands, groups, loadCommand } from './commands.ts'
import { report } from './failure.ts'
import { globalOptions } from './flags.ts'
import { Output } from './output.ts'
import { runCommand } from './session.ts'
import { settingsOf, type Flags, type Settings } from './settings.ts'
import { OwnTerminal, type UserProcess } from './terminal.ts'
import { topics } from './topics.ts'

const description =
  'Keeps documents in step between your devices, peer to peer: no server, no account.\nWhat one device writes, every device of the space gets, whenever two of them meet.'

const epilogue = `
Begin with:
  skein init --name laptop       make this a device
  skein create Notes             make a space …
  skein invite                   … print a link that lets another device in
  skein join LINK                (on the other device)
  skein sync                     keep in step, until Ctrl-C

More: skein COMMAND --help · skein help configuration · skein help exit-codes`

/** Runs what was typed (without 'node' and the script), and gives the exit code. */
export async function runProgram(
  argv: readonly string[],
  user: UserProcess,
  signal: AbortSignal
): Promise<number> {
  let exitCode: number = exitCodes.done
  const version = packageVersion()
  const program = makeProgram(version, user, async (name, command) => {
    const flags = command.optsWithGlobals<Flags>()
    const terminal = new OwnTerminal(user, flags.color !== false)
    try {
      const module = await loadCommand(name)
      let asked: string | null = null
      const reload = (): Settings => {
        const settings = settingsOf(flags, user.env)
        return { ...settings, passphrase: asked ?? settings.passphrase }
      }
      const askPassphrase = async (prompt: string): Promise<string | null> =>
        (asked = await user.askSecret(prompt))
      const session = {
        settings: reload(),
        reload,
        terminal,
        version,
        cwd: user.cwd(),
        env: user.env,
        undisturbed: user.undisturbed,
        askPassphrase,
        signal
      }
      const { processedArgs: args } = command
      exitCode = await runCommand(session, { command: name, module, args, options: command.opts() })
    } catch (error) {
      const { json = false, quiet = false, debug = false } = flags
      const out = new Output(terminal, { json, quiet })
      if (error instanceof Told) exitCode = error.exitCode
      else if (signal.aborted) exitCode = exitCodes.interrupted
      else exitCode = report(error, out, debug)
      await out.drained()
    }
  })
  try {
    if (argv.length === 0) program.outputHelp()
    else await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? exitCodes.done : exitCodes.usage
  }
  return exitCode
}

/** The parser, with every command's name; a command's own part is loaded once it is the one that is meant. */
function makeProgram(
  version: string,
  { stdout, stderr }: UserProcess,
  act: (name: string, command: Command) => Promise<void>
): Command {
  const program = new Command('skein')
    .description(description)
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .addHelpCommand(
      new Command('help')
        .argument('[command]')
        .description('show help for a command or topic')
        .helpGroup(groups.more)
    )
    .addHelpText('after', epilogue)
    .showHelpAfterError('(add --help for what may be given)')
    .configureHelp({
      showGlobalOptions: true,
      styleTitle: (title) => `\u001B[1m${title}\u001B[22m`
    })
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void stderr.write(text),
      getOutHelpWidth: () => stdout.columns ?? 80,
      getErrHelpWidth: () => stderr.columns ?? 80
    })
    .exitOverride()
  for (const option of globalOptions()) program.addOption(option)
  for (const { name, group, summary } of commands) {
    program
      .command(name, { hidden: summary === '' })
      .summary(summary)
      .description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`)
      .helpGroup(group)
      .copyInheritedSettings(program)
      .action((...given: unknown[]) => act(name, given.at(-1) as Command))
  }
  for (const { name, text } of topics) {
    const topic = program.command(name, { hidden: true }).copyInheritedSettings(program)
    topic.helpInformation = () => text
    topic.action(() => topic.outputHelp())
  }
  program.hook('preSubcommand', async (_, command) => {
    const isCommand = commands.some(({ name }) => name === command.name())
    if (!isCommand) return
    const { setUp } = await loadCommand(command.name())
    setUp(command as unknown as TypedCommand)
  })
  return program
}

function packageVersion(): string {
  const file = fileURLToPath(import.meta.resolve('skein/package.json'))
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}
