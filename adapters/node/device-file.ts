/**
 * Corestore's file CORESTORE, by which it knows a store that was copied: when it was made and as which inode stands in
 * it. It is written in place before there is a database, and refused ever after where that was cut short or took 5 s.
 *
 * A store that was copied is opened all the same: it is remembered that it was, and corestore makes the file anew. Where
 * only the file was cut short, that is taken for a copy too.
 */
import { utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import Validated from 'device-file'
import { guard, type Disk } from './disk.ts'
import { readSecrets, writeSecrets } from './secrets.ts'

const idBytes = 16

export class DeviceFile {
  readonly #disk: Disk
  readonly #store: string
  readonly #randomBytes: (length: number) => Uint8Array
  #isNew = false
  /** The ids of all times, one behind the other. */
  #copies: Uint8Array | null = null

  /** `store` is the corestore's folder. */
  constructor(disk: Disk, store: string, randomBytes: (length: number) => Uint8Array) {
    this.#disk = disk
    this.#store = store
    this.#randomBytes = randomBytes
  }

  /** Names each time that the store was found to be a copy, the last one last. 16 bytes each. */
  get copyIds(): Uint8Array[] {
    const ids = this.#copies ?? new Uint8Array()
    return Array.from({ length: Math.floor(ids.length / idBytes) }, (_, i) =>
      ids.slice(i * idBytes, (i + 1) * idBytes)
    )
  }

  /**
   * Before corestore opens: where there is no database yet nothing is lost with the file, and it is made anew. `isPutBack`:
   * the store is known for a copy otherwise.
   */
  async prepare(isPutBack: boolean): Promise<void> {
    const names = await this.#disk.list(join(this.#store, 'db'))
    this.#copies = await readSecrets(this.#disk, this.#copied)
    if (names.some((name) => /^(CURRENT|MANIFEST-\d+|\d+\.\w+)$/.test(name))) {
      if (!isPutBack && !(await this.#isCopy())) return
      // Durably, before what shows it is gone.
      const copies = new Uint8Array([...(this.#copies ?? []), ...this.#randomBytes(idBytes)])
      await writeSecrets(this.#disk, this.#copied, copies)
      this.#copies = copies
    }
    await this.#disk.remove(this.#path)
    this.#isNew = true
  }

  async #isCopy(): Promise<boolean> {
    const file = await this.#disk.open(this.#path)
    if (file === null) return true
    await file.close()
    return !(await Validated.validate(this.#path, {}))
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

  get #copied(): string {
    // Not in the store: corestore deletes what it does not know there.
    return join(dirname(this.#store), 'copied')
  }

  get #path(): string {
    return join(this.#store, 'CORESTORE')
  }
}
