/**
 * How a process that holds a home serves the others: a Unix socket in the home (a named pipe on Windows), on which only
 * this user can knock. One connection carries one run of one command, as MessagePack values:
 *
 *     to the holder                                            from the holder
 *     { run: { version, command, args, options, … } } first    { begun }   before that, nothing has been done
 *     { room }     what was written has been taken             { write: 'out' | 'error', data }   then it awaits { room }
 *                                                              { live: text }
 *     { data } | { end }   of standard input, when pulled      { pull }   wants more of standard input
 *     { interrupt }        Ctrl-C                              { answer: value }
 *                                                              { keep: [key, value] }   for `kept`, if it begins anew
 *                                                              { exit: code } | { handover } | { refused: message }  last
 */
import { createHash } from 'node:crypto'
import { lstatSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeMultiStream, encode } from '@msgpack/msgpack'
import type { OptionValues } from '@commander-js/extra-typings'
import type { TerminalTraits } from './terminal.ts'

export interface Run {
  /** Of the package: both sides must be the same. */
  readonly version: string
  readonly command: string
  readonly args: unknown[]
  readonly options: OptionValues
  readonly cwd: string
  readonly json: boolean
  readonly quiet: boolean
  readonly debug: boolean
  readonly space: string | null
  readonly bootstrap: readonly string[] | null
  readonly traits: TerminalTraits
  readonly kept: Kept
}

/** What a run that begins anew has kept before, by its own keys. */
export type Kept = Record<string, unknown>

export type ToHolder =
  | { readonly run: Run }
  | { readonly room: true }
  | { readonly data: Uint8Array }
  | { readonly end: true }
  | { readonly interrupt: true }

export type FromHolder =
  | { readonly begun: true }
  | { readonly write: 'out' | 'error'; readonly data: Uint8Array }
  | { readonly live: string }
  | { readonly pull: true }
  | { readonly answer: unknown }
  | { readonly keep: readonly [key: string, value: unknown] }
  | { readonly exit: number }
  | { readonly handover: true }
  | { readonly refused: string }

/** The longest path that a Unix socket can have everywhere. */
const maxSocketPath = 100

export function socketPath(home: string): string {
  const hash = createHash('sha256').update(home).digest('hex').slice(0, 24)
  if (process.platform === 'win32') return `\\\\.\\pipe\\skein-${hash}`
  const path = join(home, 'socket')
  if (Buffer.byteLength(path) <= maxSocketPath) return path
  return join(process.env['XDG_RUNTIME_DIR'] ?? tmpdir(), `skein-${hash}`)
}

/** A connection to the process that holds the home; null when none listens. */
export async function knock(path: string): Promise<Socket | null> {
  if (!isOurs(path)) return null
  const socket = connect(path)
  return new Promise((resolve, reject) => {
    socket.once('connect', () => {
      socket.removeAllListeners('error')
      resolve(socket)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      // Nobody listens, or not any more.
      if (['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(error.code ?? ''))
        resolve(null)
      else reject(error)
    })
  })
}

export function send<Message extends ToHolder | FromHolder>(
  socket: Socket,
  message: Message
): void {
  if (!socket.destroyed && !socket.writableEnded)
    socket.write(encode(message, { ignoreUndefined: true }))
}

export async function* messages<Message extends ToHolder | FromHolder>(
  socket: Socket
): AsyncGenerator<Message> {
  try {
    for await (const message of decodeMultiStream(socket)) yield message as Message
  } catch (error) {
    // The other process was killed: that is how a connection ends, too.
    if (error instanceof Error && 'code' in error) return
    // Half a message, then the end.
    if (error instanceof RangeError) return
    throw error
  }
}

/** In a folder that all users share, another one may have made a socket of that name. */
function isOurs(path: string): boolean {
  if (process.getuid === undefined) return true
  try {
    return lstatSync(path).uid === process.getuid()
  } catch {
    return false // There is none.
  }
}
