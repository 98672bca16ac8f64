/**
 * Tabs of one device in this process, for tests that decide when one hears another: what a page has of the browser (a
 * channel, a lock for the lead) is stood in for here, and all else is real. `browser/tabs.test.ts` has the browser's own.
 */
import type { Platform, TabHandlers, Tabs } from '../lib/platform.ts'
import { platform as nodePlatform } from '../adapters/node/platform.ts'

/** All that are open of one origin. */
export class Origin {
  readonly #tabs: ProcessTab[] = []
  #count = 0

  /** What the next `TabSkein` is given. */
  platform(): { platform: Platform; tab: ProcessTab } {
    const tab = new ProcessTab(`tab-${++this.#count}`, this.#tabs)
    return { platform: { ...nodePlatform, tabs: () => tab }, tab }
  }
}

export class ProcessTab implements Tabs {
  readonly id: string
  /** Of all that are open, the one that leads and then those that wait for it, in turn. */
  readonly #all: ProcessTab[]
  readonly #whenGone: (() => void)[] = []
  #handlers: TabHandlers | null = null
  #held: object[] | null = null

  constructor(id: string, all: ProcessTab[]) {
    this.id = id
    this.#all = all
  }

  start(handlers: TabHandlers): void {
    this.#handlers = handlers
    this.#all.push(this)
    if (this.#all[0] === this) setImmediate(() => handlers.lead())
  }

  post(message: object): void {
    const copy = structuredClone(message)
    if (this.#held !== null) this.#held.push(copy)
    else this.#send(copy)
  }

  /** What it says is heard by nobody until `release`. */
  hold(): void {
    this.#held = []
  }

  release(): void {
    const held = this.#held ?? []
    this.#held = null
    for (const message of held) this.#send(message)
  }

  /** How much of what it said is held. */
  get heldCount(): number {
    return this.#held?.length ?? 0
  }

  takeLead(): void {}

  whenGone(id: string): Promise<void> {
    const tab = this.#all.find((one) => one.id === id)
    if (tab === undefined) return Promise.resolve()
    return new Promise((resolve) => tab.#whenGone.push(resolve))
  }

  close(): void {
    const place = this.#all.indexOf(this)
    if (place === -1) return
    this.#all.splice(place, 1)
    for (const gone of this.#whenGone) gone()
    const next = this.#all[0]
    if (place === 0 && next !== undefined) setImmediate(() => next.#handlers?.lead())
  }

  #send(message: object): void {
    for (const tab of this.#all)
      if (tab !== this) setImmediate(() => tab.#handlers?.receive(message))
  }
}
