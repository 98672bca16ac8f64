/**
 * An outbox in one or two files, `<name>.<number>`: the present generation, which is appended to, and the one before
 * it. Answers for records surviving a power loss once `append` has resolved, and for a failed append leaving nothing
 * behind; not for what the records mean. The bytes are described in `outbox-format.ts`.
 *
 * What holds between calls: the file is good up to `#end`. Past it there may be remains of an append that failed or
 * was torn; `#repair` says that they, or a file whose sync failed, must go before anything is written.
 */
import { join } from 'node:path'
import { SkeinError } from '../../lib/errors.ts'
import type { Outbox, OutboxRecord } from '../../lib/platform.ts'
import { replace, type Disk, type DiskFile } from './disk.ts'
import { decodeGeneration, encodeGeneration, encodeRecords } from './outbox-format.ts'

export class FileOutbox implements Outbox {
  readonly #disk: Disk
  readonly #folder: string
  readonly #name: string
  readonly #onclose: () => void
  #file: DiskFile
  #number: number
  #end: number
  #checksum: number
  /** Where the records that began this generation end. */
  #begin: number
  /** `cut`: bytes past the end must go. `rewrite`: a sync failed, so the system may hold what the disk does not. */
  #repair: 'none' | 'cut' | 'rewrite'
  /** False while the present file's name might not survive a power loss. */
  #nameDurable = true
  #closed = false
  #queue: Promise<unknown> = Promise.resolve()

  private constructor(
    disk: Disk,
    folder: string,
    name: string,
    onclose: () => void,
    file: DiskFile,
    state: { number: number; end: number; checksum: number; torn: boolean }
  ) {
    this.#disk = disk
    this.#folder = folder
    this.#name = name
    this.#onclose = onclose
    this.#file = file
    this.#number = state.number
    this.#end = this.#begin = state.end
    this.#checksum = state.checksum
    this.#repair = state.torn ? 'cut' : 'none'
  }

  static async open(
    disk: Disk,
    folder: string,
    name: string,
    onclose = () => {}
  ): Promise<FileOutbox> {
    const path = (number: number) => join(folder, `${name}.${number}`)
    const present = (await generations(disk, folder, name)).at(-1)
    const number = present ?? 0
    const file =
      present === undefined
        ? await replace(disk, path(number), encodeGeneration(number, []).bytes)
        : await opened(disk, path(number))
    try {
      // A process may have died between its write and its sync: what is read back must be durable first.
      await file.sync()
      await disk.sync(folder)
      const bytes = await file.read()
      const { end, checksum } = decodeGeneration(bytes, number, path(number))
      const torn = end < bytes.length
      const outbox = new FileOutbox(disk, folder, name, onclose, file, {
        number,
        end,
        checksum,
        torn
      })
      await outbox.#letGo()
      return outbox
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Deletes an outbox, oldest file first: one that a crash leaves half deleted has its newest records. */
  static async remove(disk: Disk, folder: string, name: string): Promise<void> {
    for (const number of await generations(disk, folder, name)) {
      await disk.remove(join(folder, `${name}.${number}.tmp`))
      await disk.remove(join(folder, `${name}.${number}`))
    }
    await disk.sync(folder)
  }

  /** About: what is in the present generation beyond the records that it began with. */
  get byteLength(): number {
    return this.#end - this.#begin
  }

  read(): Promise<OutboxRecord[]> {
    return this.#serially(async () => {
      const present = this.#decode((await this.#file.read()).subarray(0, this.#end)).records
      return [...(await this.#readBefore()), ...present]
    })
  }

  append(records: OutboxRecord[]): Promise<void> {
    if (records.length === 0) return Promise.resolve()
    return this.#serially(async () => {
      const { bytes, checksum } = encodeRecords(records, this.#checksum)
      await this.#mend()
      try {
        await this.#file.write(bytes, this.#end)
      } catch (error) {
        await this.#takeBack('cut')
        throw error
      }
      try {
        await this.#file.sync()
      } catch (error) {
        await this.#takeBack('rewrite')
        throw error
      }
      this.#end += bytes.length
      this.#checksum = checksum
    })
  }

  trim(first: OutboxRecord[]): Promise<void> {
    return this.#serially(async () => {
      const number = this.#number + 1
      const { bytes, checksum } = encodeGeneration(number, first)
      await this.#mend()
      await this.#install(number, bytes, checksum)
      this.#begin = this.#end
      await this.#confirmName()
      await this.#letGo()
    })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    try {
      await this.#queue
      await this.#file.close()
    } finally {
      this.#onclose()
    }
  }

  #serially<T>(task: () => Promise<T>): Promise<T> {
    if (this.#closed)
      return Promise.reject(new SkeinError('CLOSED', `The outbox ${this.#name} is closed`))
    const result = this.#queue.then(task)
    // Whoever called hears of the failure; the next in the queue only waits for its end.
    this.#queue = result.catch(() => {})
    return result
  }

  /** Brings file and folder to where an append may follow, or fails and leaves that to the next call. */
  async #mend(): Promise<void> {
    await this.#confirmName()
    if (this.#repair === 'cut') await this.#cut()
    if (this.#repair === 'rewrite') await this.#rewrite()
  }

  /** After a failed append: none of its records is to be read back, now or after a crash. */
  async #takeBack(repair: 'cut' | 'rewrite'): Promise<void> {
    this.#repair = repair
    try {
      await this.#cut()
    } catch {
      // The caller gets the append's own error. #repair is still set, so nothing is written before this has worked.
    }
  }

  async #cut(): Promise<void> {
    await this.#file.truncate(this.#end)
    try {
      await this.#file.sync()
    } catch (error) {
      this.#repair = 'rewrite'
      throw error
    }
    if (this.#repair === 'cut') this.#repair = 'none'
  }

  /** The system forgets what a failed sync did not write, so a later one proves nothing: write the bytes anew. */
  async #rewrite(): Promise<void> {
    const kept = (await this.#file.read()).slice(0, this.#end)
    const { checksum } = this.#decode(kept)
    await this.#install(this.#number, kept, checksum)
    this.#repair = 'none'
    await this.#confirmName()
  }

  /** Puts a file with these bytes where generation `number` is kept and makes it the present one. */
  async #install(number: number, bytes: Uint8Array, checksum: number): Promise<void> {
    const before = this.#file
    this.#file = await replace(this.#disk, this.#path(number), bytes)
    this.#nameDurable = false
    this.#number = number
    this.#end = bytes.length
    this.#checksum = checksum
    await before.close()
  }

  async #confirmName(): Promise<void> {
    if (this.#nameDurable) return
    await this.#disk.sync(this.#folder)
    this.#nameDurable = true
  }

  /** Removes generations before the last one, which a crash may have left, too. */
  async #letGo(): Promise<void> {
    try {
      for (const number of await generations(this.#disk, this.#folder, this.#name)) {
        if (number < this.#number - 1) await this.#disk.remove(this.#path(number))
      }
    } catch {
      // They are never read; the next trim or opening tries again.
    }
  }

  /**
   * The generation before the present one. It was finished before that was begun, so all of it is good, or the disk
   * has damaged it: then none of it is given, as if it had been let go of, rather than records with a gap behind.
   */
  async #readBefore(): Promise<OutboxRecord[]> {
    const number = this.#number - 1
    const file = await this.#disk.open(this.#path(number))
    if (file === null) return []
    try {
      const bytes = await file.read()
      const { records, end } = decodeGeneration(bytes, number, this.#path(number))
      return end === bytes.length ? records : []
    } catch (error) {
      if (error instanceof SkeinError && error.code === 'STORAGE_DAMAGED') return []
      throw error
    } finally {
      await file.close()
    }
  }

  /** Decodes what was good when it was last seen. */
  #decode(bytes: Uint8Array) {
    const generation = decodeGeneration(bytes, this.#number, this.#path(this.#number))
    if (generation.end === this.#end) return generation
    throw new SkeinError(
      'STORAGE_DAMAGED',
      `The outbox ${this.#path(this.#number)} was good up to byte ${this.#end} and is now up to byte ${generation.end}`
    )
  }

  #path(number: number): string {
    return join(this.#folder, `${this.#name}.${number}`)
  }
}

/** The numbers of the generations that lie in the folder, ascending. */
async function generations(disk: Disk, folder: string, name: string): Promise<number[]> {
  const numbers: number[] = []
  for (const entry of await disk.list(folder)) {
    const [, owner, number] = /^(.+)\.(\d+)$/.exec(entry) ?? []
    if (owner === name) numbers.push(Number(number))
  }
  return numbers.sort((a, b) => a - b)
}

async function opened(disk: Disk, path: string): Promise<DiskFile> {
  const file = await disk.open(path)
  if (file === null)
    throw new SkeinError('STORAGE_FAILED', `The outbox ${path} is gone: something removed it`)
  return file
}
