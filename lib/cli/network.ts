/**
 * The transports of a home, which it starts only when a command asks for them: reading a document needs no network, and
 * a process that began with that may be asked to sync by another.
 */
import { Emitter, type Connection, type DeviceKeys, type Rendezvous, type Transport } from 'skein'

export class SleepingTransport extends Emitter<{ connection: Connection }> implements Transport {
  readonly name: string
  readonly #make: () => Promise<Transport>
  readonly #topics = new Map<string, readonly [Uint8Array, Rendezvous | undefined]>()
  #device: DeviceKeys | null = null
  #waking: Promise<Transport> | null = null
  #isClosed = false

  /** `name` is that of the transport that `make` makes. */
  constructor(name: string, make: () => Promise<Transport>) {
    super()
    this.name = name
    this.#make = make
  }

  get isAwake(): boolean {
    return this.#waking !== null
  }

  /** Starts looking for peers. Fails as the transport's `open` does, and may be called again. */
  async wake(): Promise<void> {
    this.#waking ??= this.#start()
    try {
      await this.#waking
    } catch (error) {
      this.#waking = null
      throw error
    }
  }

  open(device: DeviceKeys): Promise<void> {
    this.#device = device
    return Promise.resolve()
  }

  async join(topic: Uint8Array, rendezvous?: Rendezvous): Promise<void> {
    this.#topics.set(topic.join(), [topic, rendezvous])
    await (await this.#waking)?.join(topic, rendezvous)
  }

  async leave(topic: Uint8Array): Promise<void> {
    this.#topics.delete(topic.join())
    await (await this.#waking)?.leave(topic)
  }

  /** Ends what `wake` began; it may be woken again. */
  async sleep(): Promise<void> {
    const waking = this.#waking
    this.#waking = null
    await (await waking?.catch(() => null))?.close() // Whoever woke it has been told.
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.sleep()
  }

  async #start(): Promise<Transport> {
    if (this.#device === null) throw new TypeError('open() comes before anything else')
    const transport = await this.#make()
    transport.on('connection', (connection) => this.emit('connection', connection))
    await transport.open(this.#device)
    if (this.#isClosed) {
      await transport.close()
      return transport
    }
    // Nobody waits for the search itself: it goes on by itself.
    for (const [topic, rendezvous] of this.#topics.values()) {
      transport.join(topic, rendezvous).catch((error: unknown) => this.#failed(error))
    }
    return transport
  }

  /** Told to whoever waits for peers by there being none; `skein doctor` says why. */
  #failed(error: unknown): void {
    this.lastError = error
  }

  lastError: unknown = null
}
