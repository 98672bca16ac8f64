/** A space's application events: files them as they are delivered, and reads them back in causal order. */
import { Emitter } from '../events.ts'
import type { Entry } from '../log/entry.ts'
import type { EntryRef } from '../log/read-back.ts'
import type { DeviceId } from '../trust/members.ts'
import { decodeAppEntry, type AppEntry } from './app-entry.ts'
import type { ViewStore } from './view-store.ts'

export interface AppEventsOptions {
  readonly views: ViewStore
  readonly readBack: (ref: EntryRef) => Promise<{ device: DeviceId; entry: Entry }>
}

interface EntriesOptions {
  readonly type?: string
  readonly live?: boolean
  readonly signal?: AbortSignal
}

export class AppEvents extends Emitter<{ filed: { entry: AppEntry } }> {
  readonly #options: AppEventsOptions
  /** Wakes those who iterate over live entries. */
  readonly #iterating = new Set<() => void>()
  #isClosed = false

  constructor(options: AppEventsOptions) {
    super()
    this.#options = options
  }

  /** Files one that the feed has delivered. Fails with `BAD_ENCODING`. */
  deliver(device: DeviceId, entry: Entry, ref: EntryRef): void {
    const appEntry = decodeAppEntry(entry, device, ref)
    this.#options.views.fileEvent(appEntry.type, ref)
    this.emit('filed', { entry: appEntry })
  }

  /** See `Space.entries`. */
  async *entries({ type, live = false, signal }: EntriesOptions): AsyncGenerator<AppEntry, void> {
    const { views, readBack } = this.#options
    let next = 0
    let wake = (): void => {}
    const look = (): void => wake()
    const stop = this.on('filed', look)
    this.#iterating.add(look)
    signal?.addEventListener('abort', look)
    try {
      for (;;) {
        const woken = new Promise<void>((resolve) => (wake = resolve))
        const count = views.eventCount
        for await (const { number, type: stored, ref } of views.events(next)) {
          next = number + 1
          if (type !== undefined && stored !== type) continue
          const { device, entry } = await readBack(ref)
          yield decodeAppEntry(entry, device, ref)
        }
        // Numbers of events that do not count any more are not given again.
        next = Math.max(next, count)
        if (!live || this.#isClosed || signal?.aborted === true) return
        if (next === views.eventCount) await woken
      }
    } finally {
      stop()
      this.#iterating.delete(look)
      signal?.removeEventListener('abort', look)
    }
  }

  /** Ends what waits for more. */
  close(): void {
    this.#isClosed = true
    for (const wake of this.#iterating) wake()
  }
}
