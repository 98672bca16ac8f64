/**
 * The one error class of Skein. Codes are stable between major versions, messages are not.
 * Programming mistakes (a wrong argument type) are `TypeError`s instead.
 */

/** Every way in which a call can fail. */
export type ErrorCode =
  /** The object, or the one that holds it, has been closed. */
  | 'CLOSED'
  /** The call's `AbortSignal` fired. */
  | 'ABORTED'
  /** A deadline that the caller gave has passed. */
  | 'TIMEOUT'
  /** Another process uses the folder; the message names it. */
  | 'STORAGE_LOCKED'
  /** The disk is full: what was typed stays in memory and is written as soon as there is room. */
  | 'DISK_FULL'
  /** The disk or folder cannot be written. */
  | 'DISK_READ_ONLY'
  /** The disk failed in another way; `cause` has the system's error. */
  | 'STORAGE_FAILED'
  /** Something on disk is not what was written there; the message names the file or log. */
  | 'STORAGE_DAMAGED'
  /** The passphrase is not the one that this device's keys are sealed with, or there is one and it was not given. */
  | 'PASSPHRASE_WRONG'
  /** Bytes do not have the form they should have. */
  | 'BAD_ENCODING'
  /** A block or message failed authentication: wrong key, wrong place, or tampered with. */
  | 'BAD_SEAL'
  /** No space of that id on this device. */
  | 'SPACE_UNKNOWN'
  /** No entry of that name is on this device. */
  | 'ENTRY_UNKNOWN'
  /** No device of that name or key was ever let into the space. */
  | 'DEVICE_UNKNOWN'
  /** This device's role does not allow the call. */
  | 'NOT_ALLOWED'
  /** The text is no invite. */
  | 'INVITE_INVALID'
  | 'INVITE_EXPIRED'
  | 'INVITE_USED_UP'
  | 'INVITE_REVOKED'
  /** Nobody who may admit this device could be reached in time. */
  | 'INVITE_UNANSWERED'
  /** A member answered, and what it said does not hold. */
  | 'INVITE_REFUSED'
  /** An entry is larger than 16 MiB. */
  | 'ENTRY_TOO_LARGE'
  /** This is no bundle, or one that was changed, damaged or cut short; the message names the place. */
  | 'BUNDLE_INVALID'
  /** No key of this device opens the bundle: it is for members of a space it is not in, or for another newcomer. */
  | 'BUNDLE_FOR_OTHERS'
  /** The bundle goes on from entries that are not here: import the one before it first. */
  | 'BUNDLE_GAP'
  /** A given `Y.Doc` already has content of its own. */
  | 'DOCUMENT_NOT_EMPTY'
  /** The document is open with another `Y.Doc`. */
  | 'DOCUMENT_OPEN'
  /** What is to be imported is no whole state of a document, or one that peers would refuse. */
  | 'IMPORT_INVALID'
  /** An edit cannot be kept: peers would refuse it. */
  | 'EDIT_INVALID'
  /** A log of this device has two versions. */
  | 'LOG_FORKED'
  /** This device's log lacks entries that it is known to have had; they come back from a peer. */
  | 'LOG_BEHIND'
  /**
   * This device's storage is a copy of one that is in use elsewhere: it writes nothing as that device, and may become one of
   * its own.
   */
  | 'COPIED'
  /** A peer broke the protocol too often, and is kept out for a while. */
  | 'PEER_BANNED'
  /** A transport could not do what was asked. */
  | 'TRANSPORT_FAILED'

/** An expected failure, told apart by its `code`; `cause` has what lies beneath, if anything. */
export class SkeinError extends Error {
  override readonly name = 'SkeinError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.code = code
  }
}

/**
 * What a failure below means: RocksDB and IndexedDB pass the system's message on, somewhere in the causes. An error of
 * our own says so itself.
 * @internal
 */
export function storageError(message: string, cause: unknown): SkeinError {
  if (cause instanceof SkeinError) return cause
  let said = ''
  for (let error = cause; error instanceof Error && said.length < 1000; error = error.cause) {
    said += ` ${error.name} ${'code' in error ? String(error.code) : ''} ${error.message}`
  }
  const code = /ENOSPC|EDQUOT|EFBIG|No space left|Disk quota|QuotaExceeded/i.test(said)
    ? 'DISK_FULL'
    : /EROFS|EACCES|Read-only file system|Permission denied/i.test(said)
      ? 'DISK_READ_ONLY'
      : 'STORAGE_FAILED'
  return new SkeinError(code, message, { cause })
}

/**
 * `STORAGE_DAMAGED`: what is wrong with a device's storage as a whole, where, and what to do.
 * @internal
 */
export function damagedError(what: string, location: string, cause?: unknown): SkeinError {
  const advice =
    'put the whole of it back from a backup, or move it away and join its spaces again as a new device: ' +
    'what other members have comes back from them'
  return new SkeinError('STORAGE_DAMAGED', `${what} (${location}): ${advice}`, { cause })
}

/** Throws `ABORTED` if the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) {
    throw new SkeinError('ABORTED', 'The call was aborted', { cause: signal.reason })
  }
}
