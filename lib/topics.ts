/** Where this device looks for others: the topics of its spaces, and of those it wants to get into, on every transport. */
import { equalBytes } from './bytes.ts'
import { SkeinError } from './errors.ts'
import type { Transport } from './transport.ts'
import { rendezvousOf, topicOf } from './trust/keys.ts'

export interface TopicsOptions {
  readonly transports: readonly Transport[]
  readonly isClosing: () => boolean
  /** Those of the spaces and joins that there are. */
  readonly wanted: () => Uint8Array[]
  readonly onFailed: (error: SkeinError) => void
}

export class Topics {
  readonly #options: TopicsOptions

  constructor(options: TopicsOptions) {
    this.#options = options
  }

  /** Looks for peers of a space, on each transport; one that fails is told of. */
  async join(topicSecret: Uint8Array): Promise<void> {
    const topic = topicOf(topicSecret)
    const rendezvous = rendezvousOf(topicSecret)
    for (const transport of this.#options.transports) {
      try {
        await transport.join(topic, rendezvous)
      } catch (cause) {
        if (this.#options.isClosing()) return
        const message = `${transport.name} could not look for peers`
        const error = new SkeinError('TRANSPORT_FAILED', message, { cause })
        this.#options.onFailed(error)
      }
    }
  }

  /** Ends the search for a space that this device is not in, unless another join looks for it too. */
  async leaveMaybe(topic: Uint8Array): Promise<void> {
    const { transports, isClosing, wanted } = this.#options
    if (isClosing() || wanted().some((other) => equalBytes(other, topic))) return
    for (const transport of transports) {
      await transport.leave(topic).catch(() => {}) // It finds what nobody asks for: no harm is done.
    }
  }

  /** Ends every search: this device looks for nobody any more. */
  async leaveAll(): Promise<void> {
    const { transports, isClosing, wanted } = this.#options
    for (const topic of wanted()) {
      for (const transport of transports) {
        if (isClosing()) return
        await transport.leave(topic).catch(() => {}) // Whom it finds all the same is not welcome.
      }
    }
  }

  /** Ends the search for a space that this device has left. */
  async leave(topic: Uint8Array): Promise<void> {
    for (const transport of this.#options.transports) await transport.leave(topic)
  }
}
