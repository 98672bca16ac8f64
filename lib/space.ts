/**
 * One space on this device, as an app has it: members, documents, application events, what is looked at and exported.
 * Its parts are wired together in `space-parts.ts`; what happens when an entry is delivered is in `space-delivery.ts`.
 */
import * as Y from 'yjs'
import { addMirror, type AddMirrorContext, type AddMirrorOptions } from './add-mirror.ts'
import { toHex } from './bytes.ts'
import type { BundleContents } from './bundle/contents.ts'
import type { BundleReader } from './bundle/envelope.ts'
import type { ExportOptions } from './bundle/export.ts'
import type { Imported, ImportOptions } from './bundle/import.ts'
import { recover, rolesFor, type AsOwnerOptions } from './cold-owner.ts'
import type { SavedOptions } from './document-host.ts'
import type { Document } from './document.ts'
import type { Documents } from './documents.ts'
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
import { kinds } from './log/entry.ts'
import { sayLeave, whenMember } from './own-membership.ts'
import type { Who } from './roles.ts'
import { contentsOf, exportOf, takeInBundle } from './space-bundles.ts'
import type { SpaceEvents } from './space-events.ts'
import { formerMembersOf, replicasOf, type FormerMember, type Member } from './space-members.ts'
import { SpaceParts, type PartsContext } from './space-parts.ts'
import type { Asking, InviteOptions, OpenInvite } from './sync/admission.ts'
import type { PeerConnection } from './sync/connection.ts'
import type { Replica } from './sync/replicas.ts'
import type { DeviceRecord, GrantedRole, Role } from './trust/control.ts'
import { topicOf } from './trust/keys.ts'
import type { DeviceId } from './trust/members.ts'
import { decodeAppEntry, encodeAppEntry, type AppEntry } from './views/app-entry.ts'
import { maxNameChars } from './views/edit.ts'
import { excludedOf, type ExcludedEntry } from './views/excluded.ts'

/**
 * What a space needs of its device.
 * @internal
 */
export interface SpaceContext extends PartsContext {
  readonly onLeft: (space: Space) => Promise<void>
  /** Hands an invite to a mirror. */
  readonly askMirror: AddMirrorContext['ask']
}

export class Space extends Emitter<SpaceEvents> {
  /** The hash of the space's genesis, in hex. */
  readonly id: string
  readonly #context: SpaceContext
  readonly #parts: SpaceParts

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
    this.#parts = new SpaceParts(spaceKey, genesis, id, context, (event, payload) =>
      this.emit(event, payload)
    )
  }

  /**
   * The printable key of a cold owner above everyone, of a space that has just been made with `recovery: true`: show it,
   * have it written down, and keep it off this device. It is nowhere on disk; null once the space is opened again.
   */
  readonly recoveryKey: string | null

  get name(): string {
    return this.#parts.control.genesis.name
  }

  /** This device's role; null before it was let in, and after it left. */
  get role(): Role | null {
    return this.#parts.role
  }

  /** True while nothing this device writes would count, or be right. */
  get readOnly(): boolean {
    return this.#parts.readOnly
  }

  /** @internal For documents that are open in other tabs. */
  get attachable(): Pick<Documents, 'attach' | 'mayWrite'> {
    return this.#parts.documents
  }

  /** @internal The topic that transports announce. */
  get topic(): Uint8Array {
    return topicOf(this.topicSecret)
  }

  /** @internal What those who look for the space find it by. */
  get topicSecret(): Uint8Array {
    return this.#parts.control.ring.topicSecret
  }

  /** Members that are connected, by their keys in hex. */
  get peers(): DeviceId[] {
    return this.#parts.sync.peers
  }

  /** Everything that the connected members hold has been delivered; false while alone. */
  get synced(): boolean {
    return this.#parts.sync.synced
  }

  /** How many entries are here and wait for something: another entry, a key, a role. A mirror waits for none. */
  get waiting(): number {
    if (this.role === 'mirror') return 0
    return [...this.#parts.logs.feed.waiting.values()].reduce((sum, count) => sum + count, 0)
  }

  /** How many entries connected members hold that are not here yet; one above some 60 kB counts as several. */
  get missing(): number {
    return this.#parts.sync.missing
  }

  /** How many entries, and bytes of them, have come from others since the space was opened here. */
  get received(): { readonly entries: number; readonly bytes: number } {
    const { blocks, bytes } = this.#parts.sync.received
    return { entries: blocks, bytes }
  }

  /** Bytes in the logs of all members, as far as they are here. */
  get logBytes(): number {
    return this.#parts.logs.feed.logs.reduce((sum, log) => sum + log.byteLength, 0)
  }

  /** Blocks in the logs of all members, as far as they are here. Nearly every entry is one block. */
  get logLength(): number {
    return this.#parts.logs.feed.logs.reduce((sum, log) => sum + log.length, 0)
  }

  ready(): Promise<void> {
    return this.#parts.lifecycle.ready()
  }

  /** Closes the documents, writes what is left, and stops. Idempotent. */
  close(): Promise<void> {
    return this.#parts.lifecycle.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Who is in the space now, highest role first. */
  members(): Member[] {
    return this.#parts.members()
  }

  /** Who was in the space once and is not now. `grant` lets one in again that was removed. */
  formerMembers(): FormerMember[] {
    return formerMembersOf(this.#parts.control)
  }

  /**
   * What every other member holds of this space, and what it has that is not here, as far as it has said: also of those
   * that are not connected now. `holdings` tells of changes. `Document.safety` says it of one document.
   */
  replicas(): Replica[] {
    const { logs, replicas, sync } = this.#parts
    const transportOf = (device: DeviceId): string | null => sync.transportOf(device)
    const withheldBy = (device: DeviceId): number => sync.withheldBy(device)
    const held = { feed: logs.feed, own: logs.own, replicas, transportOf, withheldBy }
    return replicasOf(this.members(), held)
  }

  /** The names of the documents that have content. */
  documents(): string[] {
    return this.#parts.documents.names
  }

  /**
   * How many edits of a document have been delivered on this device, 0 for an unknown one. Kept from run to run, so that
   * an app can tell which documents it has to look at again; after a power loss it may be less than it was.
   */
  editCount(name: string): number {
    return this.#parts.documents.editCount(name)
  }

  /** One line of text that lets devices in. Fails with `NOT_ALLOWED`. */
  async invite(options: InviteOptions = {}): Promise<string> {
    await this.ready()
    const invite = await this.#parts.admission.invite(options)
    this.#parts.admission.update(this.#context.connections())
    return invite
  }

  /** Invites that still let someone in, newest first. */
  async invites(): Promise<OpenInvite[]> {
    await this.ready()
    return this.#parts.admission.open
  }

  /**
   * Takes an invite back, named by its text or by the id that `invites` has: it lets nobody in any more, as soon as those
   * who might answer have heard of it. Who is in already stays. Fails with `INVITE_INVALID`, `NOT_ALLOWED`.
   */
  async revokeInvite(invite: string): Promise<void> {
    await this.ready()
    await this.#parts.admission.revoke(invite)
  }

  /**
   * Has a mirror keep this space available: a device that holds everything and reads nothing of it. `address` is what
   * `Skein.mirror` gives there; the mirror must be reached. Resolves with it once it is in; `remove` ends it. Fails with
   * `INVITE_INVALID`, `NOT_ALLOWED`, `INVITE_UNANSWERED`, `INVITE_REFUSED`, `ABORTED`.
   */
  async addMirror(address: string, options: AddMirrorOptions = {}): Promise<Member> {
    throwIfAborted(options.signal)
    await this.ready()
    const { askMirror: ask } = this.#context
    const onMembers = (check: () => void): (() => void) => this.on('members', check)
    return addMirror(this.#parts, address, options, { ask, onMembers })
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
    await rolesFor(this.#parts, options).grant(device, role)
  }

  /**
   * Devices that have asked to be let in since the space was opened here: each comes of a copy of a member's storage, which
   * has become a device of its own (`Skein.becomeOwnDevice`). `asked` tells of them, where this device may let any in.
   */
  async asking(): Promise<Asking[]> {
    await this.ready()
    return this.#parts.admission.asking
  }

  /**
   * Lets one of these in: by default with the role of the device that it is a copy of, an owner's as an admin. Fails with
   * `DEVICE_UNKNOWN`, `NOT_ALLOWED`.
   */
  async letIn(device: DeviceId, { role }: { role?: GrantedRole } = {}): Promise<void> {
    await this.ready()
    await this.#parts.admission.letIn(device, role)
  }

  /**
   * Removes a device, or all devices of a person: what they write from here on does not count, and new keys are not for
   * them. What has been delivered here stays. Fails with `DEVICE_UNKNOWN`, `NOT_ALLOWED`, and then has removed nobody.
   * With the recovery key as `grant`.
   */
  async remove(who: Who, options: AsOwnerOptions = {}): Promise<void> {
    await this.ready()
    await rolesFor(this.#parts, options).remove(who)
  }

  /**
   * Opens a document, making it with its first edit. `doc` binds an empty `Y.Doc` that an app already has. Opening it
   * again gives the same one. Fails with `DOCUMENT_OPEN`, `DOCUMENT_NOT_EMPTY`.
   */
  async open(name: string, { doc }: { doc?: Y.Doc } = {}): Promise<Document> {
    assertDocumentName(name)
    await this.ready()
    return this.#parts.documents.openNamed(name, doc)
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
    await this.#parts.documents.import(name, update)
  }

  /**
   * Adds an application event: `value` is anything JSON can hold. Resolves when it is durable here.
   * Fails with `NOT_ALLOWED`, `ENTRY_TOO_LARGE`, `CLOSED`.
   */
  async append(type: string, value: unknown): Promise<AppEntry> {
    await this.ready()
    if (this.readOnly)
      throw new SkeinError('NOT_ALLOWED', 'This device may not write to the space now')
    const { ownLog, own } = this.#parts.logs
    const appended = await ownLog.append('content', kinds.event, encodeAppEntry(type, value))
    const { entry, from } = appended
    return decodeAppEntry(entry, this.#parts.me, { log: own.content.id, from })
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
    yield* this.#parts.events.entries(options)
  }

  /**
   * Edits and events that are here and do not count: what a removed device wrote that nobody remaining had built upon.
   * They are kept, count again when their author is let in again, and can be exported: apply `update` to a `Y.Doc` that
   * has the rest. Read one by one, in the order of their logs.
   */
  async *excluded(): AsyncGenerator<ExcludedEntry, void, void> {
    await this.ready()
    for await (const left of this.#parts.logs.feed.leftOut()) {
      const excluded = excludedOf(
        left,
        this.#parts.control.ring.space,
        (id) => this.#parts.views.document(id)?.name
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
    await this.#parts.views.flush().catch(() => {})
    const { store, device, box } = this.#context
    const { spaceKey, space: id } = this.#parts.control.ring
    const { genesis } = this.#parts
    const { epochKeys } = this.#context
    const identity = { id, spaceKey, genesis, device, box, epochKeys }
    const outbox = await this.#parts.logs.ownLog.outboxRecords()
    return yield* verifyOpenSpace(store.image(), identity, outbox, options)
  }

  /**
   * The space as one encrypted, verifiable bundle, piece by piece, for a file: complete, or what has come `since` another
   * bundle. Members read it by the keys they have. `for` names a newcomer by its introduction (`Skein.introduction`): it
   * is let in with `role` (default 'writer'), and the bundle has for it what it needs to read.
   * Fails with `NOT_ALLOWED`, `INVITE_INVALID`, `STORAGE_DAMAGED`.
   */
  async *export(options: ExportOptions = {}): AsyncGenerator<Uint8Array, void, void> {
    const { signal } = options
    throwIfAborted(signal)
    await this.ready()
    const saved = (): Promise<void> => this.saved(signal === undefined ? {} : { signal })
    yield* exportOf(this.#parts, options, saved)
  }

  /**
   * What a bundle of this space holds, to export what has come since: reads its beginning only.
   * Fails with `BUNDLE_INVALID`, `BUNDLE_FOR_OTHERS`.
   */
  async contentsOf(bundle: AsyncIterable<Uint8Array>): Promise<BundleContents> {
    await this.ready()
    return contentsOf(this.#parts, bundle)
  }

  /** @internal Takes in what a bundle of this space has. */
  async takeIn(reader: BundleReader, options: ImportOptions): Promise<Imported> {
    await this.ready()
    return takeInBundle(this.#parts, reader, options)
  }

  /** @internal Does this space's key open the bundle? */
  opens(reader: BundleReader): Promise<boolean> {
    return reader.isOf(this.#parts.control.ring.spaceKey)
  }

  /**
   * Resolves when everything this device wrote is durable here, on `peers` other devices, and on `mirrors` mirrors. See
   * `Document.saved`.
   */
  async saved({ peers = 0, mirrors = 0, signal }: SavedOptions = {}): Promise<void> {
    throwIfAborted(signal)
    this.#parts.lifecycle.assertOpen()
    for (const document of this.#parts.documents.open)
      await document.saved(signal === undefined ? {} : { signal })
    await this.#parts.logs.ownLog.flush()
    if (peers + mirrors === 0) return
    const { sync, logs } = this.#parts
    await sync.holdings.whenHeldBy(logs.feed.cut, { peers, mirrors }, signal)
  }

  /**
   * Leaves: from here on nothing of this device counts. Tells connected members, and forgets the space on this device. Fails
   * with `LOG_BEHIND`, and nothing is changed, while this storage is a copy that no member has answered yet; with `COPIED`
   * while it has stepped aside.
   */
  async leave(): Promise<void> {
    await this.ready()
    if (this.role !== null) {
      await sayLeave(this.#parts)
    }
    await this.close()
    await this.#parts.views.clear()
    await this.#parts.replicas.clear()
    await this.#parts.repair.clear()
    // The outbox goes last: what it holds must be in the store durably, and the space forgotten, before.
    await this.#context.store.sync()
    await this.#context.onLeft(this)
    await this.#context.storage.removeOutbox(this.id)
  }

  /** @internal Resolves when this device has been let in, with that role at the least, and can read. */
  whenMember(least: GrantedRole, signal: AbortSignal): Promise<void> {
    const onMembers = (check: () => void): (() => void) => this.on('members', check)
    return whenMember(this.#parts, onMembers, least, signal)
  }

  /**
   * @internal As owner 1, whose keys are made of the seed: lets this device in as an admin. `record` names it. The control
   * logs come first, and with them the keys that were sealed to owner 1.
   */
  async recover(seed: Uint8Array, record: DeviceRecord, signal: AbortSignal): Promise<void> {
    return recover(this.#parts, seed, record, signal)
  }

  /** @internal Has no member said yet how much this device has written? See `OwnLog.asks`. */
  get asks(): boolean {
    return this.#parts.lifecycle.isOpen && this.#parts.logs.ownLog.asks
  }

  /** @internal The keys of content that are here. */
  get epochKeys(): Uint8Array[] {
    return this.#parts.control.ring.epochKeys
  }

  /** @internal Notes how far this device wrote: its storage is to be another device's. */
  noteFormer(): Promise<void> {
    return this.#parts.noteFormer()
  }

  /** @internal What is known of other runs of this device has changed. */
  copiesChanged(): void {
    if (this.#parts.lifecycle.isOpen) this.#parts.logs.copiesChanged()
  }

  /** @internal This storage is a copy of one that is in use elsewhere. */
  stepAside(): void {
    if (this.#parts.lifecycle.isOpen) this.#parts.stepAside()
  }

  /** @internal A connection to any device. */
  connected(connection: PeerConnection): void {
    if (!this.#parts.lifecycle.isOpen) return
    this.#parts.sync.connected(connection)
    this.#parts.admission.offer(connection)
  }

  #historyContext(): HistoryContext {
    return {
      space: this.#parts.control.ring.space,
      feed: this.#parts.logs.feed,
      control: this.#parts.control,
      documentName: (id) => this.#parts.views.document(id)?.name || null
    }
  }
}

function assertDocumentName(name: unknown): void {
  if (typeof name !== 'string' || name === '' || name.length > maxNameChars) {
    throw new TypeError(`A document's name has 1 to ${maxNameChars} characters`)
  }
}
