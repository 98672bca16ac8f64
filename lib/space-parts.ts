/** The parts of one space, and what passes between them. What each does is in its own file. */
import { equalBytes, fromHex, toHex } from './bytes.ts'
import { Documents } from './documents.ts'
import { SkeinError, storageError } from './errors.ts'
import { ForkRepair, isNameable } from './fork-repair.ts'
import { Lifecycle } from './lifecycle.ts'
import type { OwnLog } from './log/own-log.ts'
import { kinds, type LogId } from './log/entry.ts'
import { Health } from './log/health.ts'
import { KeptVersions } from './log/kept-versions.ts'
import { logIdOf, type Log } from './log/log.ts'
import { RescueStore } from './rescue-store.ts'
import { Roles } from './roles.ts'
import type { Formerly } from './secrets.ts'
import { Delivery } from './space-delivery.ts'
import type { EmitSpaceEvent } from './space-events.ts'
import { SpaceLogs, type LogsContext } from './space-logs.ts'
import { membersOf, type Member } from './space-members.ts'
import { Admission } from './sync/admission.ts'
import type { PeerConnection } from './sync/connection.ts'
import { Forks } from './sync/forks.ts'
import { HandOver } from './sync/hand-over.ts'
import type { Introducible } from './sync/introducer.ts'
import type { SealedPresence } from './sync/presence-message.ts'
import { PresenceSealer } from './sync/presence-sealer.ts'
import { Replicas } from './sync/replicas.ts'
import { SpaceSync } from './sync/space-sync.ts'
import type { Role } from './trust/control.ts'
import { ControlState } from './trust/control-state.ts'
import { KeyRing } from './trust/keys.ts'
import { cutsInForce, mayWrite, type DeviceId } from './trust/members.ts'
import { AppEvents } from './views/app-events.ts'
import { ViewFlush } from './views/view-flush.ts'
import { ViewStore } from './views/view-store.ts'

/**
 * What the parts of a space need of its device.
 * @internal
 */
export interface PartsContext extends LogsContext {
  /** What this device was before, where its storage was a copy; or null. */
  readonly formerly: Formerly | null
  /** With what it then asks to be let in, or null. */
  readonly request: () => Uint8Array | null
  /** Keys of content that it had then. */
  readonly epochKeys: readonly Uint8Array[]
  readonly connections: () => Iterable<PeerConnection>
  /** The transport that takes introductions, or null. */
  readonly introducible: Introducible | null
}

export class SpaceParts {
  readonly context: PartsContext
  readonly genesis: Uint8Array
  readonly emit: EmitSpaceEvent
  /** This device. */
  readonly me: DeviceId
  readonly control: ControlState
  readonly views: ViewStore
  readonly viewFlush: ViewFlush
  readonly logs: SpaceLogs
  readonly events: AppEvents
  readonly sync: SpaceSync
  readonly replicas: Replicas
  readonly admission: Admission
  readonly forks: Forks
  readonly repair: ForkRepair
  readonly roles: Roles
  readonly documents: Documents
  readonly health: Health
  readonly lifecycle: Lifecycle
  readonly #delivery: Delivery
  isLeaving = false
  /** It comes of a copy, and nobody has let it in yet: what is typed waits. */
  #awaitsLetIn = false
  #isComingIn = false
  readonly #rescue: RescueStore
  /** This device holds the key of a cold owner, and is looking for control logs. */
  isRecovering = false
  /** Others that have proven that they hold it. */
  readonly #recovering = new Set<DeviceId>()

  constructor(
    spaceKey: Uint8Array,
    genesis: Uint8Array,
    id: Uint8Array,
    context: PartsContext,
    emit: EmitSpaceEvent
  ) {
    this.context = context
    this.genesis = genesis
    this.emit = emit
    this.me = toHex(context.device.publicKey)
    this.#delivery = new Delivery(this)
    const ring = new KeyRing(id, spaceKey)
    for (const key of context.epochKeys) ring.addEpochKey(key)
    this.#rescue = new RescueStore(() => context.store.database, id)
    this.control = new ControlState(genesis, ring, context.device.publicKey, context.box)
    this.views = new ViewStore(() => context.store.database, id)
    this.health = new Health({
      clock: context.platform.clock,
      reopenStore: () => context.reopenStore(),
      onChange: (error) => this.emit('storage', { error }),
      onHealed: () => {
        this.logs.trustChanged()
        this.viewFlush.soon()
      }
    })
    this.viewFlush = new ViewFlush({
      clock: context.platform.clock,
      views: this.views,
      store: context.store,
      health: this.health
    })
    this.logs = new SpaceLogs({
      context,
      control: this.control,
      genesis,
      health: this.health,
      viewCut: () => this.views.cut,
      isClosing: () => this.lifecycle.isClosing,
      onDelivered: (delivered) => this.#delivery.deliver(delivered),
      onPassedOver: () => this.sync.checkSynced(),
      onInvalid: (device, error) => this.emit('peer-error', { device, error }),
      onForkEvidence: (log) => this.forks.suspect(log),
      isForked: (log) => this.control.isForked(log) || this.forks.isParted(log),
      onLog: (log) => this.sync.watch(log),
      onMayLeave: () => this.#delivery.mayLeave(),
      onLeaving: (counts) => this.#delivery.leaveOut(counts),
      onFollowed: () => this.#delivery.followed(),
      onOvertaken: () => this.repair.overtaken(),
      onDisplaced: (records) => this.repair.keepDisplaced(records),
      onWriting: (error) => this.#writingFailed(error),
      onCaughtUp: () => {
        for (const document of this.documents.open) document.mayWriteChanged()
        this.repair.look()
      }
    })
    const { feed } = this.logs
    this.events = new AppEvents({ views: this.views, readBack: (ref) => feed.readBack(ref) })
    this.events.on('filed', ({ entry }) => this.emit('entry', { entry }))
    this.replicas = new Replicas({
      clock: context.platform.clock,
      space: id,
      database: () => context.store.database,
      isForked: (log) => this.control.isForked(log)
    })
    const isOwn = (log: Log): boolean => equalBytes(log.name.device, context.device.publicKey)
    const kept = new KeptVersions(() => context.store.database, id)
    const { platform, device } = context
    const presence = new PresenceSealer({ platform, space: id, device, control: this.control })
    this.sync = new SpaceSync({
      clock: context.platform.clock,
      spaceKey,
      feed,
      isMember: (device) => this.control.members.get(device)?.role != null,
      mayRead: (device) => {
        const role = this.control.members.get(device)?.role ?? null
        return role !== null && role !== 'mirror'
      },
      isMirror: (device) => this.control.members.get(device)?.role === 'mirror',
      isTrustSettled: () => this.control.members.has(this.me) && this.logs.isTrustSettled,
      newsFor: (device) => this.#newsFor(device),
      isRecovering: (device) => this.isRecovering || this.#recovering.has(device),
      isOwn,
      syncStore: () => context.store.sync(),
      onPeers: (added, removed) => this.#peersChanged(added, removed),
      onSynced: (synced) => {
        this.emit('synced', { synced })
        for (const document of this.documents.open) document.syncedChanged(synced)
      },
      onHoldings: () => {
        this.emit('holdings', {})
        for (const document of this.documents.open) document.safetyChanged()
      },
      onHeard: (device, holdings, isWhole) => {
        const lost = this.replicas.heard(device, holdings, isWhole)
        this.logs.heard(device, holdings)
        if (lost > 0) this.emit('copy-failed', { device, why: 'lost', entries: lost })
      },
      onWithheld: (device, entries) => {
        this.emit('copy-failed', { device, why: 'withheld', entries })
        this.emit('holdings', {})
      },
      device: this.me,
      copies: context.copies,
      request: () => (this.#awaitsLetIn && this.role === null ? context.request() : null),
      onRequest: (device, bytes) => this.admission.asked(device, bytes),
      readPresence: (bytes) => presence.read(bytes),
      onPresence: (sealed) => this.#receivePresence(presence, sealed),
      onPresenceGone: (devices) => this.documents.presenceGone(devices),
      presenceIn: (document) => presence.sealAgain(this.documents.presenceIn(document)),
      onLook: (device, look) => this.documents.receiveLook(device, look),
      onForkEvidence: (log) => this.forks.suspect(log),
      answerDiffers: (bytes) => this.forks.answer(bytes),
      onBranch: (bytes, ask) => this.forks.receive(bytes, ask),
      handOver: new HandOver({
        clock: context.platform.clock,
        kept,
        log: (log) => feed.log(log),
        isOwn,
        take: (piece) => this.repair.takeKept(piece),
        onFailed: (error) => this.#repairFailed(error)
      }),
      isConnected: (device) =>
        [...context.connections()].some((one) => one.device === device && !one.isClosed),
      introducible: () => context.introducible,
      probeStore: () => context.store.probe(),
      onStore: (error) => {
        if (error === null) this.health.set('receiving', null)
        else this.health.storeFailed('receiving', error)
      }
    })
    this.documents = new Documents({
      clock: context.platform.clock,
      space: id,
      device: this.me,
      member: (device) => this.control.members.get(device),
      mayWrite: () =>
        !this.readOnly
          ? 'yes'
          : (mayWrite(this.role) || this.#awaitsLetIn) && !this.isLeaving
            ? 'not-now'
            : 'no',
      views: this.views,
      feed,
      sync: () => this.sync,
      ownLog: () => this.logs.ownLog,
      keep: (id, updates) => this.repair.keepEdits(id, updates),
      sendPresence: (own) => {
        const sealed = presence.seal(own)
        if (sealed !== null) this.sync.sendPresence(sealed)
      },
      assertOpen: () => this.lifecycle.assertOpen(),
      onDocument: (name) => this.emit('document', { name }),
      onEdit: (name, device) => this.emit('edit', { name, device }),
      onSplit: (name, devices) => this.emit('split', { name, devices }),
      onStorage: (error) => this.emit('storage', { error })
    })
    this.repair = new ForkRepair({
      clock: context.platform.clock,
      rescue: this.#rescue,
      kept,
      store: context.store,
      logs: this.logs,
      documents: this.documents,
      leaveOut: (counts) => this.#delivery.leaveOut(counts),
      reconnect: () => this.sync.reconnect(),
      mayWriteAgain: () =>
        !this.readOnly && isNameable(this.logs, (log) => this.control.isForked(log)),
      onFailed: (error) => this.#repairFailed(error)
    })
    this.forks = new Forks({
      me: this.me,
      clock: context.platform.clock,
      log: (id) => feed.log(id),
      isOwn,
      declarations: (log) => this.control.declarations(log),
      mayDeclare: () => this.role !== null && !this.isLeaving && !this.logs.ownLog.isBehind,
      declare: async (body) => {
        await this.logs.ownLog.append('control', kinds.forkProof, body)
      },
      ask: (bytes) => this.sync.askAboutFork(bytes),
      take: (log, branch) => this.repair.take(log, branch),
      onFork: (log, length) => {
        this.emit('fork', { device: toHex(log.name.device), length })
        feed.wake()
      },
      onFailed: (error) => this.#repairFailed(error)
    })
    this.admission = new Admission({
      platform: context.platform,
      device: this.me,
      genesis,
      control: this.control,
      append: async (kind, body) => void (await this.logs.ownLog.append('control', kind, body)),
      positionOf: (device) => this.logs.positionOf(device),
      onPeerError: (device, error) => this.emit('peer-error', { device, error }),
      lift: (device, role) => this.roles.lift(device, role),
      onAsked: (asking) => this.emit('asked', asking),
      onRecovering: (device) => {
        this.#recovering.add(device)
        this.sync.update()
      }
    })
    this.roles = this.rolesOf(
      this.me,
      async (kind, body) => void (await this.logs.ownLog.append('control', kind, body))
    )
    this.lifecycle = new Lifecycle(
      () => this.#open(),
      () => this.#close()
    )
  }

  /** This device's role; null before it was let in, and after it left. */
  get role(): Role | null {
    return this.control.members.get(this.me)?.role ?? null
  }

  /** True while nothing this device writes would count, or be right. */
  get readOnly(): boolean {
    return (
      this.isLeaving ||
      this.#awaitsLetIn ||
      !mayWrite(this.role) ||
      this.control.epochs.anyKey === null ||
      this.control.unknownCritical !== null ||
      this.logs.ownLog.isBehind
    )
  }

  get connections(): () => Iterable<PeerConnection> {
    return this.context.connections
  }

  readonly members = (): Member[] => membersOf(this.control, this.me, this.sync.peers)

  /** What this device, or an owner whose keys are at hand, may do about roles; `append` adds to its control log. */
  rolesOf(device: DeviceId, append: (kind: number, body: Uint8Array) => Promise<void>): Roles {
    return new Roles({
      device,
      control: this.control,
      feed: this.logs.feed,
      randomBytes: (length) => this.context.platform.randomBytes(length),
      positionOf: (of) => this.logs.positionOf(of),
      append
    })
  }

  /** After a change of members: this device may have been let in. */
  cameIn(): void {
    if (!this.#awaitsLetIn || this.#isComingIn || this.role === null) return
    this.#isComingIn = true
    // What was typed so far is under no client id of this device.
    this.documents
      .recount(() => true, true)
      .then(() => {
        this.#awaitsLetIn = false
        for (const document of this.documents.open) document.mayWriteChanged()
        this.repair.look()
        this.emit('members', { members: this.members() })
      })
      .catch((error: unknown) => this.#repairFailed(error))
      .finally(() => {
        this.#isComingIn = false
      })
  }

  /** Notes how far this device wrote: its storage is to be another device's. */
  async noteFormer(): Promise<void> {
    await this.#rescue.noteFormer(this.me, this.logs.own.content.contiguousLength)
  }

  /** This storage is a copy of one that is in use elsewhere: nothing is written any more. */
  stepAside(): void {
    this.logs.stepAside().catch((error: unknown) => this.#repairFailed(error))
    for (const document of this.documents.open) document.safetyChanged()
  }

  async #open(): Promise<void> {
    // What each reads is the others' business only from here on.
    await Promise.all([this.#openViews(), this.replicas.ready(), this.logs.openOwn()])
    await this.logs.open()
    this.#awaitsLetIn = this.context.formerly !== null && !this.control.members.has(this.me)
  }

  /** Views are a cache of the logs: what cannot be read of them is thrown away and made anew. */
  async #openViews(): Promise<void> {
    try {
      await this.views.ready()
    } catch (error) {
      if (!(error instanceof SkeinError) || error.code !== 'BAD_ENCODING') throw error
      await this.views.clear()
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
    this.forks.stop()
    await this.forks.ended()
    failures.push(...(await this.documents.close()))
    await this.repair.stop()
    const isAside = (this.logs.ownLog as OwnLog | undefined)?.isAside === true
    if (isAside) await attempt(() => this.repair.keepWaiting())
    this.events.close()
    this.viewFlush.stop()
    this.health.stop()
    await attempt(() => this.logs.closeOwn())
    this.admission.stop()
    this.sync.stop()
    this.replicas.stop()
    this.logs.feed.stop()
    await attempt(() => this.logs.followed())
    // The logs have all that the views are made of, and others say again what they hold: where that cannot be written,
    // nothing is lost.
    await this.views.flush().catch(() => {})
    await this.replicas.flush().catch(() => {})
    for (const log of this.logs.feed.logs) await attempt(() => this.context.store.closeLog(log))
    if (failures.length > 0) throw failures[0]
  }

  /** Where it stands that a device was removed. */
  #newsFor(device: DeviceId): { log: LogId; length: number }[] {
    const member = this.control.members.get(device)
    const news = member === undefined ? [] : cutsInForce(member)
    // Its grant may stand in a version of a log, where nothing is granted.
    const forks = member === undefined || member.role !== null ? [] : this.control.controlForks
    return [...news, ...forks].map(({ issuer, seq }) => {
      const name = {
        space: this.control.ring.space,
        device: fromHex(issuer),
        core: 'control'
      } as const
      return { log: logIdOf(name), length: seq + 1 }
    })
  }

  #peersChanged(added: DeviceId[], removed: DeviceId[]): void {
    const { peers } = this.sync
    this.logs.peersChanged(added, removed)
    this.emit('peers', { added, removed, peers })
    const connected = peers.length > 0
    const wasConnected = peers.length - added.length + removed.length > 0
    if (connected !== wasConnected) {
      this.emit('status', { status: connected ? 'connected' : 'disconnected', connected })
    }
    this.documents.peersChanged(added, removed)
  }

  #receivePresence(sealer: PresenceSealer, sealed: SealedPresence): void {
    const { device } = sealed
    try {
      const presence = sealer.open(sealed)
      if (presence !== null) this.documents.receivePresence(device, presence)
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error
      this.emit('peer-error', { device, error })
    }
  }

  /** It is tried again when somebody shows the other version again, or at the next opening. */
  #repairFailed(cause: unknown): void {
    if (this.lifecycle.isClosing) return
    const error = storageError('A log that has two versions could not be put right for now', cause)
    this.emit('storage', { error })
  }

  #writingFailed(error: SkeinError | null): void {
    this.health.set('writing', error)
    for (const document of this.documents.open) {
      if (error !== null) document.writingFailed(error)
      document.safetyChanged()
    }
  }
}
