/**
 * Where a command's output goes and its input comes from: the terminal (or pipe) that the user has before them, in this
 * process or, through `wire.ts`, in another.
 */
import type { Readable, Writable } from 'node:stream'

/** What a command's output must know of the terminal. */
export interface TerminalTraits {
  readonly columns: number
  readonly rows: number
  /** Standard output is a terminal. */
  readonly isTerminal: boolean
  /** Standard error is one: live lines can be shown. */
  readonly isLive: boolean
  readonly hasColor: boolean
  readonly hasErrorColor: boolean
}

export interface Terminal {
  readonly traits: TerminalTraits
  /** Resolves when there is room for more. */
  write(stream: 'out' | 'error', data: Uint8Array): Promise<void>
  /** Replaces the live lines; '' takes them away. */
  live(text: string): void
  readonly input: AsyncIterable<Uint8Array>
}

/** What of Node's `process` the command uses: tests have one of their own. */
export interface UserProcess {
  readonly stdin: Readable
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  readonly env: Readonly<Record<string, string | undefined>>
  cwd(): string
  /** Asks on the terminal for what is not to be seen there; null where there is none. */
  readonly askSecret: (prompt: string) => Promise<string | null>
  /** Heeds no Ctrl-C while the work goes on. */
  readonly undisturbed: <T>(work: () => Promise<T>) => Promise<T>
}

export interface OutputStream extends Writable {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

interface LogUpdate {
  (text: string): void
  clear(): void
  done(): void
}

/** The terminal of this process. */
export class OwnTerminal implements Terminal {
  readonly traits: TerminalTraits
  readonly #process: UserProcess
  #live = ''
  #logUpdate: LogUpdate | null = null
  #isLoading = false

  constructor(process: UserProcess, wantsColor: boolean) {
    this.#process = process
    const { stdout, stderr, env } = process
    const isDumb = env['TERM'] === 'dumb'
    const mayColor = wantsColor && (env['NO_COLOR'] ?? '') === ''
    const isForced = (env['FORCE_COLOR'] ?? '0') !== '0'
    this.traits = {
      columns: stdout.columns ?? stderr.columns ?? 80,
      rows: stdout.rows ?? stderr.rows ?? 24,
      isTerminal: stdout.isTTY === true,
      isLive: stderr.isTTY === true && !isDumb && (env['CI'] ?? '') === '',
      hasColor: mayColor && (isForced || (stdout.isTTY === true && !isDumb)),
      hasErrorColor: mayColor && (isForced || (stderr.isTTY === true && !isDumb))
    }
  }

  get input(): AsyncIterable<Uint8Array> {
    return this.#process.stdin as AsyncIterable<Uint8Array>
  }

  async write(stream: 'out' | 'error', data: Uint8Array): Promise<void> {
    // Live lines make way for what stays, and come back below it.
    this.#logUpdate?.clear()
    await written(stream === 'out' ? this.#process.stdout : this.#process.stderr, data)
    if (this.#live !== '') this.#logUpdate?.(this.#live)
  }

  live(text: string): void {
    if (!this.traits.isLive) return
    this.#live = text
    if (this.#logUpdate === null) {
      if (text === '' || this.#isLoading) return
      this.#isLoading = true
      void import('log-update').then(({ createLogUpdate }) => {
        this.#logUpdate = createLogUpdate(this.#process.stderr as NodeJS.WritableStream)
        if (this.#live !== '') this.#logUpdate(this.#live)
      })
      return
    }
    if (text === '') {
      this.#logUpdate.clear()
      this.#logUpdate.done()
      return
    }
    this.#logUpdate(text)
  }
}

/** Resolves when it was taken, and there is room for more; also when nobody reads any more. */
function written(stream: Writable, data: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    stream.write(data, () => resolve())
  })
}
