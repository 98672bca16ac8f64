/**
 * A device of the story as the story sees it: its process, a mirror of its screen, and a record of every edit that it
 * made and of those that Skein acknowledged.
 */
import { Emitter } from 'skein'
import type { DhtAddress } from 'skein/adapters/dht'
import * as Y from 'yjs'
import { Child } from './channel.ts'
import type { DeviceCalls, DeviceEvents } from './device.ts'
import type { Latencies } from './latencies.ts'
import type { Stage } from './stage.ts'

export type Condition = 'starting' | 'online' | 'offline' | 'shut' | 'killed'

export interface ActorEvents {
  /** Something of what a screen shows is another. */
  changed: object
}

export class Actor extends Emitter<ActorEvents> {
  readonly name: string
  condition: Condition = 'shut'
  peers: string[] = []
  safety = { durable: true, devices: 0 }
  logs = { entries: 0, bytes: 0 }
  /** Edits of all of its processes. */
  made = 0
  /** The Yjs updates of those that Skein said are on disk. */
  readonly acknowledged: Uint8Array[] = []
  /** The client ids that it wrote under. */
  readonly clients = new Set<number>()
  /** On its screen: by client id, the character written last, and when that came. */
  readonly cursors = new Map<number, { clock: number; atMs: number }>()
  readonly #stage: Stage
  readonly #storage: string
  readonly #latencies: Latencies
  #child: Child<DeviceCalls, DeviceEvents> | null = null
  #mirror = new Y.Doc()
  /** Edits of the present process. */
  #unacknowledged: Uint8Array[] = []
  #acknowledgedBefore = 0

  constructor(name: string, storage: string, stage: Stage, latencies: Latencies) {
    super()
    this.name = name
    this.#storage = storage
    this.#stage = stage
    this.#latencies = latencies
  }

  /** Its process; each start has another. */
  get device(): Child<DeviceCalls, DeviceEvents> {
    if (this.#child === null) throw new Error(`${this.name} has no process`)
    return this.#child
  }

  /** What its screen shows. */
  get doc(): Y.Doc {
    return this.#mirror
  }

  get text(): string {
    return this.#mirror.getText('body').toString()
  }

  /** Starts a process on its folder. */
  async start(bootstrap: DhtAddress[] | null): Promise<void> {
    const child = this.#stage.add(new Child<DeviceCalls, DeviceEvents>('device.ts'))
    this.#child = child
    this.#unacknowledged = []
    this.#acknowledgedBefore = this.acknowledged.length
    this.#show({ condition: 'starting' })
    child.on('opened', ({ state }) => {
      this.#mirror = new Y.Doc()
      Y.applyUpdate(this.#mirror, state)
      this.#show({})
    })
    child.on('update', (change) => this.#updated(change))
    child.on('acknowledged', ({ edits }) => this.#acknowledgedUpTo(edits))
    child.on('safety', ({ durable, devices }) => this.#show({ safety: { durable, devices } }))
    child.on('logs', (logs) => this.#show({ logs }))
    child.on('peers', ({ names }) => this.#show({ peers: names }))
    await this.open(bootstrap)
  }

  /** Opens the folder, with or without a network. */
  async open(bootstrap: DhtAddress[] | null): Promise<void> {
    this.#show({ peers: [], safety: { durable: true, devices: 0 } })
    await this.device.call('open', { name: this.name, storage: this.#storage, bootstrap })
    this.#show({ condition: bootstrap === null ? 'offline' : 'online' })
  }

  /** Goes on with another network, or none, in the same process. */
  async reopen(bootstrap: DhtAddress[] | null): Promise<void> {
    await this.device.call('close', null)
    await this.open(bootstrap)
  }

  async shut(): Promise<void> {
    await this.device.call('close', null)
    await this.device.end()
    this.#child = null
    this.#show({ condition: 'shut', peers: [] })
  }

  async kill(): Promise<void> {
    await this.device.kill()
    this.#child = null
    this.#show({ condition: 'killed', peers: [] })
  }

  /** Resolves once the condition holds; looks again at each change. */
  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      if (holds()) return resolve()
      const stop = this.on('changed', () => {
        if (!holds()) return
        stop()
        resolve()
      })
    })
  }

  #updated({ update, isOwn, atMs }: DeviceEvents['update']): void {
    Y.applyUpdate(this.#mirror, update)
    for (const [client, end] of Y.parseUpdateMeta(update).to) {
      this.cursors.set(client, { clock: end - 1, atMs: performance.now() })
      if (isOwn) this.clients.add(client)
    }
    if (isOwn) {
      this.made++
      this.#unacknowledged.push(update)
      this.#latencies.made(update, atMs)
    } else {
      this.#latencies.seen(update, atMs)
    }
    this.#show({})
  }

  #acknowledgedUpTo(edits: number): void {
    const count = this.#acknowledgedBefore + edits - this.acknowledged.length
    this.acknowledged.push(...this.#unacknowledged.splice(0, Math.max(0, count)))
    this.#show({})
  }

  #show(changes: Partial<Pick<Actor, 'condition' | 'peers' | 'safety' | 'logs'>>): void {
    Object.assign(this, changes)
    this.emit('changed', {})
  }
}
