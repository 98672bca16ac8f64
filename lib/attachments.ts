/**
 * Documents that are open elsewhere than in this process' memory: in the tabs of a page's origin, of which one owns the
 * logs. Each has a client counter of its own, and so a Yjs client id of its own; what one writes, the others are given.
 */
import type { Copies } from './sync/holdings.ts'
import type { Appended } from './log/group.ts'
import type { LogId } from './log/entry.ts'
import type { DeviceId } from './trust/members.ts'
import type { IncomingEdit } from './views/applier.ts'
import type { StoredDocument } from './views/view-store.ts'

/** What a document elsewhere is told. */
export interface AttachedView {
  /** An edit of another writer was delivered, filed under `number`; `clientIds` are those that its writer may use. */
  receive(number: number, edit: IncomingEdit, clientIds: number[]): void
  /** Presence of another writer; `from` names the device, or the tab. */
  receivePresence(from: string, clientId: number, update: Uint8Array): void
  /** Entries that had been delivered do not count any more, and it is to be read anew; `isNewWriter`: nor do any under its client counter. */
  reset(isNewWriter: boolean): void
}

/** What a document elsewhere asks. */
export interface Attachment {
  readonly clientCounter: number
  /** Null before this device is a member. */
  clientId(): number | null
  read(): Promise<AttachedContent>
  /**
   * `resets`: as of the content that the writer shows. Null, and nothing written, where that lacks a reset: the update may
   * hang on what is gone, and who has read anew can tell.
   */
  append(update: Uint8Array, resets: number): Promise<Appended | null>
  /** See `DocumentHost`. */
  keep(updates: readonly Uint8Array[]): Promise<void>
  /** Resolves when all appended is durable; rejects when writing fails. */
  flush(): Promise<void>
  /** This device's updates under this counter in its content log from that place on, oldest first. */
  written(
    from: number
  ): Promise<{ update: Uint8Array; cut: ReadonlyMap<LogId, number>; to: number }[]>
  sendPresence(update: Uint8Array, clientId: number): void
  askPresence(): void
  devicesHolding(cut: ReadonlyMap<LogId, number>): DeviceId[]
  /** `null`: everything delivered so far. */
  whenHeldBy(
    cut: ReadonlyMap<LogId, number> | null,
    copies: Copies,
    signal: AbortSignal | undefined
  ): Promise<void>
  close(): void
}

export interface AttachedContent {
  readonly stored: StoredDocument
  readonly edits: readonly IncomingEdit[]
  /** By edit, the client ids that its writer may use. */
  readonly clientIds: readonly (readonly number[])[]
  /** The edits are all of them, in their canonical order. */
  readonly isCanonical: boolean
  /** How often the document has been reset, in this run of the device. */
  readonly resets: number
}

interface Attached {
  readonly view: AttachedView
  /** Null until it has one, and has written nothing. */
  clientCounter: number | null
  /** Its last presence, and the client id that it is of. */
  presence: { update: Uint8Array; clientId: number } | null
}

/** Those of one space, by document. */
export class Attachments {
  readonly #attachedById = new Map<string, Attached[]>()
  readonly #resetsById = new Map<string, number>()

  add(id: string, view: AttachedView): Attached {
    const attached = { view, clientCounter: null, presence: null }
    this.#attachedById.set(id, [...this.of(id), attached])
    return attached
  }

  remove(id: string, attached: Attached): void {
    const left = this.of(id).filter((other) => other !== attached)
    if (left.length > 0) this.#attachedById.set(id, left)
    else this.#attachedById.delete(id)
  }

  get documents(): string[] {
    return [...this.#attachedById.keys()]
  }

  has(id: string): boolean {
    return this.#attachedById.has(id)
  }

  of(id: string): readonly Attached[] {
    return this.#attachedById.get(id) ?? []
  }

  /** How often a document has been reset. */
  resetsOf(id: string): number {
    return this.#resetsById.get(id) ?? 0
  }

  reset(id: string, isNewWriter: boolean): void {
    this.#resetsById.set(id, this.resetsOf(id) + 1)
    for (const { view } of this.of(id)) view.reset(isNewWriter)
  }

  /** An edit was delivered; its own writer has it. */
  deliver(
    id: string,
    number: number,
    edit: IncomingEdit,
    options: { isOwn: boolean; clientIds: () => number[] }
  ): void {
    for (const { view, clientCounter } of this.of(id)) {
      if (options.isOwn && clientCounter === edit.clientCounter) continue
      view.receive(number, edit, options.clientIds())
    }
  }

  /** Keeps an attachment's presence, and shows it to the others of this device. */
  showPresence(id: string, from: Attached, update: Uint8Array, clientId: number): void {
    from.presence = { update, clientId }
    for (const { view, clientCounter } of this.of(id)) {
      if (clientCounter === from.clientCounter) continue
      view.receivePresence(`tab ${from.clientCounter}`, clientId, update)
    }
  }

  /** The last of those that have any. */
  presenceIn(id: string): { clientCounter: number; update: Uint8Array } | null {
    const attached = this.of(id).findLast(({ presence }) => presence !== null)
    return attached === undefined
      ? null
      : { clientCounter: attached.clientCounter!, update: attached.presence!.update }
  }
}
