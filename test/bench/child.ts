/**
 * Processes of a benchmark: `Child` forks `device.ts` and calls its methods over IPC; `serve` answers in the child. A
 * child ends when its parent does.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Methods } from './device.ts'

interface Call {
  readonly id: number
  readonly method: string
  readonly argument: unknown
}

type Answer = { readonly id: number } & ({ readonly value: unknown } | { readonly error: string })

const deadlineMs = 120_000

/** A device in a process of its own. */
export class Child implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #calls = new Map<number, (answer: Answer) => void>()
  #count = 0

  constructor() {
    this.#process = fork(new URL('./device.ts', import.meta.url), { execArgv: process.execArgv })
    this.#process.on('message', (answer: Answer) => this.#calls.get(answer.id)?.(answer))
    this.#process.on('exit', () => {
      for (const [id, settle] of this.#calls) settle({ id, error: 'The process ended' })
    })
  }

  call<Name extends keyof Methods>(
    method: Name,
    ...[argument]: Parameters<Methods[Name]>
  ): Promise<Awaited<ReturnType<Methods[Name]>>> {
    const id = this.#count++
    return new Promise((resolve, reject) => {
      const settle = (answer: Answer): void => {
        clearTimeout(late)
        this.#calls.delete(id)
        if ('error' in answer) reject(new Error(`${method}: ${answer.error}`))
        else resolve(answer.value as Awaited<ReturnType<Methods[Name]>>)
      }
      const late = setTimeout(settle, deadlineMs, { id, error: `no answer in ${deadlineMs} ms` })
      this.#calls.set(id, settle)
      this.#process.send({ id, method, argument } satisfies Call)
    })
  }

  /** Ends it at once, with SIGKILL. */
  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await ended
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill()
  }
}

/** Runs one call on a child of its own. */
export async function inChild<Name extends keyof Methods>(
  method: Name,
  ...argument: Parameters<Methods[Name]>
): Promise<Awaited<ReturnType<Methods[Name]>>> {
  await using child = new Child()
  return await child.call(method, ...argument)
}

/** In the child: answers every call by the method of that name. */
export function serve(methods: object): void {
  process.on('disconnect', () => process.exit(1))
  process.on('message', ({ id, method, argument }: Call) => {
    const run = (methods as Record<string, (argument: unknown) => unknown>)[method]!
    Promise.resolve()
      .then(() => run(argument))
      .then(
        (value) => process.send?.({ id, value }),
        (error: unknown) =>
          process.send?.({ id, error: error instanceof Error ? error.stack : String(error) })
      )
  })
}
