/**
 * A file of bytes that mean nothing, given back when the disk is full: RocksDB takes no more writes after a failed one
 * until it is opened again, and opening writes what is in its write-ahead files once more, in another form.
 */
import { SkeinError } from '../../lib/errors.ts'
import type { Disk, DiskFile } from './disk.ts'

const chunkBytes = 1024 * 1024

export class Reserve {
  readonly #disk: Disk
  readonly #path: string
  readonly #randomBytes: (length: number) => Uint8Array

  constructor(disk: Disk, path: string, randomBytes: (length: number) => Uint8Array) {
    this.#disk = disk
    this.#path = path
    this.#randomBytes = randomBytes
  }

  /** Makes the reserve this large. Fails with `DISK_FULL`, and then it is as large as before. */
  async hold(bytes: number): Promise<void> {
    const file = (await this.#disk.open(this.#path)) ?? (await this.#disk.make(this.#path))
    try {
      const before = await file.size()
      if (before > bytes) await file.truncate(bytes)
      else await this.#grow(file, before, bytes)
    } finally {
      await file.close()
    }
  }

  async release(): Promise<void> {
    await this.#disk.remove(this.#path)
  }

  /**
   * Looks first, so as not to take the last room from whoever writes at the moment and then give it back.
   * Random bytes, since file systems store runs of zeros, and what compresses, in less room.
   */
  async #grow(file: DiskFile, from: number, to: number): Promise<void> {
    const available = await this.#disk.available(this.#path)
    if (available < to - from) {
      const sizes = `${to - from} bytes, and there is room for ${available}`
      throw new SkeinError(
        'DISK_FULL',
        `The disk is full: the reserve ${this.#path} lacks ${sizes}`
      )
    }
    try {
      for (let at = from; at < to; at += chunkBytes) {
        await file.write(this.#randomBytes(Math.min(chunkBytes, to - at)), at)
      }
    } catch (error) {
      await file.truncate(from)
      throw error
    }
  }
}
