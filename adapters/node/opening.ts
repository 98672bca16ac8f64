/**
 * Tells whether a folder was put back to what it was, file by file: by rsync or cp, in place, which corestore's own mark
 * stands unchanged through. Each opening makes the file `opening` anew and writes down beside it, in `opening.mark`, which
 * inode it is and when that was last changed: a time that no program can set. What is put back has the old mark and
 * another time.
 *
 * A folder without a mark was never opened by this version, or its opening was cut short.
 */
import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { guard, replace, type Disk } from './disk.ts'

const stampBytes = 16

export class Opening {
  readonly #disk: Disk
  readonly #path: string
  readonly #randomBytes: (length: number) => Uint8Array

  constructor(disk: Disk, path: string, randomBytes: (length: number) => Uint8Array) {
    this.#disk = disk
    this.#path = path
    this.#randomBytes = randomBytes
  }

  /** Has the folder been put back, or copied, since its last opening? */
  async isCopy(): Promise<boolean> {
    const mark = await this.#read(this.#markPath)
    if (mark === null) return false
    const [opening, now] = [await this.#read(this.#path), await this.#markNow()]
    return opening === null || now === null || mark !== now
  }

  /** Notes that it is opened. Fails with `DISK_FULL` and so on, and then there is no mark. */
  async note(): Promise<void> {
    const folder = dirname(this.#path)
    await this.#disk.remove(this.#markPath)
    await this.#disk.sync(folder)
    await this.#write(this.#path, this.#randomBytes(stampBytes))
    const mark = await this.#markNow()
    if (mark === null) return
    await this.#write(this.#markPath, new TextEncoder().encode(mark))
    await this.#disk.sync(folder)
  }

  async #markNow(): Promise<string | null> {
    const file = await this.#disk.open(this.#path)
    if (file === null) return null
    await file.close()
    const { ino, ctimeNs } = await guard(this.#path, stat(this.#path, { bigint: true }))
    return `${ino} ${ctimeNs}`
  }

  async #write(path: string, bytes: Uint8Array): Promise<void> {
    const file = await replace(this.#disk, path, bytes)
    await file.close()
  }

  async #read(path: string): Promise<string | null> {
    const file = await this.#disk.open(path)
    if (file === null) return null
    return file
      .read()
      .then((bytes) => new TextDecoder().decode(bytes))
      .finally(() => file.close())
  }

  get #markPath(): string {
    return `${this.#path}.mark`
  }
}
