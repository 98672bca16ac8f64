/**
 * The logs of one space on this device: opens its own two and those of the members as they come, feeds all of them, and
 * says under which key an entry is sealed and whether its author might write it. What an entry means is the space's.
 */
import { equalBytes, toHex } from './bytes.ts'
import type { BoxKeys } from './crypto.ts'
import { SkeinError, storageError } from './errors.ts'
import { keyIdOf, kinds, sealEntry, type CoreName, type Dep, type LogId } from './log/entry.ts'
import { Feed, type Counts, type Delivered } from './log/feed.ts'
import type { Health } from './log/health.ts'
import type { Appended } from './log/group.ts'
import type { OwnCore } from './log/outbox-records.ts'
import { OwnLog, type HeldContent } from './log/own-log.ts'
import { OwnTail } from './log/own-tail.ts'
import type { Log, LogName } from './log/log.ts'
import type { LogStore } from './log/store.ts'
import type { OutboxRecord, Platform, Storage } from './platform.ts'
import type { Copies } from './sync/copies.ts'
import type { DeviceKeys } from './transport.ts'
import { coldOwnerOf, founderOf, type LogPosition } from './trust/control.ts'
import type { ControlState } from './trust/control-state.ts'
import { contentNumberOf } from './trust/cut.ts'
import { encodeKeyShare, encodeLacking } from './trust/epoch.ts'
import {
  cutsInForce,
  keptContent,
  mayRead,
  mayWrite,
  type ControlEntry,
  type DeviceId
} from './trust/members.ts'

/** What each member waits, in its turn, for others to hand a key over. */
const mendAfterMs = 3_000
const longestEpochPauseMs = 60_000
const answerRetryMs = 1_000

/**
 * The device that the logs lie on.
 * @internal
 */
export interface LogsContext {
  readonly platform: Platform
  readonly storage: Storage
  readonly store: LogStore
  readonly device: DeviceKeys
  readonly box: BoxKeys
  /** Of the storage, as that of this device: see `Storage.copyIds`. */
  readonly copyIds: readonly Uint8Array[]
  readonly copies: Copies
  readonly reopenStore: () => Promise<void>
}

export interface SpaceLogsOptions {
  readonly context: LogsContext
  readonly control: ControlState
  readonly genesis: Uint8Array
  readonly health: Health
  /** By log, what the views include already. */
  readonly viewCut: () => ReadonlyMap<LogId, number>
  readonly isClosing: () => boolean
  readonly onDelivered: (delivered: Delivered) => void
  readonly onPassedOver: () => void
  readonly onInvalid: (device: DeviceId, error: SkeinError) => void
  readonly onForkEvidence: (log: Log) => void
  /** Is a log known to have two versions? */
  readonly isForked: (log: LogId) => boolean
  /** A log is in the feed now. */
  readonly onLog: (log: Log) => void
  /** Entries may have to leave: what refers to them already is to be written. */
  readonly onMayLeave: () => void
  /** Entries do not count any more that had been delivered. */
  readonly onLeaving: (counts: Counts) => Promise<void>
  /** Members' logs are open, and what waited for a role or a key was looked at again. */
  readonly onFollowed: () => void
  /** See `OwnLogOptions`. */
  readonly onOvertaken: () => void
  readonly onDisplaced: (records: readonly OutboxRecord[]) => Promise<void>
  /** Writing failed for now, or works again. */
  readonly onWriting: (error: SkeinError | null) => void
  /** What this device's logs lacked has come back: it may write again. */
  readonly onCaughtUp: () => void
}

export class SpaceLogs {
  readonly feed: Feed
  readonly #options: SpaceLogsOptions
  readonly #me: DeviceId
  #ownLog!: OwnLog
  #own!: Record<OwnCore, Log>
  /** While members are asked how much this device has written. */
  #ownTail: OwnTail | null = null
  #cancelAnswer: (() => void) | null = null
  #following: Promise<void> = Promise.resolve()
  #isMakingEpoch = false
  /** Before the next epoch, where the one before may not be used. */
  #epochPauseMs = 0
  #cancelEpochPause = (): void => {}
  #cancelMending: (() => void) | null = null
  /** What was on this device has been delivered once: until then roles are not all known. */
  #isSettled = false
  #isFollowWanted = false
  #isFollowing = false
  readonly #followed = new Set<DeviceId>()

  constructor(options: SpaceLogsOptions) {
    this.#options = options
    const { device, platform } = options.context
    this.#me = toHex(device.publicKey)
    this.feed = new Feed({
      keyOf: (log, keyId) => blockKeyOf(options.control, log.name, keyId),
      kept: (_author, log) => keptOf(options.control, log.name, log.length),
      isForked: options.isForked,
      onProof: (body) => options.control.foresee(body),
      declares: (author) => this.#declares(author),
      deliver: options.onDelivered,
      onPassedOver: options.onPassedOver,
      onInvalid: (author, _log, _seq, error) => options.onInvalid(author, error),
      onReadFailed: (error) => options.health.storeFailed('reading', error),
      onForkEvidence: options.onForkEvidence,
      yieldTurn: () => new Promise((resolve) => platform.clock.soon(resolve))
    })
  }

  get ownLog(): OwnLog {
    return this.#ownLog
  }

  /** This device's logs. */
  get own(): Record<OwnCore, Log> {
    return this.#own
  }

  /** Opens this device's logs and its outbox. */
  async openOwn(): Promise<void> {
    const { context, control } = this.#options
    const { store, storage, platform, device } = context
    const opening = storage.openOutbox(toHex(control.ring.space))
    const own = [
      store.open(this.#nameOf(device.publicKey, 'control'), device),
      store.open(this.#nameOf(device.publicKey, 'content/0'), device)
    ] as const
    const [outbox, controlLog, contentLog] = await Promise.all([opening, ...own]).catch(
      async (error: unknown) => {
        // What it fails with has been told, or is `error`.
        await opening.then((opened) => opened.close()).catch(() => {})
        throw error
      }
    )
    this.#own = { control: controlLog, content: contentLog }
    this.#ownLog = new OwnLog({
      control: controlLog,
      content: contentLog,
      outbox,
      isStoreDurable: storage.isDurable === true,
      copyId: context.copyIds.at(-1) ?? null,
      platform,
      keyFor: (core) => this.#keyFor(core),
      onKeyWanted: () => this.#makeEpochSoon(),
      onOvertaken: this.#options.onOvertaken,
      onDisplaced: this.#options.onDisplaced,
      seen: (core) => this.feed.seen(core, this.#own[core]),
      sync: () => store.sync(),
      assertRoom: () => store.assertRoom(),
      reopenStore: () => context.reopenStore()
    })
  }

  /** After `openOwn`, and after the views were read. */
  async open(): Promise<void> {
    const { context, control, health, viewCut, onWriting } = this.#options
    const { platform, device } = context
    await this.#ownLog.ready()
    this.#ownLog.on('appended', ({ entries }) => this.#appended(entries))
    this.#ownLog.on('failed', ({ error }) => onWriting(error))
    this.#ownLog.on('recovered', () => onWriting(null))
    this.#ownLog.on('caught-up', () => this.#caughtUp())
    await this.feed.addOwn(this.#own.control, 0)
    await this.feed.addOwn(this.#own.content, viewCut().get(this.#own.content.id) ?? 0)
    for (const core of ['control', 'content'] as const) {
      const log = this.#own[core]
      this.#options.onLog(log)
      log.on('progress', () => this.#ownProgress(log))
      log.on('conflict', () => this.#options.onForkEvidence(log))
    }
    if (this.#ownLog.isBehind) health.set('lacking', this.#ownLog.whyBehind)
    if (this.#ownLog.asks) {
      this.#ownTail = new OwnTail({
        clock: platform.clock,
        logs: [this.#own.control, this.#own.content],
        isSettledBy: (device) => context.copies.isSettledBy(device),
        onAnswered: () => this.#answered()
      })
    }
    this.trustChanged()
    await this.settled()
    this.#isSettled = true
    this.trustChanged()
    await this.settled()
    if (this.#ownLog.asks && !this.#hasOthers) await this.#ownLog.answered()
    const isFounder = equalBytes(founderOf(control.genesis).signKey, device.publicKey)
    const isNew = this.#own.control.length <= 1
    if (isFounder && isNew && control.contentKey === null && !this.#ownLog.isBehind)
      await this.#found()
  }

  /** What members and keys are now has been looked at, for everything that waited for that. */
  get isTrustSettled(): boolean {
    return !this.#isFollowWanted && !this.#isFollowing
  }

  /** Members or keys have changed: opens the logs of members that have come, and looks again at what waited. */
  trustChanged(): void {
    // One that waits for its turn looks at everything.
    if (this.#isFollowWanted) return
    this.#isFollowWanted = true
    // One that failed has been told of; this one tries anew.
    this.#following = this.#following.catch(() => {}).then(() => this.#follow())
    this.#following.catch((cause: unknown) => {
      const message = 'A member’s logs could not be opened'
      this.#options.health.storeFailed('members', storageError(message, cause))
    })
  }

  /** Adds to the control log of a cold owner, whose keys are at hand, and has it delivered here. */
  async appendAs(keys: DeviceKeys, kind: number, body: Uint8Array): Promise<void> {
    const { context, control } = this.#options
    const { platform, store } = context
    const log = await store.open(this.#nameOf(keys.publicKey, 'control'), null)
    const entry = { kind, timeMs: platform.clock.now(), deps: [], body }
    const blocks = sealEntry(entry, { ...log.name, seq: log.length }, control.ring.spaceKey, (n) =>
      platform.randomBytes(n)
    )
    await log.appendAs(keys, blocks)
    await store.sync()
    await this.feed.settled()
  }

  /** A control entry as the rules take it: with what it declares to have seen of others' control logs. */
  controlEntryOf({ device, from, to, entry: { kind, body, deps } }: Delivered): ControlEntry {
    const seen = seenIn(deps, (log) => this.feed.log(log)?.name)
    return { device, seq: from, last: to - 1, kind, body, seen }
  }

  /** How far a device's logs are known here. */
  positionOf(device: Uint8Array): LogPosition {
    const lengthOf = (core: CoreName): number =>
      this.feed.logs.find((log) => log.name.core === core && equalBytes(log.name.device, device))
        ?.length ?? 0
    return { control: lengthOf('control'), contentCore: 0, content: lengthOf('content/0') }
  }

  /** Writes what is left. */
  async closeOwn(): Promise<void> {
    this.#ownTail?.stop()
    this.#cancelAnswer?.()
    this.#cancelMending?.()
    this.#cancelEpochPause()
    // Undefined where opening failed half-way.
    await (this.#ownLog as OwnLog | undefined)?.close()
  }

  /** Members that are connected now, or no longer. */
  peersChanged(added: readonly DeviceId[], removed: readonly DeviceId[]): void {
    this.#ownTail?.came(added)
    this.#ownTail?.gone(removed)
  }

  /** What a connected member says it holds. */
  heard(
    device: DeviceId,
    holdings: readonly { readonly log: LogId; readonly length: number }[]
  ): void {
    this.#ownTail?.heard(device, holdings)
  }

  /** What is known of other runs of this device has changed. */
  copiesChanged(): void {
    this.#ownTail?.look()
  }

  /** This storage is a copy of one that is in use elsewhere. Fails with the outbox's errors. */
  async stepAside(): Promise<void> {
    this.#ownTail?.stop()
    this.#ownTail = null
    this.#cancelAnswer?.()
    const noted = this.#ownLog.stepAside()
    this.#options.health.set('lacking', this.#ownLog.whyBehind)
    await noted
  }

  #answered(): void {
    const { context, health, isClosing } = this.#options
    this.#ownTail = null
    this.#ownLog.answered().catch((cause: unknown) => {
      if (isClosing()) return
      const message = 'What members say this device has written could not be noted'
      health.set('lacking', storageError(message, cause))
      this.#cancelAnswer = context.platform.clock.after(answerRetryMs, () => this.#answered())
    })
  }

  /** Is there, or was there, another device that may know what this one wrote? The keys of a cold owner are on none. */
  get #hasOthers(): boolean {
    const { members, genesis } = this.#options.control
    const owner = coldOwnerOf(genesis)
    const cold = owner === null ? null : toHex(owner.signKey)
    return [...members.keys()].some((device) => device !== this.#me && device !== cold)
  }

  /** Resolves when opening members' logs has ended. */
  followed(): Promise<void> {
    return this.#following
  }

  /** Resolves when what is in the logs on this device has been delivered, as far as it can be. */
  async settled(): Promise<void> {
    for (let following: Promise<void> | null = null; following !== this.#following;) {
      following = this.#following
      await following
      await this.feed.settled()
    }
  }

  /** The first entries of a space, or what of them a crash left unwritten. */
  async #found(): Promise<void> {
    const { context, control, genesis } = this.#options
    const { platform } = context
    if (this.#own.control.length === 0) await this.#ownLog.append('control', kinds.genesis, genesis)
    const epoch = control.epochs.make(this.#me, (length) => platform.randomBytes(length))
    await this.#ownLog.append('control', kinds.epoch, epoch)
  }

  async #follow(): Promise<void> {
    const { context, control, viewCut, isClosing, onLog, onForkEvidence, onLeaving } = this.#options
    this.#isFollowWanted = false
    this.#isFollowing = true
    if (isClosing()) return
    const come = [...control.members.values()].filter(
      ({ device }) => device !== this.#me && !this.#followed.has(device)
    )
    const logs = await Promise.all(
      come.flatMap(({ record }) =>
        (['control', 'content/0'] as const).map((core) =>
          context.store.open(this.#nameOf(record.signKey, core), null)
        )
      )
    )
    for (const log of logs) {
      if (this.feed.has(log.id)) continue
      log.on('conflict', () => onForkEvidence(log))
      this.feed.add(log, log.name.core === 'control' ? 0 : (viewCut().get(log.id) ?? 0))
      onLog(log)
    }
    for (const { device } of come) this.#followed.add(device)
    if (this.#isSettled) {
      await this.feed.recount(onLeaving, () => this.#holdContent())
      this.#mendGapsSoon()
    }
    this.feed.wake()
    ;(this.#ownLog as OwnLog | undefined)?.keysChanged()
    this.#isFollowing = false
    this.#options.onFollowed()
  }

  #holdContent(): Promise<HeldContent> {
    this.#options.onMayLeave()
    return this.#ownLog.holdContent()
  }

  #appended(entries: readonly Appended[]): void {
    for (const appended of entries) {
      this.feed.deliverOwn(this.#own[appended.core], this.#me, appended)
    }
  }

  /** Blocks of one's own that had been lost came back. */
  #ownProgress(log: Log): void {
    // What it is overtaken by may be of client ids that documents write under as yet.
    if (this.#ownLog.isIdle && !this.#ownLog.isOvertaken)
      void this.feed.readOwn(log, log.contiguousLength)
  }

  #caughtUp(): void {
    this.#options.health.set('lacking', null)
    for (const core of ['control', 'content'] as const) this.#ownProgress(this.#own[core])
    this.#options.onCaughtUp()
  }

  /** Who has been cut finds nobody here who upholds what it writes from then on. */
  #declares(device: DeviceId): boolean {
    const member = this.#options.control.members.get(device)
    return member === undefined || cutsInForce(member).length === 0
  }

  #keyFor(core: OwnCore): Uint8Array | null {
    const { control } = this.#options
    if (core === 'control') return control.ring.spaceKey
    const key = control.contentKey
    if (key !== null) return key
    // What this device may not write, or no longer, is kept all the same; under a key of before, since it gets no other.
    if (this.#mayMakeEpoch) return null
    const { anyKey } = control.epochs
    if (anyKey === null) throw new SkeinError('NOT_ALLOWED', 'No content key is here yet')
    return anyKey
  }

  get #mayMakeEpoch(): boolean {
    const { control } = this.#options
    return mayWrite(control.members.get(this.#me)?.role ?? null) && control.unknownCritical === null
  }

  /**
   * An edit never waits for an admin: who may write and holds no key that may be used makes one. If that may not be used
   * either, the next takes its time, longer and longer: the log is not to be filled with them.
   */
  #makeEpochSoon(): void {
    if (this.#isMakingEpoch) return
    this.#isMakingEpoch = true
    const { control, context } = this.#options
    const done = (): void => {
      this.#isMakingEpoch = false
      this.#ownLog.keysChanged()
    }
    void this.#makeEpoch().finally(() => {
      const isUsable = control.contentKey !== null || !this.#mayMakeEpoch
      const pauseMs = isUsable ? 0 : this.#epochPauseMs
      this.#epochPauseMs = isUsable ? 0 : Math.min(longestEpochPauseMs, 2 * pauseMs || mendAfterMs)
      if (pauseMs === 0) done()
      else this.#cancelEpochPause = context.platform.clock.after(pauseMs, done)
    })
  }

  async #makeEpoch(): Promise<void> {
    const { control, context, isClosing } = this.#options
    // What is here already may hold one.
    await this.feed.settled()
    if (control.contentKey !== null || !this.#mayMakeEpoch || isClosing()) return
    const randomBytes = (length: number): Uint8Array => context.platform.randomBytes(length)
    const epoch = control.epochs.make(this.#me, randomBytes)
    await this.#ownLog.append('control', kinds.epoch, epoch).catch(() => {}) // The log tells of what fails.
  }

  /**
   * A member that was let in while another made a key lacks it: the key's maker hands it over at once, any other who holds
   * it if that has not happened after a while, one after the other. So does one that was handed junk, once it has said so.
   */
  #mendGapsSoon(): void {
    const { control, context } = this.#options
    const { gaps, unopened } = control.epochs
    if (gaps.length + unopened.length === 0 || this.#cancelMending !== null) return
    const isOwn = gaps.some(({ issuer }) => issuer === this.#me)
    const turn = 1 + [...control.members.keys()].sort().indexOf(this.#me)
    this.#cancelMending = context.platform.clock.after(isOwn ? 0 : turn * mendAfterMs, () => {
      this.#cancelMending = null
      void this.#mendGaps()
    })
  }

  async #mendGaps(): Promise<void> {
    const { control, isClosing } = this.#options
    await this.feed.settled()
    const mine = control.members.get(this.#me)
    if (mine === undefined || !mayRead(mine.role) || isClosing()) return
    const lacking = new Map(control.epochs.gaps.map(({ member }) => [member.device, member]))
    for (const { record, role } of lacking.values()) {
      const { signKey: device, boxKey } = record
      const sealedKeys = control.ring.sealFor(role === 'reader' ? role : 'admin', device, boxKey)
      const share = encodeKeyShare({ device, sealedKeys })
      await this.#ownLog.append('control', kinds.keyShare, share).catch(() => {}) // The log tells of what fails.
    }
    const { unopened } = control.epochs
    if (unopened.length === 0) return
    const lack = encodeLacking(mine.record.signKey, unopened)
    await this.#ownLog.append('control', kinds.keyShare, lack).catch(() => {}) // The same.
  }

  #nameOf(device: Uint8Array, core: CoreName): LogName {
    return { space: this.#options.control.ring.space, device, core }
  }
}

/** Up to where a log of that length is kept by its author's role. All of a control log: its entries are judged one by one. */
export function keptOf(
  { members }: ControlState,
  { core, device }: LogName,
  length: number
): number {
  if (core === 'control') return Number.POSITIVE_INFINITY
  const member = members.get(toHex(device))
  return member === undefined ? 0 : keptContent(member, contentNumberOf(core), length)
}

/** The lengths of others' control logs that deps name. */
export function seenIn(
  deps: readonly Dep[],
  nameOf: (log: LogId) => LogName | undefined
): NonNullable<ControlEntry['seen']> {
  return deps.flatMap(({ log, length }) => {
    const name = nameOf(log)
    return name?.core === 'control' ? [{ device: toHex(name.device), length }] : []
  })
}

/**
 * The key of that name, which a block of this log is sealed under; null while it is not here. Fails with `BAD_SEAL` for
 * one that can never be right.
 */
export function blockKeyOf(
  { ring }: ControlState,
  { core }: LogName,
  keyId: Uint8Array
): Uint8Array | null {
  if (core !== 'control') return ring.epochKey(keyId)
  if (equalBytes(keyId, keyIdOf(ring.spaceKey))) return ring.spaceKey
  throw new SkeinError('BAD_SEAL', 'A control block is sealed under another key than the space key')
}
