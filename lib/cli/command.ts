/**
 * The contract between a command and the frame around it. A command is one file, `commands/NAME.ts`, whose default export
 * is a `defineCommand({ … })`, and one line in the table of `commands.ts` (name, group, summary, how to load it), so that
 * `skein --help` and every other command start without loading it.
 *
 *     export default defineCommand({
 *       setUp: (command) =>
 *         command
 *           .argument('<document>', 'its name')
 *           .option('-s, --space <space>', spaceHelp)
 *           .addHelpText('after', examples(['skein cat ideas', 'prints the document']])),
 *       async run({ home, out, signal }, [name], options) {
 *         const space = home.space(options.space)
 *         …
 *         out.emit({ name, text }, () => text)        // --json: one line of JSON; else the text
 *       }
 *     })
 *
 * Where it runs: a home is held by one process at a time, and that one serves the others through a local socket. So
 * `run` may be called in another process than the one that the user started, whose terminal, standard input, current
 * folder and Ctrl-C reach it through the context alone. Hence the rules:
 *   - no `process.stdout`, `process.stdin`, `process.cwd()`, `process.exit`, `process.on`; use `out`, `input`, `path()`,
 *     the number that `run` returns, and `signal`;
 *   - arguments and options are what JSON can hold (parsers such as `duration` give numbers);
 *   - several commands share one `home.skein` at a time: close what you opened and was not open before, and nothing else
 *     (`home.document()` counts that), and never the device or a space;
 *   - files are read and written directly (it is the same user on the same machine), by paths that `path()` has resolved;
 *   - `import` of what is heavy (hypercore, yjs, 'skein' itself) is free in the file of a command with a home.
 *
 * A run ends by returning (exit code 0, or the number returned: see `exitCodes`), or by throwing. A `SkeinError` is
 * shown by its message and what to do next (`failure.ts`); so is a `Failure`, which says its own. After Ctrl-C, `signal`
 * is aborted; a run then ends as it likes, and the exit code is 130. A command that goes on for long and may be begun
 * anew at any time (sync, watch, folder) says `restarts: true`: when the process that holds the home ends, its `signal`
 * fires and it begins again in the user's own process, which takes the home over.
 *
 * Printing: `out.emit` for data, `out.print` for text that only people read (standard output), `out.note` and `out.warn`
 * for what goes beside it (standard error), `out.live` for lines that are drawn over (shown on a terminal alone).
 * `out.style` has the colours (picocolors' functions; plain text where colours are off), `out.columns` the width.
 */
import type { Command, OptionValues } from '@commander-js/extra-typings'
import type { Document, Skein, SkeinError, Space } from 'skein'
import type { Output } from './output.ts'
import type { Settings } from './settings.ts'

export { exitCodes, Failure } from './exit.ts'

export interface Context {
  /** Flags, environment and configuration file, brought together. */
  readonly settings: Settings
  readonly out: Output
  /** Standard input, as it comes; reading begins when it is asked for. */
  readonly input: AsyncIterable<Uint8Array>
  /** Fires at Ctrl-C, and when a command that `restarts` has to begin anew elsewhere. */
  readonly signal: AbortSignal
  /** A path as the user means it: relative to the folder where the command was typed. */
  readonly path: (path: string) => string
}

/** A command as the overview has it. */
export interface CommandEntry {
  readonly name: string
  readonly group: string
  /** What it does, in one line of the overview; empty for one that only other commands call. */
  readonly summary: string
  readonly load: () => Promise<{ readonly default: CommandModule }>
}

/** For a command without a home. */
export interface LocalContext extends Context {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Every command that there is. */
  readonly commands: readonly CommandEntry[]
  /** Runs another command, with the home, and gives what it `out.answer`ed; one that fails has said so itself. */
  readonly call: (command: string, args: unknown[], options?: OptionValues) => Promise<unknown>
  /** Asks on the terminal for the passphrase that `call` opens the home with; null where there is no terminal. */
  readonly askPassphrase: (prompt: string) => Promise<string | null>
  /** While the work goes on, Ctrl-C is for another program that has the terminal: an editor. */
  readonly undisturbed: <T>(work: () => Promise<T>) => Promise<T>
}

export interface HomeContext extends Context {
  readonly home: Home
  /** What a command that `restarts` has kept, when it begins anew; it was JSON. */
  readonly kept: Readonly<Record<string, unknown>>
  readonly keep: (key: string, value: unknown) => void
}

/** The device of this home, open. */
export interface Home {
  /** The folder with everything. */
  readonly path: string
  readonly skein: Skein
  /** By id, a beginning of it, or name; without one: the one that was configured, or the only one. */
  space(wanted?: string): Space
  /** Looks for other devices from now on, until the process ends. Without it, everything stays on this device. */
  online(): Promise<void>
  readonly isOnline: boolean
  /**
   * Makes a device of its own of a home that is a copy, under a name; the device is closed then. Fails as
   * `Skein.becomeOwnDevice`, and where other commands work with the home.
   */
  renew(name: string | undefined): Promise<void>
  /** Listens for devices that dial this one, and introduces browsers, until it is closed. One at a time. */
  listen(options: { port: number; host: string }): Promise<Served>
  /** The private DHT that it uses; null: the public one. */
  readonly bootstrap: readonly string[] | null
  /** Spaces that are on the disk and could not be opened. */
  readonly broken: readonly { readonly space: string; readonly error: SkeinError }[]
  /** Opens a document; `release` closes it once nobody else who is served has it open. */
  document(
    space: Space,
    name: string
  ): Promise<{ document: Document; release: () => Promise<void> }>
}

/** A port that is listened on. */
export interface Served {
  readonly url: string
  readonly port: number
  close(): Promise<void>
}

interface Specification<Args extends unknown[], Options extends OptionValues> {
  /** Declares arguments, options and help: see commander. `--json`, `--home` and so on are there already. */
  readonly setUp: (command: Command) => Command<Args, Options>
  /** True: it may be begun anew at any time, and goes on in another process when the one that runs it ends. */
  readonly restarts?: boolean
}

export interface HomeSpecification<
  Args extends unknown[],
  Options extends OptionValues
> extends Specification<Args, Options> {
  readonly run: (context: HomeContext, args: Args, options: Options) => Promise<number | void>
}

export interface LocalSpecification<
  Args extends unknown[],
  Options extends OptionValues
> extends Specification<Args, Options> {
  readonly run: (context: LocalContext, args: Args, options: Options) => Promise<number | void>
}

/** A command as the frame holds it: its arguments and options have come through `setUp`'s parser, or as JSON. */
export type CommandModule = {
  readonly setUp: (command: Command) => void
  readonly restarts: boolean
} & (
  | {
      readonly needsHome: true
      readonly run: (
        context: HomeContext,
        args: unknown[],
        options: OptionValues
      ) => Promise<number | void>
    }
  | {
      readonly needsHome: false
      readonly run: (
        context: LocalContext,
        args: unknown[],
        options: OptionValues
      ) => Promise<number | void>
    }
)

/** A command that works with this home's device. */
export function defineCommand<Args extends unknown[], Options extends OptionValues>(
  specification: HomeSpecification<Args, Options>
): CommandModule {
  const { setUp, restarts = false, run } = specification
  return {
    needsHome: true,
    setUp,
    restarts,
    run: (context, args, options) => run(context, args as Args, options as Options)
  }
}

/** A command that runs where the user typed it, with no device open; it may `call` what needs one. */
export function defineLocalCommand<Args extends unknown[], Options extends OptionValues>(
  specification: LocalSpecification<Args, Options>
): CommandModule {
  const { setUp, restarts = false, run } = specification
  return {
    needsHome: false,
    setUp,
    restarts,
    run: (context, args, options) => run(context, args as Args, options as Options)
  }
}
