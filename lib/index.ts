/** The public face of Skein. */
export { Skein } from './skein.ts'
export { type CreateSpaceOptions, type SkeinEvents, type SkeinOptions } from './skein-options.ts'
export { type Who } from './roles.ts'
export { type Space } from './space.ts'
export { type SpaceEvents } from './space-events.ts'
export { type FormerMember, type Member } from './space-members.ts'
export { type AsOwnerOptions } from './cold-owner.ts'
export { type Replica } from './sync/replicas.ts'
export { type Asking, type InviteOptions, type OpenInvite } from './sync/admission.ts'
export { type AddMirrorOptions } from './add-mirror.ts'
export { type Document } from './document.ts'
export {
  type DocumentEvents,
  type ResetReason,
  type Safety,
  type SavedOptions
} from './document-host.ts'
export { type ExcludedEntry } from './views/excluded.ts'
export { type AppEntry } from './views/app-entry.ts'
export {
  type EntryState,
  type HistoryEntry,
  type HistoryOptions,
  type Seen
} from './inspect/history.ts'
export { type EntryDetails } from './inspect/entry-details.ts'
export {
  type Problem,
  type ProblemCode,
  type VerifyOptions,
  type VerifyProgress,
  type VerifySummary
} from './inspect/problem.ts'
export { type Verification } from './inspect/verify.ts'
export { type BundleContents, type BundledLog } from './bundle/contents.ts'
export { type ExportOptions, type ExportProgress } from './bundle/export.ts'
export { type Imported, type ImportOptions, type ImportProgress } from './bundle/import.ts'
export { type EditSummary } from './inspect/edit-summary.ts'
export { type ControlSummary } from './inspect/control-summary.ts'
export { type CoreName, type LogId } from './log/entry.ts'
export { SkeinError, type ErrorCode } from './errors.ts'
export { type GrantedRole, type Role } from './trust/control.ts'
export { type DeviceId } from './trust/members.ts'
export {
  type Clock,
  type FileFault,
  type Outbox,
  type OutboxRecord,
  type Platform,
  type Storage,
  type StorageImage
} from './platform.ts'
export {
  type Connection,
  type DeviceKeys,
  type Introduction,
  type Rendezvous,
  type SecureStream,
  type Transport
} from './transport.ts'
export { secureStream, type ByteStream, type SecureStreamOptions } from './secure-stream.ts'
export { MessageStream, type MessageMedium, type MessageStreamOptions } from './message-stream.ts'
export { MeetingPoint, type MeetingPointOptions } from './meeting-point.ts'
export { Emitter } from './events.ts'
