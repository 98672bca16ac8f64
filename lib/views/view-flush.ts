/** Writes what the views have gathered to the disk, soon: they are a cache of the logs, so nothing waits for it. */
import { storageError } from '../errors.ts'
import type { Health } from '../log/health.ts'
import type { LogStore } from '../log/store.ts'
import type { Clock } from '../platform.ts'
import type { ViewStore } from './view-store.ts'

const flushMs = 1_000

export interface ViewFlushOptions {
  readonly clock: Clock
  readonly views: ViewStore
  readonly store: LogStore
  readonly health: Health
}

export class ViewFlush {
  readonly #options: ViewFlushOptions
  #cancel: (() => void) | null = null

  constructor(options: ViewFlushOptions) {
    this.#options = options
  }

  soon(): void {
    const { clock, views, store, health } = this.#options
    if (this.#cancel !== null && !views.wantsFlush) return
    this.#cancel?.()
    this.#cancel = clock.after(views.wantsFlush ? 0 : flushMs, () => {
      this.#cancel = null
      // What could not be written waits in memory, and the logs have it all the same.
      views.flush().then(
        () => health.set('views', null),
        (cause: unknown) => {
          // It is being opened again, or whoever tried has told that it could not be.
          if (!store.isOpen) return this.soon()
          const message = 'The views of documents could not be written'
          health.storeFailed('views', storageError(message, cause))
        }
      )
    })
  }

  stop(): void {
    this.#cancel?.()
  }
}
