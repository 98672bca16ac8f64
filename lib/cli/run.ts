/** One run of one command, wherever it happens: what it is given, how its end becomes an exit code. */
import { resolve } from 'node:path'
import type { OptionValues } from '@commander-js/extra-typings'
import type { CommandModule, Context, Home, LocalContext } from './command.ts'
import { exitCodes, Told } from './exit.ts'
import { isSkeinError, report } from './failure.ts'
import { Output } from './output.ts'
import type { Settings } from './settings.ts'
import type { Terminal } from './terminal.ts'
import type { Kept } from './wire.ts'

/** The reason of a signal that fires because the home goes to another process. */
export const handover = Symbol('handover')

export interface RunOptions {
  readonly module: CommandModule
  readonly args: unknown[]
  readonly options: OptionValues
  readonly settings: Settings
  readonly terminal: Terminal
  readonly cwd: string
  readonly signal: AbortSignal
  /** Given when the command needs it. */
  readonly home: Home | null
  readonly answer?: (value: unknown) => void
  readonly kept?: Kept
  readonly keep?: (key: string, value: unknown) => void
  /** What a command without a home has besides. */
  readonly local?: Pick<LocalContext, 'env' | 'call' | 'commands' | 'undisturbed' | 'askPassphrase'>
}

/** Runs it to its end, reports a failure, and gives the exit code. Never fails itself. */
export async function run(options: RunOptions): Promise<number> {
  const { module, settings, terminal, cwd, signal, home, answer, local } = options
  const { kept = {}, keep = () => {} } = options
  const { json, quiet, debug } = settings
  const out = new Output(terminal, { json, quiet, ...(answer === undefined ? {} : { answer }) })
  const context: Context = {
    settings,
    out,
    input: terminal.input,
    signal,
    path: (path) => resolve(cwd, path)
  }
  let exitCode: number
  try {
    let result: number | void
    if (module.needsHome) {
      if (home === null) throw new TypeError('A command with a home was run without one')
      result = await module.run({ ...context, home, kept, keep }, options.args, options.options)
    } else {
      if (local === undefined) throw new TypeError('A command without a home was run with one')
      result = await module.run({ ...context, ...local }, options.args, options.options)
    }
    exitCode = result ?? exitCodes.done
    if (signal.aborted && exitCode === exitCodes.done) exitCode = exitCodes.interrupted
  } catch (error) {
    out.live(null)
    if (error instanceof Told) exitCode = error.exitCode
    else if (signal.aborted && isOfAbort(error, signal)) exitCode = exitCodes.interrupted
    else exitCode = report(error, out, debug)
  }
  out.live(null)
  await out.drained()
  return exitCode
}

/** Is that how the work ends when its signal fires? Standard input is closed then, too. */
function isOfAbort(error: unknown, signal: AbortSignal): boolean {
  if (isSkeinError(error, 'ABORTED') || error === signal.reason) return true
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? error.code : null
  return error.name === 'AbortError' || code === 'ERR_STREAM_PREMATURE_CLOSE'
}
