/**
 * A tab's line to the tab that leads, which may be itself and may change: calls that are answered, and word of a new
 * leader, with which everyone begins anew.
 */
import { SkeinError } from '../errors.ts'
import type { Clock, Tabs } from '../platform.ts'
import type { Leader } from './leader.ts'
import {
  errorOf,
  toAll,
  toLeader,
  type DeviceState,
  type Envelope,
  type Reply,
  type Request
} from './messages.ts'

/** A leader that owes an answer and has said nothing for so long is asked whether it is there, */
const silenceMs = 4_000
/** … and after so long more the lead is taken from it. */
const patienceMs = 4_000

export interface LinkOptions {
  readonly tabs: Tabs
  readonly clock: Clock
  /** Told before whoever waits for the answer it came with. */
  readonly onDevice: (device: DeviceState) => void
  readonly onReply: (reply: Reply) => void
  /** There is a leader that there was not before. */
  readonly onLeading: () => void
}

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/** The leader that was asked is gone: it may have done what it was asked, or not. */
export class LeaderGone extends Error {}

export class Link {
  /** This tab is about to lead. */
  isOpening = false
  readonly #options: LinkOptions
  readonly #waitingByCall = new Map<number, Waiting>()
  #leader: Leader | null = null
  #calls = 0
  #heardMs = 0
  #cancelWatch: (() => void) | null = null
  #isClosed = false

  constructor(options: LinkOptions) {
    this.#options = options
  }

  /** This tab leads, or no longer does. */
  set leader(leader: Leader | null) {
    this.#leader = leader
    if (leader === null) this.#begin()
  }

  /** Asks the leader. Fails as the call itself does, with `LeaderGone`, or with `CLOSED`. */
  call<T>(method: string, args: readonly unknown[], signal?: AbortSignal): Promise<T> {
    if (this.#isClosed) return Promise.reject(closedError())
    const id = ++this.#calls
    return new Promise<T>((resolve, reject) => {
      const abort = (): void => {
        this.#waitingByCall.delete(id)
        this.#send({ kind: 'abort', id })
        reject(new SkeinError('ABORTED', 'The call was aborted', { cause: signal?.reason }))
      }
      if (signal?.aborted === true) return abort()
      signal?.addEventListener('abort', abort, { once: true })
      const done = (): void => signal?.removeEventListener('abort', abort)
      this.#waitingByCall.set(id, {
        resolve: (value) => {
          done()
          resolve(value as T)
        },
        reject: (error) => {
          done()
          reject(error as Error)
        }
      })
      this.#send({ kind: 'call', id, method, args })
      this.#watch()
    })
  }

  sendPresence(attachment: string, update: Uint8Array, clientId: number): void {
    this.#send({ kind: 'presence', attachment, update, clientId })
  }

  /** What another tab says. */
  receive({ from, to, body }: Envelope): void {
    if (this.#isClosed) return
    if (to === toLeader) {
      if (this.#leader !== null) this.#leader.receive(from, body as Request)
      else if (this.isOpening) this.#post(from, { kind: 'opening' })
      return
    }
    // Who leads listens to no other: one whom the lead was taken from may not have heard of it yet.
    if ((to !== toAll && to !== this.#options.tabs.id) || this.#leader !== null) return
    this.reply(body as Reply)
  }

  reply(body: Reply): void {
    const { clock, onDevice, onReply, onLeading } = this.#options
    this.#heardMs = clock.now()
    if (body.kind === 'leading') {
      this.#begin()
      onLeading()
    } else if (body.kind === 'answer') {
      if (body.device !== null) onDevice(body.device)
      this.#take(body.id)?.resolve(body.value)
    } else if (body.kind === 'failure') this.#take(body.id)?.reject(errorOf(body.error))
    else if (body.kind === 'unknown') this.#take(body.id)?.reject(new LeaderGone())
    else if (body.kind !== 'opening') onReply(body)
  }

  close(): void {
    if (this.#isClosed) return
    this.#send({ kind: 'bye' })
    this.#isClosed = true
    this.#cancelWatch?.()
    for (const { reject } of this.#waitingByCall.values()) reject(closedError())
    this.#waitingByCall.clear()
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waitingByCall.get(id)
    this.#waitingByCall.delete(id)
    return waiting
  }

  /** Whoever was asked before does not answer any more. */
  #begin(): void {
    const waiting = [...this.#waitingByCall.values()]
    this.#waitingByCall.clear()
    for (const { reject } of waiting) reject(new LeaderGone())
  }

  #send(body: Request): void {
    if (this.#leader !== null) this.#leader.receive(this.#options.tabs.id, body)
    else this.#post(toLeader, body)
  }

  #post(to: string, body: Request | Reply): void {
    const { tabs } = this.#options
    tabs.post({ from: tabs.id, to, body } satisfies Envelope)
  }

  /** As long as answers are owed. */
  #watch(): void {
    if (this.#cancelWatch !== null || this.#leader !== null) return
    const { clock, tabs } = this.#options
    this.#heardMs = clock.now()
    let isAsked = false
    const look = (): void => {
      this.#cancelWatch = null
      if (this.#isClosed || this.#leader !== null || this.#waitingByCall.size === 0) return
      const silent = clock.now() - this.#heardMs
      if (silent < silenceMs) isAsked = false
      else if (!isAsked) {
        isAsked = true
        this.call('hello', []).catch(() => {}) // What it is for is the sign of life.
      } else if (silent >= silenceMs + patienceMs) {
        tabs.takeLead()
        this.#heardMs = clock.now()
        isAsked = false
      }
      this.#cancelWatch = clock.after(500, look)
    }
    this.#cancelWatch = clock.after(500, look)
  }
}

function closedError(): SkeinError {
  return new SkeinError('CLOSED', 'This has been closed')
}
