/** What this device's user edits in a document, on its way into the log: when it leaves, whether it may, and where it is safe. */
import type * as Y from 'yjs'
import type { DocumentHost, Safety } from './document-host.ts'
import { SkeinError } from './errors.ts'
import type { Changes } from './log/changes.ts'
import type { LogId } from './log/entry.ts'
import { Pace } from './log/pace.ts'
import { heldBy, validateUpdate } from './trust/validate.ts'
import { depthAt } from './views/integrate.ts'

export interface OwnEditsOptions {
  readonly host: DocumentHost
  readonly doc: () => Y.Doc
  /** A group's time has come: what has arrived goes in after it. */
  readonly onTime: () => void
  /** What has arrived was waiting for the group that leaves now. */
  readonly onLeaving: () => void
  /** An update has left, and is not written yet. */
  readonly onLeft: (update: Uint8Array) => void
  /** One is in the log. */
  readonly onLogged: () => void
  /** This device's role does not allow what was edited: it must leave the document again. */
  readonly onRejected: () => void
  readonly onError: (error: SkeinError) => void
  readonly onSafety: (safety: Safety) => void
}

export class OwnEdits {
  readonly #options: OwnEditsOptions
  readonly #pace: Pace
  /** What notices edits; null while the document is not open. */
  changes: Changes | null = null
  #failure: SkeinError | null = null
  #cut: ReadonlyMap<LogId, number> | null = null
  #safety: Safety = { durable: true, devices: [] }
  /** Own updates that are being written. */
  readonly #inFlight = new Set<Uint8Array>()
  /** Of them, those that are not to be written. */
  readonly #unwanted = new WeakSet<Uint8Array>()
  #withdrawn: SkeinError | null = null

  constructor(options: OwnEditsOptions) {
    this.#options = options
    this.#pace = new Pace({
      clock: options.host.clock,
      isDirty: () => this.isDirty,
      onTime: () => {
        this.flush()
        options.onTime()
      }
    })
  }

  /** Something was edited that has not left. */
  get isDirty(): boolean {
    return this.changes?.dirty === true
  }

  get isWriting(): boolean {
    return this.#pace.isWriting
  }

  /** True while what arrives should wait for the next group's time. */
  get isHolding(): boolean {
    return this.#pace.isHolding
  }

  /** Why nothing is logged any more, or null. */
  get failure(): SkeinError | null {
    return this.#failure
  }

  /** By log, what the last edit that is in the log had seen, itself included; null before the first. */
  get cut(): ReadonlyMap<LogId, number> | null {
    return this.#cut
  }

  /** What was said of the last update that was withdrawn before it was written, or null. */
  get withdrawn(): SkeinError | null {
    return this.#withdrawn
  }

  get safety(): Safety {
    return this.#safety
  }

  get inFlight(): Iterable<Uint8Array> {
    return this.#inFlight
  }

  /** Ends a wait for a group's time. */
  stop(): void {
    this.#pace.stop()
  }

  /** The document is another `Y.Doc` from here on. */
  forgetFailure(): void {
    this.#failure = null
  }

  /** Something was edited. */
  edited(): void {
    if (this.#failure !== null) return
    const may = this.#options.host.mayWrite()
    if (may === 'no') return this.#options.onRejected()
    if (may === 'not-now') {
      // It stays in the document alone, and waits: what is written later under this client id continues from it.
      this.#options.onError(notAllowed())
      this.safetyChanged()
      return
    }
    this.#pace.edited()
    this.safetyChanged()
  }

  /** Logs what was edited since the last group. */
  flush(): void {
    const { host, onLeaving } = this.#options
    if (this.changes === null || this.#failure !== null || host.mayWrite() !== 'yes') return
    const doc = this.#options.doc()
    // What has arrived was waiting for this group's time.
    if (this.#pace.isHolding) onLeaving()
    this.#pace.stop()
    const { clientId } = this.changes
    const held = heldBy(doc)
    for (;;) {
      const clockBefore = this.changes.loggedClock
      let update: Uint8Array | null
      try {
        update = this.changes.take()
      } catch (cause) {
        this.fail('The document holds a value that cannot be encoded', cause)
        return
      }
      if (update === null) return
      const result = validateUpdate(update, {
        clientId,
        depthOf: (client, clock) => depthAt(doc, client, clock),
        clockOf: (client) => (client === clientId ? clockBefore : held.clockOf(client))
      })
      if (result.verdict !== 'apply') {
        const why = result.verdict === 'refuse' ? result.reason : 'it refers to what is not here'
        this.fail(`An edit would be refused by every peer: ${why}`)
        return
      }
      this.append(update, clientId)
    }
  }

  /** An update that has left hangs on what is gone: it is not written, unless it has been. */
  withdraw(update: Uint8Array): void {
    this.#unwanted.add(update)
  }

  /** Sends an update into the log. */
  append(update: Uint8Array, clientId: number): void {
    this.#pace.left()
    this.#inFlight.add(update)
    this.#options.onLeft(update)
    this.#options.host
      .append(update, () => !this.#unwanted.has(update), clientId)
      .then(
        ({ cut }) => {
          this.#inFlight.delete(update)
          this.#cut = cut
          this.#pace.written()
          this.safetyChanged()
          this.#options.onLogged()
        },
        (error: SkeinError) => {
          this.#inFlight.delete(update)
          if (error.code !== 'CLOSED') {
            // On an update of another session nothing hangs that is edited now.
            const isLast = this.#unwanted.has(update) || this.changes?.clientId !== clientId
            if (isLast) this.#withdrawn = error
            else this.#failure = error
            this.#options.onError(error)
          }
          this.#pace.written()
          this.safetyChanged()
        }
      )
  }

  /** From here on nothing is logged: better a loud stop than entries that every peer refuses. */
  fail(message: string, cause?: unknown): void {
    if (this.#failure !== null) return
    this.#failure = new SkeinError(
      'EDIT_INVALID',
      `${message}; close the document and open it again`,
      { cause }
    )
    this.#options.onError(this.#failure)
    this.safetyChanged()
  }

  /** Which devices hold what changed, or writing failed or works again. */
  safetyChanged(): void {
    const durable = !this.#pace.isWriting && this.changes?.dirty !== true && this.#failure === null
    const devices = this.#cut === null ? [] : this.#options.host.devicesHolding(this.#cut)
    const before = this.#safety
    if (before.durable === durable && before.devices.join() === devices.join()) return
    this.#safety = { durable, devices }
    this.#options.onSafety(this.#safety)
  }

  /** This device may write now, or no longer: what was edited while it might not for a while is logged. */
  mayWriteChanged(): void {
    if (this.changes?.dirty !== true) return
    const may = this.#options.host.mayWrite()
    if (may === 'no') this.#options.onRejected()
    if (may !== 'yes') return
    if (this.changes.clientId === this.#options.host.clientId()) this.#pace.schedule()
    else this.fail('What was edited before this device was let in cannot be logged')
  }
}

export function notAllowed(): SkeinError {
  return new SkeinError(
    'NOT_ALLOWED',
    'This device may not write to the space now: the edit is not kept'
  )
}
