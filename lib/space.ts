/**
 * One space on this device: its logs, members, documents and application events, wired together. What each part does is
 * in its own file; what happens when an entry is delivered is in `#deliver`.
 */
import * as Y from 'yjs'
import { equalBytes, toHex } from './bytes.ts'
import type { BoxKeys } from './crypto.ts'
import type { Document } from './document.ts'
import { Documents } from './documents.ts'
import { SkeinError, storageError, throwIfAborted } from './errors.ts'
import { Emitter } from './events.ts'
import { Lifecycle } from './lifecycle.ts'
import { kinds, keyIdOf, type CoreName } from './log/entry.ts'
import { Feed, type Delivered, type EntryRef, type Gate } from './log/feed.ts'
import { Health } from './log/health.ts'
import { behindError, OwnLog, type Appended, type OwnCore } from './log/own-log.ts'
import type { Log, LogStore } from './log/store.ts'
import type { Platform, Storage } from './platform.ts'
import type { PeerConnection } from './sync/connection.ts'
import { SpaceSync } from './sync/space-sync.ts'
import type { Presence } from './sync/space-channel.ts'
import type { DeviceKeys } from './transport.ts'
import { Admission, type InviteOptions } from './sync/admission.ts'
import { encodeEpoch, encodeLeave, type LogPosition, type Role } from './trust/control.ts'
import { ControlState } from './trust/control-state.ts'
import { KeyRing, topicOf } from './trust/keys.ts'
import { isPassedOver, mayWrite, roleAtContent, type DeviceId } from './trust/members.ts'
import { decodeAppEntry, encodeAppEntry, type AppEntry } from './views/app-entry.ts'
import { maxNameChars } from './views/edit.ts'
import { ViewStore } from './views/view-store.ts'

const viewFlushMs = 1_000
const leaveWaitMs = 5_000

export interface Member {
  /** The device's signing key in hex. */
  readonly device: DeviceId
  readonly role: Role
  readonly name: string
  readonly person: string
  readonly isThisDevice: boolean
  readonly isConnected: boolean
}

export interface SpaceEvents {
  members: { members: Member[] }
  peers: { added: DeviceId[]; removed: DeviceId[]; peers: DeviceId[] }
  status: { status: 'connected' | 'disconnected'; connected: boolean }
  synced: { synced: boolean }
  /** A document that was not known here before. */
  document: { name: string }
  /** An application event was delivered, of any device. */
  entry: { entry: AppEntry }
  /** Which devices hold what changed: `saved({ peers })` may resolve. */
  holdings: object
  /** Writing on this device failed (it is tried again) or works again (`error` is null). */
  storage: { error: SkeinError | null }
  /** A peer sent, or wrote, what breaks a rule; it was left out. */
  'peer-error': { device: DeviceId; error: SkeinError }
  /** Two signed versions of one log have been seen. */
  fork: { device: DeviceId; length: number }
}

/**
 * What a space needs of its device.
 * @internal
 */
export interface SpaceContext {
  readonly platform: Platform
  readonly storage: Storage
  readonly store: LogStore
  readonly device: DeviceKeys
  readonly box: BoxKeys
  readonly connections: () => Iterable<PeerConnection>
  readonly reopenStore: () => Promise<void>
  readonly onLeft: (space: Space) => Promise<void>
}

export class Space extends Emitter<SpaceEvents> {
  /** The hash of the space's genesis, in hex. */
  readonly id: string
  readonly #context: SpaceContext
  readonly #control: ControlState
  readonly #views: ViewStore
  readonly #feed: Feed
  readonly #sync: SpaceSync
  readonly #admission: Admission
  readonly #lifecycle: Lifecycle
  readonly #me: DeviceId
  readonly #documents: Documents
  readonly #health: Health
  #ownLog!: OwnLog
  #logs!: Record<OwnCore, Log>
  #following: Promise<void> = Promise.resolve()
  #cancelViewFlush: (() => void) | null = null
  #isLeaving = false
  /** Wakes those who iterate over live entries. */
  readonly #iterating = new Set<() => void>()

  /** @internal Made by `Skein`. */
  constructor(spaceKey: Uint8Array, genesis: Uint8Array, id: Uint8Array, context: SpaceContext) {
    super()
    this.id = toHex(id)
    this.#context = context
    this.#me = toHex(context.device.publicKey)
    const ring = new KeyRing(id, spaceKey)
    this.#control = new ControlState(genesis, ring, context.device.publicKey, context.box)
    this.#views = new ViewStore(() => context.store.database, id)
    this.#feed = new Feed({
      keyOf: (log, keyId) => this.#keyOf(log, keyId),
      gate: (device, log, from) => this.#gate(device, log, from),
      deliver: (delivered) => this.#deliver(delivered),
      onPassedOver: () => this.#sync.checkSynced(),
      onInvalid: (device, _log, _seq, error) => this.emit('peer-error', { device, error }),
      onReadFailed: (error) => this.#health.storeFailed('reading', error),
      onForkEvidence: (log, length) => this.#forkSeen(log, length),
      yieldTurn: () => new Promise((resolve) => context.platform.clock.soon(resolve))
    })
    this.#sync = new SpaceSync({
      clock: context.platform.clock,
      spaceKey,
      feed: this.#feed,
      isMember: (device) => this.#control.members.get(device)?.role != null,
      mayRead: (device) => {
        const role = this.#control.members.get(device)?.role ?? null
        return role !== null && role !== 'mirror'
      },
      isOwn: (log) => equalBytes(log.name.device, context.device.publicKey),
      syncStore: () => context.store.sync(),
      onPeers: (added, removed) => this.#peersChanged(added, removed),
      onSynced: (synced) => {
        this.emit('synced', { synced })
        for (const document of this.#documents.open) document.syncedChanged(synced)
      },
      onHoldings: () => {
        this.emit('holdings', {})
        for (const document of this.#documents.open) document.safetyChanged()
      },
      onPresence: (device, presence) => this.#receivePresence(device, presence),
      presenceIn: (document) => this.#documents.presenceIn(document),
      onForkEvidence: (log, length) => this.#forkSeen(log, length),
      probeStore: () => context.store.probe(),
      onStore: (error) => {
        if (error === null) this.#health.set('receiving', null)
        else this.#health.storeFailed('receiving', error)
      }
    })
    this.#documents = new Documents({
      clock: context.platform.clock,
      space: id,
      device: this.#me,
      member: (device) => this.#control.members.get(device),
      mayWrite: () => !this.readOnly,
      views: this.#views,
      feed: this.#feed,
      sync: () => this.#sync,
      ownLog: () => this.#ownLog,
      assertOpen: () => this.#lifecycle.assertOpen(),
      onDocument: (name) => this.emit('document', { name }),
      onStorage: (error) => this.emit('storage', { error })
    })
    this.#health = new Health({
      clock: context.platform.clock,
      reopenStore: () => context.reopenStore(),
      onChange: (error) => this.emit('storage', { error }),
      onHealed: () => {
        this.#trustChanged()
        this.#flushViewsSoon()
      }
    })
    this.#admission = new Admission({
      platform: context.platform,
      device: this.#me,
      genesis,
      control: this.#control,
      append: async (kind, body) => void (await this.#ownLog.append('control', kind, body)),
      positionOf: (device) => this.#positionOf(device),
      onPeerError: (device, error) => this.emit('peer-error', { device, error })
    })
    this.#lifecycle = new Lifecycle(
      () => this.#open(genesis),
      () => this.#close()
    )
  }

  get name(): string {
    return this.#control.genesis.name
  }

  /** This device's role; null before it was let in, and after it left. */
  get role(): Role | null {
    return this.#control.members.get(this.#me)?.role ?? null
  }

  /** True while nothing this device writes would count, or be right. */
  get readOnly(): boolean {
    return (
      this.#isLeaving ||
      !mayWrite(this.role) ||
      this.#control.contentKey === null ||
      this.#control.unknownCritical !== null ||
      this.#ownLog.isBehind
    )
  }

  /** @internal The topic that transports announce. */
  get topic(): Uint8Array {
    return topicOf(this.#control.ring.topicSecret)
  }

  /** Members that are connected, by their keys in hex. */
  get peers(): DeviceId[] {
    return this.#sync.peers
  }

  /** Everything that the connected members hold has been delivered; false while alone. */
  get synced(): boolean {
    return this.#sync.synced
  }

  /** How many entries are here and wait for something: another entry, a key, a role. */
  get waiting(): number {
    return [...this.#feed.waiting.values()].reduce((sum, count) => sum + count, 0)
  }

  /** Bytes in the logs of all members, as far as they are here. */
  get logBytes(): number {
    return this.#feed.logs.reduce((sum, log) => sum + log.byteLength, 0)
  }

  /** Blocks in the logs of all members, as far as they are here. Nearly every entry is one block. */
  get logLength(): number {
    return this.#feed.logs.reduce((sum, log) => sum + log.length, 0)
  }

  ready(): Promise<void> {
    return this.#lifecycle.ready()
  }

  /** Closes the documents, writes what is left, and stops. Idempotent. */
  close(): Promise<void> {
    return this.#lifecycle.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Who is in the space now, highest role first. */
  members(): Member[] {
    const connected = new Set(this.peers)
    return [...this.#control.members.values()]
      .filter((member) => member.role !== null)
      .sort((a, b) => b.rank - a.rank || (a.device < b.device ? -1 : 1))
      .map((member) => ({
        device: member.device,
        role: member.role!,
        name: member.record.name,
        person: member.record.person,
        isThisDevice: member.device === this.#me,
        isConnected: connected.has(member.device)
      }))
  }

  /** The names of the documents that have content. */
  documents(): string[] {
    return this.#documents.names
  }

  /** One line of text that lets devices in. Fails with `NOT_ALLOWED`. */
  async invite(options: InviteOptions = {}): Promise<string> {
    await this.ready()
    const invite = await this.#admission.invite(options)
    this.#admission.update(this.#context.connections())
    return invite
  }

  /**
   * Opens a document, making it with its first edit. `doc` binds an empty `Y.Doc` that an app already has. Opening it
   * again gives the same one. Fails with `DOCUMENT_OPEN`, `DOCUMENT_NOT_EMPTY`.
   */
  async open(name: string, { doc }: { doc?: Y.Doc } = {}): Promise<Document> {
    if (typeof name !== 'string' || name === '' || name.length > maxNameChars) {
      throw new TypeError(`A document's name has 1 to ${maxNameChars} characters`)
    }
    await this.ready()
    return this.#documents.openNamed(name, doc)
  }

  /**
   * Adds an application event: `value` is anything JSON can hold. Resolves when it is durable here.
   * Fails with `NOT_ALLOWED`, `ENTRY_TOO_LARGE`, `CLOSED`.
   */
  async append(type: string, value: unknown): Promise<AppEntry> {
    await this.ready()
    if (this.readOnly)
      throw new SkeinError('NOT_ALLOWED', 'This device may not write to the space now')
    const appended = await this.#ownLog.append('content', kinds.event, encodeAppEntry(type, value))
    const { entry } = appended
    return decodeAppEntry(entry, this.#me, { log: this.#logs.content.id, from: appended.from })
  }

  /**
   * Application events in causal order, those that are here first; `live`: then those that come, until the space is
   * closed or the signal fires. `type` picks one.
   */
  async *entries(
    options: { type?: string; live?: boolean; signal?: AbortSignal } = {}
  ): AsyncGenerator<AppEntry, void, void> {
    const { type, live = false, signal } = options
    throwIfAborted(signal)
    await this.ready()
    let next = 0
    let wake = (): void => {}
    const look = (): void => wake()
    const stop = this.on('entry', look)
    this.#iterating.add(look)
    signal?.addEventListener('abort', look)
    try {
      for (;;) {
        const woken = new Promise<void>((resolve) => (wake = resolve))
        for await (const { number, type: stored, ref } of this.#views.events(next)) {
          next = number + 1
          if (type !== undefined && stored !== type) continue
          const { device, entry } = await this.#feed.readBack(ref)
          yield decodeAppEntry(entry, device, ref)
        }
        if (!live || this.#lifecycle.isClosing || signal?.aborted === true) return
        if (next === this.#views.eventCount) await woken
      }
    } finally {
      stop()
      this.#iterating.delete(look)
      signal?.removeEventListener('abort', look)
    }
  }

  /** Resolves when everything this device wrote is durable here and on `peers` other devices. See `Document.saved`. */
  async saved({ peers = 0, signal }: { peers?: number; signal?: AbortSignal } = {}): Promise<void> {
    throwIfAborted(signal)
    this.#lifecycle.assertOpen()
    for (const document of this.#documents.open)
      await document.saved(signal === undefined ? {} : { signal })
    await this.#ownLog.flush()
    if (peers > 0) await this.#sync.holdings.whenHeldBy(this.#feed.cut, peers, signal)
  }

  /**
   * Leaves: from here on nothing of this device counts. Tells connected members, and forgets the space on this device.
   */
  async leave(): Promise<void> {
    await this.ready()
    if (this.role !== null) {
      const { content } = this.#logs
      // From here on nothing is written any more: the entry says how far the content goes that counts.
      this.#isLeaving = true
      await this.#documents.close()
      await this.#ownLog.flush()
      const leave = encodeLeave({ contentCore: 0, content: content.length })
      const { cut } = await this.#ownLog.append('control', kinds.leave, leave)
      if (this.peers.length > 0) {
        const tooLong = new AbortController()
        const cancel = this.#context.platform.clock.after(leaveWaitMs, () => tooLong.abort())
        // Whoever hears of it later, hears of it from those who know.
        await this.#sync.holdings.whenHeldBy(cut, 1, tooLong.signal).catch(() => {})
        cancel()
      }
    }
    await this.close()
    await this.#views.clear()
    // The outbox goes last: what it holds must be in the store durably, and the space forgotten, before.
    await this.#context.store.sync()
    await this.#context.onLeft(this)
    await this.#context.storage.removeOutbox(this.id)
  }

  /** @internal Resolves when this device has been let in and can read. */
  whenMember(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason as Error)
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (this.role === null || (this.role !== 'mirror' && this.#control.contentKey === null))
          return
        stop()
        signal.removeEventListener('abort', abort)
        resolve()
      }
      const stop = this.on('members', check)
      const abort = (): void => {
        stop()
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', abort, { once: true })
      check()
    })
  }

  /** @internal A connection to any device. */
  connected(connection: PeerConnection): void {
    if (!this.#lifecycle.isOpen) return
    this.#sync.connected(connection)
    this.#admission.offer(connection)
  }

  async #open(genesis: Uint8Array): Promise<void> {
    const { store, storage, platform } = this.#context
    await this.#openViews()
    this.#logs = {
      control: await store.open(
        this.#nameOf(this.#context.device.publicKey, 'control'),
        this.#context.device
      ),
      content: await store.open(
        this.#nameOf(this.#context.device.publicKey, 'content/0'),
        this.#context.device
      )
    }
    this.#ownLog = new OwnLog({
      control: this.#logs.control,
      content: this.#logs.content,
      outbox: await storage.openOutbox(this.id),
      platform,
      keyFor: (core) => this.#keyFor(core),
      seen: (core) => this.#feed.seen(core, this.#logs[core]),
      sync: () => store.sync(),
      assertRoom: () => store.assertRoom(),
      reopenStore: () => this.#context.reopenStore()
    })
    await this.#ownLog.ready()
    this.#ownLog.on('appended', ({ entries }) => this.#appended(entries))
    this.#ownLog.on('failed', ({ error }) => this.#writingFailed(error))
    this.#ownLog.on('recovered', () => this.#writingFailed(null))
    this.#ownLog.on('caught-up', () => this.#caughtUp())
    await this.#feed.addOwn(this.#logs.control, 0)
    await this.#feed.addOwn(this.#logs.content, this.#views.cut.get(this.#logs.content.id) ?? 0)
    for (const core of ['control', 'content'] as const) {
      this.#sync.watch(this.#logs[core])
      this.#logs[core].on('progress', () => this.#ownProgress(this.#logs[core]))
      this.#logs[core].on('conflict', ({ length }) => this.#forkSeen(this.#logs[core], length))
    }
    if (this.#ownLog.isBehind) this.#health.set('lacking', behindError())
    this.#trustChanged()
    await this.#settle()
    const owner = this.#control.genesis.owners[0]!
    const isFounder = equalBytes(owner.signKey, this.#context.device.publicKey)
    const isNew = this.#logs.control.length <= 1
    if (isFounder && isNew && this.#control.contentKey === null && !this.#ownLog.isBehind)
      await this.#found(genesis)
  }

  /** Views are a cache of the logs: what cannot be read of them is thrown away and made anew. */
  async #openViews(): Promise<void> {
    try {
      await this.#views.ready()
    } catch (error) {
      if (!(error instanceof SkeinError) || error.code !== 'BAD_ENCODING') throw error
      await this.#views.clear()
    }
  }

  /** Resolves when what is in the logs on this device has been delivered, as far as it can be. */
  async #settle(): Promise<void> {
    for (let following: Promise<void> | null = null; following !== this.#following;) {
      following = this.#following
      await following
      await this.#feed.settled()
    }
  }

  /** The first entries of a space, or what of them a crash left unwritten. */
  async #found(genesis: Uint8Array): Promise<void> {
    const { ring } = this.#control
    const { device, box, platform } = this.#context
    if (this.#logs.control.length === 0)
      await this.#ownLog.append('control', kinds.genesis, genesis)
    const key = platform.randomBytes(32)
    const sealedKey = ring.sealEpochKeyTo(key, device.publicKey, box.publicKey)
    const epoch = {
      epochId: keyIdOf(key),
      sealed: [{ signKey: device.publicKey, sealedKey }],
      earlierKeys: new Uint8Array()
    }
    await this.#ownLog.append('control', kinds.epoch, encodeEpoch(epoch))
  }

  async #close(): Promise<void> {
    const failures: unknown[] = []
    const attempt = async (step: () => Promise<unknown> | void): Promise<void> => {
      try {
        await step()
      } catch (error) {
        failures.push(error)
      }
    }
    failures.push(...(await this.#documents.close()))
    for (const wake of this.#iterating) wake()
    this.#cancelViewFlush?.()
    this.#health.stop()
    // Undefined where opening failed half-way.
    const ownLog = this.#ownLog as OwnLog | undefined
    await attempt(() => ownLog?.close())
    this.#admission.stop()
    this.#sync.stop()
    this.#feed.stop()
    await attempt(() => this.#following)
    await attempt(() => this.#views.flush())
    for (const log of this.#feed.logs) await attempt(() => this.#context.store.closeLog(log))
    if (failures.length > 0) throw failures[0]
  }

  // Entries

  #deliver({ device, log, from, to, entry, isOwn }: Delivered): void {
    this.#sync.checkSynced()
    if (log.name.core === 'control') {
      const changed = this.#control.add({ device, seq: from, kind: entry.kind, body: entry.body })
      if (changed.members || changed.keys) this.#trustChanged()
      if (entry.kind === kinds.invite) this.#admission.update(this.#context.connections())
      return
    }
    const ref: EntryRef = { log: log.id, from, to }
    this.#views.advance(log.id, to)
    try {
      if (entry.kind === kinds.edit) this.#documents.deliver(device, entry.body, ref, isOwn)
      else if (entry.kind === kinds.event) {
        const appEntry = decodeAppEntry(entry, device, ref)
        this.#views.fileEvent(appEntry.type, ref)
        this.emit('entry', { entry: appEntry })
      }
    } catch (error) {
      // A malformed entry is passed over, by every peer alike.
      if (!(error instanceof SkeinError)) throw error
      this.emit('peer-error', { device, error })
    }
    this.#flushViewsSoon()
  }

  #appended(entries: readonly Appended[]): void {
    for (const appended of entries) {
      this.#feed.deliverOwn(this.#logs[appended.core], this.#me, appended)
    }
  }

  /** Blocks of one's own that had been lost came back. */
  #ownProgress(log: Log): void {
    if (this.#ownLog.isIdle) void this.#feed.readOwn(log, log.contiguousLength)
  }

  #gate(device: DeviceId, log: Log, from: number): Gate {
    if (log.name.core === 'control') return 'deliver'
    const member = this.#control.members.get(device)
    if (member === undefined) return 'wait'
    if (mayWrite(roleAtContent(member, 0, from))) return 'deliver'
    return isPassedOver(member, 0, from) ? 'skip' : 'wait'
  }

  #keyOf(log: Log, keyId: Uint8Array): Uint8Array | null {
    const { ring } = this.#control
    if (log.name.core !== 'control') return ring.epochKey(keyId)
    if (equalBytes(keyId, keyIdOf(ring.spaceKey))) return ring.spaceKey
    throw new SkeinError(
      'BAD_SEAL',
      'A control block is sealed under another key than the space key'
    )
  }

  #keyFor(core: OwnCore): Uint8Array {
    if (core === 'control') return this.#control.ring.spaceKey
    const key = this.#control.contentKey
    if (key === null) throw new SkeinError('NOT_ALLOWED', 'No content key is here yet')
    return key
  }

  // Members

  #trustChanged(): void {
    // One that failed has been told of; this one tries anew.
    this.#following = this.#following.catch(() => {}).then(() => this.#follow())
    this.#following.catch((cause: unknown) => {
      const message = 'A member’s logs could not be opened'
      this.#health.storeFailed('members', storageError(message, cause))
    })
  }

  /** Opens the logs of members that have come, and looks again at what waited for a role or a key. */
  async #follow(): Promise<void> {
    const { store } = this.#context
    for (const { record, device } of this.#control.members.values()) {
      if (device === this.#me) continue
      for (const core of ['control', 'content/0'] as const) {
        if (this.#lifecycle.isClosing) return
        const log = await store.open(this.#nameOf(record.signKey, core), null)
        if (this.#feed.has(log.id)) continue
        log.on('conflict', ({ length }) => this.#forkSeen(log, length))
        this.#feed.add(log, core === 'control' ? 0 : (this.#views.cut.get(log.id) ?? 0))
        this.#sync.watch(log)
      }
    }
    this.#feed.wake()
    this.#sync.update()
    this.#admission.update(this.#context.connections())
    this.emit('members', { members: this.members() })
    for (const document of this.#documents.open) {
      document.mayWriteChanged()
      document.safetyChanged()
    }
  }

  #positionOf(device: Uint8Array): LogPosition {
    const lengthOf = (core: CoreName): number =>
      this.#feed.logs.find((log) => log.name.core === core && equalBytes(log.name.device, device))
        ?.length ?? 0
    return { control: lengthOf('control'), contentCore: 0, content: lengthOf('content/0') }
  }

  #peersChanged(added: DeviceId[], removed: DeviceId[]): void {
    const { peers } = this
    this.emit('peers', { added, removed, peers })
    const connected = peers.length > 0
    const wasConnected = peers.length - added.length + removed.length > 0
    if (connected !== wasConnected) {
      this.emit('status', { status: connected ? 'connected' : 'disconnected', connected })
    }
    this.#documents.peersChanged(added, removed)
  }

  #forkSeen(log: Log, length: number): void {
    this.emit('fork', { device: toHex(log.name.device), length })
  }

  #receivePresence(device: DeviceId, presence: Presence): void {
    try {
      this.#documents.receivePresence(device, presence)
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error
      this.emit('peer-error', { device, error })
    }
  }

  // Safety

  #writingFailed(error: SkeinError | null): void {
    this.#health.set('writing', error)
    for (const document of this.#documents.open) {
      if (error !== null) document.writingFailed(error)
      document.safetyChanged()
    }
  }

  /** What this device's logs lacked has come back: it may write again. */
  #caughtUp(): void {
    this.#health.set('lacking', null)
    for (const core of ['control', 'content'] as const) this.#ownProgress(this.#logs[core])
    for (const document of this.#documents.open) document.mayWriteChanged()
  }

  #flushViewsSoon(): void {
    if (this.#cancelViewFlush !== null && !this.#views.wantsFlush) return
    this.#cancelViewFlush?.()
    this.#cancelViewFlush = this.#context.platform.clock.after(
      this.#views.wantsFlush ? 0 : viewFlushMs,
      () => {
        this.#cancelViewFlush = null
        // What could not be written waits in memory, and the logs have it all the same.
        this.#views.flush().then(
          () => this.#health.set('views', null),
          (cause: unknown) => {
            // It is being opened again, or whoever tried has told that it could not be.
            if (!this.#context.store.isOpen) return this.#flushViewsSoon()
            const message = 'The views of documents could not be written'
            this.#health.storeFailed('views', storageError(message, cause))
          }
        )
      }
    )
  }

  #nameOf(
    device: Uint8Array,
    core: CoreName
  ): { space: Uint8Array; device: Uint8Array; core: CoreName } {
    return { space: this.#control.ring.space, device, core }
  }
}
