/** One WebSocket as a byte stream: dialled from either platform, or taken from the port. */
import { WebSocket, type ClientOptions } from 'ws'
import { MessageStream } from '../../lib/index.ts'

/** The subprotocol of peers; who names none speaks signalling. */
export const peerProtocol = 'skein.1'
const chunkBytes = 32 * 1024
/** Larger messages end the connection. */
export const maxMessageBytes = 64 * 1024

export interface Link {
  readonly stream: MessageStream
  /** Resolves when the WebSocket is closed. */
  readonly ended: Promise<void>
  close(): void
}

/** A connection to a peer that listens; null where none comes about in time. */
export function dial(url: string, timeoutMs: number): Promise<Link | null> {
  return new Promise((resolve) => {
    const options: ClientOptions = {
      perMessageDeflate: false,
      maxPayload: maxMessageBytes,
      handshakeTimeout: timeoutMs
    }
    const socket = new WebSocket(url, [peerProtocol], options)
    const timer = setTimeout(() => socket.close(), timeoutMs)
    socket.addEventListener('open', () => resolve(linkOver(socket)), { once: true })
    // Why it failed is told to nobody: the address is dialled again.
    socket.addEventListener('error', () => {})
    socket.addEventListener('close', () => {
      clearTimeout(timer)
      resolve(null)
    })
    socket.addEventListener('open', () => clearTimeout(timer), { once: true })
  })
}

/** `socket` is open. */
export function linkOver(socket: WebSocket): Link {
  socket.binaryType = 'arraybuffer'
  const stream = new MessageStream(
    { send: (message) => socket.send(message), close: () => socket.close() },
    { chunkBytes }
  )
  socket.addEventListener('message', ({ data }) => stream.receive(data))
  socket.addEventListener('error', () => {}) // A frame that breaks the protocol, a reset: the close follows.
  const ended = new Promise<void>((resolve) => {
    socket.addEventListener('close', () => {
      stream.ended()
      resolve()
    })
  })
  return { stream, ended, close: () => stream.destroy() }
}
