/**
 * One space's side of all connections: which members are connected, what they hold, whether everything they hold has
 * been delivered here, and when a log may take pushed blocks.
 */
import { toHex } from '../bytes.ts'
import { SkeinError, storageError } from '../errors.ts'
import type { LogId } from '../log/entry.ts'
import type { Feed } from '../log/feed.ts'
import type { Log } from '../log/log.ts'
import type { Clock } from '../platform.ts'
import type { DeviceId } from '../trust/members.ts'
import type { PeerConnection } from './connection.ts'
import type { Copies } from './copies.ts'
import { Gaps } from './gaps.ts'
import type { HandOver } from './hand-over.ts'
import { Holdings, type Holding } from './holdings.ts'
import { Introducer, type Introducible } from './introducer.ts'
import type { SealedPresence } from './presence-message.ts'
import { PresenceRelay } from './presence-relay.ts'
import { SpaceChannel, type DocumentLook, type SpaceChannelHost } from './space-channel.ts'

/** How often to look, while something is lacking, whether it still comes. */
const stallCheckMs = 1_000

/** So many looks in a row at which something is lacking and nothing at all has come: a connection is begun anew. */
const stuckLooks = 15

const retryMs = 1_000
/** How often who recovers a space looks whether all control logs are here. */
const recoveryCheckMs = 100

export interface SpaceSyncOptions {
  readonly clock: Clock
  readonly spaceKey: Uint8Array
  readonly feed: Feed
  readonly isMember: (device: DeviceId) => boolean
  readonly mayRead: (device: DeviceId) => boolean
  readonly isMirror: (device: DeviceId) => boolean
  /** This device has been let in, and what waited for roles or keys has been looked at again since they changed. */
  readonly isTrustSettled: () => boolean
  /** Where it stands that a device was removed. */
  readonly newsFor: SpaceChannelHost['newsFor']
  readonly isRecovering: SpaceChannelHost['isRecovering']
  readonly isOwn: (log: Log) => boolean
  readonly syncStore: () => Promise<void>
  readonly onPeers: (added: DeviceId[], removed: DeviceId[]) => void
  readonly onSynced: (synced: boolean) => void
  readonly onHoldings: () => void
  /** A device says what it holds: all of it (`isWhole`), or what has come since it said so. */
  readonly onHeard: (device: DeviceId, holdings: readonly Holding[], isWhole: boolean) => void
  /** A device says that it holds so many blocks which it does not give. */
  readonly onWithheld: (device: DeviceId, blocks: number) => void
  readonly device: DeviceId
  readonly copies: Copies
  readonly request: SpaceChannelHost['request']
  /** A device that is no member asks to be let in. Fails with `BAD_ENCODING`, `BAD_SEAL`. */
  readonly onRequest: (device: DeviceId, bytes: Uint8Array) => void
  /** Fails with `BAD_ENCODING`, `BAD_SEAL`. */
  readonly readPresence: (bytes: Uint8Array) => SealedPresence
  readonly onPresence: (presence: SealedPresence) => void
  /** Nobody who is connected reaches these any more. */
  readonly onPresenceGone: (devices: DeviceId[]) => void
  /** This device's presence in a document, for a member that asks. */
  readonly presenceIn: (document: string) => SealedPresence | null
  readonly onLook: (device: DeviceId, look: DocumentLook) => void
  readonly onForkEvidence: (log: Log) => void
  /** What is here instead of what a peer says it has of a log, or null. Fails with `BAD_ENCODING`. */
  readonly answerDiffers: (bytes: Uint8Array) => Promise<Uint8Array | null>
  /** What a peer has instead, which `ask` asks again. Fails with `BAD_ENCODING`, `BAD_SEAL`. */
  readonly onBranch: (bytes: Uint8Array, ask: (bytes: Uint8Array) => void) => void
  readonly handOver: HandOver
  /** Is the device connected, in whatever space? */
  readonly isConnected: (device: DeviceId) => boolean
  /** What takes introductions, or null. */
  readonly introducible: () => Introducible | null
  /** Fails when the store takes no writes. */
  readonly probeStore: () => Promise<void>
  /** What comes from others cannot be written (`null`: it can again). */
  readonly onStore: (error: SkeinError | null) => void
}

export class SpaceSync {
  readonly holdings: Holdings
  readonly #options: SpaceSyncOptions
  readonly #relay: PresenceRelay
  readonly #introducer: Introducer
  readonly #gaps: Gaps
  readonly #channelsByConnection = new Map<PeerConnection, SpaceChannel>()
  /** What each connected member has said it holds, the greatest length by log. */
  readonly #claimsByChannel = new Map<SpaceChannel, Map<LogId, number>>()
  readonly #pushed = new Set<Log>()
  readonly #told = new Set<SpaceChannel>()
  readonly #fetched = new Set<Log>()
  readonly #received = { blocks: 0, bytes: 0 }
  #synced = false
  #isChecking = false
  #isStoreFailing = false
  #isStopped = false
  #cancelStallCheck: (() => void) | null = null
  /** Of devices whose connection was begun anew, the blocks they had said to hold that were lacking then. */
  readonly #lackedOf = new Map<DeviceId, number>()
  /** Of devices that gave none of them over the next connection either, how many. */
  readonly #withheld = new Map<DeviceId, number>()
  /** Blocks that were here at the last look for what is lacking, and how often in a row it was so. */
  #looks = { blocks: 0, same: 0 }

  constructor(options: SpaceSyncOptions) {
    this.#options = options
    this.#relay = new PresenceRelay({
      clock: options.clock,
      me: options.device,
      peers: () => this.#admitted(),
      isPresent: options.mayRead,
      read: options.readPresence,
      onPresence: options.onPresence,
      onGone: options.onPresenceGone
    })
    this.#introducer = new Introducer({
      clock: options.clock,
      me: options.device,
      peers: () => this.#admitted(),
      near: (peer) => this.#relay.near(peer as SpaceChannel),
      isConnected: options.isConnected,
      isMember: options.isMember,
      transport: options.introducible
    })
    this.#gaps = new Gaps({
      channels: () => this.#admitted(),
      claimOf: (channel, { id }) => this.#claimsByChannel.get(channel)?.get(id) ?? 0,
      update: () => this.update(),
      onFailed: (cause) =>
        options.onStore(storageError('A log could not be begun anew where it has a gap', cause))
    })
    this.holdings = new Holdings({
      clock: options.clock,
      logs: () => options.feed.logs,
      log: (id) => options.feed.log(id),
      isMember: options.isMember,
      isMirror: options.isMirror,
      isWithholding: (device) => this.#withheld.has(device),
      // What came back from a peer has not passed the outbox.
      isOwn: (log) => options.isOwn(log) && !this.#fetched.has(log),
      sync: options.syncStore,
      announce: (holdings) => {
        for (const channel of this.#admitted()) channel.sendHoldings(holdings)
      },
      onChange: options.onHoldings,
      onForkEvidence: options.onForkEvidence,
      onStore: (error) => {
        this.#isStoreFailing = error !== null
        options.onStore(error)
      }
    })
  }

  /** Members that are connected. */
  get peers(): DeviceId[] {
    return [...new Set([...this.#told].map((channel) => channel.device))]
  }

  /** How many blocks a device says it holds and does not give; 0 for most. */
  withheldBy(device: DeviceId): number {
    return this.#withheld.get(device) ?? 0
  }

  /** The transport that connects a member, or null. */
  transportOf(device: DeviceId): string | null {
    const channel = [...this.#told].find((told) => told.device === device)
    return channel?.connection.transport ?? null
  }

  /** Of the logs, what has come from others since the space was opened. */
  get received(): { readonly blocks: number; readonly bytes: number } {
    return { ...this.#received }
  }

  /** How many blocks connected members hold that are not here. */
  get missing(): number {
    let missing = 0
    for (const [id, length] of this.#claimed) {
      missing += Math.max(0, length - (this.#options.feed.log(id)?.contiguousLength ?? 0))
    }
    return missing
  }

  /** Everything that the connected members hold has been delivered. */
  get synced(): boolean {
    return this.#synced
  }

  /** Takes a log up that is in the feed now. */
  watch(log: Log): void {
    log.on('downloaded', ({ bytes }) => {
      this.#received.blocks++
      this.#received.bytes += bytes
    })
    if (this.#options.isOwn(log)) log.on('downloaded', () => this.#fetched.add(log))
    else {
      log.download()
      let passedOn = log.contiguousLength
      // Each block once: it may come again from every peer that did not know it was here, and passed on each time, it
      // would go round among them for ever.
      log.on('downloaded', () => {
        const { contiguousLength } = log
        if (contiguousLength > passedOn) log.push(passedOn, contiguousLength)
        passedOn = Math.max(passedOn, contiguousLength)
      })
    }
    log.on('progress', () => {
      this.#gaps.progress(log)
      this.holdings.changed()
      void this.holdings.recheck(log)
      this.#gatePush(log)
      this.#forgive()
      this.checkSynced()
      // Also where nothing is lacking here: what that peer asks for goes unanswered.
      if (log.isStalled) this.#checkStallSoon()
    })
    this.update()
  }

  connected(connection: PeerConnection): void {
    if (this.#channelsByConnection.has(connection)) return
    const options = this.#options
    const channel = new SpaceChannel(connection, {
      spaceKey: options.spaceKey,
      now: () => options.clock.now(),
      isMember: options.isMember,
      newsFor: options.newsFor,
      isRecovering: options.isRecovering,
      logs: () => options.feed.logs.filter((log) => this.#gaps.mayReplicate(channel, log)),
      holdings: () => this.holdings.mine(),
      retryLater: (again) => void options.clock.after(retryMs, again),
      onAdmitted: () => this.#admittedOne(channel),
      onHolds: (_, holdings) => this.#onHolds(channel, holdings),
      onPresence: (_, bytes) => this.#relay.receive(channel, bytes),
      onAsked: (_, document) => this.#asked(channel, document),
      onNear: (_, devices) => {
        this.#relay.nearChanged(channel, devices)
        this.#introducer.changed()
      },
      onIntroduction: (_, bytes) => this.#introducer.receive(channel, bytes),
      onLook: (_, look) => options.onLook(channel.device, look),
      onDiffers: (_, bytes) =>
        this.#answer(channel, options.answerDiffers(bytes), (branch) => channel.sendBranch(branch)),
      onBranch: (_, bytes) => options.onBranch(bytes, (again) => channel.sendDiffers(again)),
      request: options.request,
      onRequest: (_, bytes) => options.onRequest(channel.device, bytes),
      onCopies: (_, bytes) => options.copies.receive(channel, bytes),
      onKeep: (_, bytes) =>
        this.#answer(channel, options.handOver.receive(bytes), (kept) => channel.sendKept(kept)),
      onKept: (_, bytes) =>
        this.#answer(
          channel,
          options.handOver.taken(bytes, channel.device, (next) => this.#keep(channel, next))
        ),
      onClosed: (_, hasEnded) => {
        options.copies.left(channel, hasEnded)
        this.#left(channel)
      }
    })
    this.#channelsByConnection.set(connection, channel)
    connection.onClose(() => {
      this.#channelsByConnection.delete(connection)
      this.#left(channel)
    })
  }

  /** Looks again at who is a member and which logs there are. */
  update(): void {
    for (const channel of this.#channelsByConnection.values()) channel.update()
    this.#introducer.changed()
  }

  /** Resolves when some device has said what it holds, and all that any has named has been delivered here. */
  async whenClaimedIsHere(signal: AbortSignal): Promise<void> {
    const { feed, clock } = this.#options
    for (;;) {
      signal.throwIfAborted()
      const channels = [...this.#channelsByConnection.values()].filter(
        ({ hasHoldings, claimed }) => hasHoldings && claimed.length > 0
      )
      const isHere = channels.every(({ claimed }) =>
        claimed.every(({ log, length }) => feed.deliveredOf(log) >= length)
      )
      if (channels.length > 0 && isHere) return
      await new Promise<void>((resolve) => void clock.after(recoveryCheckMs, resolve))
    }
  }

  /** Sends this device's own, to mirrors too: they pass it on. */
  sendPresence(presence: SealedPresence): void {
    this.#relay.send(presence)
  }

  #asked(channel: SpaceChannel, document: string): void {
    const presence = this.#options.presenceIn(document)
    if (presence !== null) channel.sendPresence(presence.bytes)
    this.#relay.asked(channel)
  }

  /** Asks everyone who is connected what they have of a log. */
  askAboutFork(bytes: Uint8Array): void {
    for (const channel of this.#admitted()) channel.sendDiffers(bytes)
  }

  /** Ends every connection to a member of the space: transports make new ones. */
  reconnect(): void {
    for (const channel of this.#admitted()) channel.connection.close()
  }

  #answer(
    channel: SpaceChannel,
    answering: Promise<Uint8Array | null | void>,
    send: (answer: Uint8Array) => void = () => {}
  ): void {
    answering.then(
      (answer) => answer instanceof Uint8Array && channel.isAdmitted && send(answer),
      (error: unknown) => {
        // What is not well-formed breaks the protocol; where the store fails, that is told of elsewhere.
        if (!(error instanceof SkeinError)) return
        if (error.code === 'BAD_ENCODING' || error.code === 'BAD_SEAL') channel.connection.close()
      }
    )
  }

  #keep(channel: SpaceChannel, bytes: Uint8Array): void {
    if (channel.isAdmitted) channel.sendKeep(bytes)
  }

  sendLook(look: DocumentLook): void {
    for (const channel of this.#admitted()) {
      if (this.#options.mayRead(channel.device)) channel.sendLook(look)
    }
  }

  askPresence(document: string): void {
    for (const channel of this.#admitted()) channel.askPresence(document)
  }

  /** Soon: many deliveries are looked at together. */
  checkSynced(): void {
    if (this.#isChecking) return
    this.#isChecking = true
    this.#options.clock.soon(() => {
      this.#isChecking = false
      const admitted = this.#admitted()
      const { feed } = this.#options
      if (!this.#synced && !feed.isSettled) void feed.settled().then(() => this.checkSynced())
      const synced =
        admitted.length > 0 &&
        admitted.every((channel) => channel.hasHoldings) &&
        // Once everything was here, what comes live does not take that back; a new connection does.
        (this.#synced || this.#isAllDelivered())
      this.#setSynced(synced)
    })
  }

  stop(): void {
    this.#isStopped = true
    this.#options.handOver.stop()
    this.#cancelStallCheck?.()
    this.holdings.stop()
    this.#introducer.stop()
    for (const channel of this.#channelsByConnection.values()) channel.close()
    this.#channelsByConnection.clear()
  }

  /** By log, the greatest length that some connected member has said it holds. */
  get #claimed(): Map<LogId, number> {
    const claimed = new Map<LogId, number>()
    for (const claims of this.#claimsByChannel.values()) {
      for (const [log, length] of claims) claimed.set(log, Math.max(claimed.get(log) ?? 0, length))
    }
    return claimed
  }

  #claimOf(log: LogId): number {
    let length = 0
    for (const claims of this.#claimsByChannel.values())
      length = Math.max(length, claims.get(log) ?? 0)
    return length
  }

  #admitted(): SpaceChannel[] {
    return [...this.#channelsByConnection.values()].filter((channel) => channel.isAdmitted)
  }

  #isAllDelivered(): boolean {
    const { feed, isMirror, isTrustSettled, device } = this.#options
    if (!isTrustSettled()) return false
    // What a mirror cannot read is never delivered: to have it is all. Who is not let in yet may read soon.
    if (isMirror(device)) return this.missing === 0
    return [...this.#claimed.keys()].every((log) => feed.isDelivered(log, this.#claimed))
  }

  #setSynced(synced: boolean): void {
    if (synced === this.#synced) return
    this.#synced = synced
    this.#options.onSynced(synced)
  }

  #admittedOne(channel: SpaceChannel): void {
    this.#setSynced(false)
    for (const log of this.#options.feed.logs) this.#gatePush(log)
    const isNew = ![...this.#told].some(({ device }) => device === channel.device)
    this.#told.add(channel)
    this.#options.copies.met(channel)
    this.#relay.peersChanged()
    this.#introducer.changed()
    if (isNew) this.#options.onPeers([channel.device], [])
  }

  #left(channel: SpaceChannel): void {
    if (!this.#told.delete(channel)) return
    this.#claimsByChannel.delete(channel)
    for (const log of this.#options.feed.logs) this.#gatePush(log)
    // A second connection to the same device may be there still: of two, one is given up.
    const isGone = ![...this.#told].some(({ device }) => device === channel.device)
    this.#relay.peersChanged()
    this.#introducer.changed()
    if (isGone) this.#options.onPeers([], [channel.device])
    this.checkSynced()
  }

  #onHolds(channel: SpaceChannel, holdings: readonly Holding[]): void {
    const { feed } = this.#options
    let claims = this.#claimsByChannel.get(channel)
    const isFirst = claims === undefined
    if (claims === undefined) this.#claimsByChannel.set(channel, (claims = new Map()))
    for (const { log, length } of holdings) claims.set(log, Math.max(claims.get(log) ?? 0, length))
    // The first message tells that this peer is not waited for any more, which concerns every log.
    const named = holdings.flatMap(({ log }) => feed.log(log) ?? [])
    for (const log of isFirst ? feed.logs : named) this.#gatePush(log)
    this.#options.onHeard(channel.device, holdings, isFirst)
    // Its own logs: what others kept of them.
    const own = named.filter(({ name }) => toHex(name.device) === channel.device)
    void this.#options.handOver.offer(own, (bytes) => this.#keep(channel, bytes))
    void this.holdings.receive(channel.device, holdings, isFirst)
    this.#forgive()
    this.checkSynced()
    this.#checkStallSoon()
  }

  /**
   * Hypercore stops fetching from a peer, and answering it, without a word, when what came could not be written or was
   * wrong too often.
   */
  #checkStallSoon(): void {
    if (this.#cancelStallCheck !== null) return
    if (this.#isAllHere() && !this.#options.feed.logs.some((log) => log.isStalled)) return
    this.#cancelStallCheck = this.#options.clock.after(stallCheckMs, () => {
      void this.#checkStall().finally(() => {
        this.#cancelStallCheck = null
        if (!this.#isStopped) this.#checkStallSoon()
      })
    })
  }

  async #checkStall(): Promise<void> {
    await this.#gaps.look(this.#options.feed.logs.filter((log) => !this.#options.isOwn(log)))
    this.#letGoWhereStuck()
    const stalled = this.#options.feed.logs.filter((log) => log.isStalled)
    if (stalled.length === 0 || this.#isStoreFailing) return
    try {
      await this.#options.probeStore()
    } catch (error) {
      if (this.#isStopped || !(error instanceof SkeinError)) return
      this.#options.onStore(error)
      return
    }
    // The store takes writes, now: what stopped is begun anew with a new connection.
    for (const { connection } of this.#admitted()) {
      if (stalled.some((log) => log.isStalledOn(connection.mux))) connection.close()
    }
  }

  /**
   * Where a peer has said to have blocks that do not come, and for so long nothing else has come either, the connection
   * is begun anew: to one peer at a time. The causes of such a wait that are known are mended where they lie (see
   * `log/lengths.ts`, `log/push.ts`); this is for those that are not, in hypercore or in a peer. It cannot tell them from
   * a peer that is slow to the point of sending nothing whole in all that time.
   */
  #letGoWhereStuck(): void {
    const { logs } = this.#options.feed
    const blocks = logs.reduce((sum, log) => sum + log.contiguousLength, 0)
    this.#looks = { blocks, same: this.#looks.blocks === blocks ? this.#looks.same + 1 : 0 }
    if (this.#looks.same < stuckLooks || this.#isStoreFailing) return
    this.#looks.same = 0
    const lacks = [...this.#claimsByChannel.keys()].map((channel) => ({
      channel,
      count: logs.filter((log) => this.#lackOf(channel, log) > 0).length
    }))
    const most = lacks.sort((a, b) => b.count - a.count)[0]
    if (most === undefined || most.count === 0) return
    this.#letGo(most.channel)
  }

  #letGo(channel: SpaceChannel): void {
    const { device } = channel
    const blocks = this.#options.feed.logs.reduce((sum, log) => sum + this.#lackOf(channel, log), 0)
    const before = this.#lackedOf.get(device)
    this.#lackedOf.set(device, blocks)
    // Twice, and nothing has come in between: it has them not, or will not give them.
    if (before !== undefined && blocks >= before && !this.#withheld.has(device)) {
      this.#withheld.set(device, blocks)
      this.holdings.trustChanged()
      this.#options.onWithheld(device, blocks)
    }
    channel.connection.close()
  }

  /** How many blocks of a log a peer says it holds that are not here. */
  #lackOf(channel: SpaceChannel, log: Log): number {
    const claimed = this.#claimsByChannel.get(channel)?.get(log.id) ?? 0
    return Math.max(0, claimed - log.contiguousLength)
  }

  /** Who has given what it was let go for is believed again. */
  #forgive(): void {
    if (this.#lackedOf.size === 0) return
    const { logs } = this.#options.feed
    for (const channel of this.#claimsByChannel.keys()) {
      const isLacking = logs.some((log) => this.#lackOf(channel, log) > 0)
      if (isLacking || !this.#lackedOf.delete(channel.device)) continue
      if (this.#withheld.delete(channel.device)) this.holdings.trustChanged()
    }
  }

  #isAllHere(): boolean {
    for (const [id, length] of this.#claimed) {
      const log = this.#options.feed.log(id)
      if (log !== null && log.contiguousLength < length) return false
    }
    return true
  }

  /**
   * A log takes pushed blocks only while it is level with all that connected peers hold: one that is behind must fetch,
   * and does not do so while it takes pushes; its first block is never pushed (see `log/push.ts`).
   */
  #gatePush(log: Log): void {
    if (this.#options.isOwn(log)) return
    const admitted = this.#admitted()
    const isLevel =
      admitted.every((channel) => channel.hasHoldings) &&
      log.contiguousLength >= Math.max(1, log.length, this.#claimOf(log.id))
    const allow = admitted.length > 0 && isLevel
    if (allow === this.#pushed.has(log)) return
    if (allow) this.#pushed.add(log)
    else this.#pushed.delete(log)
    log.allowPush(allow)
  }
}
