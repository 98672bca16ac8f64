/** What a document tells, and what it needs of its space. */
import type { Copies } from './sync/holdings.ts'
import type * as Y from 'yjs'
import type { SkeinError } from './errors.ts'
import type { LogId } from './log/entry.ts'
import type { Appended } from './log/group.ts'
import type { Clock } from './platform.ts'
import type { DeviceId } from './trust/members.ts'
import type { IncomingEdit } from './views/applier.ts'
import type { Look } from './views/split.ts'
import type { StoredDocument } from './views/view-store.ts'

export interface DocumentEvents {
  /** `connected`: at least one member is connected. */
  status: { status: 'connected' | 'disconnected'; connected: boolean }
  /** Everything the connected peers hold has been delivered. */
  synced: { synced: boolean }
  /** Devices that are connected, by their keys in hex. */
  peers: { added: DeviceId[]; removed: DeviceId[]; peers: DeviceId[] }
  /** Where this device's edits are safe has changed. */
  safety: Safety
  /** An edit of another device broke a rule and was left out. */
  'edit-refused': { device: DeviceId; error: SkeinError }
  /**
   * The document is another `Y.Doc` from here on, since something had to leave it, and a `Y.Doc` forgets nothing: bind
   * editors and listeners to `doc`. `previous` gets nothing any more; what was only in it is nowhere else.
   */
  reset: { doc: Y.Doc; previous: Y.Doc; reason: ResetReason }
  /** An edit of this device is not kept: writing failed for now (`DISK_FULL` …), or it may not write (`NOT_ALLOWED`). */
  error: { error: SkeinError }
}

/**
 * Why a document was reset: this device may not write and its edits went nowhere (`read-only`), entries do not count
 * any more (`entries-left`), or it looked different on two devices that have the same entries (`split`).
 */
export type ResetReason = 'read-only' | 'entries-left' | 'split'

/** Where the edits that this device made to a document are. */
export interface Safety {
  /** They are on this device's disk, and survive a power loss. */
  readonly durable: boolean
  /** The other devices that hold them durably, with everything they depend on. */
  readonly devices: readonly DeviceId[]
}

export interface SavedOptions {
  /** How many other devices must hold the edits durably too, mirrors included. Default 0. */
  readonly peers?: number
  /** How many mirrors must hold them. Default 0. */
  readonly mirrors?: number
  readonly signal?: AbortSignal
}

/**
 * What a document needs of its space.
 * @internal
 */
export interface DocumentHost {
  readonly clock: Clock
  /** The Yjs client id of this device's present session. */
  readonly clientId: () => number
  /** `not-now`: for a while, as when this device's log lacks entries; edits wait. `no`: its role does not allow it. */
  readonly mayWrite: () => 'yes' | 'not-now' | 'no'
  readonly peers: () => DeviceId[]
  readonly isSynced: () => boolean
  readonly clientIdsOf: (device: DeviceId, clientCounter: number) => number[]
  /** Fails with `EDIT_INVALID` where it is not wanted any more before it is sealed. `clientId`: whose update it is. */
  readonly append: (
    update: Uint8Array,
    isWanted: () => boolean,
    clientId: number
  ) => Promise<Appended>
  /** Keeps updates that cannot be written now, durably, to be written later. */
  readonly keep: (updates: readonly Uint8Array[]) => Promise<void>
  /** Resolves when all appended is durable; rejects when writing fails. */
  readonly flush: () => Promise<void>
  readonly read: () => Promise<{ stored: StoredDocument; edits: IncomingEdit[] }>
  /** Keeps the merged state of all entries filed so far, unless what was read to make it has been replaced: `refiled`. */
  readonly writeState: (state: Uint8Array, refiled: number) => Promise<void>
  /** True for one that looked different on two devices: `read` gives its entries in their canonical order. */
  readonly isCanonical: () => boolean
  readonly becomeCanonical: (devices: readonly DeviceId[]) => void
  /** All its entries, in the order of delivery. */
  readonly readAll: () => Promise<IncomingEdit[]>
  /** Names the entries it has: 16 bytes in hex. */
  readonly documentCut: () => string
  readonly sendLook: (look: Look) => void
  readonly bytesToMerge: () => { since: number; merged: number }
  readonly sendPresence: (update: Uint8Array) => void
  /** Asks who of the others is present. */
  readonly askPresence: () => void
  /** By log, everything delivered so far. */
  readonly cut: () => ReadonlyMap<LogId, number>
  readonly devicesHolding: (cut: ReadonlyMap<LogId, number>) => DeviceId[]
  readonly whenHeldBy: (
    cut: ReadonlyMap<LogId, number>,
    copies: Copies,
    signal: AbortSignal | undefined
  ) => Promise<void>
  readonly openSubdocument: (subdocument: Y.Doc) => Promise<void>
  readonly onClosed: () => void
}
