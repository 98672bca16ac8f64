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
import { SkeinError, storageError, throwIfAborted } from './errors.ts'
import { Emitter } from './events.ts'
import { Lifecycle } from './lifecycle.ts'
import { Changes, leaveMarksUntidied } from './log/changes.ts'
import type { LogId } from './log/entry.ts'
import { Pace } from './log/pace.ts'
import { DocumentPresence, type PresenceSession } from './sync/document-presence.ts'
import { heldBy, validateUpdate } from './trust/validate.ts'
import type { DeviceId } from './trust/members.ts'
import { Applier, type IncomingEdit } from './views/applier.ts'
import { devicesToBlame } from './views/blame.ts'
import { CanonicalOrder } from './views/canonical.ts'
import { Inbox } from './views/inbox.ts'
import { depthAt, integrateUpdate } from './views/integrate.ts'
import { SplitWatch, type Look } from './views/split.ts'
import { visibleHash } from './views/visible.ts'
import type { StoredDocument } from './views/view-store.ts'

const mergeAtBytes = 64 * 1024
/** Between two resets of a document that this device may not write to: an editor may write by itself when it is bound. */
const resetAgainMs = 1_000

/** What came to a document while it was being built anew: an edit of this device, or one that was delivered. */
type Arrival =
  { readonly own: Uint8Array } | { readonly number: number; readonly edit: IncomingEdit }

export class Document extends Emitter<DocumentEvents> {
  readonly name: string
  readonly #host: DocumentHost
  readonly #lifecycle: Lifecycle
  #doc: Y.Doc
  #ownsDoc: boolean
  #applier: Applier
  readonly #pace: Pace
  readonly #splitWatch: SplitWatch
  #examining: Promise<void> = Promise.resolve()
  #presence: DocumentPresence | null = null
  #changes: Changes | null = null
  readonly #inbox: Inbox
  #inboxScheduled = false
  #isSyncedLate = false
  #hasAppliedInTurn = false
  #failure: SkeinError | null = null
  #cut: ReadonlyMap<LogId, number> | null = null
  #safety: Safety = { durable: true, devices: [] }
  #persisting: Promise<void> | null = null
  /** Own updates that are being written. */
  readonly #inFlight = new Set<Uint8Array>()
  /** What has come since a reset began, in order. */
  #arrivals: Arrival[] | null = null
  #resetting: Promise<void> | null = null
  #resetAgain: ResetReason | null = null
  #lastResetMs: number | null = null
  #cancelReset: (() => void) | null = null
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
    this.#splitWatch = new SplitWatch({
      clock: host.clock,
      look: () => this.#look(),
      announce: (look) => host.sendLook(look),
      onDifferent: () => this.#examineSoon(),
      onFailed: (cause) => this.#readFailed('What the document looks like could not be told', cause)
    })
    this.#pace = new Pace({
      clock: host.clock,
      isDirty: () => this.#changes?.dirty === true,
      onTime: () => {
        this.#flush()
        this.#applyInbox()
      }
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
    return this.#safety
  }

  /** Resolves once everything that the peers connected then hold has been delivered. */
  async whenSynced(signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal)
    this.#lifecycle.assertOpen()
    if (this.synced) return
    await new Promise<void>((resolve, reject) => {
      const done = (): void => {
        stop()
        signal?.removeEventListener('abort', abort)
        this.#untilClosed.delete(closed)
      }
      const stop = this.on('synced', ({ synced }) => {
        if (!synced) return
        done()
        resolve()
      })
      const abort = (): void => {
        done()
        reject(new SkeinError('ABORTED', 'The call was aborted', { cause: signal?.reason }))
      }
      const closed = (): void => {
        done()
        reject(new SkeinError('CLOSED', 'The document was closed before it was synced'))
      }
      signal?.addEventListener('abort', abort, { once: true })
      this.#untilClosed.add(closed)
    })
  }

  /**
   * Resolves when every edit made so far survives a power loss on this device and, with `peers`, on that many others,
   * with everything it depends on. Fails with `DISK_FULL`, `DISK_READ_ONLY`, `STORAGE_FAILED` (nothing is lost: the
   * edits stay here and are tried again), `NOT_ALLOWED`, `EDIT_INVALID`, `ABORTED`, `CLOSED`.
   */
  async saved({ peers = 0, signal }: SavedOptions = {}): Promise<void> {
    throwIfAborted(signal)
    this.#lifecycle.assertOpen()
    await this.ready()
    this.#flush()
    if (this.#failure !== null) throw this.#failure
    if (this.#changes?.dirty === true && this.readOnly) throw notAllowed()
    if (this.#pace.isWriting) await aborting(this.#host.flush(), signal)
    // What was refused is told of by now.
    if (this.#failure !== null) throw this.#failure
    if (peers > 0) await this.#host.whenHeldBy(this.#cut ?? this.#host.cut(), peers, signal)
  }

  /** @internal An edit that the feed has delivered and the view has filed under `number`. */
  receive(number: number, edit: IncomingEdit): void {
    this.#inbox.push(number, edit)
    this.#arrivals?.push({ number, edit })
    // A group that waits for its time takes what has arrived along.
    if (this.#changes !== null && !this.#pace.isHolding) this.#applyInboxSoon()
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
    this.#splitWatch.received(device, look)
  }

  /** @internal This device's presence here, for a peer that has just come; null if there is none. */
  presence(): Uint8Array | null {
    return this.#presence?.own ?? null
  }

  /** @internal Devices came or went. */
  peersChanged(added: DeviceId[], removed: DeviceId[]): void {
    const peers = this.#host.peers()
    this.emit('peers', { added, removed, peers })
    if (added.length > 0) this.#splitWatch.joined()
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
    this.#isSyncedLate = synced && this.#changes !== null && !this.#inbox.isEmpty
    if (!this.#isSyncedLate) this.emit('synced', { synced })
  }

  /** @internal Which devices hold what changed, or writing failed or works again. */
  safetyChanged(): void {
    const durable = !this.#pace.isWriting && this.#changes?.dirty !== true && this.#failure === null
    const devices = this.#cut === null ? [] : this.#host.devicesHolding(this.#cut)
    const before = this.#safety
    if (before.durable === durable && before.devices.join() === devices.join()) return
    this.#safety = { durable, devices }
    this.emit('safety', this.#safety)
  }

  /** @internal This device may write now, or no longer: what was edited while it might not for a while is logged. */
  mayWriteChanged(): void {
    if (this.#changes?.dirty !== true) return
    const may = this.#host.mayWrite()
    if (may === 'no') this.#rejectEdits()
    if (may !== 'yes') return
    if (this.#changes.clientId === this.#host.clientId()) this.#pace.schedule()
    else this.#fail('What was edited before this device was let in cannot be logged')
  }

  /**
   * @internal Builds the document anew, of the entries that count now, and hands over a fresh `Y.Doc`. What its user edits
   * until then goes along, if it may be written.
   */
  reset(reason: ResetReason): Promise<void> {
    if (this.#resetting !== null) this.#resetAgain = reason
    this.#resetting ??= this.#resetAll(reason).finally(() => {
      this.#resetting = null
      this.#arrivals = null
    })
    return this.#resetting
  }

  /** @internal Takes in what else the logs hold, as read from another tab's: what is here already stays as it is. */
  catchUp(stored: StoredDocument, edits: readonly IncomingEdit[]): void {
    if (this.#changes === null) return
    this.#applyInbox()
    this.#flush()
    const whole = new Y.Doc({ gc: this.#doc.gc })
    this.#applierOf(whole).apply(stored.state, edits)
    const missing = Y.encodeStateAsUpdate(whole, Y.encodeStateVector(this.#doc))
    whole.destroy()
    this.#changes.receive(() => Y.applyUpdate(this.#doc, missing, this))
  }

  /** @internal Writing failed for now. */
  writingFailed(error: SkeinError): void {
    if (this.#pace.isWriting) this.emit('error', { error })
  }

  async #open(): Promise<void> {
    const { stored, edits } = await this.#host.read()
    const { doc } = this
    const clientId = this.#host.clientId()
    // What a subdocument's maker wrote into it before it was bound here is this session's own, and is logged below.
    const isEarly = this.#holdsOwnContent(clientId, stored, edits)
    if (isEarly && this.readOnly) throw notAllowed()
    const tidyAgain = leaveMarksUntidied(doc, ({ origin }) => origin === this)
    this.#applier.apply(stored.state, edits)
    tidyAgain()
    this.#changes = this.#follow(doc, clientId, isEarly)
    if (isEarly) this.#flush()
    this.#inbox.dropBefore(stored.filed)
    this.#presence = new DocumentPresence(doc, (update) => this.#sendPresence(update))
    this.#host.askPresence()
    this.#bindSubdocuments()
    this.#applyInbox()
    doc.emit('load', [doc])
    this.#splitWatch.changed()
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
      onDirty: () => this.#edited(),
      onClientIdLost: () => this.#fail('Another Y.Doc writes under the client id of this one'),
      onUnknownContent: () =>
        this.#fail('Content of another client was applied to the document by hand')
    })
  }

  #bindSubdocuments(): void {
    this.#doc.on('subdocs', this.#subdocsChanged)
    for (const subdocument of this.#doc.getSubdocs())
      if (subdocument.shouldLoad) this.#openSubdocument(subdocument)
  }

  async #resetAll(reason: ResetReason): Promise<void> {
    for (let next: ResetReason | null = reason; next !== null; next = this.#resetAgain) {
      this.#resetAgain = null
      await this.#resetOnce(next)
    }
  }

  async #resetOnce(reason: ResetReason): Promise<void> {
    await this.ready()
    const arrivals: Arrival[] = [...this.#inFlight].map((own) => ({ own }))
    this.#arrivals = arrivals
    const { stored, edits } = await this.#host.read()
    this.#arrivals = null
    const [before, previous] = [this.#changes, this.#doc]
    if (before === null || this.#lifecycle.isClosing) return
    if (previous._item !== null) return renewSubdocument(previous)
    this.#lastResetMs = this.#host.clock.now()
    this.#pace.stop()
    const ownedPrevious = this.#ownsDoc
    this.#doc = new Y.Doc(optionsOf(previous))
    this.#ownsDoc = true
    this.#applier = this.#applierOf(this.#doc)
    this.#failure = null
    this.#inbox.dropBefore(Infinity)
    // All of it before anything listens: this device's own edits do not come to it from elsewhere.
    const tidyAgain = leaveMarksUntidied(this.#doc, ({ origin }) => origin === this)
    this.#applier.apply(stored.state, edits)
    this.#applyArrivals(arrivals, stored.filed)
    if (!this.readOnly) this.#carryOver(before)
    tidyAgain()
    before.destroy()
    this.#changes = this.#follow(this.#doc, this.#host.clientId())
    previous.off('subdocs', this.#subdocsChanged)
    this.#presence = new DocumentPresence(
      this.#doc,
      (update) => this.#sendPresence(update),
      this.#presence
    )
    this.#doc.emit('load', [this.#doc])
    this.#yjsSync(this.synced)
    this.#splitWatch.forget()
    this.emit('reset', { doc: this.#doc, previous, reason })
    if (ownedPrevious) previous.destroy()
    else for (const subdocument of previous.getSubdocs()) subdocument.destroy()
    this.#bindSubdocuments()
    this.safetyChanged()
  }

  #applyArrivals(arrivals: readonly Arrival[], filed: number): void {
    for (const arrival of arrivals) {
      if ('own' in arrival) {
        const held = heldBy(this.#doc)
        const clientId = this.#host.clientId()
        // Refused is what has been read already, or what hung on entries that are gone.
        if (validateUpdate(arrival.own, { clientId, ...held }).verdict === 'apply')
          integrateUpdate(this.#doc, arrival.own, this)
      } else if (arrival.number >= filed) this.#applier.apply(null, [arrival.edit])
    }
  }

  /** Writes what was edited in the `Y.Doc` of before up to now; what refers to entries that are gone stays there. */
  #carryOver(before: Changes): void {
    try {
      for (let update = before.take(); update !== null; update = before.take()) {
        const context = { clientId: before.clientId, ...heldBy(this.#doc) }
        if (validateUpdate(update, context).verdict !== 'apply')
          throw new RangeError('It hangs on them')
        integrateUpdate(this.#doc, update, this)
        this.#append(update)
      }
    } catch (cause) {
      const message = 'The last edits before the document was reset hang on entries that left it'
      this.emit('error', { error: new SkeinError('EDIT_INVALID', message, { cause }) })
    }
  }

  /** What this device may not write leaves the document again. */
  #rejectEdits(): void {
    this.emit('error', { error: notAllowed() })
    this.safetyChanged()
    if (this.#cancelReset !== null) return
    const { clock } = this.#host
    const reset = (): void => {
      this.#cancelReset = null
      if (this.#changes?.dirty !== true || this.#host.mayWrite() !== 'no') return
      this.reset('read-only').catch((cause: unknown) => {
        this.#readFailed('The document could not be reset', cause)
      })
    }
    const waitMs = this.#lastResetMs === null ? 0 : this.#lastResetMs + resetAgainMs - clock.now()
    this.#cancelReset = clock.after(Math.max(0, Math.min(waitMs, resetAgainMs)), reset)
  }

  async #close(): Promise<void> {
    for (const end of [...this.#untilClosed]) end()
    this.#cancelReset?.()
    this.#splitWatch.stop()
    await this.#examining
    await this.#resetting?.catch(() => {}) // Whoever asked for it is told.
    if (this.#changes === null) return this.#host.onClosed()
    this.#presence?.destroy()
    this.#flush()
    this.#applyInbox({ all: true })
    try {
      // Another document's failure is none of this one.
      if (this.#pace.isWriting) await this.#host.flush()
      await this.#persist(true).catch(() => {}) // The entries that it was made of are in the logs.
    } finally {
      this.#flush() // What was edited meanwhile, in a Y.Doc that goes on without this.
      this.#changes.destroy()
      this.#changes = null
      this.doc.off('subdocs', this.#subdocsChanged)
      if (this.#ownsDoc) this.doc.destroy()
      this.#host.onClosed()
    }
  }

  /** Was something in an app's `Y.Doc` before it was bound? Fails with `DOCUMENT_NOT_EMPTY` unless it is this session's own. */
  #holdsOwnContent(
    clientId: number,
    stored: StoredDocument,
    edits: readonly IncomingEdit[]
  ): boolean {
    const clients = [...this.doc.store.clients.keys()]
    if (clients.length === 0) return false
    if (clients.length === 1 && clients[0] === clientId) {
      // Were something of this client in the logs already, the same clocks would stand for two things.
      const logged = new Y.Doc()
      const { clientIdsOf } = this.#host
      const applier = new Applier({ doc: logged, origin: this, clientIdsOf, onRefused: () => {} })
      applier.apply(stored.state, edits)
      if (Y.getState(logged.store, clientId) === 0) return true
    }
    throw new SkeinError(
      'DOCUMENT_NOT_EMPTY',
      `The Y.Doc given for "${this.name}" already has content of its own; give an empty one`
    )
  }

  #edited(): void {
    if (this.#failure !== null) return
    const may = this.#host.mayWrite()
    if (may === 'no') return this.#rejectEdits()
    if (may === 'not-now') {
      // It stays in the document alone, and waits: what is written later under this client id continues from it.
      this.emit('error', { error: notAllowed() })
      this.safetyChanged()
      return
    }
    this.#pace.edited()
    this.safetyChanged()
  }

  /** Logs what was edited since the last group. */
  #flush(): void {
    if (this.#changes === null || this.#failure !== null || this.readOnly) return
    // What has arrived was waiting for this group's time.
    if (this.#pace.isHolding) this.#applyInboxSoon()
    this.#pace.stop()
    const { clientId } = this.#changes
    const held = heldBy(this.doc)
    for (;;) {
      const clockBefore = this.#changes.loggedClock
      let update: Uint8Array | null
      try {
        update = this.#changes.take()
      } catch (cause) {
        this.#fail('The document holds a value that cannot be encoded', cause)
        return
      }
      if (update === null) return
      const result = validateUpdate(update, {
        clientId,
        depthOf: (client, clock) => depthAt(this.doc, client, clock),
        clockOf: (client) => (client === clientId ? clockBefore : held.clockOf(client))
      })
      if (result.verdict !== 'apply') {
        const why = result.verdict === 'refuse' ? result.reason : 'it refers to what is not here'
        this.#fail(`An edit would be refused by every peer: ${why}`)
        return
      }
      this.#append(update)
    }
  }

  #append(update: Uint8Array): void {
    this.#pace.left()
    this.#inFlight.add(update)
    this.#arrivals?.push({ own: update })
    this.#host.append(update).then(
      ({ cut }) => {
        this.#inFlight.delete(update)
        this.#cut = cut
        this.#splitWatch.changed()
        this.#pace.written()
        this.safetyChanged()
        this.#persistMaybe()
      },
      (error: SkeinError) => {
        this.#inFlight.delete(update)
        if (error.code !== 'CLOSED') {
          this.#failure = error
          this.emit('error', { error })
        }
        this.#pace.written()
        this.safetyChanged()
      }
    )
  }

  #applyInboxSoon(): void {
    if (this.#inboxScheduled) return
    this.#inboxScheduled = true
    const apply = (): void => {
      this.#inboxScheduled = false
      if (!this.#pace.isHolding) this.#applyInbox()
    }
    // One that comes alone is applied at once, more in one turn of the event loop together.
    if (this.#hasAppliedInTurn) {
      this.#host.clock.soon(apply)
      return
    }
    this.#hasAppliedInTurn = true
    this.#host.clock.soon(() => {
      this.#hasAppliedInTurn = false
    })
    queueMicrotask(apply)
  }

  #applyInbox({ all = false } = {}): void {
    if (this.#changes === null || this.#inbox.isEmpty) return
    // What the user wrote before seeing this goes first: the log says who had seen what.
    this.#flush()
    this.#changes.receive(() => this.#inbox.forEach((edit) => this.#applier.take(edit), { all }))
    if (!this.#inbox.isEmpty) return this.#applyInboxSoon()
    this.#splitWatch.changed()
    if (this.#isSyncedLate) this.syncedChanged(true)
    this.#persistMaybe()
  }

  /** From here on nothing is logged: better a loud stop than entries that every peer refuses. */
  #fail(message: string, cause?: unknown): void {
    if (this.#failure !== null) return
    this.#failure = new SkeinError(
      'EDIT_INVALID',
      `${message}; close the document and open it again`,
      { cause }
    )
    this.emit('error', { error: this.#failure })
    this.safetyChanged()
  }

  #persistMaybe(): void {
    const { since, merged } = this.#host.bytesToMerge()
    if (since < Math.max(mergeAtBytes, merged) || this.#persisting !== null) return
    this.#persisting = this.#persist(false)
      .catch((cause: unknown) => {
        const message = 'A merged state could not be written'
        this.emit('error', { error: storageError(message, cause) })
      })
      .finally(() => {
        this.#persisting = null
      })
  }

  /** Does it hold exactly the entries filed? */
  get #isSettled(): boolean {
    return (
      this.#changes !== null &&
      !this.#changes.dirty &&
      !this.#pace.isWriting &&
      this.#inbox.isEmpty &&
      this.#failure === null &&
      this.#resetting === null
    )
  }

  /** Writes the merged state, at a moment when it holds exactly the entries filed. */
  async #persist(always: boolean): Promise<void> {
    if (!this.#isSettled || this.#applier.isWaiting || this.#host.isCanonical()) return
    if (always && this.#host.bytesToMerge().since === 0) return
    await this.#host.writeState(Y.encodeStateAsUpdateV2(this.doc))
  }

  async #look(): Promise<Look | null> {
    if (this.#host.isCanonical()) await this.#examine()
    if (!this.#isSettled) return null
    return { cut: this.#host.documentCut(), visible: visibleHash(this.#doc) }
  }

  #examineSoon(): void {
    this.#examining = this.#examining
      .then(() => this.#examine())
      .catch((cause: unknown) => this.#readFailed('The document could not be made anew', cause))
  }

  /**
   * Another device sees something else of the same entries, or did once: looks whether this one sees what it should, and
   * whose doing it is.
   */
  async #examine(): Promise<void> {
    if (this.#lifecycle.isClosing) return
    const cut = this.#host.documentCut()
    const order = new CanonicalOrder(this.#host.clientIdsOf)
    order.add(await this.#host.readAll())
    const isCurrent = this.#isSettled && cut === this.#host.documentCut()
    const isRight = !isCurrent || visibleHash(order.document()) === visibleHash(this.#doc)
    if (!this.#host.isCanonical()) {
      const blamed = devicesToBlame(order)
      // Nothing is wrong with it here: it is for the other to see what is wrong there, if it speaks the truth.
      if (isRight && blamed.size === 0) return
      this.#host.becomeCanonical([...blamed])
    }
    // What comes meanwhile is looked at when it is quiet again.
    if (!isCurrent) this.#splitWatch.changed()
    else if (!isRight) await this.reset('split')
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

function aborting(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const abort = (): void =>
      reject(new SkeinError('ABORTED', 'The call was aborted', { cause: signal.reason }))
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

function notAllowed(): SkeinError {
  return new SkeinError(
    'NOT_ALLOWED',
    'This device may not write to the space now: the edit is not kept'
  )
}

/** A subdocument lies in its parent, where Yjs puts a fresh one; the document of the parent opens that. */
function renewSubdocument(subdocument: Y.Doc): void {
  const content = subdocument._item?.content
  subdocument.destroy()
  if (content instanceof Y.ContentDoc) content.doc.load()
}

/** What a fresh `Y.Doc` takes over from the one before. */
function optionsOf(doc: Y.Doc): ConstructorParameters<typeof Y.Doc>[0] {
  const { guid, gc, gcFilter, meta, autoLoad, collectionid } = doc
  return { guid, gc, gcFilter, meta: meta as unknown, autoLoad, collectionid }
}
