/** What a space tells of. */
import type { SkeinError } from './errors.ts'
import type { Member } from './space-members.ts'
import type { Asking } from './sync/admission.ts'
import type { DeviceId } from './trust/members.ts'
import type { AppEntry } from './views/app-entry.ts'

export interface SpaceEvents {
  members: { members: Member[] }
  peers: { added: DeviceId[]; removed: DeviceId[]; peers: DeviceId[] }
  status: { status: 'connected' | 'disconnected'; connected: boolean }
  synced: { synced: boolean }
  /** A document that was not known here before. */
  document: { name: string }
  /** An edit of a document was delivered, of this device or another, whether the document is open or not. */
  edit: { name: string; device: DeviceId }
  /** An application event was delivered, of any device. */
  entry: { entry: AppEntry }
  /** Which devices hold what changed: `saved({ peers })` may resolve. */
  holdings: object
  /** Writing on this device failed (it is tried again) or works again (`error` is null). */
  storage: { error: SkeinError | null }
  /** A peer sent, or wrote, what breaks a rule; it was left out. */
  'peer-error': { device: DeviceId; error: SkeinError }
  /** A device asks to be let in that comes of a copy of a member's storage: `letIn` does. */
  asked: Asking
  /** Entries had to leave documents and events, as their author was cut: `excluded()` lists them. */
  excluded: object
  /** A device that had been removed is back, since whoever removed it has been cut, and no one else had seen it. */
  returned: { device: DeviceId; removedBy: DeviceId }
  /**
   * A document looked different on two devices that have the same of its entries. From here on it is kept so that it does
   * not, which takes longer to open. `devices` wrote what no honest device does.
   */
  split: { name: string; devices: readonly DeviceId[] }
  /**
   * A device no longer has entries that it had confirmed (`lost`: an older copy was restored, or it rolls back), or says
   * that it has entries and gave none over two connections (`withheld`). Until that changes it counts for no `saved()`.
   */
  'copy-failed': { device: DeviceId; why: 'lost' | 'withheld'; entries: number }
  /** Two signed versions of one log have been seen. */
  fork: { device: DeviceId; length: number }
}

/** Tells the listeners of a space. */
export type EmitSpaceEvent = <K extends keyof SpaceEvents>(
  event: K,
  payload: SpaceEvents[K]
) => void
