/**
 * Makes a secure stream of any byte stream: Noise XX between two devices, then encrypted messages. For transports whose
 * medium proves no keys of its own.
 */
import { platform } from '#platform'
import SecretStream from '@hyperswarm/secret-stream'
import { SkeinError, throwIfAborted } from './errors.ts'
import type { DeviceKeys, SecureStream } from './transport.ts'

/** The part of a duplex stream, streamx's or Node's, that carries the bytes. Chunk boundaries mean nothing. */
export interface ByteStream {
  readonly destroyed: boolean
  write(bytes: Uint8Array): boolean
  end(nothing?: undefined): unknown
  pause(): unknown
  resume(): unknown
  destroy(error?: Error): unknown
  on(event: 'close', listener: () => void): unknown
  /** Where it is there, it is set, and to be called when bytes have come. */
  onHeard?: (() => void) | null
}

/** As long as a connection may be silent before it says that it is there. */
const sayingMs = 5_000

export interface SecureStreamOptions {
  readonly device: DeviceKeys
  /** One end is, the other is not. */
  readonly isInitiator: boolean
  /** The only key to accept. Default: any, proven. */
  readonly remotePublicKey?: Uint8Array
  /** Ends a handshake in which nothing has come for so long. Default 10_000. */
  readonly timeoutMs?: number
  /** Ends a handshake however slowly it goes on, with `ABORTED`. */
  readonly signal?: AbortSignal
}

/**
 * Resolves when the handshake is complete; no message is lost before a listener is there. Owns `raw`: it ends with the
 * stream, and when the handshake fails. Fails with `TRANSPORT_FAILED`, for another key than the expected one as well.
 */
export function secureStream(raw: ByteStream, options: SecureStreamOptions): Promise<SecureStream> {
  const { device, isInitiator, remotePublicKey, timeoutMs = 10_000, signal } = options
  return new Promise((resolve, reject) => {
    throwIfAborted(signal)
    if (raw.destroyed) throw new SkeinError('TRANSPORT_FAILED', 'The byte stream is closed already')

    const stream = new SecretStream(isInitiator, raw, { keyPair: device })
    stream.setTimeout(timeoutMs)
    const abort = () => {
      reject(new SkeinError('ABORTED', 'The handshake was aborted', { cause: signal?.reason }))
      stream.destroy()
    }
    signal?.addEventListener('abort', abort)

    let cause: Error | undefined
    // Stays for good: an error is no reason to end the process, and its owner hears of the close.
    stream.on('error', (error) => (cause ??= error))
    stream.on('close', () => {
      signal?.removeEventListener('abort', abort)
      const message = `The handshake failed: ${cause?.message ?? 'the byte stream was closed'}`
      reject(new SkeinError('TRANSPORT_FAILED', message, { cause }))
    })
    void stream.opened.then((isOpen) => {
      if (!isOpen) return
      signal?.removeEventListener('abort', abort)
      stream.setTimeout(0)
      if (remotePublicKey === undefined || isEqual(stream.remotePublicKey, remotePublicKey)) {
        if (raw.onHeard !== undefined) raw.onHeard = sayingAgain(stream)
        resolve(stream)
      } else {
        stream.destroy(new Error('the other end has proven another key than the expected one'))
      }
    })
  })
}

/**
 * Says that this end is there when it hears of the other, not by timers alone: in a page that has been hidden for minutes
 * they come once a minute, and the other end would take it for gone.
 */
function sayingAgain(stream: SecretStream): () => void {
  const { clock } = platform
  let saidMs = clock.now()
  return () => {
    const nowMs = clock.now()
    if (nowMs - saidMs < sayingMs || stream.destroyed) return
    saidMs = nowMs
    stream.sendKeepAlive()
  }
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
