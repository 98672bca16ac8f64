/**
 * The documents of one space: opens them, brings each what the feed delivered for it, and keeps those that nobody has
 * open cheap to open.
 */
import * as Y from 'yjs'
import {
  Attachments,
  type AttachedContent,
  type AttachedView,
  type Attachment
} from './attachments.ts'
import { ClosedMerge } from './closed-merge.ts'
import { DocumentEntries } from './document-entries.ts'
import type { DocumentHost } from './document-host.ts'
import { Document } from './document.ts'
import { SkeinError } from './errors.ts'
import { Changes } from './log/changes.ts'
import { kinds, type LogId } from './log/entry.ts'
import type { Delivered, Feed } from './log/feed.ts'
import type { Appended } from './log/group.ts'
import type { OwnLog } from './log/own-log.ts'
import type { EntryRef } from './log/read-back.ts'
import { notAllowed } from './own-edits.ts'
import type { Clock } from './platform.ts'
import type { Presence } from './sync/presence-message.ts'
import type { DocumentLook } from './sync/space-channel.ts'
import type { SpaceSync } from './sync/space-sync.ts'
import { documentIdOf } from './trust/keys.ts'
import type { DeviceId, Membership } from './trust/members.ts'
import { validateImport } from './trust/validate.ts'
import { Applier, type IncomingEdit } from './views/applier.ts'
import { decodeContent, encodeEdit, encodeImport, maxNameChars } from './views/edit.ts'
import { flattened } from './views/flatten.ts'
import { presenceClientOf } from './views/presence.ts'
import type { ViewStore } from './views/view-store.ts'
import { cutHash } from './views/visible.ts'
import { writeAgain, type Lost } from './views/write-again.ts'

/** Of an update that holds nothing. */
const emptyUpdateBytes = 2
const subdocumentPrefix = 'subdocument:'

export interface DocumentsOptions {
  readonly clock: Clock
  readonly space: Uint8Array
  readonly device: DeviceId
  readonly member: (device: DeviceId) => Membership | undefined
  readonly mayWrite: DocumentHost['mayWrite']
  readonly views: ViewStore
  readonly feed: Feed
  readonly sync: () => SpaceSync
  readonly ownLog: () => OwnLog
  /** Keeps updates of a document durably, to be written again later. */
  readonly keep: (id: string, updates: readonly Uint8Array[]) => Promise<void>
  readonly sendPresence: (presence: Presence) => void
  /** Fails once the space is being closed. */
  readonly assertOpen: () => void
  /** A document that was not known here before. */
  readonly onDocument: (name: string) => void
  /** An edit of a document was delivered, of this device too. */
  readonly onEdit: (name: string, device: DeviceId) => void
  /** A document looked different on two devices; whose doing that is, as far as it can be told. */
  readonly onSplit: (name: string, devices: readonly DeviceId[]) => void
  readonly onStorage: (error: SkeinError) => void
}

export class Documents {
  readonly #options: DocumentsOptions
  readonly #openById = new Map<string, Document>()
  readonly #attachments = new Attachments()
  readonly #entries: DocumentEntries
  readonly #closed: ClosedMerge

  constructor(options: DocumentsOptions) {
    this.#options = options
    const { views } = options
    this.#entries = new DocumentEntries(options)
    this.#closed = new ClosedMerge({
      views,
      entries: this.#entries,
      isOpen: (id) => this.#openById.has(id),
      isAttached: (id) => this.#attachments.has(id),
      onFailed: options.onStorage
    })
  }

  /** Those that are open. */
  get open(): Document[] {
    return [...this.#openById.values()]
  }

  /** The names of those that have content. */
  get names(): string[] {
    return this.#options.views.documents.map((record) => record.name).filter(isAppsName)
  }

  /** How many edits of that document have been delivered. */
  editCount(name: string): number {
    const { views, space } = this.#options
    return views.document(documentIdOf(space, name))?.filed ?? 0
  }

  /** Fails with a `TypeError`, `DOCUMENT_OPEN`, `DOCUMENT_NOT_EMPTY`, `CLOSED`. */
  openNamed(name: string, doc: Y.Doc | undefined): Promise<Document> {
    if (!isAppsName(name)) {
      throw reservedName()
    }
    return this.#open(name, doc)
  }

  /**
   * Puts content that was made elsewhere into a document: a Yjs update (V1) that holds a whole state. Fails with
   * `IMPORT_INVALID`, `ENTRY_TOO_LARGE`, `NOT_ALLOWED`.
   */
  async import(name: string, state: Uint8Array): Promise<void> {
    if (!isAppsName(name)) throw reservedName()
    const { mayWrite, ownLog } = this.#options
    const update = flattened(state)
    if (update.length === emptyUpdateBytes) return
    const result = validateImport(update)
    if (result.verdict === 'refuse') {
      throw new SkeinError('IMPORT_INVALID', `Peers would refuse it: ${result.reason}`)
    }
    if (mayWrite() !== 'yes') {
      throw new SkeinError('NOT_ALLOWED', 'This device may not write to the space now')
    }
    await ownLog().append('content', kinds.import, encodeImport({ name, update }))
  }

  /** Files an edit or import that the feed has delivered, and hands it to its document. Fails with `BAD_ENCODING`. */
  deliver(
    { device, entry, isOwn }: Pick<Delivered, 'device' | 'entry' | 'isOwn'>,
    ref: EntryRef
  ): void {
    const { views, space } = this.#options
    const { document: id, name, ...edit } = decodeContent(entry, space)
    const wasNamed = this.#isNamed(id)
    const number = views.file(id, name, ref, entry.body.length)
    if (name !== null && !wasNamed && isAppsName(name)) this.#options.onDocument(name)
    const document = this.#openById.get(id)
    const incoming: IncomingEdit = { device, ref, ...edit }
    const isItsWriter = (clientId: number): boolean =>
      this.#entries.clientIdsOf(device, incoming.clientCounter).includes(clientId)
    if (document === undefined) this.#closed.mergeMaybe(id)
    // What was edited in it is there already; an import is not, nor what this device wrote under other client ids.
    else if (!isOwn || edit.importId !== undefined || !isItsWriter(document.doc.clientID))
      document.receive(number, incoming)
    const clientIds = (): number[] => this.#entries.clientIdsOf(device, incoming.clientCounter)
    const isWritersOwn = isOwn && edit.importId === undefined
    this.#attachments.deliver(id, number, incoming, { isOwn: isWritersOwn, clientIds })
    const knownName = views.document(id)?.name ?? ''
    if (isAppsName(knownName)) this.#options.onEdit(knownName, device)
  }

  /** Fails with `BAD_ENCODING` for presence under a client id that is not its sender's. */
  receivePresence(device: DeviceId, { document, clientCounter, update }: Presence): void {
    const clientId = presenceClientOf(update)
    if (!this.#entries.clientIdsOf(device, clientCounter).includes(clientId)) {
      throw new SkeinError('BAD_ENCODING', 'Presence came under the client id of another device')
    }
    const session = { device, clientCounter, clientId }
    this.#openById.get(document)?.receivePresence(session, update)
    for (const { view } of this.#attachments.of(document)) {
      view.receivePresence(device, clientId, update)
    }
  }

  /** What another device sees of a document. */
  receiveLook(device: DeviceId, { document, ...look }: DocumentLook): void {
    this.#openById.get(document)?.receiveLook(device, look)
  }

  /** This device's presence in a document, if it is open and has any. */
  presenceIn(id: string): Presence | null {
    const update = this.#openById.get(id)?.presence() ?? null
    if (update !== null) {
      return { document: id, clientCounter: this.#options.ownLog().clientCounter, update }
    }
    const attached = this.#attachments.presenceIn(id)
    return attached && { document: id, ...attached }
  }

  /** Nobody who is connected reaches these any more. */
  presenceGone(devices: readonly DeviceId[]): void {
    for (const document of this.open) document.presenceGone(devices)
  }

  peersChanged(added: DeviceId[], removed: DeviceId[]): void {
    for (const [id, document] of this.#openById) {
      document.peersChanged(added, removed)
      const presence = added.length === 0 ? null : this.presenceIn(id)
      if (presence !== null) this.#options.sendPresence(presence)
    }
    for (const id of added.length === 0 ? [] : this.#attachments.documents) {
      const presence = this.#openById.has(id) ? null : this.presenceIn(id)
      if (presence !== null) this.#options.sendPresence(presence)
    }
  }

  /** For a document that is open elsewhere: in a tab. See `attachments.ts`. */
  async attach(
    name: string,
    view: AttachedView,
    clientCounter: number | Promise<number> | null
  ): Promise<Attachment> {
    const { views, feed, ownLog, sync, device: me, space } = this.#options
    const id = documentIdOf(space, name)
    const attached = this.#attachments.add(id, view)
    const read = async (): Promise<AttachedContent> => {
      const resets = this.#attachments.resetsOf(id)
      const { stored, edits } = await this.#entries.read(id)
      const clientIds = edits.map((edit) =>
        this.#entries.clientIdsOf(edit.device, edit.clientCounter)
      )
      const isCanonical = views.document(id)?.isCanonical === true
      return { stored, edits, clientIds, isCanonical, resets }
    }
    // While the counter is being made durable; what comes from here on is told to the view.
    let reading: Promise<AttachedContent> | null = read()
    reading.catch(() => {}) // Told to whoever reads.
    const counter = await Promise.resolve(clientCounter)
      .then((known) => known ?? ownLog().newClientCounter())
      .catch((error: unknown) => {
        this.#attachments.remove(id, attached)
        throw error
      })
    attached.clientCounter = counter
    return {
      clientCounter: counter,
      clientId: () => this.#entries.clientIdsOf(me, counter)[0] ?? null,
      read: () => {
        const first = reading
        reading = null
        return first ?? read()
      },
      append: async (update, resets) => {
        const isCurrent = (): boolean => this.#attachments.resetsOf(id) === resets
        if (!isCurrent()) return null
        try {
          return await this.#append(id, name, counter, update, isCurrent)
        } catch (error) {
          if (isCurrent()) throw error
          return null
        }
      },
      keep: (updates) => this.#options.keep(id, updates),
      flush: () => ownLog().flush(),
      written: async (from) => {
        const content = ownLog().contentId
        const refs = (await views.readRefs(id)).filter(
          (ref) => ref.log === content && ref.from >= from
        )
        const edits = await this.#entries.readEdits(refs)
        const { cut } = feed
        return edits
          .filter((edit) => edit.clientCounter === counter)
          .map(({ update, ref }) => ({ update, cut, to: ref.to }))
      },
      sendPresence: (update, clientId) => {
        this.#attachments.showPresence(id, attached, update, clientId)
        this.#options.sendPresence({ document: id, clientCounter: counter, update })
      },
      askPresence: () => {
        sync().askPresence(id)
        for (const other of this.#attachments.of(id)) {
          if (other === attached || other.presence === null) continue
          const { update, clientId } = other.presence
          view.receivePresence(`tab ${other.clientCounter}`, clientId, update)
        }
      },
      devicesHolding: (cut) => sync().holdings.devicesHolding(cut),
      whenHeldBy: (cut, copies, signal) =>
        sync().holdings.whenHeldBy(cut ?? feed.cut, copies, signal),
      close: () => {
        this.#attachments.remove(id, attached)
        this.#closed.mergeMaybe(id, true)
      }
    }
  }

  /** Sends what is edited so far into the log, where that may be. */
  flushEdits(): void {
    for (const document of this.open) document.flush()
  }

  /** A document as it is here now, in a `Y.Doc` of its own. */
  async read(id: string): Promise<Y.Doc> {
    const { stored, edits } = await this.#entries.read(id)
    const doc = new Y.Doc()
    const clientIdsOf = (device: DeviceId, counter: number): number[] =>
      this.#entries.clientIdsOf(device, counter)
    new Applier({ doc, origin: this, clientIdsOf, onRefused: () => {} }).apply(stored.state, edits)
    return doc
  }

  /** The same, made of those entries alone that `counts` names, by the place at which they begin. */
  async readOf(id: string, counts: (ref: EntryRef) => boolean): Promise<Y.Doc> {
    const refs = (await this.#options.views.readRefs(id)).filter(counts)
    const doc = new Y.Doc()
    const clientIdsOf = (device: DeviceId, counter: number): number[] =>
      this.#entries.clientIdsOf(device, counter)
    const edits = await this.#entries.readEdits(refs)
    new Applier({ doc, origin: this, clientIdsOf, onRefused: () => {} }).apply(null, edits)
    return doc
  }

  /** Writes again what left a document, as a writer of its own; see `views/write-again.ts`. */
  async writeAgain(id: string, before: Uint8Array, lost: Lost): Promise<void> {
    const { ownLog, device, views } = this.#options
    const counter = await ownLog().newClientCounter()
    const clientId = this.#entries.clientIdsOf(device, counter)[0]
    if (clientId === undefined) throw notAllowed()
    const doc = await this.read(id)
    const previous = new Y.Doc()
    Y.applyUpdateV2(previous, before)
    const changes = new Changes(doc, { clientId, origin: this })
    writeAgain(previous, doc, lost)
    // Who has nothing else of it learns its name by this.
    const name = views.document(id)?.name ?? ''
    for (let update = changes.take(); update !== null; update = changes.take()) {
      const body = { document: id, clientCounter: counter, name: name || null, update }
      await ownLog().append('content', kinds.edit, encodeEdit(body))
    }
    for (const one of [doc, previous]) one.destroy()
    changes.destroy()
  }

  /** See `DocumentHost`. */
  get mayWrite(): DocumentHost['mayWrite'] {
    return this.#options.mayWrite
  }

  #append(
    id: string,
    name: string,
    clientCounter: number,
    update: Uint8Array,
    isWanted?: () => boolean
  ): Promise<Appended> {
    const body = { document: id, clientCounter, name: this.#isNamed(id) ? null : name, update }
    return this.#options.ownLog().append('content', kinds.edit, encodeEdit(body), isWanted)
  }

  /**
   * Files anew what counts of each document where some of it does not count any more: a late cut, another branch of a
   * fork. Documents that are open and lose something are reset, or all of them, for new client ids. What counts again is
   * delivered again, by the feed.
   */
  async recount(counts: (ref: EntryRef) => boolean, resetsAll = false): Promise<void> {
    const open = [...this.#openById.keys(), ...this.#attachments.documents]
    const reset = new Set(resetsAll ? open : [])
    for (const { id } of this.#options.views.documents)
      if (await this.#entries.refile(id, counts)) reset.add(id)
    for (const id of reset) {
      this.#attachments.reset(id, resetsAll)
      const document = this.#openById.get(id)
      // One that is being closed is not shown any more.
      await document?.reset('entries-left').catch((error: unknown) => {
        if (!document.isClosing) throw error
      })
    }
  }

  /** Closes every document, and lets merging end; the failures, if any. */
  async close(): Promise<unknown[]> {
    this.#closed.stop()
    const closed = await Promise.allSettled(this.open.map((document) => document.close()))
    await this.#closed.ended()
    return closed.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as unknown] : []
    )
  }

  async #open(name: string, doc: Y.Doc | undefined): Promise<Document> {
    const id = documentIdOf(this.#options.space, name)
    let document = this.#openById.get(id)
    while (document?.isClosing === true) {
      await document.close().catch(() => {}) // Whoever closed it is told.
      document = this.#openById.get(id)
    }
    this.#options.assertOpen()
    if (document !== undefined && doc !== undefined && document.doc !== doc) {
      throw new SkeinError('DOCUMENT_OPEN', `"${name}" is open with another Y.Doc`)
    }
    if (document === undefined) {
      document = new Document(name, doc, this.#hostOf(id, name))
      this.#openById.set(id, document)
    }
    try {
      await document.ready()
    } catch (error) {
      if (this.#openById.get(id) === document) this.#openById.delete(id)
      throw error
    }
    return document
  }

  #hostOf(id: string, name: string): DocumentHost {
    const { clock, device: me, views, sync, ownLog, mayWrite } = this.#options
    return {
      clock,
      clientId: () => this.#entries.clientIdsOf(me, ownLog().clientCounter)[0] ?? 0,
      mayWrite,
      peers: () => sync().peers,
      isSynced: () => sync().synced,
      clientIdsOf: (device, clientCounter) => this.#entries.clientIdsOf(device, clientCounter),
      append: (update, isWanted) =>
        this.#append(id, name, ownLog().clientCounter, update, isWanted),
      keep: (updates) => this.#options.keep(id, updates),
      flush: () => ownLog().flush(),
      read: () => this.#entries.read(id),
      isCanonical: () => views.document(id)?.isCanonical === true,
      becomeCanonical: (devices) => {
        views.makeCanonical(id)
        this.#options.onSplit(name, devices)
      },
      readAll: async () => this.#entries.readEdits(await views.readRefs(id)),
      documentCut: () => cutHash(views.document(id)?.cut ?? new Map<LogId, number>()),
      sendLook: (look) => sync().sendLook({ document: id, ...look }),
      writeState: (state, refiled) => {
        const record = views.document(id)
        if (record === null) return Promise.resolve()
        return views.writeState(id, record.filed, state, record.bytesSince, refiled)
      },
      bytesToMerge: () => {
        const record = views.document(id)
        return { since: record?.bytesSince ?? 0, merged: record?.bytesMerged ?? 0 }
      },
      sendPresence: (update) =>
        this.#options.sendPresence({
          document: id,
          clientCounter: ownLog().clientCounter,
          update
        }),
      askPresence: () => sync().askPresence(id),
      cut: () => this.#cut(),
      devicesHolding: (cut) => sync().holdings.devicesHolding(cut),
      whenHeldBy: (cut, copies, signal) => sync().holdings.whenHeldBy(cut, copies, signal),
      openSubdocument: async (subdocument) => {
        if (subdocument.guid.length > maxNameChars - subdocumentPrefix.length) {
          throw new SkeinError('EDIT_INVALID', 'The guid of a subdocument is too long to be kept')
        }
        const document = await this.#open(subdocumentPrefix + subdocument.guid, subdocument)
        subdocument.once('destroy', () => void document.close().catch(() => {})) // Its own 'error' has told.
      },
      onClosed: () => this.#openById.delete(id)
    }
  }

  #cut(): Map<LogId, number> {
    return this.#options.feed.cut
  }

  #isNamed(id: string): boolean {
    return (this.#options.views.document(id)?.name ?? '') !== ''
  }
}

/** Not the empty one of a document whose name is not known yet, nor one made for a subdocument. */
function isAppsName(name: string): boolean {
  return name !== '' && !name.startsWith(subdocumentPrefix)
}

function reservedName(): TypeError {
  return new TypeError(`Names that begin with "${subdocumentPrefix}" are those of subdocuments`)
}
