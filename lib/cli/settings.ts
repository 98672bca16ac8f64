/**
 * What the user wants, brought together: a flag goes before an environment variable, and that before the configuration
 * file `HOME/config.json`.
 *
 *     flag          variable          config.json          means
 *     --home        SKEIN_HOME        –                    the folder with the device; default by system (XDG on Linux)
 *     --bootstrap   SKEIN_BOOTSTRAP   "bootstrap": […]     nodes of a private DHT, host:port, commas between
 *     --space       SKEIN_SPACE       "space"              the space that is meant where none is named
 *     --json        SKEIN_JSON=1      –                    data as JSON
 *     --debug       SKEIN_DEBUG=1     –                    stack traces
 *     --passphrase-file SKEIN_PASSPHRASE                    of the device's keys; asked for on a terminal where it is needed
 *     --wait        SKEIN_WAIT        "wait"               how long to wait for a home in use; default: for ever
 *     --no-color    NO_COLOR          –                    no colours
 */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import envPaths from 'env-paths'
import { exitCodes, Failure } from './exit.ts'
import { addresses, duration } from './words.ts'

export interface Settings {
  /** The home's folder, absolute. */
  readonly home: string
  readonly json: boolean
  readonly debug: boolean
  readonly quiet: boolean
  /** Null: the public DHT. */
  readonly bootstrap: readonly string[] | null
  /** The space meant where none is named. */
  readonly space: string | null
  /** How long to wait for a home that is in use. Null: for ever. */
  readonly waitMs: number | null
  readonly color: boolean
  /** What the device's keys are sealed with; null where none was given. */
  readonly passphrase: string | null
  /** The device's name, from `init`. */
  readonly name: string | null
  readonly person: string | null
}

/** Where the library keeps the device of a home. */
export function deviceFolder(home: string): string {
  return join(home, 'device')
}

/** What `init` writes, and the user may edit. */
export interface Configuration {
  readonly name?: string
  readonly person?: string
  readonly bootstrap?: readonly string[]
  readonly space?: string
  readonly wait?: string
}

/** The flags that every command has, as the parser gives them. */
export interface Flags {
  readonly home?: string
  readonly json?: boolean
  readonly debug?: boolean
  readonly quiet?: boolean
  readonly bootstrap?: string[]
  readonly wait?: number
  readonly passphraseFile?: string
  readonly color?: boolean
}

type Environment = Readonly<Record<string, string | undefined>>

export function settingsOf(flags: Flags, env: Environment): Settings {
  const home = resolve(flags.home ?? (env['SKEIN_HOME'] || envPaths('skein', { suffix: '' }).data))
  const file = join(home, 'config.json')
  const configured = readConfiguration(file)
  const bootstrap =
    flags.bootstrap ??
    parsed('SKEIN_BOOTSTRAP', env['SKEIN_BOOTSTRAP'], addresses) ??
    parsed(`"bootstrap" in ${file}`, configured.bootstrap?.join(), addresses) ??
    null
  const waitMs =
    flags.wait ??
    parsed('SKEIN_WAIT', env['SKEIN_WAIT'], duration) ??
    parsed(`"wait" in ${file}`, configured.wait, duration) ??
    null
  return {
    home,
    json: flags.json ?? isOn(env['SKEIN_JSON']),
    debug: flags.debug ?? isOn(env['SKEIN_DEBUG']),
    quiet: flags.quiet ?? false,
    bootstrap,
    space: env['SKEIN_SPACE'] || (configured.space ?? null),
    waitMs,
    color: flags.color !== false,
    passphrase: passphraseFrom(flags, env),
    name: configured.name ?? null,
    person: configured.person ?? null
  }
}

/** Of a file, the first line. */
function passphraseFrom({ passphraseFile: file }: Flags, env: Environment): string | null {
  if (file === undefined) return env['SKEIN_PASSPHRASE'] || null
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    const message = `The passphrase cannot be read: ${String(cause)}`
    throw new Failure(message, { exitCode: exitCodes.usage, cause })
  }
  const [passphrase = ''] = text.split(/\r?\n/)
  if (passphrase === '') {
    throw new Failure(`${file} has no passphrase in its first line`, { exitCode: exitCodes.usage })
  }
  return passphrase
}

function isOn(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== '0'
}

function parsed<T>(what: string, text: string | undefined, parse: (text: string) => T): T | null {
  if (text === undefined || text === '') return null
  try {
    return parse(text)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Failure(`${what} is ${JSON.stringify(text)}: ${why}`, { exitCode: exitCodes.usage })
  }
}

function readConfiguration(file: string): Configuration {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {}
    throw new Failure(`The configuration cannot be read: ${String(error)}`, { cause: error })
  }
  try {
    return checked(JSON.parse(text))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Failure(`The configuration file ${file} is not right: ${why}`, {
      exitCode: exitCodes.usage,
      advice: 'Correct it; `skein help configuration` shows what may stand there.',
      cause: error
    })
  }
}

function checked(value: unknown): Configuration {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError('it holds one object')
  }
  for (const [key, entry] of Object.entries(value)) {
    const isList = Array.isArray(entry) && entry.every((item) => typeof item === 'string')
    if (key === 'bootstrap' ? !isList : !['name', 'person', 'space', 'wait'].includes(key)) {
      throw new TypeError(
        isList || key !== 'bootstrap'
          ? `"${key}" is not known`
          : '"bootstrap" is a list of host:port'
      )
    }
    if (key !== 'bootstrap' && typeof entry !== 'string') throw new TypeError(`"${key}" is a text`)
  }
  return value
}
