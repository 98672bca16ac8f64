/**
 * Brings a command to its home: opens it in this process, or asks the process that holds it, or waits for one that
 * holds it and does not answer (an app of its own, or one that is just ending).
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { OptionValues } from '@commander-js/extra-typings'
import type { CommandModule } from './command.ts'
import { exitCodes, Failure, Told } from './exit.ts'
import { commands, loadCommand } from './commands.ts'
import { isSkeinError } from './failure.ts'
import { runAsGuest } from './guest.ts'
import { run } from './run.ts'
import type { Settings } from './settings.ts'
import type { Terminal, UserProcess } from './terminal.ts'
import { knock, socketPath, type Kept } from './wire.ts'

const retryMs = 50
/** Waiting that is longer is told of. */
const tellAfterMs = 1_000

export interface Session {
  readonly settings: Settings
  /** Reads them anew, after `init` wrote some. */
  readonly reload: () => Settings
  readonly terminal: Terminal
  readonly version: string
  readonly cwd: string
  readonly env: UserProcess['env']
  readonly undisturbed: UserProcess['undisturbed']
  /** Asks for the passphrase, which `reload` has from then on; null where there is no terminal. */
  readonly askPassphrase: (prompt: string) => Promise<string | null>
  /** Ctrl-C. */
  readonly signal: AbortSignal
}

export interface Call {
  readonly command: string
  readonly module: CommandModule
  readonly args: unknown[]
  readonly options: OptionValues
}

/** Runs a command where it belongs, and gives its exit code. Fails only with what comes before the run itself. */
export function runCommand(session: Session, call: Call): Promise<number> {
  if (call.module.needsHome) return runWithHome(session, call, () => {})
  const { settings, terminal, cwd, signal } = session
  const { module, args, options } = call
  const toHome = async (command: string, toArgs: unknown[], toOptions: OptionValues = {}) => {
    const toModule = await loadCommand(command)
    let answer: unknown
    const toCall = { command, module: toModule, args: toArgs, options: toOptions }
    const exitCode = await runWithHome(
      { ...session, settings: session.reload() },
      toCall,
      (value) => (answer = value)
    )
    if (exitCode !== exitCodes.done) throw new Told(exitCode)
    return answer
  }
  const { env, undisturbed, askPassphrase } = session
  const local = { env, undisturbed, askPassphrase, commands, call: toHome }
  return run({ module, args, options, settings, terminal, cwd, signal, home: null, local })
}

async function runWithHome(
  session: Session,
  call: Call,
  answer: (value: unknown) => void
): Promise<number> {
  let { settings } = session
  const { terminal, signal, cwd, version } = session
  const { command, module, args, options } = call
  let triesLeft = 3
  const kept: Kept = {}
  const keep = (key: string, value: unknown): void => {
    kept[key] = value
  }
  const waiting = new Waiting(settings, terminal)
  for (;;) {
    const socket = await knock(socketPath(settings.home))
    if (socket !== null) {
      const { json, quiet, debug, space, bootstrap } = settings
      const { traits } = terminal
      const asked = {
        ...{ version, command, args, options, cwd, json, quiet, debug, space, bootstrap, traits },
        kept
      }
      const outcome = await runAsGuest(socket, asked, terminal, signal, { answer, keep })
      if ('exit' in outcome) return outcome.exit
      if (signal.aborted) return exitCodes.interrupted
      if ('lost' in outcome && outcome.hasBegun && !module.restarts) {
        throw new Failure('The process that holds the home ended before this was done', {
          advice: 'Look what is there before you repeat it: it may have been done, or not.'
        })
      }
      continue
    }
    const { Holder } = await import('./holder.ts')
    const holder = new Holder(settings, version)
    try {
      await holder.open()
    } catch (error) {
      if (isSkeinError(error, 'PASSPHRASE_WRONG') && triesLeft-- > 0) {
        const again = settings.passphrase === null ? 'Passphrase: ' : 'That is not it. Passphrase: '
        const passphrase = await session.askPassphrase(again)
        if (passphrase === null || passphrase === '') throw error
        settings = { ...settings, passphrase }
        continue
      }
      if (!isSkeinError(error, 'STORAGE_LOCKED')) throw error
      await waiting.once(error, signal)
      continue
    }
    try {
      const home = holder.home.seenBy(settings)
      return await run({
        ...{ module, args, options, settings, terminal, cwd, signal, home, answer, kept, keep }
      })
    } finally {
      await holder.close()
    }
  }
}

class Waiting {
  readonly #settings: Settings
  readonly #terminal: Terminal
  readonly #sinceMs = performance.now()
  #hasTold = false

  constructor(settings: Settings, terminal: Terminal) {
    this.#settings = settings
    this.#terminal = terminal
  }

  /** Fails with `error` when the time to wait is over. */
  async once(error: Error, signal: AbortSignal): Promise<void> {
    const waitedMs = performance.now() - this.#sinceMs
    const { waitMs, quiet } = this.#settings
    if (waitMs !== null && waitedMs >= waitMs) throw error
    if (!this.#hasTold && !quiet && waitedMs >= tellAfterMs) {
      this.#hasTold = true
      const text = `Waiting: ${error.message}\n`
      await this.#terminal.write('error', new TextEncoder().encode(text))
    }
    await delay(retryMs, undefined, { signal })
  }
}
