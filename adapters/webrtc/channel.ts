/**
 * The data channel that carries a connection: negotiated, so that both ends make it themselves and no other message
 * comes on it, with a byte stream over it.
 */
import type { MessageMedium, MessageStream } from '../../lib/index.ts'
import type { RtcPeerConnection } from './rtc.ts'

/** Both ends agree on it; those that a browser gives out by itself begin with 0. */
const channelId = 200

/** What is made of a channel: a byte stream over its messages, or what passes the messages on to one elsewhere. */
export type RawStream = Pick<MessageStream, 'receive' | 'ended'> & {
  destroy(): unknown
  on(event: 'close', listener: () => void): unknown
}

export type StreamOver<S extends RawStream> = (medium: MessageMedium) => S

export interface Channel<S extends RawStream> {
  readonly stream: S
  /** Resolves to true once it can be used, to false when it is closed before. */
  readonly opened: Promise<boolean>
}

/** Call it before the offer or answer is made. `onClose` is called once, when the channel has ended. */
export function openChannel<S extends RawStream>(
  connection: RtcPeerConnection,
  streamOver: StreamOver<S>,
  onClose: () => void
): Channel<S> {
  const channel = connection.createDataChannel('skein', { negotiated: true, id: channelId })
  channel.binaryType = 'arraybuffer'
  const stream = streamOver({
    send: (message) => channel.send(message),
    close: () => channel.close()
  })
  channel.addEventListener('message', ({ data }) => stream.receive(data))
  channel.addEventListener('error', () => {}) // The close follows.
  const opened = new Promise<boolean>((resolve) => {
    channel.addEventListener('open', () => resolve(true))
    channel.addEventListener('close', () => {
      resolve(false)
      stream.ended()
    })
    stream.on('close', () => {
      resolve(false)
      onClose()
    })
  })
  return { stream, opened }
}
