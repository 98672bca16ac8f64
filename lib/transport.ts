/**
 * The transport contract: finds peers for a topic and yields duplex connections that carry a proven remote key.
 * A transport knows nothing of logs, documents or messages. `adapters/testing.ts` is this contract as a test suite.
 */

/** A device's Ed25519 key pair, as libsodium has it: `secretKey` is 64 bytes, seed then public key. */
export interface DeviceKeys {
  readonly publicKey: Uint8Array
  readonly secretKey: Uint8Array
}

/**
 * A message-framed, encrypted duplex stream whose other end has proven its key: the part of
 * `@hyperswarm/secret-stream` that is used here. `secureStream()` makes one over any byte stream.
 */
export interface SecureStream {
  readonly publicKey: Uint8Array
  readonly remotePublicKey: Uint8Array
  /** 64 bytes that both ends, and nobody else, have in common. */
  readonly handshakeHash: Uint8Array
  readonly isInitiator: boolean
  readonly destroyed: boolean
  setKeepAlive(intervalMs: number): void
  setTimeout(silenceMs: number): void
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'close', listener: () => void): unknown
  destroy(error?: Error): unknown
}

/** A connection to one device. Its handshake is complete when the transport announces it. */
export interface Connection {
  readonly stream: SecureStream
}

/**
 * How devices in a topic find each other through a helper that must not learn what they exchange: known to those who may
 * look for the space, and to no one who only knows the topic.
 */
export interface Rendezvous {
  /** 32 bytes that name the place to meet. */
  readonly name: Uint8Array
  /** 32 bytes that seal what is said there. */
  readonly key: Uint8Array
}

/** An introduction by a line of text each way, which this device has begun. */
export interface Introduction {
  /** For the other device. */
  readonly text: string
  /** Takes what the other device answered. Fails with `BAD_ENCODING` for what is no answer. */
  complete(answer: string): Promise<void>
  /** Gives the introduction up, or ends its connection. */
  close(): void
  /** Resolves when it has been given up, or its connection has ended. */
  readonly ended: Promise<void>
}

export interface Transport {
  /** Names the transport in events, and ranks it where two connect the same pair: see `transportRank`. */
  readonly name: string
  /** Called once, before anything else. */
  open(device: DeviceKeys): Promise<void>
  /**
   * Looks for other devices in the topic (32 bytes that say nothing about the space) and lets itself be found, until
   * `leave` or `close`. Resolves when the search is under way. A connection that is lost is dialled again, with
   * back-off, while both are in a common topic. Only transports that are introduced by others need `rendezvous`.
   */
  join(topic: Uint8Array, rendezvous?: Rendezvous): Promise<void>
  /** Ends the search. Connections that are open stay open. */
  leave(topic: Uint8Array): Promise<void>
  /**
   * Begins an introduction by a line of text each way. Transports that have it and `answer` connect members through a
   * peer that both are connected to. The other end of the connection proves its key as ever.
   */
  call?(): Promise<Introduction>
  /**
   * The answer to another device's `call`: one line of text. It is given up when no connection has come within
   * `timeoutMs` (default 15 minutes). Fails with `BAD_ENCODING` for what is none.
   */
  answer?(text: string, options?: { readonly timeoutMs?: number }): Promise<string>
  /** Closes every connection. */
  close(): Promise<void>
  on(event: 'connection', listener: (connection: Connection) => void): () => void
}
