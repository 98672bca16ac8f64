/** What a space does with an entry that its feed delivers, and when entries count no longer or roles have changed. */
import { toHex } from './bytes.ts'
import type { Documents } from './documents.ts'
import { SkeinError } from './errors.ts'
import type { ForkRepair } from './fork-repair.ts'
import { kinds } from './log/entry.ts'
import type { Counts, Delivered } from './log/feed.ts'
import type { EntryRef } from './log/read-back.ts'
import type { EmitSpaceEvent } from './space-events.ts'
import type { SpaceLogs } from './space-logs.ts'
import type { Member } from './space-members.ts'
import type { Admission } from './sync/admission.ts'
import type { PeerConnection } from './sync/connection.ts'
import type { Forks } from './sync/forks.ts'
import type { SpaceSync } from './sync/space-sync.ts'
import type { ControlState } from './trust/control-state.ts'
import type { ForkProof } from './trust/fork-proof.ts'
import type { AppEvents } from './views/app-events.ts'
import { isContent } from './views/edit.ts'
import type { ViewFlush } from './views/view-flush.ts'
import type { ViewStore } from './views/view-store.ts'

export interface DeliveryParts {
  readonly control: ControlState
  readonly views: ViewStore
  readonly viewFlush: ViewFlush
  readonly logs: SpaceLogs
  readonly events: AppEvents
  readonly documents: Documents
  readonly sync: SpaceSync
  readonly admission: Admission
  readonly forks: Forks
  readonly repair: ForkRepair
  readonly connections: () => Iterable<PeerConnection>
  readonly members: () => Member[]
  readonly cameIn: () => void
  readonly emit: EmitSpaceEvent
}

export class Delivery {
  readonly #parts: DeliveryParts

  /** The parts are looked at only when something is delivered: by then all of them are there. */
  constructor(parts: DeliveryParts) {
    this.#parts = parts
  }

  deliver(delivered: Delivered): void {
    const { device, log, from, to, entry, isOwn } = delivered
    this.#parts.sync.checkSynced()
    if (log.name.core === 'control') {
      const changed = this.#parts.control.add(this.#parts.logs.controlEntryOf(delivered))
      if (changed.members) this.#tellReturned()
      if (changed.members || changed.keys) this.#parts.logs.trustChanged()
      if (changed.forked !== null) this.#forkProven(changed.forked)
      if (entry.kind === kinds.invite) this.#parts.admission.update(this.#parts.connections())
      return
    }
    const ref: EntryRef = { log: log.id, from, to }
    this.#parts.views.advance(log.id, to)
    try {
      if (isContent(entry.kind)) this.#parts.documents.deliver({ device, entry, isOwn }, ref)
      else if (entry.kind === kinds.event) this.#parts.events.deliver(device, entry, ref)
    } catch (error) {
      // A malformed entry is passed over, by every peer alike.
      if (!(error instanceof SkeinError)) throw error
      this.#parts.emit('peer-error', { device, error })
    }
    this.#parts.viewFlush.soon()
    this.#parts.repair.look()
  }

  /** Members’ logs are open, and roles and keys have been looked at again. */
  followed(): void {
    this.#parts.sync.update()
    this.#parts.sync.checkSynced()
    this.#parts.admission.update(this.#parts.connections())
    this.#parts.repair.look()
    const { control, forks, logs } = this.#parts
    for (const log of logs.feed.logs) if (control.isForked(log.id)) forks.reconsider(log)
    this.#parts.emit('members', { members: this.#parts.members() })
    for (const document of this.#parts.documents.open) {
      document.mayWriteChanged()
      document.safetyChanged()
    }
    this.#parts.cameIn()
  }

  /** Some may have to be taken back: what was edited so far builds on it, and says so. */
  mayLeave(): void {
    for (const document of this.#parts.documents.open) document.flush()
  }

  /** Takes back what does not count any more: all that was made of it. */
  async leaveOut(counts: Counts): Promise<void> {
    const isCounted = ({ log, from }: EntryRef): boolean =>
      from < (counts.get(log) ?? Number.POSITIVE_INFINITY)
    const { ownLog, own, feed } = this.#parts.logs
    for (const [id, length] of counts) {
      const name = feed.log(id)?.name
      if (name?.core !== 'control') continue
      this.#parts.control.withdraw(toHex(name.device), length)
      this.#parts.logs.trustChanged()
    }
    if ([...counts.keys()].every((id) => feed.log(id)?.name.core === 'control')) return
    // What this device wrote may count again: what it writes from now on must not be taken for it.
    const isOwn = counts.has(own.content.id)
    if (isOwn) await ownLog.newSession()
    for (const [log, length] of counts) this.#parts.views.advance(log, length)
    await this.#parts.views.dropEvents(isCounted)
    await this.#parts.documents.recount(isCounted, isOwn)
    this.#parts.emit('excluded', {})
  }

  #forkProven({ log: id, common }: ForkProof): void {
    const { feed } = this.#parts.logs
    const log = feed.log(id)
    if (log !== null) this.#parts.forks.declared(log, common)
    feed.wake()
  }

  #tellReturned(): void {
    for (const { device, issuer } of this.#parts.control.takeReturned())
      this.#parts.emit('returned', { device, removedBy: issuer })
  }
}
