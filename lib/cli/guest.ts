/** A command of this process that runs in the one that holds the home: brings it input and Ctrl-C, shows what it writes. */
import type { Socket } from 'node:net'
import { exitCodes, Failure } from './exit.ts'
import type { Terminal } from './terminal.ts'
import { messages, send, type FromHolder, type Run, type ToHolder } from './wire.ts'

export type Outcome =
  | { readonly exit: number }
  /** The holder ends: begin anew. */
  | { readonly handover: true }
  /** The holder is gone without a word; had the run begun? */
  | { readonly lost: true; readonly hasBegun: boolean }

/** Fails with a `Failure` when the holder is of another version. */
export async function runAsGuest(
  socket: Socket,
  asked: Run,
  terminal: Terminal,
  signal: AbortSignal,
  {
    answer,
    keep
  }: { answer: (value: unknown) => void; keep: (key: string, value: unknown) => void }
): Promise<Outcome> {
  const interrupt = (): void => send<ToHolder>(socket, { interrupt: true })
  signal.addEventListener('abort', interrupt)
  send<ToHolder>(socket, { run: asked })
  if (signal.aborted) interrupt()
  let hasBegun = false
  let input: AsyncIterator<Uint8Array> | null = null
  try {
    for await (const message of messages<FromHolder>(socket)) {
      if ('begun' in message) hasBegun = true
      else if ('write' in message) {
        void terminal
          .write(message.write, message.data)
          .then(() => send<ToHolder>(socket, { room: true }))
      } else if ('live' in message) terminal.live(message.live)
      else if ('answer' in message) answer(message.answer)
      else if ('keep' in message) keep(...message.keep)
      else if ('pull' in message) {
        input ??= terminal.input[Symbol.asyncIterator]()
        input.next().then(
          ({ done, value }) =>
            send<ToHolder>(socket, done === true ? { end: true } : { data: value as Uint8Array }),
          () => socket.destroy() // Half an input must not be taken for the whole.
        )
      } else if ('refused' in message) {
        throw new Failure(message.refused, {
          exitCode: exitCodes.busy,
          advice: 'End that process and start it anew.'
        })
      } else return message
    }
    return { lost: true, hasBegun }
  } finally {
    terminal.live('')
    signal.removeEventListener('abort', interrupt)
    socket.destroy()
  }
}
