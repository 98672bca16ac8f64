/** A space in one tab: what `Space` offers, answered by the tab that leads. Documents are this tab's own. */
import type * as Y from 'yjs'
import type { SavedOptions } from '../document-host.ts'
import type { Document } from '../document.ts'
import { SkeinError, throwIfAborted } from '../errors.ts'
import { Emitter } from '../events.ts'
import type { Clock } from '../platform.ts'
import { Space } from '../space.ts'
import type { SpaceEvents } from '../space-events.ts'
import type { Member } from '../space-members.ts'
import type { Role } from '../trust/control.ts'
import type { DeviceId } from '../trust/members.ts'
import type { AppEntry } from '../views/app-entry.ts'
import { maxNameChars } from '../views/edit.ts'
import { piecesOf, sentOf } from './arguments.ts'
import { LeaderGone, type Link } from './link.ts'
import { unpackPayload, type Reply, type SpaceState } from './messages.ts'
import { TabDocument } from './tab-document.ts'

const subdocumentPrefix = 'subdocument:'

export interface TabSpaceOptions {
  readonly link: Link
  readonly clock: Clock
  /** Of this tab; documents are named by it among those of all tabs. */
  readonly tab: string
  readonly ready: () => Promise<void>
}

export class TabSpace extends Emitter<SpaceEvents> {
  readonly id: string
  readonly #options: TabSpaceOptions
  readonly #documentsByName = new Map<string, TabDocument>()
  readonly #documentsByKey = new Map<string, TabDocument>()
  readonly #editsByName = new Map<string, number>()
  #state: SpaceState
  #opened = 0
  #isClosed = false

  constructor(state: SpaceState, options: TabSpaceOptions) {
    super()
    this.id = state.id
    this.#options = options
    this.#state = state
    this.update(state)
  }

  get name(): string {
    return this.#state.name
  }

  get role(): Role | null {
    return this.#state.role
  }

  get readOnly(): boolean {
    return this.#state.readOnly
  }

  get peers(): DeviceId[] {
    return [...this.#state.peers]
  }

  get recoveryKey(): string | null {
    return this.#state.recoveryKey
  }

  get synced(): boolean {
    return this.#state.synced
  }

  get waiting(): number {
    return this.#state.waiting
  }

  get missing(): number {
    return this.#state.missing
  }

  get received(): Space['received'] {
    return this.#state.received
  }

  get logBytes(): number {
    return this.#state.logBytes
  }

  get logLength(): number {
    return this.#state.logLength
  }

  ready(): Promise<void> {
    return this.#options.ready()
  }

  /** Closes this tab's documents; the space stays open for the other tabs. */
  async close(): Promise<void> {
    this.#isClosed = true
    const open = [...this.#documentsByName.values()]
    await Promise.all(open.map(({ document }) => document.close()))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  members(): Member[] {
    return [...this.#state.members]
  }

  formerMembers(): ReturnType<Space['formerMembers']> {
    return [...this.#state.formerMembers]
  }

  /** As of the last event of the space. */
  replicas(): ReturnType<Space['replicas']> {
    return [...this.#state.replicas]
  }

  documents(): string[] {
    return [...this.#editsByName.keys()]
  }

  editCount(name: string): number {
    return this.#editsByName.get(name) ?? 0
  }

  async leave(): Promise<void> {
    await this.close()
    await this.forward('leave', [])
  }

  async saved(options: SavedOptions = {}): Promise<void> {
    throwIfAborted(options.signal)
    const { signal } = options
    for (const { document } of this.#documentsByName.values()) {
      await document.saved(signal === undefined ? {} : { signal })
    }
    await this.#again(() => this.#call('saved', [options]))
  }

  async contentsOf(
    bundle: Parameters<Space['contentsOf']>[0]
  ): Promise<Awaited<ReturnType<Space['contentsOf']>>> {
    return this.forward('contentsOf', [await piecesOf(bundle)])
  }

  async *entries(
    options: NonNullable<Parameters<Space['entries']>[0]> = {}
  ): ReturnType<Space['entries']> {
    throwIfAborted(options.signal)
    try {
      yield* this.iterate<AppEntry, void>('entries', [options], true)
    } catch (error) {
      // They end when the signal fires, and do not fail.
      if (options.signal?.aborted !== true) throw error
    }
  }

  async open(name: string, { doc }: { doc?: Y.Doc } = {}): Promise<Document> {
    if (typeof name !== 'string' || name === '' || name.length > maxNameChars) {
      throw new TypeError(`A document's name has 1 to ${maxNameChars} characters`)
    }
    if (name.startsWith(subdocumentPrefix)) {
      throw new TypeError(`Names that begin with "${subdocumentPrefix}" are those of subdocuments`)
    }
    await this.ready()
    return this.#open(name, doc)
  }

  /** How the space stands now. */
  update(state: SpaceState): void {
    this.#state = state
    if (state.edits === undefined) return
    this.#editsByName.clear()
    for (const [name, count] of state.edits) this.#editsByName.set(name, count)
  }

  /** Another tab leads from here on. */
  leading(): void {
    for (const document of this.#documentsByKey.values()) document.leading()
  }

  /** The leader is well known by now: documents look again at what they may do. */
  refreshed(): void {
    for (const document of this.#documentsByName.values()) void document.membersChanged()
  }

  /** Something for one of this tab's documents. */
  receive(reply: Extract<Reply, { attachment: string }>): void {
    this.#documentsByKey.get(reply.attachment)?.receive(reply)
  }

  happened(event: string, packed: object, state: SpaceState): void {
    this.update(state)
    const payload = unpackPayload(packed)
    const documents = [...this.#documentsByName.values()]
    if (event === 'document' || event === 'edit') {
      const { name } = payload as { name: string }
      this.#editsByName.set(name, this.editCount(name) + (event === 'edit' ? 1 : 0))
    }
    this.emit(event as 'holdings', payload)
    for (const tabDocument of documents) {
      const { document } = tabDocument
      if (event === 'synced') document.syncedChanged((payload as SpaceEvents['synced']).synced)
      else if (event === 'peers') {
        const { added, removed } = payload as SpaceEvents['peers']
        document.peersChanged(added, removed)
        document.presenceGone(removed)
      } else if (event === 'members') void tabDocument.membersChanged()
      else if (event === 'holdings') document.safetyChanged()
      else if (event === 'storage') {
        const { error } = payload as SpaceEvents['storage']
        if (error !== null) document.writingFailed(error)
        document.mayWriteChanged()
        document.safetyChanged()
      }
    }
  }

  async #open(name: string, doc: Y.Doc | undefined): Promise<Document> {
    let known = this.#documentsByName.get(name)
    while (known?.document.isClosing === true) {
      await known.document.close().catch(() => {}) // Whoever closed it is told.
      known = this.#documentsByName.get(name)
    }
    if (this.#isClosed) throw new SkeinError('CLOSED', 'The space has been closed')
    if (known !== undefined && doc !== undefined && known.document.doc !== doc) {
      throw new SkeinError('DOCUMENT_OPEN', `"${name}" is open with another Y.Doc`)
    }
    const opened = known ?? this.#make(name, doc)
    try {
      await opened.document.ready()
    } catch (error) {
      if (this.#documentsByName.get(name) === opened) this.#documentsByName.delete(name)
      throw error
    }
    return opened.document
  }

  #make(name: string, doc: Y.Doc | undefined): TabDocument {
    const { link, clock, tab } = this.#options
    const key = `${tab}/${this.id}/${++this.#opened}`
    const made = new TabDocument({
      key,
      name,
      doc,
      link,
      clock,
      space: () => this.#state,
      openSubdocument: async (subdocument) => {
        if (subdocument.guid.length > maxNameChars - subdocumentPrefix.length) {
          throw new SkeinError('EDIT_INVALID', 'The guid of a subdocument is too long to be kept')
        }
        const document = await this.#open(subdocumentPrefix + subdocument.guid, subdocument)
        subdocument.once('destroy', () => void document.close().catch(() => {})) // Its own 'error' has told.
      },
      onClosed: () => {
        this.#documentsByKey.delete(key)
        if (this.#documentsByName.get(name) === made) this.#documentsByName.delete(name)
      }
    })
    this.#documentsByName.set(name, made)
    this.#documentsByKey.set(key, made)
    return made
  }

  /** @internal Asks the leader’s space; what tabs do not do by themselves goes this way. */
  async forward<T>(method: string, args: readonly unknown[]): Promise<T> {
    await this.ready()
    try {
      return await this.#call(method, args)
    } catch (error) {
      if (!(error instanceof LeaderGone)) throw error
      throw goneError(method)
    }
  }

  /**
   * @internal What a generator of the leader gives. Where another takes the lead it fails with `ABORTED`, or begins anew
   * and leaves out what was had.
   */
  async *iterate<T, R>(
    method: string,
    given: readonly unknown[],
    goesOn = false
  ): AsyncGenerator<T, R, void> {
    const { args, signal } = sentOf(given)
    throwIfAborted(signal)
    await this.ready()
    const { link, tab } = this.#options
    let had = 0
    for (;;) {
      const key = `${tab}/${this.id}/${++this.#opened}`
      try {
        await link.call('iterate', [key, this.id, method, ...args])
        for (let seen = 0; ; seen++) {
          const next = await link.call<IteratorResult<T, R>>('next', [key], signal)
          if (next.done === true) return next.value
          if (seen < had) continue
          had++
          yield next.value
        }
      } catch (error) {
        if (!(error instanceof LeaderGone)) throw error
        if (!goesOn) throw goneError(method)
        await new Promise<void>((resolve) => this.#options.clock.soon(resolve))
      } finally {
        link.call('return', [key]).catch(() => {}) // With its leader it is gone as well.
      }
    }
  }

  #call<T>(method: string, given: readonly unknown[]): Promise<T> {
    const { args, signal, signalAt } = sentOf(given)
    return this.#options.link.call('space', [this.id, method, signalAt, ...args], signal)
  }

  async #again<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask()
      } catch (error) {
        if (!(error instanceof LeaderGone)) throw error
        await new Promise<void>((resolve) => this.#options.clock.soon(resolve))
      }
    }
  }
}

/** What is `Space`'s own affair. */
const internal: ReadonlySet<string> = new Set([
  'constructor',
  'topic',
  'topicSecret',
  'attachable',
  'whenMember',
  'connected',
  'asks',
  'copiesChanged',
  'epochKeys',
  'noteFormer',
  'stepAside',
  'takeIn',
  'opens'
])

// Whatever else a space can be asked and waited for is asked of the leader, under the same name.
for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(Space.prototype))) {
  if (internal.has(name) || name in TabSpace.prototype) continue
  const kind = Object.prototype.toString.call(value)
  let method: (this: TabSpace, ...args: unknown[]) => unknown = () => {
    throw new TypeError(`A tab cannot ask a space for ${name}: it would have to wait`)
  }
  if (kind === '[object AsyncFunction]')
    method = function (...args) {
      return this.forward(name, args)
    }
  if (kind === '[object AsyncGeneratorFunction]')
    method = function (...args) {
      return this.iterate(name, args)
    }
  Object.defineProperty(TabSpace.prototype, name, {
    value: method,
    configurable: true,
    writable: true
  })
}

function goneError(method: string): SkeinError {
  const message = `The tab that was asked is gone; it may have done it (${method}), or not`
  return new SkeinError('ABORTED', message)
}
