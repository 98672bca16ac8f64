/**
 * Says that something in the folder may have changed. It is a hint, no more: what changed is found by looking, and what
 * the system did not tell of is found by looking anyway from time to time.
 */
import watcher, { type AsyncSubscription } from '@parcel/watcher'
import { ownFolder } from './disk.ts'

export class Watcher {
  readonly #root: string
  readonly #onChange: () => void
  readonly #onError: (error: Error) => void
  #subscription: AsyncSubscription | null = null

  constructor(root: string, onChange: () => void, onError: (error: Error) => void) {
    this.#root = root
    this.#onChange = onChange
    this.#onError = onError
  }

  async start(): Promise<void> {
    this.#subscription = await watcher.subscribe(
      this.#root,
      (error, events) => {
        if (error !== null) this.#onError(error)
        if (error !== null || events.length > 0) this.#onChange()
      },
      { ignore: [ownFolder, '.git', 'node_modules'] }
    )
  }

  async stop(): Promise<void> {
    await this.#subscription?.unsubscribe()
    this.#subscription = null
  }
}
