/**
 * Ways for one device's edit to reach another, to be compared: a Skein document, and bare hypercores of which one
 * device writes one and reads the other, downloaded live or also pushed. On each, `write` sends one keystroke's worth.
 */
import Corestore from 'corestore'
import type Hypercore from 'hypercore'
import type { Manifest } from 'hypercore'
import Protomux from 'protomux'
import type { Document } from 'skein'
import type { DeviceKeys } from '../../lib/transport.ts'
import { nowMs } from './measure.ts'

export type LinkName = 'skein' | 'live' | 'push'

/** Remembers when edits were written and when the other's became readable. */
export abstract class Link {
  #writtenAt: number[] = []
  #arrivedAt: number[] = []
  #onArrival: () => void = () => {}

  write(): void {
    this.#writtenAt.push(nowMs())
    this.send()
  }

  /** Calls `listener` after each arrival from now on. */
  onArrival(listener: () => void): void {
    this.#onArrival = listener
  }

  get arrivals(): number {
    return this.#arrivedAt.length
  }

  /** What was noted, and begins anew. */
  take(): { writtenAt: number[]; arrivedAt: number[] } {
    const taken = { writtenAt: this.#writtenAt, arrivedAt: this.#arrivedAt }
    this.#writtenAt = []
    this.#arrivedAt = []
    this.#onArrival = () => {}
    return taken
  }

  protected abstract send(): void

  protected arrived(): void {
    this.#arrivedAt.push(nowMs())
    this.#onArrival()
  }
}

/** Keystrokes in a document; nothing else may be written in its text meanwhile. */
export class SkeinLink extends Link {
  readonly #document: Document
  #own = 0
  #others = 0

  constructor(document: Document) {
    super()
    this.#document = document
    const text = document.doc.getText('live')
    this.#others = text.length
    text.observe((_, transaction) => {
      if (transaction.local) return
      for (const length = text.length - this.#own; this.#others < length; this.#others++)
        this.arrived()
    })
  }

  protected send(): void {
    this.#own++
    this.#document.doc.getText('live').insert(0, 'x')
  }
}

/** Bare hypercore, set up as well as we know how. */
export class BareLink extends Link {
  readonly #own: Hypercore
  readonly #other: Hypercore
  readonly #isPushing: boolean
  #block = new Uint8Array(0)
  #read = 0
  #isReading = false

  constructor(own: Hypercore, other: Hypercore, isPushing: boolean) {
    super()
    this.#own = own
    this.#other = other
    this.#isPushing = isPushing
    other.download({ start: 0, end: -1 })
    const drain = (): void => void this.#drain()
    other.on('append', drain)
    other.on('download', drain)
  }

  /** How many bytes a block has from now on. */
  set blockBytes(bytes: number) {
    this.#block = new Uint8Array(bytes).fill(7)
  }

  /** Takes pushed blocks from now on: a log that has something to catch up does not fetch it then. */
  allowPush(allow: boolean): void {
    if (this.#isPushing) this.#other.core.replicator.setAllowPush(allow)
  }

  replicate(mux: Protomux): void {
    this.#own.core.replicator.attachTo(mux)
    this.#other.core.replicator.attachTo(mux)
  }

  protected send(): void {
    void this.#own.append(this.#block).then(({ length }) => {
      if (!this.#isPushing) return
      for (const peer of this.#own.core.replicator.peers) void peer.push(length - 1)
    })
  }

  async #drain(): Promise<void> {
    if (this.#isReading) return
    this.#isReading = true
    while (this.#read < this.#other.contiguousLength) {
      await this.#other.get(this.#read, { wait: false })
      this.#read++
      this.arrived()
    }
    this.#isReading = false
  }
}

/** The bare links of one device, in a store of their own. */
export class BareLinks {
  readonly store: Corestore
  readonly live: BareLink
  readonly push: BareLink

  private constructor(store: Corestore, live: BareLink, push: BareLink) {
    this.store = store
    this.live = live
    this.push = push
  }

  static async open(folder: string, own: DeviceKeys, other: Uint8Array): Promise<BareLinks> {
    const store = new Corestore(folder)
    await store.ready()
    const pair = (number: number) =>
      Promise.all([openCore(store, number, own.publicKey, own), openCore(store, number, other)])
    const [live, push] = [await pair(0), await pair(1)]
    return new BareLinks(store, new BareLink(...live, false), new BareLink(...push, true))
  }

  set blockBytes(bytes: number) {
    for (const link of [this.live, this.push]) link.blockBytes = bytes
  }

  replicate(stream: unknown): void {
    const mux = Protomux.from(stream)
    for (const link of [this.live, this.push]) link.replicate(mux)
  }
}

/** One of a device's cores; with `keys` it can be written. */
export async function openCore(
  store: Corestore,
  number: number,
  publicKey: Uint8Array,
  keys?: DeviceKeys
): Promise<Hypercore> {
  const manifest: Manifest = {
    version: 1,
    hash: 'blake2b',
    allowPatch: false,
    quorum: 1,
    signers: [{ signature: 'ed25519', namespace: new Uint8Array(32).fill(number), publicKey }],
    prologue: null,
    linked: null,
    userData: null
  }
  const core = store.get({ manifest, ...(keys === undefined ? {} : { keyPair: keys }) })
  await core.ready()
  return core
}
