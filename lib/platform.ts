/**
 * What Node and a page do differently: where the store, the outbox and the keys lie, locks, clock, timers, chance.
 * Interfaces only; `adapters/node` and `adapters/browser` implement them, tests and the simulator pass their own.
 */

export interface Platform {
  readonly clock: Clock
  /** `length` bytes from a cryptographic source. */
  randomBytes(length: number): Uint8Array
  /**
   * Opens, or makes, a device's storage. `location` is a folder, or in a page the name of a database.
   * Fails with `STORAGE_LOCKED` (naming the holder), `DISK_FULL`, `DISK_READ_ONLY`, `STORAGE_FAILED`.
   */
  openStorage(location: string): Promise<Storage>
  /**
   * Opens a device's storage for looking at: nothing in it is changed. Fails with `STORAGE_LOCKED`, and with
   * `STORAGE_FAILED` where there is none. Where a platform lacks this, only what is open can be checked.
   */
  openImage?(location: string): Promise<StorageImage>
  /** In a page: the tabs of its origin that use the same location. */
  tabs?(location: string): Tabs
}

/** Tabs of one origin that use one location; one of them leads, and it alone opens the storage. */
export interface Tabs {
  /** Names this tab among them; another at each load of the page. */
  readonly id: string
  /** Begins to hear the others, and to wait for its turn to lead. */
  start(handlers: TabHandlers): void
  /** To all other tabs: whatever structured clone takes. */
  post(message: object): void
  /** Takes the lead away from a tab that does not answer. Does nothing where the browser offers no way. */
  takeLead(): void
  /** Resolves when that tab is gone; never, where the browser does not tell. */
  whenGone(id: string): Promise<void>
  /** Lets go of the lead, and hears no more. */
  close(): void
}

export interface TabHandlers {
  lead(): void
  /** Another tab has taken the lead away. */
  lost(): void
  receive(message: unknown): void
}

export interface Clock {
  /** Milliseconds since 1970 by this device's clock, which may be wrong. */
  now(): number
  /** Calls `callback` once after `delayMs`; the returned function cancels. Does not keep a process alive. */
  after(delayMs: number, callback: () => void): () => void
  /** Calls `callback` in the next turn of the event loop, also where timers are throttled. */
  soon(callback: () => void): void
}

/** One device's durable storage, held under a lock until closed. */
export interface Storage {
  /** What Corestore takes: a folder, or an object with the database interface of hypercore-storage. */
  readonly corestore: string | object
  /** True where the corestore has made durable whatever it says it has written: blocks then need no outbox. */
  readonly isDurable?: boolean
  /**
   * Names each time that this was found to be a copy of a device's storage (a restored backup, a cloned folder), the last
   * one last, 16 bytes each: the device may have written more since. Empty, or absent, where nothing tells of a copy.
   */
  readonly copyIds?: readonly Uint8Array[]
  /** The secrets file as last written, or null. Fails with `STORAGE_DAMAGED` where there are outboxes and no secrets. */
  readSecrets(): Promise<Uint8Array | null>
  /** Replaces the secrets file atomically and durably; only the owner can read it. */
  writeSecrets(bytes: Uint8Array): Promise<void>
  /** Opens, or makes, the outbox of that name (letters, digits, `-`). */
  openOutbox(name: string): Promise<Outbox>
  /** Deletes the outbox of that name, which must be closed. */
  removeOutbox(name: string): Promise<void>
  /** Makes all that has been written to the corestore so far survive a power loss. */
  sync(): Promise<void>
  /** On a full disk: gives back the reserve so that the store can be opened again. */
  releaseReserve(): Promise<void>
  /** Sets the reserve aside again. Fails with `DISK_FULL` while there is no room for it. */
  restoreReserve(): Promise<void>
  /** Releases the lock. */
  close(): Promise<void>
}

/**
 * A small durable log of the records that must survive a power loss before they reach the corestore.
 * Records read back are those whose `append` has resolved, in order, perhaps followed by some whose has not:
 * never half a record, never one out of order.
 */
export interface Outbox {
  /** All records kept, oldest first. */
  read(): Promise<OutboxRecord[]>
  /**
   * Adds records, and resolves when they survive a power loss. When it fails (`DISK_FULL`, `DISK_READ_ONLY`,
   * `STORAGE_FAILED`) none of them is kept, and a later append may succeed.
   */
  append(records: OutboxRecord[]): Promise<void>
  /** Bytes that a `trim` would let go of, about. */
  readonly byteLength: number
  /**
   * Starts a new generation that begins with `first`; the generation before the present one is let go of. So the
   * last one or two generations are always there.
   */
  trim(first: OutboxRecord[]): Promise<void>
  close(): Promise<void>
}

export interface OutboxRecord {
  /** What the record is about; meaning is the caller's. 0 to 255. */
  readonly kind: number
  /** A whole number; meaning is the caller's (a block's index). */
  readonly index: number
  readonly bytes: Uint8Array
}

/** One device's storage as it lies there, held under its lock until closed. */
export interface StorageImage {
  /** What hypercore-storage has, to be opened for reading only: a new one at each reading. */
  readonly store: object
  readSecrets(): Promise<Uint8Array | null>
  /** The names of the outboxes. */
  outboxes(): Promise<string[]>
  /** The records that an opening would read, and what is wrong with the files. */
  readOutbox(name: string): Promise<{ records: OutboxRecord[]; faults: FileFault[] }>
  /** Damage to files of the store that the database itself would not tell of. */
  fileFaults(): Promise<FileFault[]>
  /** Releases the lock. */
  close(): Promise<void>
}

export interface FileFault {
  /** Within the device's storage. */
  readonly file: string
  readonly message: string
}
