/**
 * A device's folder, read and not changed: for whoever checks what lies in it. The lock is held meanwhile, so that
 * nobody else changes it either.
 */
import { join, resolve } from 'node:path'
import { stat, readFile } from 'node:fs/promises'
import DeviceFile from 'device-file'
import HypercoreStorage from 'hypercore-storage'
import { SkeinError } from '../../lib/errors.ts'
import type { FileFault, OutboxRecord, StorageImage } from '../../lib/platform.ts'
import { guard, nodeDisk } from './disk.ts'
import { Lock } from './lock.ts'
import { decodeGeneration } from './outbox-format.ts'
import { firstBadRecord } from './write-ahead-check.ts'

/** Fails with `STORAGE_LOCKED`, and with `STORAGE_FAILED` where there is no device's folder. */
export async function openFolderImage(location: string): Promise<StorageImage> {
  const path = resolve(location)
  const isThere = await stat(join(path, 'store')).then(
    () => true,
    () => false // It is not there, or not to be seen: the same to whoever asks.
  )
  if (!isThere) throw new SkeinError('STORAGE_FAILED', `There is no device's folder at ${path}`)
  return new FolderImage(path, await Lock.take(join(path, 'lock'), path))
}

class FolderImage implements StorageImage {
  readonly #path: string
  readonly #lock: Lock

  constructor(path: string, lock: Lock) {
    this.#path = path
    this.#lock = lock
  }

  get store(): object {
    return new HypercoreStorage(join(this.#path, 'store'), { readOnly: true })
  }

  readSecrets(): Promise<Uint8Array | null> {
    return readMaybe(join(this.#path, 'secrets'))
  }

  async outboxes(): Promise<string[]> {
    const files = await nodeDisk.list(join(this.#path, 'outbox'))
    const names = files.map((file) => /^(.+)\.\d+$/.exec(file)?.[1])
    return [...new Set(names.filter((name) => name !== undefined))].sort()
  }

  async readOutbox(name: string): Promise<{ records: OutboxRecord[]; faults: FileFault[] }> {
    const folder = join(this.#path, 'outbox')
    const numbers = (await nodeDisk.list(folder))
      .filter((file) => file.startsWith(`${name}.`) && /\.\d+$/.test(file))
      .map((file) => Number(file.slice(name.length + 1)))
      .sort((a, b) => a - b)
      // Older ones are never read.
      .slice(-2)
    const records: OutboxRecord[] = []
    const faults: FileFault[] = []
    for (const number of numbers) {
      const file = `outbox/${name}.${number}`
      const bytes = await readMaybe(join(this.#path, file))
      if (bytes === null) continue
      try {
        const generation = decodeGeneration(bytes, number, file)
        records.push(...generation.records)
        if (generation.end === bytes.length) continue
        const message = `is good up to byte ${generation.end} of ${bytes.length}: damage, or an append that a power loss cut short`
        faults.push({ file, message })
      } catch (error) {
        if (!(error instanceof SkeinError)) throw error
        faults.push({ file, message: error.message })
      }
    }
    return { records, faults }
  }

  async fileFaults(): Promise<FileFault[]> {
    const faults: FileFault[] = []
    const corestore = join(this.#path, 'store', 'CORESTORE')
    if ((await readMaybe(corestore)) === null) {
      faults.push({ file: 'store/CORESTORE', message: 'is missing' })
    } else if (!(await DeviceFile.validate(corestore, {}))) {
      const message =
        'says that the store is a copy: at the next opening this device asks a member what it has written since'
      faults.push({ file: 'store/CORESTORE', message })
    }
    const database = join(this.#path, 'store', 'db')
    for (const name of (await nodeDisk.list(database)).sort()) {
      if (!/^\d+\.log$/.test(name)) continue
      const bytes = await readMaybe(join(database, name))
      const bad = bytes === null ? null : firstBadRecord(bytes)
      if (bad === null) continue
      const message = `${bad.why} at byte ${bad.at}: damage, or a power loss; what was written behind it is lost`
      faults.push({ file: `store/db/${name}`, message })
    }
    return faults
  }

  async close(): Promise<void> {
    await this.#lock.release()
  }
}

async function readMaybe(path: string): Promise<Uint8Array | null> {
  try {
    return new Uint8Array(await readFile(path))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    return guard(path, Promise.reject(error as Error))
  }
}
