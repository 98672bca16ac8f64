/**
 * A `Y.Doc` kept in the logs; behaves as a Yjs provider. It is changed by its user, or by edits that the feed delivered
 * and the validator let pass, and by nothing else: no transport touches a document, no document knows a transport.
 */
import * as Y from 'yjs'
import type { Awareness } from 'y-protocols/awareness'
import type {
  DocumentEvents,
  DocumentHost,
  ResetReason,
  Safety,
  SavedOptions
} from './document-host.ts'
import { MergedState } from './document-merge.ts'
import { DocumentResets } from './document-resets.ts'
import { DocumentSplit } from './document-split.ts'
import { aborting, untilSynced } from './document-waits.ts'
import { SkeinError, storageError, throwIfAborted } from './errors.ts'
import { Emitter } from './events.ts'
import {
  applyArrivals,
  carryOver,
  holdsOwnContent,
  integrateUnlogged,
  optionsOf,
  renewSubdocument,
  taken,
  writeOver,
  type Arrival
} from './fresh-doc.ts'
import { Lifecycle } from './lifecycle.ts'
import { Changes, leaveMarksUntidied } from './log/changes.ts'
import { notAllowed, OwnEdits } from './own-edits.ts'
import { DocumentPresence, type PresenceSession } from './sync/document-presence.ts'
import type { DeviceId } from './trust/members.ts'
import { Applier, type IncomingEdit } from './views/applier.ts'
import { Inbox } from './views/inbox.ts'
import { integrateUpdate } from './views/integrate.ts'
import type { Look } from './views/split.ts'
import type { StoredDocument } from './views/view-store.ts'

export class Document extends Emitter<DocumentEvents> {
  readonly name: string
  readonly #host: DocumentHost
  readonly #lifecycle: Lifecycle
  #doc: Y.Doc
  /** Of what it was made of. */
  #refiled = 0
  #ownsDoc: boolean
  #applier: Applier
  readonly #own: OwnEdits
  readonly #split: DocumentSplit
  readonly #merged: MergedState
  #presence: DocumentPresence | null = null
  readonly #inbox: Inbox
  #isSyncedLate = false
  /** What has come since a reset began, in order. */
  #arrivals: Arrival[] | null = null
  readonly #resets: DocumentResets
  /** Ends what waits. */
  readonly #untilClosed = new Set<() => void>()

  /** @internal Made by `Space.open`. */
  constructor(name: string, doc: Y.Doc | undefined, host: DocumentHost) {
    super()
    this.name = name
    this.#doc = doc ?? new Y.Doc()
    this.#ownsDoc = doc === undefined
    this.#host = host
    this.#inbox = new Inbox(host.clock)
    this.#applier = this.#applierOf(this.#doc)
    this.#split = new DocumentSplit({
      host,
      doc: () => this.#doc,
      isSettled: () => this.#isSettled,
      isClosing: () => this.#lifecycle.isClosing,
      reset: () => this.reset('split'),
      onFailed: (message, cause) => this.#readFailed(message, cause)
    })
    this.#merged = new MergedState({
      host,
      doc: () => this.#doc,
      refiled: () => this.#refiled,
      isSettled: () => this.#isSettled && !this.#applier.isWaiting,
      onFailed: (error) => this.emit('error', { error })
    })
    this.#resets = new DocumentResets({
      clock: host.clock,
      reset: (reason) => this.#resetOnce(reason),
      onEnded: () => {
        this.#arrivals = null
      },
      isRejected: () => this.#own.isDirty && host.mayWrite() === 'no',
      onFailed: (cause) => this.#readFailed('The document could not be reset', cause)
    })
    this.#own = new OwnEdits({
      host,
      doc: () => this.#doc,
      onTime: () => this.#applyInbox(),
      onLeaving: () => this.#applyInboxSoon(),
      onLeft: (update) => this.#arrivals?.push({ own: update }),
      onLogged: () => {
        this.#split.watch.changed()
        this.#merged.writeMaybe()
      },
      onRejected: () => this.#rejectEdits(),
      onError: (error) => this.emit('error', { error }),
      onSafety: (safety) => this.emit('safety', safety)
    })
    this.#lifecycle = new Lifecycle(
      () => this.#open(),
      () => this.#close()
    )
  }

  /** Resolves when what is on this device is in `doc`. Fails with `DOCUMENT_NOT_EMPTY`. */
  ready(): Promise<void> {
    return this.#lifecycle.ready()
  }

  /** Writes what is left, and lets go of the `Y.Doc` (destroying it if it was made here). Idempotent. */
  close(): Promise<void> {
    return this.#lifecycle.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** @internal */
  get isClosing(): boolean {
    return this.#lifecycle.isClosing
  }

  /** What editors bind to. After a `reset` it is another one. */
  get doc(): Y.Doc {
    return this.#doc
  }

  /** Presence: cursors, names, colours. Never enters a log. */
  get awareness(): Awareness {
    if (this.#presence === null) throw new SkeinError('CLOSED', 'The document is not open')
    return this.#presence.awareness
  }

  /** True when this device's role does not allow writing: its edits go nowhere. */
  get readOnly(): boolean {
    return this.#host.mayWrite() !== 'yes'
  }

  /** True while everything that the connected peers hold has been delivered; false while alone. */
  get synced(): boolean {
    return this.#host.isSynced() && !this.#isSyncedLate
  }

  get connected(): boolean {
    return this.#host.peers().length > 0
  }

  get safety(): Safety {
    return this.#own.safety
  }

  /** Resolves once everything that the peers connected then hold has been delivered. */
  async whenSynced(signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal)
    this.#lifecycle.assertOpen()
    if (this.synced) return
    const onSynced = (listener: () => void): (() => void) =>
      this.on('synced', ({ synced }) => {
        if (synced) listener()
      })
    await untilSynced(onSynced, this.#untilClosed, signal)
  }

  /**
   * Resolves when every edit made so far survives a power loss on this device and, with `peers`, on that many others,
   * with everything it depends on; with `mirrors`, on that many mirrors. Fails with `DISK_FULL`, `DISK_READ_ONLY`, `STORAGE_FAILED` (nothing is lost: the
   * edits stay here and are tried again), `NOT_ALLOWED`, `EDIT_INVALID`, `ABORTED`, `CLOSED`.
   */
  async saved({ peers = 0, mirrors = 0, signal }: SavedOptions = {}): Promise<void> {
    throwIfAborted(signal)
    this.#lifecycle.assertOpen()
    await this.ready()
    this.#own.flush()
    if (this.#own.failure !== null) throw this.#own.failure
    if (this.#own.isDirty && this.readOnly) throw notAllowed()
    const { withdrawn } = this.#own
    if (this.#own.isWriting) await aborting(this.#host.flush(), signal)
    // What was refused is told of by now.
    if (this.#own.failure !== null) throw this.#own.failure
    if (this.#own.withdrawn !== null && this.#own.withdrawn !== withdrawn) throw this.#own.withdrawn
    if (peers + mirrors === 0) return
    const cut = this.#own.cut ?? this.#host.cut()
    await this.#host.whenHeldBy(cut, { peers, mirrors }, signal)
  }

  /** @internal An edit that the feed has delivered and the view has filed under `number`. */
  receive(number: number, edit: IncomingEdit): void {
    this.#inbox.push(number, edit)
    this.#arrivals?.push({ number, edit })
    // A group that waits for its time takes what has arrived along.
    if (this.#own.changes !== null && !this.#own.isHolding) this.#applyInboxSoon()
  }

  /** @internal Presence of a device's session: one state, of a client id of its own. */
  receivePresence(session: PresenceSession, update: Uint8Array): void {
    this.#presence?.receive(session, update)
  }

  /** @internal Nobody who is connected reaches these devices any more. */
  presenceGone(devices: readonly DeviceId[]): void {
    for (const device of devices) this.#presence?.remove(device)
  }

  /** @internal What another device sees of this document. */
  receiveLook(device: DeviceId, look: Look): void {
    this.#split.watch.received(device, look)
  }

  /** @internal This device's presence here, for a peer that has just come; null if there is none. */
  presence(): Uint8Array | null {
    return this.#presence?.own ?? null
  }

  /** @internal Devices came or went. */
  peersChanged(added: DeviceId[], removed: DeviceId[]): void {
    const peers = this.#host.peers()
    this.emit('peers', { added, removed, peers })
    if (added.length > 0) this.#split.watch.joined()
    const connected = peers.length > 0
    if (connected !== peers.length - added.length + removed.length > 0) {
      this.emit('status', { status: connected ? 'connected' : 'disconnected', connected })
    }
  }

  /** @internal Whether everything has been delivered changed. */
  syncedChanged(synced: boolean): void {
    this.#isSyncedLate = false
    if (synced) this.#applyInbox()
    // It is told once all that was delivered can be seen.
    this.#isSyncedLate = synced && this.#own.changes !== null && !this.#inbox.isEmpty
    if (!this.#isSyncedLate) this.emit('synced', { synced })
  }

  /** @internal Which devices hold what changed, or writing failed or works again. */
  safetyChanged(): void {
    this.#own.safetyChanged()
  }

  /** @internal This device may write now, or no longer: what was edited while it might not for a while is logged. */
  mayWriteChanged(): void {
    this.#own.mayWriteChanged()
  }

  /**
   * @internal Builds the document anew, of the entries that count now, and hands over a fresh `Y.Doc`. What its user edits
   * until then goes along, if it may be written.
   */
  reset(reason: ResetReason): Promise<void> {
    return this.#resets.run(reason)
  }

  /**
   * @internal Takes in what else the logs hold, as read from another tab's: what is here already stays as it is. False
   * where something of others is here that they do not hold (any more).
   */
  catchUp(stored: StoredDocument, edits: readonly IncomingEdit[]): boolean {
    const { changes } = this.#own
    if (changes === null) return true
    this.#applyInbox()
    this.#own.flush()
    const whole = new Y.Doc({ gc: this.#doc.gc })
    this.#applierOf(whole).apply(stored.state, edits)
    const missing = Y.encodeStateAsUpdate(whole, Y.encodeStateVector(this.#doc))
    const isAllThere = [...this.#doc.store.clients.keys()].every(
      (client) =>
        client === changes.clientId ||
        Y.getState(this.#doc.store, client) <= Y.getState(whole.store, client)
    )
    whole.destroy()
    changes.receive(() => Y.applyUpdate(this.#doc, missing, this))
    return isAllThere
  }

  /** @internal What was edited so far leaves for the log. */
  flush(): void {
    this.#own.flush()
  }

  /** @internal Writing failed for now. */
  writingFailed(error: SkeinError): void {
    if (this.#own.isWriting) this.emit('error', { error })
  }

  async #open(): Promise<void> {
    const { stored, edits } = await this.#host.read()
    this.#refiled = stored.refiled
    const { doc } = this
    const clientId = this.#host.clientId()
    // What a subdocument's maker wrote into it before it was bound here is this session's own, and is logged below.
    const isEarly = holdsOwnContent(
      { name: this.name, doc, clientId },
      this.#host.clientIdsOf,
      stored,
      edits
    )
    if (isEarly && this.readOnly) throw notAllowed()
    const tidyAgain = leaveMarksUntidied(doc, ({ origin }) => origin === this)
    this.#applier.apply(stored.state, edits)
    tidyAgain()
    this.#own.changes = this.#follow(doc, clientId, isEarly)
    if (isEarly) this.#own.flush()
    this.#inbox.dropBefore(stored.filed)
    this.#presence = new DocumentPresence(doc, (update) => this.#sendPresence(update))
    this.#host.askPresence()
    this.#bindSubdocuments()
    this.#applyInbox()
    doc.emit('load', [doc])
    this.#split.watch.changed()
    if (this.synced) this.syncedChanged(true)
    this.#yjsSync(this.synced)
    this.on('synced', ({ synced }) => this.#yjsSync(synced))
  }

  #applierOf(doc: Y.Doc): Applier {
    return new Applier({
      doc,
      origin: this,
      clientIdsOf: this.#host.clientIdsOf,
      onRefused: ({ device }, error) => this.emit('edit-refused', { device, error })
    })
  }

  #follow(doc: Y.Doc, clientId: number, isUnlogged = false): Changes {
    return new Changes(doc, {
      clientId,
      isUnlogged,
      origin: this,
      onDirty: () => this.#own.edited(),
      onClientIdLost: () => this.#own.fail('Another Y.Doc writes under the client id of this one'),
      onUnknownContent: () =>
        this.#own.fail('Content of another client was applied to the document by hand')
    })
  }

  #bindSubdocuments(): void {
    this.#doc.on('subdocs', this.#subdocsChanged)
    for (const subdocument of this.#doc.getSubdocs())
      if (subdocument.shouldLoad) this.#openSubdocument(subdocument)
  }

  /** It is being closed, and not shown anew; but what has left and hangs on what is gone must not be written. */
  async #withdrawHanging(): Promise<void> {
    const { changes } = this.#own
    if (changes === null) return
    const { stored, edits } = await this.#host.read()
    const doc = new Y.Doc({ gc: this.#doc.gc })
    const applier = this.#applierOf(doc)
    applier.apply(stored.state, edits)
    const own = [...this.#own.inFlight].map((update) => ({ own: update }))
    applyArrivals({ doc, applier, origin: this }, own, stored.filed, changes.clientId, (update) =>
      this.#own.withdraw(update)
    )
    doc.destroy()
  }

  async #resetOnce(reason: ResetReason): Promise<void> {
    if (this.isClosing) return this.#withdrawHanging()
    await this.ready()
    const arrivals: Arrival[] = [...this.#own.inFlight].map((own) => ({ own }))
    this.#arrivals = arrivals
    const { stored, edits } = await this.#host.read()
    this.#arrivals = null
    const [before, previous] = [this.#own.changes, this.#doc]
    if (before === null || this.#lifecycle.isClosing) return
    if (previous._item !== null) return renewSubdocument(previous)
    this.#resets.happened()
    this.#refiled = stored.refiled
    this.#own.stop()
    const ownedPrevious = this.#ownsDoc
    this.#doc = new Y.Doc(optionsOf(previous))
    this.#ownsDoc = true
    this.#applier = this.#applierOf(this.#doc)
    this.#own.forgetFailure()
    this.#inbox.dropBefore(Infinity)
    // All of it before anything listens: this device's own edits do not come to it from elsewhere.
    const tidyAgain = leaveMarksUntidied(this.#doc, ({ origin }) => origin === this)
    this.#applier.apply(stored.state, edits)
    const filling = { doc: this.#doc, applier: this.#applier, origin: this }
    const [mayWrite, clientId, { doc }] = [this.#host.mayWrite(), this.#host.clientId(), this]
    applyArrivals(filling, arrivals, stored.filed, clientId, (update) => {
      // Written, it would wait for ever, and hold up all that comes after it. Of another session nothing comes after it.
      if (before.clientId === clientId) this.#own.withdraw(update)
    })
    const carry = (take: (update: Uint8Array) => void): Uint8Array[] =>
      carryOver(doc, { before, clientId }, take)
    const isSameClient = before.clientId === clientId
    /** What hangs on entries that are gone, or was edited under other client ids. */
    let left: Uint8Array[] = []
    try {
      if (mayWrite !== 'no' && !isSameClient) left = [...taken(before)]
      else if (mayWrite === 'yes') {
        left = carry((update) => {
          integrateUpdate(doc, update, this)
          this.#own.append(update, clientId)
        })
      }
      this.#own.changes = this.#follow(doc, clientId)
      // What waits until it may be written goes on waiting.
      if (mayWrite === 'not-now' && isSameClient)
        left = carry((update) => integrateUnlogged(doc, update, this))
      writeOver(previous, left, doc)
    } catch (cause) {
      const message = 'The last edits before the document was reset cannot be kept'
      this.emit('error', { error: new SkeinError('EDIT_INVALID', message, { cause }) })
    }
    if (this.#own.changes === before) this.#own.changes = this.#follow(doc, clientId)
    tidyAgain()
    before.destroy()
    previous.off('subdocs', this.#subdocsChanged)
    this.#presence = new DocumentPresence(
      this.#doc,
      (update) => this.#sendPresence(update),
      this.#presence
    )
    this.#doc.emit('load', [this.#doc])
    this.#yjsSync(this.synced)
    this.#split.watch.forget()
    this.emit('reset', { doc: this.#doc, previous, reason })
    if (ownedPrevious) previous.destroy()
    else for (const subdocument of previous.getSubdocs()) subdocument.destroy()
    this.#bindSubdocuments()
    this.safetyChanged()
  }

  #rejectEdits(): void {
    this.emit('error', { error: notAllowed() })
    this.safetyChanged()
    this.#resets.reject()
  }

  async #close(): Promise<void> {
    for (const end of [...this.#untilClosed]) end()
    this.#resets.stop()
    await this.#split.stop()
    await this.#resets.ended()
    if (this.#own.changes === null) return this.#host.onClosed()
    this.#presence?.destroy()
    this.#own.flush()
    this.#applyInbox({ all: true })
    try {
      const isKept = await this.#keepUnwritten()
      // Another document's failure is none of this one.
      if (this.#own.isWriting) await this.#host.flush()
      // The entries that it was made of are in the logs; else it must not pass for their state.
      if (!isKept) await this.#merged.write(true).catch(() => {})
    } finally {
      this.#own.flush() // What was edited meanwhile, in a Y.Doc that goes on without this.
      this.#own.changes.destroy()
      this.#own.changes = null
      this.doc.off('subdocs', this.#subdocsChanged)
      if (this.#ownsDoc) this.doc.destroy()
      this.#host.onClosed()
    }
  }

  /** What waits until it may be written waits on, without the document. */
  async #keepUnwritten(): Promise<boolean> {
    const { changes, failure } = this.#own
    if (changes === null || failure !== null || this.#host.mayWrite() !== 'not-now') return false
    const updates: Uint8Array[] = []
    for (let update = changes.take(); update !== null; update = changes.take()) updates.push(update)
    const isKept = updates.length > 0 || this.#own.isWriting
    if (isKept) await this.#host.keep(updates)
    return isKept
  }

  #applyInboxSoon(): void {
    this.#inbox.soon(() => {
      if (!this.#own.isHolding) this.#applyInbox()
    })
  }

  #applyInbox({ all = false } = {}): void {
    if (this.#own.changes === null || this.#inbox.isEmpty) return
    // What the user wrote before seeing this goes first: the log says who had seen what.
    this.#own.flush()
    this.#own.changes.receive(() =>
      this.#inbox.forEach((edit) => this.#applier.take(edit), { all })
    )
    if (!this.#inbox.isEmpty) return this.#applyInboxSoon()
    this.#split.watch.changed()
    if (this.#isSyncedLate) this.syncedChanged(true)
    this.#merged.writeMaybe()
  }

  /** Does it hold exactly the entries filed? */
  get #isSettled(): boolean {
    return (
      this.#own.changes !== null &&
      !this.#own.changes.dirty &&
      !this.#own.isWriting &&
      this.#inbox.isEmpty &&
      this.#own.failure === null &&
      !this.#resets.isRunning
    )
  }

  #readFailed(message: string, cause: unknown): void {
    if (this.#lifecycle.isClosing) return
    this.emit('error', { error: storageError(message, cause) })
  }

  /** What fails here must not fail the app's call that changed its state. */
  #sendPresence(update: Uint8Array): void {
    try {
      this.#host.sendPresence(update)
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error
      this.emit('error', { error })
    }
  }

  readonly #subdocsChanged = ({ loaded }: { loaded: Set<Y.Doc> }): void => {
    for (const subdocument of loaded) this.#openSubdocument(subdocument)
  }

  #openSubdocument(subdocument: Y.Doc): void {
    this.#host.openSubdocument(subdocument).catch((cause: unknown) => {
      this.emit('error', { error: storageError('A subdocument could not be opened', cause) })
    })
  }

  #yjsSync(synced: boolean): void {
    this.doc.emit('sync', [synced, this.doc])
  }
}
