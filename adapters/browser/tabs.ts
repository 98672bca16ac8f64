/**
 * The tabs of one origin that use one device: they hear each other over a BroadcastChannel, and a lock says which of them
 * leads. The browser gives it to the next when its holder is closed or crashes; from a tab that is frozen it can be taken.
 */
import type { TabHandlers, Tabs } from '../../lib/platform.ts'
import { holdVersion } from './version-lock.ts'

export class PageTabs implements Tabs {
  readonly id: string
  readonly #name: string
  readonly #channel: BroadcastChannel
  #handlers: TabHandlers | null = null
  #release: (() => void) | null = null
  #letGoOfTab: (() => void) | null = null
  #waiting: AbortController | null = null
  #isClosed = false

  constructor(location: string, id: string) {
    this.id = id
    this.#name = `skein/${location}`
    this.#channel = new BroadcastChannel(this.#name)
  }

  start(handlers: TabHandlers): void {
    this.#handlers = handlers
    this.#channel.onmessage = ({ data }) => handlers.receive(data)
    // The browser opens the origin's store meanwhile, which takes longer than all that comes before it is needed.
    void indexedDB.databases?.().catch(() => {}) // It will be told of when it is opened.
    if (!hasLocks()) {
      holdVersion(`${this.#name}/lead`, () => this.#lead()).catch(reportError)
      return
    }
    const held = new Promise<void>((resolve) => (this.#letGoOfTab = resolve))
    navigator.locks.request(this.#lockOf(this.id), () => held).catch(reportError)
    this.#wait(false)
  }

  post(message: object): void {
    if (!this.#isClosed) this.#channel.postMessage(message)
  }

  takeLead(): void {
    if (this.#isClosed || this.#release !== null || !hasLocks()) return
    this.#waiting?.abort()
    this.#wait(true)
  }

  async whenGone(id: string): Promise<void> {
    if (!hasLocks()) return new Promise(() => {})
    await navigator.locks.request(this.#lockOf(id), () => {})
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#channel.close()
    this.#waiting?.abort()
    this.#release?.()
    this.#letGoOfTab?.()
  }

  /** Waits for the lead, or takes it. */
  #wait(isTaken: boolean): void {
    const waiting = (this.#waiting = new AbortController())
    const options = isTaken ? { steal: true } : { signal: waiting.signal }
    navigator.locks
      .request(`${this.#name}/lead`, options, () => this.#lead())
      .catch((error: unknown) => {
        const wasLeading = this.#release !== null
        this.#release = null
        if (this.#isClosed || (waiting.signal.aborted && !wasLeading)) return
        if (!wasLeading) return reportError(error)
        this.#handlers?.lost()
        this.#wait(false)
      })
  }

  /** Leads until it is closed. */
  #lead(): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    return new Promise((resolve) => {
      this.#release = resolve
      this.#handlers?.lead()
    })
  }

  #lockOf(tab: string): string {
    return `${this.#name}/tab/${tab}`
  }
}

/** Not in a page over plain http. */
function hasLocks(): boolean {
  return (navigator as Partial<Navigator>).locks !== undefined
}
