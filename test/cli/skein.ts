/**
 * Runs the `skein` command as a user does: arguments, pipes and an exit code, with a home of its own. By default in this
 * process, which is as much the command as a process of its own (it is given streams, environment and Ctrl-C) and does
 * not take a second to start; with `program`, as a process.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { runProgram } from '../../lib/cli/program.ts'

const deadlineMs = 60_000

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface SkeinOptions {
  readonly input?: string | Uint8Array
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** What to run as a process: an installed `skein`. */
  readonly program?: readonly string[]
  /** How long it may run. Default: a minute. */
  readonly endsWithinMs?: number
}

/** A command that goes on. */
export class Running implements AsyncDisposable {
  readonly ended: Promise<Ended>
  readonly stdin: NodeJS.WritableStream
  stdout = ''
  stderr = ''
  readonly #what: string
  readonly #kill: (signal: NodeJS.Signals) => void
  #hasEnded = false
  #look = (): void => {}

  constructor(args: readonly string[], options: SkeinOptions = {}) {
    this.#what = args.join(' ')
    const { stdin, stdout, stderr, code, kill } =
      options.program === undefined
        ? startHere(args, options)
        : startProcess(args, options, options.program)
    this.stdin = stdin
    this.#kill = kill
    stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
      this.#look()
    })
    stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
      this.#look()
    })
    this.ended = new Promise((resolve, reject) => {
      const { endsWithinMs = deadlineMs } = options
      const late = setTimeout(() => {
        kill('SIGKILL')
        reject(new Error(`not done after ${endsWithinMs} ms: ${this.toString()}`))
      }, endsWithinMs)
      const done = (): void => {
        clearTimeout(late)
        this.#hasEnded = true
        this.#look()
      }
      code.then(
        (ended) => {
          resolve({ code: ended, stdout: this.stdout, stderr: this.stderr })
          done()
        },
        (error: Error) => {
          reject(error)
          done()
        }
      )
    })
    this.ended.catch(() => {}) // Told to whoever waits.
    if (options.input !== undefined) stdin.end(options.input)
  }

  /** Resolves when standard output or error has the text. */
  says(text: string | RegExp): Promise<void> {
    return new Promise((resolve, reject) => {
      const has = (said: string): boolean =>
        typeof text === 'string' ? said.includes(text) : text.test(said)
      const fail = (): void => reject(new Error(`never said ${String(text)}: ${this.toString()}`))
      const late = setTimeout(fail, deadlineMs)
      this.#look = () => {
        if (!has(this.stdout) && !has(this.stderr)) {
          if (!this.#hasEnded) return
          fail()
        }
        clearTimeout(late)
        this.#look = () => {}
        resolve()
      }
      this.#look()
    })
  }

  /** To a process. */
  signal(signal: NodeJS.Signals): void {
    this.#kill(signal)
  }

  /** As Ctrl-C. */
  interrupt(signal: NodeJS.Signals = 'SIGINT'): Promise<Ended> {
    this.#kill(signal)
    return this.ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) this.#kill('SIGTERM')
    await this.ended
  }

  toString(): string {
    return `skein ${this.#what}\n${this.stdout}\n${this.stderr}`
  }
}

interface Started {
  readonly stdin: NodeJS.WritableStream
  readonly stdout: NodeJS.ReadableStream
  readonly stderr: NodeJS.ReadableStream
  /** Resolves when all that it wrote can be read. */
  readonly code: Promise<number | null>
  readonly kill: (signal: NodeJS.Signals) => void
}

function startHere(args: readonly string[], options: SkeinOptions): Started {
  const stdin = new PassThrough()
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const interrupting = new AbortController()
  const env = { PATH: process.env['PATH'], NO_COLOR: '1', ...options.env }
  const user = {
    stdin,
    stdout,
    stderr,
    env,
    cwd: () => options.cwd ?? tmpdir(),
    undisturbed,
    askSecret
  }
  const code = runProgram(args, user, interrupting.signal).then(async (exitCode) => {
    const read = [stdout, stderr].map((stream) => new Promise((done) => stream.once('end', done)))
    stdout.end()
    stderr.end()
    await Promise.all(read)
    return exitCode
  })
  const kill = (): void => {
    interrupting.abort()
    stdin.destroy()
  }
  return { stdin, stdout, stderr, code, kill }
}

function askSecret(): Promise<null> {
  return Promise.resolve(null)
}

function undisturbed<T>(work: () => Promise<T>): Promise<T> {
  return work()
}

function startProcess(
  args: readonly string[],
  options: SkeinOptions,
  [program, ...before]: readonly string[]
): Started {
  const env = { ...process.env, NO_COLOR: '1', ...options.env }
  const child = spawn(program!, [...before, ...args], { env, cwd: options.cwd ?? tmpdir() })
  child.stdin.on('error', () => {}) // It may end without having read all.
  const code = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const { stdin, stdout, stderr } = child
  return { stdin, stdout, stderr, code, kill: (signal) => child.kill(signal) }
}

/** Runs a command to its end. */
export function skein(args: readonly string[], options: SkeinOptions = {}): Promise<Ended> {
  return new Running(args, { input: '', ...options }).ended
}

/** A folder that goes at the end; `home(name)` is a home in it. */
export class Folder implements AsyncDisposable {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  static async make(): Promise<Folder> {
    return new Folder(await mkdtemp(join(tmpdir(), 'skein-cli-')))
  }

  home(name: string, options: SkeinOptions = {}): UserHome {
    return new UserHome(join(this.path, name), options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
  }
}

/** One user's home, and what they type. */
export class UserHome {
  readonly path: string
  readonly #options: SkeinOptions

  constructor(path: string, options: SkeinOptions) {
    this.path = path
    this.#options = options
  }

  /** Runs to its end, which must be exit code 0; gives standard output. */
  async run(args: readonly string[], input?: string | Uint8Array): Promise<string> {
    const ended = await this.end(args, input)
    if (ended.code !== 0) {
      throw new Error(
        `skein ${args.join(' ')} ended with ${ended.code}\n${ended.stdout}\n${ended.stderr}`
      )
    }
    return ended.stdout
  }

  /** Runs to its end, whatever that is. */
  end(args: readonly string[], input: string | Uint8Array = ''): Promise<Ended> {
    return this.start(args, input).ended
  }

  /** Runs, and gives what was printed as JSON. */
  async json<T>(args: readonly string[], input?: string | Uint8Array): Promise<T> {
    return JSON.parse(await this.run([...args, '--json'], input)) as T
  }

  start(args: readonly string[], input?: string | Uint8Array): Running {
    const env = { SKEIN_HOME: this.path, ...this.#options.env }
    return new Running(args, { ...this.#options, env, ...(input === undefined ? {} : { input }) })
  }
}
