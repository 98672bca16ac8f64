/**
 * Corestore's file CORESTORE, by which it knows a store that was copied: when it was made and as which inode stands in
 * it. It is written in place before there is a database, and refused ever after where that was cut short or took 5 s.
 */
import { utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { guard, type Disk } from './disk.ts'

export class DeviceFile {
  readonly #disk: Disk
  readonly #store: string
  #isNew = false

  /** `store` is the corestore's folder. */
  constructor(disk: Disk, store: string) {
    this.#disk = disk
    this.#store = store
  }

  /** Before corestore opens: where there is no database yet nothing is lost with the file, and it is made anew. */
  async prepare(): Promise<void> {
    const names = await this.#disk.list(join(this.#store, 'db'))
    if (names.some((name) => /^(CURRENT|MANIFEST-\d+|\d+\.\w+)$/.test(name))) return
    await this.#disk.remove(this.#path)
    this.#isNew = true
  }

  /** Once corestore has opened: a file that was slow in the making gets the time that stands in it. */
  async confirm(): Promise<void> {
    if (!this.#isNew) return
    const file = await this.#disk.open(this.#path)
    if (file === null) return
    const text = await file
      .read()
      .then((bytes) => new TextDecoder().decode(bytes))
      .finally(() => file.close())
    const madeMs = Number(/^device\/created=(\d+)/m.exec(text)?.[1])
    if (madeMs > 0) await guard(this.#path, utimes(this.#path, madeMs / 1_000, madeMs / 1_000))
    this.#isNew = false
  }

  get #path(): string {
    return join(this.#store, 'CORESTORE')
  }
}
