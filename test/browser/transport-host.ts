/** The page's part of `remote-transport.ts`: lends a transport to whoever listens at `url`. */
import type { SecureStream, Transport } from 'skein'

export type ToPage =
  | {
      readonly type: 'call'
      readonly number: number
      readonly method: 'open' | 'join' | 'leave' | 'close'
      readonly bytes: number[][]
    }
  /** So many bytes have been read there. */
  | { readonly type: 'taken'; readonly stream: number; readonly bytes: number }
  | { readonly type: 'destroy'; readonly stream: number }

export type FromPage =
  | {
      readonly type: 'done'
      readonly number: number
      readonly error: { readonly code: string | null; readonly message: string } | null
    }
  | {
      readonly type: 'connection'
      readonly stream: number
      readonly publicKey: number[]
      readonly remotePublicKey: number[]
      readonly handshakeHash: number[]
      readonly isInitiator: boolean
    }
  /** The stream has room for another message. */
  | { readonly type: 'written'; readonly stream: number }
  | { readonly type: 'closed'; readonly stream: number }

/** What is used of a secure stream besides. */
type Stream = SecureStream & {
  write(message: Uint8Array): boolean
  pause(): void
  resume(): void
  on(event: 'data', listener: (message: Uint8Array) => void): void
  on(event: 'drain', listener: () => void): void
}

/** Beyond so many bytes under way to the other end, the stream waits. */
const maxUnread = 256 * 1024

/** Resolves when the socket is open. */
export async function hostTransport(url: string, transport: Transport): Promise<void> {
  const socket = new WebSocket(url)
  socket.binaryType = 'arraybuffer'
  const streams = new Map<number, { stream: Stream; unread: number; isFull: boolean }>()
  let count = 0
  const send = (message: FromPage): void => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message))
  }
  transport.on('connection', (connection) => {
    const stream = connection.stream as Stream
    const number = count++
    const state = { stream, unread: 0, isFull: false }
    streams.set(number, state)
    send({
      type: 'connection',
      stream: number,
      publicKey: [...stream.publicKey],
      remotePublicKey: [...stream.remotePublicKey],
      handshakeHash: [...stream.handshakeHash],
      isInitiator: stream.isInitiator
    })
    stream.on('error', () => {}) // The close follows.
    stream.on('close', () => {
      streams.delete(number)
      send({ type: 'closed', stream: number })
    })
    stream.on('drain', () => {
      if (state.isFull) send({ type: 'written', stream: number })
      state.isFull = false
    })
    stream.on('data', (message) => {
      const frame = new Uint8Array(4 + message.length)
      new DataView(frame.buffer).setUint32(0, number)
      frame.set(message, 4)
      socket.send(frame)
      state.unread += message.length
      if (state.unread > maxUnread) stream.pause()
    })
  })
  socket.onmessage = ({ data }) => {
    if (typeof data !== 'string') {
      const frame = new Uint8Array(data as ArrayBuffer)
      const number = new DataView(frame.buffer).getUint32(0)
      const state = streams.get(number)
      if (state === undefined) return
      state.isFull = !state.stream.write(frame.subarray(4))
      if (!state.isFull) send({ type: 'written', stream: number })
      return
    }
    const message = JSON.parse(data) as ToPage
    if (message.type === 'call') void call(transport, message).then(send)
    else if (message.type === 'destroy') streams.get(message.stream)?.stream.destroy()
    else {
      const state = streams.get(message.stream)
      if (state === undefined) return
      state.unread -= message.bytes
      if (state.unread <= maxUnread) state.stream.resume()
    }
  }
  await new Promise((resolve, reject) => {
    socket.onopen = resolve
    socket.onerror = reject
  })
}

async function call(
  transport: Transport,
  { number, method, bytes }: Extract<ToPage, { type: 'call' }>
): Promise<FromPage> {
  const [first = new Uint8Array(), second = new Uint8Array(), third = new Uint8Array()] = bytes.map(
    (each) => Uint8Array.from(each)
  )
  try {
    if (method === 'open') await transport.open({ publicKey: first, secretKey: second })
    else if (method === 'join') await transport.join(first, { name: second, key: third })
    else if (method === 'leave') await transport.leave(first)
    else await transport.close()
    return { type: 'done', number, error: null }
  } catch (error) {
    const { message } = error as Error
    const code = error instanceof TypeError ? null : (error as { code: string }).code
    return { type: 'done', number, error: { code, message } }
  }
}
