/** What the two processes say to each other: the device's own, and the one that has the engine (`engine-process.ts`). */
import type { ErrorCode, Rendezvous } from '../../lib/index.ts'
import type { RoomsSettings } from './rooms.ts'

/** What the process is started with, as JSON in its first argument. */
export interface EngineSettings extends RoomsSettings {
  /** The file of the engine's module. */
  readonly engine: string
}

export type ToEngine =
  | { readonly do: 'join'; readonly topic: Uint8Array; readonly rendezvous: Rendezvous }
  | { readonly do: 'leave'; readonly topic: Uint8Array }
  | { readonly do: 'call'; readonly id: number }
  | {
      readonly do: 'answer'
      readonly id: number
      readonly text: string
      readonly timeoutMs: number
    }
  | {
      readonly do: 'complete'
      readonly id: number
      readonly call: number
      readonly text: string
    }
  | { readonly do: 'end-call'; readonly call: number }
  /** Closes everything, and ends. */
  | { readonly do: 'end' }
  /** To a stream's other end; `null` closes it. */
  | { readonly do: 'send'; readonly stream: number; readonly message: Uint8Array | string | null }

export type FromEngine =
  | { readonly ready: true }
  | { readonly failed: string }
  | { readonly answer: number; readonly text: string }
  | { readonly refused: number; readonly code: ErrorCode | null; readonly message: string }
  | { readonly ended: number }
  | { readonly stream: number; readonly isInitiator: boolean }
  /** What came on a stream; `null` at its end. */
  | { readonly from: number; readonly message: Uint8Array | string | null }
