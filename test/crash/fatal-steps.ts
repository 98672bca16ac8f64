/**
 * A platform on which the process ends itself with SIGKILL at its n-th step: before or after each call to the disk, and
 * where its store is opened.
 */
import { basename } from 'node:path'
import { writeSync } from 'node:fs'
import { nodeDisk, type Disk, type DiskFile } from '../../adapters/node/disk.ts'
import { openFolder } from '../../adapters/node/folder.ts'
import { platform } from '../../adapters/node/platform.ts'
import type { Platform, Storage } from '../../lib/index.ts'

/** To a pipe, at once: what was reported had been reported when the process ended. */
export function tell(line: string): void {
  writeSync(1, line + '\n')
}

export class FatalSteps {
  /** So many there were. */
  count = 0
  #fatal: number | null

  /** Null: none is fatal as yet. */
  constructor(fatal: number | null) {
    this.#fatal = fatal
  }

  /** Counts anew from here. */
  begin(fatal: number | null): void {
    this.count = 0
    this.#fatal = fatal
  }

  get platform(): Platform {
    return {
      ...platform,
      openStorage: async (location) => {
        const randomBytes = (length: number): Uint8Array => platform.randomBytes(length)
        return this.#storage(await openFolder(location, { randomBytes, disk: this.#disk }))
      }
    }
  }

  #step(): void {
    if (this.count++ === this.#fatal) process.kill(process.pid, 'SIGKILL')
  }

  async #around<T>(call: () => Promise<T>): Promise<T> {
    this.#step()
    const result = await call()
    this.#step()
    return result
  }

  #file(file: DiskFile): DiskFile {
    return {
      size: () => file.size(),
      read: () => file.read(),
      write: (bytes, at) => this.#around(() => file.write(bytes, at)),
      truncate: (length) => this.#around(() => file.truncate(length)),
      sync: () => this.#around(() => file.sync()),
      close: () => file.close()
    }
  }

  get #disk(): Disk {
    return {
      ...nodeDisk,
      open: async (path) => {
        const file = await nodeDisk.open(path)
        return file === null ? null : this.#file(file)
      },
      make: async (path) => {
        // Its sixteen writes are all alike.
        if (basename(path) === 'reserve') return this.#around(() => nodeDisk.make(path))
        return this.#file(await this.#around(() => nodeDisk.make(path)))
      },
      rename: (from, to) => this.#around(() => nodeDisk.rename(from, to)),
      remove: (path) => this.#around(() => nodeDisk.remove(path)),
      sync: (path) => this.#around(() => nodeDisk.sync(path))
    }
  }

  /** Steps where the store is taken, and some turns of the event loop later, while it is being opened. */
  #storage(storage: Storage): Storage {
    const step = (): void => this.#step()
    return new Proxy(storage, {
      get(target, name) {
        if (name === 'corestore') {
          step()
          const { corestore } = target
          step()
          for (const ms of [0, 1, 2, 4, 8]) setTimeout(step, ms)
          return corestore
        }
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? (value.bind(target) as unknown) : value
      }
    })
  }
}
