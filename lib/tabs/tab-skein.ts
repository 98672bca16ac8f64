/**
 * `Skein` in a page. Several tabs of one origin are one device: one of them leads, owns the logs and the transports, and
 * the others work through it, with the same names and calls. When it closes, crashes, or answers no more, another takes
 * over where it was.
 */
import { platform as defaultPlatform } from '#platform'
import { SkeinError, throwIfAborted } from '../errors.ts'
import { Emitter } from '../events.ts'
import { Lifecycle } from '../lifecycle.ts'
import type { Platform, Tabs } from '../platform.ts'
import { Skein } from '../skein.ts'
import type { CreateSpaceOptions, SkeinEvents, SkeinOptions } from '../skein-options.ts'
import type { DeviceId } from '../trust/members.ts'
import { piecesOf, sentOf } from './arguments.ts'
import { Leader } from './leader.ts'
import { LeaderGone, Link } from './link.ts'
import { toAll, unpackPayload, type DeviceState, type Envelope, type Reply } from './messages.ts'
import { TabSpace } from './tab-space.ts'

export class TabSkein extends Emitter<SkeinEvents> {
  readonly #options: SkeinOptions
  readonly #platform: Platform
  readonly #lifecycle: Lifecycle
  readonly #tabs: Tabs
  readonly #link: Link
  readonly #spacesById = new Map<string, TabSpace>()
  #device: DeviceState | null = null
  /** This tab's own device, while it leads. */
  #own: { skein: Skein; leader: Leader } | null = null
  #failed: (error: unknown) => void = () => {}
  #changing: Promise<void> = Promise.resolve()

  static verify(...args: Parameters<typeof Skein.verify>): ReturnType<typeof Skein.verify> {
    return Skein.verify(...args)
  }

  constructor(options: SkeinOptions) {
    super()
    // It checks them, and opens nothing before it is asked to.
    void new Skein(options)
    this.#options = options
    this.#platform = options.platform ?? defaultPlatform
    if (this.#platform.tabs === undefined) throw new TypeError('The platform has no tabs')
    this.#tabs = this.#platform.tabs(options.storage)
    this.#link = new Link({
      tabs: this.#tabs,
      clock: this.#platform.clock,
      onDevice: (device) => this.#update(device),
      onReply: (reply) => this.#receive(reply),
      onLeading: () => void this.#greet()
    })
    this.#lifecycle = new Lifecycle(
      () => this.#open(),
      () => this.#close()
    )
  }

  ready(): Promise<void> {
    return this.#lifecycle.ready()
  }

  /** Closes what is open in this tab; where it led, another takes over. */
  close(): Promise<void> {
    return this.#lifecycle.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get id(): DeviceId {
    return this.#known.id
  }

  get name(): string {
    return this.#known.name
  }

  get introduction(): string {
    return this.#known.introduction
  }

  get copied(): Skein['copied'] {
    return this.#device?.copied ?? null
  }

  get peers(): DeviceId[] {
    return [...(this.#device?.peers ?? [])]
  }

  spaces(): TabSpace[] {
    return [...this.#spacesById.values()]
  }

  space(id: string): TabSpace {
    const space = this.#spacesById.get(id)
    if (space === undefined) throw new SkeinError('SPACE_UNKNOWN', `No space ${id} on this device`)
    return space
  }

  async createSpace(options: CreateSpaceOptions): Promise<TabSpace> {
    await this.ready()
    return this.space(await this.#ask('createSpace', [options]))
  }

  async join(
    text: string,
    options: { timeoutMs?: number; signal?: AbortSignal } = {}
  ): Promise<TabSpace> {
    throwIfAborted(options.signal)
    await this.ready()
    const { args, signal } = sentOf([text, options])
    return this.space(await this.#ask('join', args, signal))
  }

  async mirror(options: { hints?: readonly string[] } = {}): Promise<string> {
    await this.ready()
    return this.#ask('mirror', [options])
  }

  async recover(
    recoveryKey: string,
    options: { timeoutMs?: number; signal?: AbortSignal } = {}
  ): Promise<TabSpace> {
    throwIfAborted(options.signal)
    await this.ready()
    const { args, signal } = sentOf([recoveryKey, options])
    return this.space(await this.#ask('recover', args, signal))
  }

  /** The bundle is read whole, since it is the tab that leads that takes it in. */
  async import(
    bundle: Parameters<Skein['import']>[0],
    options: NonNullable<Parameters<Skein['import']>[1]> = {}
  ): Promise<Omit<Awaited<ReturnType<Skein['import']>>, 'space'> & { readonly space: TabSpace }> {
    throwIfAborted(options.signal)
    await this.ready()
    const { args, signal } = sentOf([await piecesOf(bundle), options])
    type Answer = Omit<Awaited<ReturnType<Skein['import']>>, 'space'> & { readonly space: string }
    const imported = await this.#ask<Answer>('import', args, signal)
    return { ...imported, space: this.space(imported.space) }
  }

  async becomeOwnDevice(options: { name?: string } = {}): Promise<void> {
    await this.ready()
    await this.#ask('becomeOwnDevice', [options])
  }

  get #known(): DeviceState {
    if (this.#device !== null) return this.#device
    throw new SkeinError('CLOSED', 'The device is not open yet: await its ready() first')
  }

  async #open(): Promise<void> {
    const failed = new Promise<never>((_, reject) => (this.#failed = reject))
    failed.catch(() => {}) // It may fail later, when nobody waits for it any more.
    this.#tabs.start({
      lead: () => this.#change(() => this.#lead()),
      lost: () =>
        this.#change(async () => {
          const stopped = this.#stopLeading()
          void this.#greet()
          await stopped
        }),
      receive: (message) => this.#link.receive(message as Envelope)
    })
    await Promise.race([this.#again(() => this.#link.call('hello', [])), failed])
  }

  async #close(): Promise<void> {
    for (const space of this.#spacesById.values()) await space.close()
    this.#link.close()
    await this.#change(() => this.#stopLeading())
    this.#tabs.close()
  }

  /** One change of who leads at a time. */
  #change(change: () => Promise<void>): Promise<void> {
    return (this.#changing = this.#changing.then(change, change))
  }

  async #lead(): Promise<void> {
    if (this.#lifecycle.isClosing) return
    this.#link.isOpening = true
    const skein = new Skein(this.#options)
    const leader = new Leader({
      skein,
      send: (to, body) => this.#send(to, body),
      whenGone: (tab) => this.#tabs.whenGone(tab)
    })
    this.#own = { skein, leader }
    try {
      await skein.ready()
    } catch (error) {
      this.#own = null
      this.#link.isOpening = false
      await skein.close().catch(() => {}) // Why it could not be opened is told below.
      this.#failed(error)
      this.#tabs.close()
      return
    }
    this.#link.isOpening = false
    this.#link.leader = leader
    leader.start()
  }

  async #stopLeading(): Promise<void> {
    const own = this.#own
    if (own === null) return
    this.#own = null
    own.leader.stop()
    this.#link.leader = null
    // Where the lead was lost, what it still wants to write is refused: the tab that leads has it, or is given it.
    await own.skein.close().catch(() => {})
  }

  #send(to: string | null, body: Reply): void {
    const { id } = this.#tabs
    if (to !== id) this.#tabs.post({ from: id, to: to ?? toAll, body } satisfies Envelope)
    if (to === null || to === id) this.#link.reply(body)
  }

  /** A tab leads that did not before: what it says of the device counts. */
  async #greet(): Promise<void> {
    for (const space of this.#spacesById.values()) space.leading()
    await this.#again(() => this.#link.call('hello', []))
    for (const space of this.#spacesById.values()) space.refreshed()
  }

  #update(device: DeviceState): void {
    this.#device = device
    const ids = new Set(device.spaces.map(({ id }) => id))
    for (const [id, space] of this.#spacesById) {
      if (ids.has(id)) continue
      this.#spacesById.delete(id)
      space.close().catch(() => {}) // The device has left it: nothing of it is written any more.
    }
    for (const state of device.spaces) {
      const known = this.#spacesById.get(state.id)
      if (known !== undefined) known.update(state)
      else {
        const space = new TabSpace(state, {
          link: this.#link,
          clock: this.#platform.clock,
          tab: this.#tabs.id,
          ready: () => this.ready()
        })
        this.#spacesById.set(state.id, space)
      }
    }
  }

  #receive(reply: Reply): void {
    if (reply.kind === 'device-event') {
      this.#update(reply.device)
      if (reply.event !== 'changed') {
        this.emit(reply.event as 'connection', unpackPayload(reply.payload as object) as never)
      }
    } else if (reply.kind === 'space-event') {
      this.#spacesById.get(reply.space)?.happened(reply.event, reply.payload as object, reply.state)
    } else if ('attachment' in reply) {
      for (const space of this.#spacesById.values()) space.receive(reply)
    }
  }

  async #ask<T>(method: string, args: readonly unknown[], signal?: AbortSignal): Promise<T> {
    try {
      return await this.#link.call<T>(method, args, signal)
    } catch (error) {
      if (!(error instanceof LeaderGone)) throw error
      throw new SkeinError(
        'ABORTED',
        `The tab that was asked (${method}) is gone; it may have done it`
      )
    }
  }

  async #again(ask: () => Promise<unknown>): Promise<void> {
    for (;;) {
      try {
        await ask()
        return
      } catch (error) {
        if (this.#lifecycle.isClosing) return
        if (!(error instanceof LeaderGone)) throw error
        await new Promise<void>((resolve) => this.#platform.clock.soon(resolve))
      }
    }
  }
}
