/** Idempotent `ready()` and `close()`, after holepunchto/ready-resource. */
import { SkeinError } from './errors.ts'

export class Lifecycle {
  readonly #open: () => Promise<void>
  readonly #shut: () => Promise<void>
  #opening: Promise<void> | null = null
  #closing: Promise<void> | null = null
  #opened = false

  /** `open` runs at the first `ready()`, `shut` at the first `close()`, after an opening under way has ended. */
  constructor(open: () => Promise<void>, shut: () => Promise<void>) {
    this.#open = open
    this.#shut = shut
  }

  /** True between the end of `ready()` and the start of `close()`. */
  get isOpen(): boolean {
    return this.#opened && this.#closing === null
  }

  get isClosing(): boolean {
    return this.#closing !== null
  }

  ready(): Promise<void> {
    if (this.#closing !== null) return Promise.reject(closed())
    this.#opening ??= this.#open().then(() => {
      this.#opened = true
    })
    return this.#opening
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      // An opening that failed has told its caller; what it left half open is closed all the same.
      if (this.#opening !== null) await this.#opening.catch(() => {})
      await this.#shut()
    })()
    return this.#closing
  }

  /** Throws `CLOSED` once closing has begun. */
  assertOpen(): void {
    if (this.#closing !== null) throw closed()
  }
}

function closed(): SkeinError {
  return new SkeinError('CLOSED', 'This has been closed')
}
