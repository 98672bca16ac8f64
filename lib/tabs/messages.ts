/**
 * What the tabs of one device say to each other, over a BroadcastChannel; the tab that leads talks to itself in the same
 * words. Tabs of one origin trust each other, as all script of an origin does.
 */
import { SkeinError, type ErrorCode } from '../errors.ts'
import type { Role } from '../trust/control.ts'
import type { DeviceId } from '../trust/members.ts'
import type { IncomingEdit } from '../views/applier.ts'
import type { DocumentHost } from '../document-host.ts'
import type { Skein } from '../skein.ts'
import type { Space } from '../space.ts'
import type { Member } from '../space-members.ts'

export interface DeviceState {
  readonly id: DeviceId
  readonly name: string
  readonly peers: DeviceId[]
  readonly introduction: string
  readonly copied: Skein['copied']
  readonly spaces: SpaceState[]
}

/** What a space's tabs can ask without waiting. */
export interface SpaceState {
  readonly id: string
  readonly name: string
  readonly role: Role | null
  readonly readOnly: boolean
  readonly mayWrite: ReturnType<DocumentHost['mayWrite']>
  readonly peers: DeviceId[]
  readonly synced: boolean
  readonly waiting: number
  readonly missing: number
  readonly received: Space['received']
  readonly formerMembers: ReturnType<Space['formerMembers']>
  readonly replicas: ReturnType<Space['replicas']>
  readonly logBytes: number
  readonly logLength: number
  readonly members: Member[]
  /** Of a space that was made just now; kept by nobody but who asked for it. */
  readonly recoveryKey: string | null
  /** By document's name, its edits. Only where all of the state is sent. */
  readonly edits?: readonly [name: string, count: number][]
}

/** To the tab that leads. */
export type Request =
  | {
      readonly kind: 'call'
      readonly id: number
      readonly method: string
      readonly args: readonly unknown[]
    }
  /** The caller's signal has fired. */
  | { readonly kind: 'abort'; readonly id: number }
  | {
      readonly kind: 'presence'
      readonly attachment: string
      readonly update: Uint8Array
      readonly clientId: number
    }
  | { readonly kind: 'bye' }

/** From the tab that leads. */
export type Reply =
  /** It is about to lead, and opens the logs. */
  | { readonly kind: 'opening' }
  /** It leads from here on. */
  | { readonly kind: 'leading' }
  | {
      readonly kind: 'answer'
      readonly id: number
      readonly value: unknown
      readonly device: DeviceState | null
    }
  | { readonly kind: 'failure'; readonly id: number; readonly error: WireError }
  | {
      readonly kind: 'device-event'
      readonly event: string
      readonly payload: unknown
      readonly device: DeviceState
    }
  | {
      readonly kind: 'space-event'
      readonly space: string
      readonly event: string
      readonly payload: unknown
      readonly state: SpaceState
    }
  | {
      readonly kind: 'edit'
      readonly attachment: string
      readonly number: number
      readonly edit: IncomingEdit
      readonly clientIds: number[]
    }
  | {
      readonly kind: 'presence'
      readonly attachment: string
      readonly from: string
      readonly clientId: number
      readonly update: Uint8Array
    }
  | { readonly kind: 'reset'; readonly attachment: string; readonly isNewWriter: boolean }
  | { readonly kind: 'holders'; readonly attachment: string; readonly devices: DeviceId[] }
  /** What the tab holds is not what the leader holds: it begins anew, as with a new leader. */
  | { readonly kind: 'unknown'; readonly id: number }

export const toLeader = 'leader'
export const toAll = 'all'

export interface Envelope {
  readonly from: string
  /** A tab, the one that leads (requests), or all (from the one that leads). */
  readonly to: string
  readonly body: Request | Reply
}

export interface WireError {
  readonly code: ErrorCode | null
  readonly name: string
  readonly message: string
}

export function wireError(error: unknown): WireError {
  const { name, message } = error instanceof Error ? error : new Error(String(error))
  return { code: error instanceof SkeinError ? error.code : null, name, message }
}

export function errorOf({ code, name, message }: WireError): Error {
  if (code !== null) return new SkeinError(code, message)
  return name === 'TypeError' ? new TypeError(message) : new Error(message)
}

/** Payloads carry errors; structured clone would leave out what makes them ours. */
export function packPayload(payload: object): object {
  const entries = Object.entries(payload).map(([key, value]: [string, unknown]) => [
    key,
    value instanceof Error ? { wireError: wireError(value) } : value
  ])
  return Object.fromEntries(entries) as object
}

export function unpackPayload(payload: object): object {
  const entries = Object.entries(payload).map(([key, value]: [string, unknown]) => [
    key,
    isPacked(value) ? errorOf(value.wireError) : value
  ])
  return Object.fromEntries(entries) as object
}

function isPacked(value: unknown): value is { wireError: WireError } {
  return typeof value === 'object' && value !== null && 'wireError' in value
}
