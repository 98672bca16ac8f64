/**
 * The lock of a folder: one holder at a time, in this process or any other. The system holds it on an open file and
 * lets go when that is closed, however the holder ends; what stands in the file only says who the holder is.
 */
import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename } from 'node:path'
import { tryLock } from 'fs-native-extensions'
import { SkeinError } from '../../lib/errors.ts'
import { guard } from './disk.ts'

interface Holder {
  pid: number
  host: string
  command: string
  since: string
}

// On Windows a locked range cannot be read by others, so there it lies beyond the text.
const range: [number, number] = process.platform === 'win32' ? [2 ** 30, 1] : [0, 0]

export class Lock {
  readonly #handle: FileHandle

  private constructor(handle: FileHandle) {
    this.#handle = handle
  }

  /** Fails with `STORAGE_LOCKED`, naming the holder of `folder`. */
  static async take(path: string, folder: string): Promise<Lock> {
    const flags = constants.O_RDWR | constants.O_CREAT
    const handle = await guard(path, open(path, flags, 0o600))
    try {
      if (!(await guard(path, lock(handle)))) throw held(folder, await readHolder(handle))
      await writeHolder(handle)
      return new Lock(handle)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** The file stays: were it removed, another process could hold the old one while a third makes a new one. */
  async release(): Promise<void> {
    await this.#handle.close()
  }
}

async function lock(handle: FileHandle): Promise<boolean> {
  return tryLock(handle.fd, ...range)
}

async function writeHolder(handle: FileHandle): Promise<void> {
  const [program = 'node', script] = process.argv
  const holder: Holder = {
    pid: process.pid,
    host: hostname(),
    // Not the arguments: an invite may be among them.
    command: [program, script]
      .flatMap((path) => (path === undefined ? [] : basename(path)))
      .join(' '),
    since: new Date().toISOString()
  }
  try {
    await handle.truncate(0)
    await handle.write(JSON.stringify(holder) + '\n', 0)
  } catch {
    // On a full disk the lock is held all the same; only its message will name nobody.
  }
}

async function readHolder(handle: FileHandle): Promise<Partial<Holder>> {
  try {
    return JSON.parse(await handle.readFile('utf8')) as Partial<Holder>
  } catch {
    return {} // Empty, or just being written.
  }
}

function held(folder: string, { pid, host, command, since }: Partial<Holder>): SkeinError {
  const isThisProcess = pid === process.pid && host === hostname()
  const parts: string[] = []
  if (pid !== undefined) parts.push(`pid ${pid}`)
  if (command !== undefined && !isThisProcess) parts.push(`\`${command}\``)
  if (host !== undefined && host !== hostname()) parts.push(`on ${host}`)
  if (since !== undefined) parts.push(`since ${since}`)
  const who = isThisProcess ? 'this process' : 'another process'
  const known = parts.length === 0 ? '' : ` (${parts.join(', ')})`
  return new SkeinError('STORAGE_LOCKED', `${who}${known} uses this folder: ${folder}`)
}
