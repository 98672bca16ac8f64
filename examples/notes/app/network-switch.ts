/**
 * A transport that can be switched off and on again while its device is open: off, it closes every connection and looks
 * for nobody.
 */
import {
  Emitter,
  type Connection,
  type DeviceKeys,
  type Introduction,
  type Rendezvous,
  type Transport
} from 'skein'

export class NetworkSwitch extends Emitter<{ connection: Connection }> implements Transport {
  readonly name: string
  readonly #make: () => Transport
  readonly #topics = new Map<string, readonly [Uint8Array, Rendezvous | undefined]>()
  #device: DeviceKeys | null = null
  #transport: Transport | null = null
  #isOn: boolean
  #changing: Promise<void> = Promise.resolve()

  /** `name` is that of the transport that `make` makes. */
  constructor(name: string, make: () => Transport, { isOn = true } = {}) {
    super()
    this.name = name
    this.#make = make
    this.#isOn = isOn
  }

  /** Resolves when it has been done; fails as the transport's `open` does. */
  switch(isOn: boolean): Promise<void> {
    this.#isOn = isOn
    return this.#change()
  }

  open(device: DeviceKeys): Promise<void> {
    this.#device = device
    return this.#change()
  }

  async join(topic: Uint8Array, rendezvous?: Rendezvous): Promise<void> {
    this.#topics.set(topic.join(), [topic, rendezvous])
    await this.#transport?.join(topic, rendezvous)
  }

  async leave(topic: Uint8Array): Promise<void> {
    this.#topics.delete(topic.join())
    await this.#transport?.leave(topic)
  }

  call(): Promise<Introduction> {
    return this.#introducing.call!()
  }

  answer(text: string, options?: { readonly timeoutMs?: number }): Promise<string> {
    return this.#introducing.answer!(text, options)
  }

  close(): Promise<void> {
    this.#device = null
    return this.#change()
  }

  get #introducing(): Transport {
    if (this.#transport !== null) return this.#transport
    throw new Error('The network is switched off')
  }

  /** One change at a time, each to what is wanted by then. */
  #change(): Promise<void> {
    return (this.#changing = this.#changing.then(
      () => this.#settle(),
      () => this.#settle()
    ))
  }

  async #settle(): Promise<void> {
    const device = this.#device
    const isWanted = this.#isOn && device !== null
    if (isWanted === (this.#transport !== null)) return
    if (!isWanted) {
      const transport = this.#transport!
      this.#transport = null
      return transport.close()
    }
    const transport = this.#make()
    transport.on('connection', (connection) => this.emit('connection', connection))
    await transport.open(device)
    this.#transport = transport
    for (const [topic, rendezvous] of this.#topics.values()) await transport.join(topic, rendezvous)
  }
}
