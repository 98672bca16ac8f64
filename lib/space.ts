/**
 * One space on this device: its logs, members, documents and application events, wired together. What each part does is
 * in its own file; what happens when an entry is delivered is in `#deliver`.
 */
import * as Y from 'yjs'
import { equalBytes, fromHex, toHex } from './bytes.ts'
import { BundleReader, sealBundle, type Recipient } from './bundle/envelope.ts'
import { readRecords, type BundleContents } from './bundle/contents.ts'
import { insideOf, type ExportOptions } from './bundle/export.ts'
import { takeIn, type Imported, type ImportOptions } from './bundle/import.ts'
import type { Document } from './document.ts'
import { Documents } from './documents.ts'
import { boxKeysFrom, signKeysFrom } from './crypto.ts'
import { SkeinError, throwIfAborted } from './errors.ts'
import { Emitter } from './events.ts'
import { entryDetailsOf, type EntryDetails } from './inspect/entry-details.ts'
import {
  historyOf,
  type HistoryContext,
  type HistoryEntry,
  type HistoryOptions
} from './inspect/history.ts'
import type { VerifyOptions } from './inspect/problem.ts'
import { verifyOpenSpace, type Verification } from './inspect/verify.ts'
import { Lifecycle } from './lifecycle.ts'
import { kinds, type LogId } from './log/entry.ts'
import type { Counts, Delivered, EntryRef } from './log/feed.ts'
import { Health } from './log/health.ts'
import { StoreImage } from './log/store-image.ts'
import { logIdOf, type Log } from './log/store.ts'
import { Roles, type Who } from './roles.ts'
import { SpaceLogs, type LogsContext } from './space-logs.ts'
import type { PeerConnection } from './sync/connection.ts'
import { Replicas, type Replica } from './sync/replicas.ts'
import type { Introducible } from './sync/introducer.ts'
import { SpaceSync } from './sync/space-sync.ts'
import type { SealedPresence } from './sync/presence-message.ts'
import { PresenceSealer } from './sync/presence-sealer.ts'
import { Admission, type InviteOptions } from './sync/admission.ts'
import { encodeLeave, type DeviceRecord, type GrantedRole, type Role } from './trust/control.ts'
import { ControlState } from './trust/control-state.ts'
import { parseIntroduction } from './trust/introduction.ts'
import { parseRecoveryKey } from './trust/invite.ts'
import { KeyRing, topicOf } from './trust/keys.ts'
import { cutsInForce, mayWrite, wouldRaise, type DeviceId } from './trust/members.ts'
import { AppEvents } from './views/app-events.ts'
import { decodeAppEntry, encodeAppEntry, type AppEntry } from './views/app-entry.ts'
import { isContent, maxNameChars } from './views/edit.ts'
import { excludedOf, type ExcludedEntry } from './views/excluded.ts'
import { ViewFlush } from './views/view-flush.ts'
import { ViewStore } from './views/view-store.ts'

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

export interface AsOwnerOptions {
  /** What `Space.recoveryKey` was when the space was made. */
  readonly recoveryKey?: string
}

/** A device that was in the space once, and left or was removed. */
export type FormerMember = Pick<Member, 'device' | 'name' | 'person'>

export interface SpaceEvents {
  members: { members: Member[] }
  peers: { added: DeviceId[]; removed: DeviceId[]; peers: DeviceId[] }
  status: { status: 'connected' | 'disconnected'; connected: boolean }
  synced: { synced: boolean }
  /** A document that was not known here before. */
  document: { name: string }
  /** An edit of a document was delivered, of this device or another, whether the document is open or not. */
  edit: { name: string; device: DeviceId }
  /** An application event was delivered, of any device. */
  entry: { entry: AppEntry }
  /** Which devices hold what changed: `saved({ peers })` may resolve. */
  holdings: object
  /** Writing on this device failed (it is tried again) or works again (`error` is null). */
  storage: { error: SkeinError | null }
  /** A peer sent, or wrote, what breaks a rule; it was left out. */
  'peer-error': { device: DeviceId; error: SkeinError }
  /** Entries had to leave documents and events, as their author was cut: `excluded()` lists them. */
  excluded: object
  /** A device that had been removed is back, since whoever removed it has been cut, and no one else had seen it. */
  returned: { device: DeviceId; removedBy: DeviceId }
  /**
   * A document looked different on two devices that have the same of its entries. From here on it is kept so that it does
   * not, which takes longer to open. `devices` wrote what no honest device does.
   */
  split: { name: string; devices: readonly DeviceId[] }
  /** Two signed versions of one log have been seen. */
  fork: { device: DeviceId; length: number }
}

/**
 * What a space needs of its device.
 * @internal
 */
export interface SpaceContext extends LogsContext {
  readonly connections: () => Iterable<PeerConnection>
  /** The transport that takes introductions, or null. */
  readonly introducible: Introducible | null
  readonly onLeft: (space: Space) => Promise<void>
}

export class Space extends Emitter<SpaceEvents> {
  /** The hash of the space's genesis, in hex. */
  readonly id: string
  readonly #context: SpaceContext
  readonly #genesis: Uint8Array
  readonly #control: ControlState
  readonly #views: ViewStore
  readonly #viewFlush: ViewFlush
  readonly #logs: SpaceLogs
  readonly #events: AppEvents
  readonly #sync: SpaceSync
  readonly #replicas: Replicas
  readonly #admission: Admission
  readonly #roles: Roles
  readonly #lifecycle: Lifecycle
  readonly #me: DeviceId
  readonly #documents: Documents
  readonly #health: Health
  #isLeaving = false
  /** This device holds the key of a cold owner, and is looking for control logs. */
  #isRecovering = false
  /** Others that have proven that they hold it. */
  readonly #recovering = new Set<DeviceId>()

  /** @internal Made by `Skein`. */
  constructor(
    spaceKey: Uint8Array,
    genesis: Uint8Array,
    id: Uint8Array,
    context: SpaceContext,
    recoveryKey: string | null = null
  ) {
    super()
    this.recoveryKey = recoveryKey
    this.id = toHex(id)
    this.#context = context
    this.#genesis = genesis
    this.#me = toHex(context.device.publicKey)
    const ring = new KeyRing(id, spaceKey)
    this.#control = new ControlState(genesis, ring, context.device.publicKey, context.box)
    this.#views = new ViewStore(() => context.store.database, id)
    this.#health = new Health({
      clock: context.platform.clock,
      reopenStore: () => context.reopenStore(),
      onChange: (error) => this.emit('storage', { error }),
      onHealed: () => {
        this.#logs.trustChanged()
        this.#viewFlush.soon()
      }
    })
    this.#viewFlush = new ViewFlush({
      clock: context.platform.clock,
      views: this.#views,
      store: context.store,
      health: this.#health
    })
    this.#logs = new SpaceLogs({
      context,
      control: this.#control,
      genesis,
      health: this.#health,
      viewCut: () => this.#views.cut,
      isClosing: () => this.#lifecycle.isClosing,
      onDelivered: (delivered) => this.#deliver(delivered),
      onPassedOver: () => this.#sync.checkSynced(),
      onInvalid: (device, error) => this.emit('peer-error', { device, error }),
      onForkEvidence: (log, length) => this.#forkSeen(log, length),
      onLog: (log) => this.#sync.watch(log),
      onLeaving: (counts) => this.#leaveOut(counts),
      onFollowed: () => this.#followed(),
      onWriting: (error) => this.#writingFailed(error),
      onCaughtUp: () => {
        for (const document of this.#documents.open) document.mayWriteChanged()
      }
    })
    const { feed } = this.#logs
    this.#events = new AppEvents({ views: this.#views, readBack: (ref) => feed.readBack(ref) })
    this.#events.on('filed', ({ entry }) => this.emit('entry', { entry }))
    this.#replicas = new Replicas({
      clock: context.platform.clock,
      space: id,
      database: () => context.store.database
    })
    const { platform, device } = context
    const presence = new PresenceSealer({ platform, space: id, device, control: this.#control })
    this.#sync = new SpaceSync({
      clock: context.platform.clock,
      spaceKey,
      feed,
      isMember: (device) => this.#control.members.get(device)?.role != null,
      mayRead: (device) => {
        const role = this.#control.members.get(device)?.role ?? null
        return role !== null && role !== 'mirror'
      },
      newsFor: (device) => this.#newsFor(device),
      isRecovering: (device) => this.#isRecovering || this.#recovering.has(device),
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
      onHeard: (device, holdings) => this.#replicas.heard(device, holdings),
      device: this.#me,
      readPresence: (bytes) => presence.read(bytes),
      onPresence: (sealed) => this.#receivePresence(presence, sealed),
      onPresenceGone: (devices) => this.#documents.presenceGone(devices),
      presenceIn: (document) => presence.sealAgain(this.#documents.presenceIn(document)),
      onLook: (device, look) => this.#documents.receiveLook(device, look),
      onForkEvidence: (log, length) => this.#forkSeen(log, length),
      isConnected: (device) =>
        [...context.connections()].some((one) => one.device === device && !one.isClosed),
      introducible: () => context.introducible,
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
      mayWrite: () =>
        !this.readOnly ? 'yes' : mayWrite(this.role) && !this.#isLeaving ? 'not-now' : 'no',
      views: this.#views,
      feed,
      sync: () => this.#sync,
      ownLog: () => this.#logs.ownLog,
      sendPresence: (own) => {
        const sealed = presence.seal(own)
        if (sealed !== null) this.#sync.sendPresence(sealed)
      },
      assertOpen: () => this.#lifecycle.assertOpen(),
      onDocument: (name) => this.emit('document', { name }),
      onEdit: (name, device) => this.emit('edit', { name, device }),
      onSplit: (name, devices) => this.emit('split', { name, devices }),
      onStorage: (error) => this.emit('storage', { error })
    })
    this.#admission = new Admission({
      platform: context.platform,
      device: this.#me,
      genesis,
      control: this.#control,
      append: async (kind, body) => void (await this.#logs.ownLog.append('control', kind, body)),
      positionOf: (device) => this.#logs.positionOf(device),
      onPeerError: (device, error) => this.emit('peer-error', { device, error }),
      lift: (device, role) => this.#roles.lift(device, role),
      onRecovering: (device) => {
        this.#recovering.add(device)
        this.#sync.update()
      }
    })
    this.#roles = this.#rolesOf(
      this.#me,
      async (kind, body) => void (await this.#logs.ownLog.append('control', kind, body))
    )
    this.#lifecycle = new Lifecycle(
      () => this.#open(),
      () => this.#close()
    )
  }

  /**
   * The printable key of a cold owner above everyone, of a space that has just been made with `recovery: true`: show it,
   * have it written down, and keep it off this device. It is nowhere on disk; null once the space is opened again.
   */
  readonly recoveryKey: string | null

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
      this.#control.epochs.anyKey === null ||
      this.#control.unknownCritical !== null ||
      this.#logs.ownLog.isBehind
    )
  }

  /** @internal For documents that are open in other tabs. */
  get attachable(): Pick<Documents, 'attach' | 'mayWrite'> {
    return this.#documents
  }

  /** @internal The topic that transports announce. */
  get topic(): Uint8Array {
    return topicOf(this.topicSecret)
  }

  /** @internal What those who look for the space find it by. */
  get topicSecret(): Uint8Array {
    return this.#control.ring.topicSecret
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
    return [...this.#logs.feed.waiting.values()].reduce((sum, count) => sum + count, 0)
  }

  /** How many entries connected members hold that are not here yet; one above some 60 kB counts as several. */
  get missing(): number {
    return this.#sync.missing
  }

  /** How many entries, and bytes of them, have come from others since the space was opened here. */
  get received(): { readonly entries: number; readonly bytes: number } {
    const { blocks, bytes } = this.#sync.received
    return { entries: blocks, bytes }
  }

  /** Bytes in the logs of all members, as far as they are here. */
  get logBytes(): number {
    return this.#logs.feed.logs.reduce((sum, log) => sum + log.byteLength, 0)
  }

  /** Blocks in the logs of all members, as far as they are here. Nearly every entry is one block. */
  get logLength(): number {
    return this.#logs.feed.logs.reduce((sum, log) => sum + log.length, 0)
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

  /** Who was in the space once and is not now. `grant` lets one in again that was removed. */
  formerMembers(): FormerMember[] {
    return [...this.#control.members.values()]
      .filter((member) => member.role === null)
      .map(({ device, record: { name, person } }) => ({ device, name, person }))
  }

  /**
   * What every other member holds of this space, and what it has that is not here, as far as it has said: also of those
   * that are not connected now. `holdings` tells of changes. `Document.safety` says it of one document.
   */
  replicas(): Replica[] {
    const { logs } = this.#logs.feed
    const { own } = this.#logs
    return this.members()
      .filter(({ isThisDevice }) => !isThisDevice)
      .map(({ device, isConnected }) => {
        const { asOfMs, lengths } = this.#replicas.of(device)
        let lacks = 0
        let lacksOfMine = 0
        let isAhead = 0
        for (const log of logs) {
          const length = lengths.get(log.id) ?? 0
          const lacking = Math.max(0, log.contiguousLength - length)
          lacks += lacking
          if (log === own.control || log === own.content) lacksOfMine += lacking
        }
        for (const [id, length] of lengths) {
          isAhead += Math.max(0, length - (this.#logs.feed.log(id)?.contiguousLength ?? 0))
        }
        const transport = this.#sync.transportOf(device)
        return { device, isConnected, transport, asOfMs, lacks, lacksOfMine, isAhead }
      })
  }

  /** The names of the documents that have content. */
  documents(): string[] {
    return this.#documents.names
  }

  /**
   * How many edits of a document have been delivered on this device, 0 for an unknown one. Kept from run to run, so that
   * an app can tell which documents it has to look at again; after a power loss it may be less than it was.
   */
  editCount(name: string): number {
    return this.#documents.editCount(name)
  }

  /** One line of text that lets devices in. Fails with `NOT_ALLOWED`. */
  async invite(options: InviteOptions = {}): Promise<string> {
    await this.ready()
    const invite = await this.#admission.invite(options)
    this.#admission.update(this.#context.connections())
    return invite
  }

  /**
   * Gives a device that is known here another role, a higher or a lower one; lets one in again that was removed. It has
   * happened once this resolves, and reaches the others as edits do. A device may only be given, and only lose, what is
   * lower than this device's own role, and a cut is only lifted by whoever made it or a higher one. Fails with
   * `DEVICE_UNKNOWN`, `NOT_ALLOWED`. With the space's recovery key it is done as owner 1, who is above everyone; it must
   * not be used on two devices at a time.
   */
  async grant(device: DeviceId, role: GrantedRole, options: AsOwnerOptions = {}): Promise<void> {
    await this.ready()
    await this.#rolesFor(options).grant(device, role)
  }

  /**
   * Removes a device, or all devices of a person: what they write from here on does not count, and new keys are not for
   * them. What has been delivered here stays. Fails with `DEVICE_UNKNOWN`, `NOT_ALLOWED`, and then has removed nobody.
   * With the recovery key as `grant`.
   */
  async remove(who: Who, options: AsOwnerOptions = {}): Promise<void> {
    await this.ready()
    await this.#rolesFor(options).remove(who)
  }

  /**
   * Opens a document, making it with its first edit. `doc` binds an empty `Y.Doc` that an app already has. Opening it
   * again gives the same one. Fails with `DOCUMENT_OPEN`, `DOCUMENT_NOT_EMPTY`.
   */
  async open(name: string, { doc }: { doc?: Y.Doc } = {}): Promise<Document> {
    assertDocumentName(name)
    await this.ready()
    return this.#documents.openNamed(name, doc)
  }

  /**
   * Puts content that was made elsewhere into a document: `update` is a Yjs update (V1) that holds a whole state, as
   * `Y.encodeStateAsUpdate(doc)` gives it. What can be seen of it goes in, under ids of its own, made of the content: so
   * importing the same twice, or on two devices, adds it once. Resolves when it is durable here. Fails with
   * `IMPORT_INVALID`, `ENTRY_TOO_LARGE` (16 MiB, 50,000 pieces), `NOT_ALLOWED`, `CLOSED`.
   */
  async importDocument(name: string, update: Uint8Array): Promise<void> {
    assertDocumentName(name)
    await this.ready()
    await this.#documents.import(name, update)
  }

  /**
   * Adds an application event: `value` is anything JSON can hold. Resolves when it is durable here.
   * Fails with `NOT_ALLOWED`, `ENTRY_TOO_LARGE`, `CLOSED`.
   */
  async append(type: string, value: unknown): Promise<AppEntry> {
    await this.ready()
    if (this.readOnly)
      throw new SkeinError('NOT_ALLOWED', 'This device may not write to the space now')
    const { ownLog, own } = this.#logs
    const appended = await ownLog.append('content', kinds.event, encodeAppEntry(type, value))
    const { entry, from } = appended
    return decodeAppEntry(entry, this.#me, { log: own.content.id, from })
  }

  /**
   * Application events in causal order, those that are here first; `live`: then those that come, until the space is
   * closed or the signal fires. `type` picks one.
   */
  async *entries(
    options: { type?: string; live?: boolean; signal?: AbortSignal } = {}
  ): AsyncGenerator<AppEntry, void, void> {
    throwIfAborted(options.signal)
    await this.ready()
    yield* this.#events.entries(options)
  }

  /**
   * Edits and events that are here and do not count: what a removed device wrote that nobody remaining had built upon.
   * They are kept, count again when their author is let in again, and can be exported: apply `update` to a `Y.Doc` that
   * has the rest. Read one by one, in the order of their logs.
   */
  async *excluded(): AsyncGenerator<ExcludedEntry, void, void> {
    await this.ready()
    for await (const left of this.#logs.feed.leftOut()) {
      const excluded = excludedOf(
        left,
        this.#control.ring.space,
        (id) => this.#views.document(id)?.name
      )
      if (excluded !== null) yield excluded
    }
  }

  /**
   * Every entry that is here when it begins, of all logs, in a causal order: an entry comes after what its author had
   * seen, and those that wait come last. Reads them as it goes, so the length of the logs does not matter.
   */
  async *history(options: HistoryOptions = {}): AsyncGenerator<HistoryEntry, void, void> {
    throwIfAborted(options.signal)
    await this.ready()
    yield* historyOf(this.#historyContext(), options)
  }

  /**
   * All about one entry: its header, seal and signature, and what it says, deleted text included. It is named as in
   * `HistoryEntry`: `alice:content:12`, or by its id. Fails with `ENTRY_UNKNOWN`.
   */
  async entry(address: string): Promise<EntryDetails> {
    await this.ready()
    return entryDetailsOf(this.#historyContext(), address)
  }

  /**
   * Verifies what this device has of the space, as it lies in the store at this moment: every record of every log, every
   * entry, the outbox, the views, which are written first where they have yet to be. See `Skein.verify`, which also looks
   * at the files beneath.
   */
  async *verify(options: VerifyOptions = {}): Verification {
    await this.ready()
    // Where that fails, whoever writes next tells of it, and what lies there is verified all the same.
    await this.#views.flush().catch(() => {})
    const { store, device, box } = this.#context
    const { spaceKey, space: id } = this.#control.ring
    const identity = { id, spaceKey, genesis: this.#genesis, device, box }
    const outbox = await this.#logs.ownLog.outboxRecords()
    return yield* verifyOpenSpace(store.image(), identity, outbox, options)
  }

  /**
   * The space as one encrypted, verifiable bundle, piece by piece, for a file: complete, or what has come `since` another
   * bundle. Members read it by the keys they have. `for` names a newcomer by its introduction (`Skein.introduction`): it
   * is let in with `role` (default 'writer'), and the bundle has for it what it needs to read.
   * Fails with `NOT_ALLOWED`, `INVITE_INVALID`, `STORAGE_DAMAGED`.
   */
  async *export(options: ExportOptions = {}): AsyncGenerator<Uint8Array, void, void> {
    const { since, role = 'writer', contentsOnly = false, onProgress, signal } = options
    throwIfAborted(signal)
    await this.ready()
    const recipients: Recipient[] = []
    if (options.for !== undefined) {
      const device = parseIntroduction(options.for)
      await this.#admission.admit(device, role)
      recipients.push(device)
    }
    await this.saved(signal === undefined ? {} : { signal })
    const { device, box, store: logs, platform } = this.#context
    const { spaceKey, space: id } = this.#control.ring
    const keys = { spaceKey, genesis: this.#genesis }
    const store = StoreImage.ofLive(logs.image())
    try {
      const inside = insideOf({
        store,
        identity: { ...keys, id, device, box },
        since: since?.logs ?? [],
        withoutBlocks: contentsOnly,
        onProgress: onProgress ?? (() => {}),
        signal
      })
      yield* sealBundle(inside, keys, recipients, (length) => platform.randomBytes(length))
    } finally {
      await store.close()
    }
  }

  /**
   * What a bundle of this space holds, to export what has come since: reads its beginning only.
   * Fails with `BUNDLE_INVALID`, `BUNDLE_FOR_OTHERS`.
   */
  async contentsOf(bundle: AsyncIterable<Uint8Array>): Promise<BundleContents> {
    await this.ready()
    const { spaceKey } = this.#control.ring
    const reader = await BundleReader.open(bundle)
    if (!(await reader.isOf(spaceKey))) {
      throw new SkeinError('BUNDLE_FOR_OTHERS', 'This bundle is not of this space')
    }
    for await (const record of readRecords(reader.inside(spaceKey))) {
      if (record.type === 'logs') return { logs: record.logs }
    }
    throw new SkeinError('BUNDLE_INVALID', 'This bundle does not say what it holds')
  }

  /** @internal Takes in what a bundle of this space has. */
  async takeIn(reader: BundleReader, options: ImportOptions): Promise<Imported> {
    await this.ready()
    const { spaceKey, space } = this.#control.ring
    const imported = await takeIn(readRecords(reader.inside(spaceKey)), {
      space,
      log: (id) => this.#logs.feed.log(id),
      settled: () => this.#logs.settled(),
      options
    })
    await this.#context.store.sync()
    return imported
  }

  /** @internal Does this space's key open the bundle? */
  opens(reader: BundleReader): Promise<boolean> {
    return reader.isOf(this.#control.ring.spaceKey)
  }

  /** Resolves when everything this device wrote is durable here and on `peers` other devices. See `Document.saved`. */
  async saved({ peers = 0, signal }: { peers?: number; signal?: AbortSignal } = {}): Promise<void> {
    throwIfAborted(signal)
    this.#lifecycle.assertOpen()
    for (const document of this.#documents.open)
      await document.saved(signal === undefined ? {} : { signal })
    await this.#logs.ownLog.flush()
    if (peers > 0) await this.#sync.holdings.whenHeldBy(this.#logs.feed.cut, peers, signal)
  }

  /**
   * Leaves: from here on nothing of this device counts. Tells connected members, and forgets the space on this device.
   */
  async leave(): Promise<void> {
    await this.ready()
    if (this.role !== null) {
      const { ownLog, own } = this.#logs
      // From here on nothing is written any more: the entry says how far the content goes that counts.
      this.#isLeaving = true
      await this.#documents.close()
      await ownLog.flush()
      const leave = encodeLeave({ contentCore: 0, content: own.content.length })
      const { cut } = await ownLog.append('control', kinds.leave, leave)
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
    await this.#replicas.clear()
    // The outbox goes last: what it holds must be in the store durably, and the space forgotten, before.
    await this.#context.store.sync()
    await this.#context.onLeft(this)
    await this.#context.storage.removeOutbox(this.id)
  }

  /** @internal Resolves when this device has been let in, with that role at the least, and can read. */
  whenMember(least: GrantedRole, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason as Error)
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (wouldRaise(this.role, least)) return
        if (this.role !== 'mirror' && this.#control.epochs.anyKey === null) return
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

  /**
   * @internal As owner 1, whose keys are made of the seed: lets this device in as an admin. `record` names it. The control
   * logs come first, and with them the keys that were sealed to owner 1.
   */
  async recover(seed: Uint8Array, record: DeviceRecord, signal: AbortSignal): Promise<void> {
    this.#isRecovering = true
    try {
      this.#sync.update()
      await this.#sync.whenClaimedIsHere(signal)
      const { publicKey } = signKeysFrom(seed)
      this.#control.epochs.adopt(publicKey, boxKeysFrom(seed))
      const roles = this.#rolesAs(seed)
      const mine = this.#control.members.get(this.#me)
      if (mine === undefined) await roles.give(record, 'admin')
      else if (wouldRaise(mine.role, 'admin')) await roles.grant(this.#me, 'admin')
    } finally {
      this.#isRecovering = false
    }
    this.#sync.update()
  }

  #rolesFor({ recoveryKey }: AsOwnerOptions): Roles {
    if (recoveryKey === undefined) return this.#roles
    const { space, seed } = parseRecoveryKey(recoveryKey)
    if (!equalBytes(space, this.#control.ring.space))
      throw new SkeinError('INVITE_INVALID', 'This is the recovery key of another space')
    return this.#rolesAs(seed)
  }

  #rolesAs(seed: Uint8Array): Roles {
    const keys = signKeysFrom(seed)
    const owner = this.#control.genesis.owners[0]!
    if (!equalBytes(owner.signKey, keys.publicKey))
      throw new SkeinError('INVITE_INVALID', 'This is not the key of the first owner')
    return this.#rolesOf(toHex(keys.publicKey), (kind, body) =>
      this.#logs.appendAs(keys, kind, body)
    )
  }

  #rolesOf(device: DeviceId, append: (kind: number, body: Uint8Array) => Promise<void>): Roles {
    return new Roles({
      device,
      control: this.#control,
      feed: this.#logs.feed,
      randomBytes: (length) => this.#context.platform.randomBytes(length),
      positionOf: (of) => this.#logs.positionOf(of),
      append
    })
  }

  /** @internal A connection to any device. */
  connected(connection: PeerConnection): void {
    if (!this.#lifecycle.isOpen) return
    this.#sync.connected(connection)
    this.#admission.offer(connection)
  }

  async #open(): Promise<void> {
    await this.#openViews()
    await this.#replicas.ready()
    await this.#logs.open()
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
    this.#events.close()
    this.#viewFlush.stop()
    this.#health.stop()
    await attempt(() => this.#logs.closeOwn())
    this.#admission.stop()
    this.#sync.stop()
    this.#replicas.stop()
    this.#logs.feed.stop()
    await attempt(() => this.#logs.followed())
    // The logs have all that the views are made of, and others say again what they hold: where that cannot be written,
    // nothing is lost.
    await this.#views.flush().catch(() => {})
    await this.#replicas.flush().catch(() => {})
    for (const log of this.#logs.feed.logs) await attempt(() => this.#context.store.closeLog(log))
    if (failures.length > 0) throw failures[0]
  }

  // Entries

  #deliver(delivered: Delivered): void {
    const { device, log, from, to, entry, isOwn } = delivered
    this.#sync.checkSynced()
    if (log.name.core === 'control') {
      const changed = this.#control.add(this.#logs.controlEntryOf(delivered))
      if (changed.members) this.#tellReturned()
      if (changed.members || changed.keys) this.#logs.trustChanged()
      if (entry.kind === kinds.invite) this.#admission.update(this.#context.connections())
      return
    }
    const ref: EntryRef = { log: log.id, from, to }
    this.#views.advance(log.id, to)
    try {
      if (isContent(entry.kind)) this.#documents.deliver({ device, entry, isOwn }, ref)
      else if (entry.kind === kinds.event) this.#events.deliver(device, entry, ref)
    } catch (error) {
      // A malformed entry is passed over, by every peer alike.
      if (!(error instanceof SkeinError)) throw error
      this.emit('peer-error', { device, error })
    }
    this.#viewFlush.soon()
  }

  #historyContext(): HistoryContext {
    return {
      space: this.#control.ring.space,
      feed: this.#logs.feed,
      control: this.#control,
      documentName: (id) => this.#views.document(id)?.name || null
    }
  }

  // Members

  #followed(): void {
    this.#sync.update()
    this.#admission.update(this.#context.connections())
    this.emit('members', { members: this.members() })
    for (const document of this.#documents.open) {
      document.mayWriteChanged()
      document.safetyChanged()
    }
  }

  /** Where it stands that a device was removed. */
  #newsFor(device: DeviceId): { log: LogId; length: number }[] {
    const member = this.#control.members.get(device)
    return (member === undefined ? [] : cutsInForce(member)).map(({ issuer, seq }) => {
      const name = {
        space: this.#control.ring.space,
        device: fromHex(issuer),
        core: 'control'
      } as const
      return { log: logIdOf(name), length: seq + 1 }
    })
  }

  /** Takes back what does not count any more: all that was made of it. */
  async #leaveOut(counts: Counts): Promise<void> {
    const isCounted = ({ log, from }: EntryRef): boolean =>
      from < (counts.get(log) ?? Number.POSITIVE_INFINITY)
    const { ownLog, own } = this.#logs
    // What this device wrote may count again: what it writes from now on must not be taken for it.
    const isOwn = counts.has(own.content.id)
    if (isOwn) await ownLog.newSession()
    for (const [log, length] of counts) this.#views.advance(log, length)
    await this.#views.dropEvents(isCounted)
    await this.#documents.recount(isCounted, isOwn)
    this.emit('excluded', {})
  }

  #tellReturned(): void {
    for (const { device, issuer } of this.#control.takeReturned())
      this.emit('returned', { device, removedBy: issuer })
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

  #receivePresence(sealer: PresenceSealer, sealed: SealedPresence): void {
    const { device } = sealed
    try {
      const presence = sealer.open(sealed)
      if (presence !== null) this.#documents.receivePresence(device, presence)
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
}

function assertDocumentName(name: unknown): void {
  if (typeof name !== 'string' || name === '' || name.length > maxNameChars) {
    throw new TypeError(`A document's name has 1 to ${maxNameChars} characters`)
  }
}
