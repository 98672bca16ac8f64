/**
 * A process that this one has started, and how the two talk: the parent calls functions that the child serves, the child
 * tells of events. Both ends are here, so that they cannot disagree.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Emitter } from 'skein'

/** What a child serves, by name: one argument each. */
type Calls<C> = { [Name in keyof C]: (argument: never) => Promise<unknown> }
type Argument<F> = F extends (argument: infer A) => Promise<unknown> ? A : never
type Result<F> = F extends (argument: never) => Promise<infer R> ? R : never

interface Call {
  number: number
  name: string
  argument: unknown
}

type Message =
  | { number: number; result: unknown }
  | { number: number; error: string }
  | { event: string; payload: unknown }

/** The parent's end. Bytes travel as they are. */
export class Child<C extends Calls<C>, Events extends object> extends Emitter<
  Events & { exit: { signal: string | null; code: number | null } }
> {
  readonly #process: ChildProcess
  readonly #waiting = new Map<number, (message: Message) => void>()
  #calls = 0
  #hasExited = false

  /** Starts the module of that name in this folder. What it prints as errors is printed here too. */
  constructor(module: string) {
    super()
    // Its own standard output would run into the screen.
    this.#process = fork(fileURLToPath(new URL(module, import.meta.url)), {
      execArgv: process.execArgv,
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc']
    })
    this.#process.on('message', (message: Message) => {
      if ('event' in message) this.emit(message.event as never, message.payload as never)
      else this.#waiting.get(message.number)?.(message)
    })
    // A call that it is too late for is told by the exit.
    this.#process.on('error', () => {})
    this.#process.on('exit', (code, signal) => {
      this.#hasExited = true
      const error = `process ${this.pid} ended (${signal ?? `exit code ${code}`})`
      for (const [number, settle] of this.#waiting) settle({ number, error })
      this.emit('exit', { signal, code } as never)
    })
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  /** Resolves with what the child's function of that name resolves with; fails as it does, or when the child ends. */
  call<Name extends keyof C & string>(
    name: Name,
    argument: Argument<C[Name]>
  ): Promise<Result<C[Name]>> {
    const number = this.#calls++
    return new Promise((resolve, reject) => {
      if (this.#hasExited) return reject(new Error(`process ${this.pid} has ended`))
      this.#waiting.set(number, (message) => {
        this.#waiting.delete(number)
        if ('error' in message) reject(new Error(message.error))
        else if ('result' in message) resolve(message.result as Result<C[Name]>)
      })
      this.#process.send({ number, name, argument } satisfies Call)
    })
  }

  /** Lets it end by itself, as its parent's channel does. */
  async end(): Promise<void> {
    if (this.#hasExited) return
    const exited = once(this.#process, 'exit')
    this.#process.disconnect()
    await exited
  }

  /** Kills it: nothing that it was doing is finished. */
  async kill(): Promise<void> {
    if (this.#hasExited) return
    const exited = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await exited
  }
}

/** The child's end: answers calls, and gives the function that tells of events. The process ends with its parent. */
export function serve<C extends Calls<C>, Events extends object>(
  callsOf: (tell: <E extends keyof Events & string>(event: E, payload: Events[E]) => void) => C
): void {
  const send = (message: Message): void => {
    // Nobody is there to be told when the parent has just gone.
    process.send?.(message, undefined, undefined, () => {})
  }
  const calls = callsOf((event, payload) => send({ event, payload }))
  process.on('disconnect', () => process.exit(0))
  // Ctrl-C reaches every process of the terminal: the parent decides.
  process.on('SIGINT', () => {})
  process.on('message', ({ number, name, argument }: Call) => {
    const call: (argument: never) => Promise<unknown> = calls[name as keyof C]
    call(argument as never).then(
      (result) => send({ number, result }),
      (error: unknown) => send({ number, error: String(error) })
    )
  })
}
