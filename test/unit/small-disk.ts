/** A small file system of its own to fill up, or to make read-only. Needs root on Linux: a tmpfs is mounted. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, openSync, writeSync, closeSync, rmdirSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface SmallDisk extends Disposable {
  readonly path: string
  readonly available: number
  /** Takes all the room there is, but for so many bytes. */
  fill(leaveBytes?: number): void
  /** Gives back what `fill` took. */
  empty(): void
  makeReadOnly(): void
  makeWritable(): void
}

export function smallDisk(mebibytes: number): SmallDisk {
  const path = mkdtempSync(join(tmpdir(), 'skein-disk-'))
  mount(['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', path])
  const filler = join(path, 'filler')
  const available = () => {
    const { bavail, bsize } = statfsSync(path)
    return bavail * bsize
  }
  return {
    path,
    get available() {
      return available()
    },
    fill(leaveBytes = 0) {
      const descriptor = openSync(filler, 'a')
      const chunk = Buffer.alloc(1024 * 1024, 1)
      while (available() > leaveBytes) {
        writeSync(descriptor, chunk, 0, Math.min(chunk.length, available() - leaveBytes))
      }
      closeSync(descriptor)
    },
    empty: () => rmSync(filler, { force: true }),
    makeReadOnly: () => mount(['-o', 'remount,ro', path]),
    makeWritable: () => mount(['-o', 'remount,rw', path]),
    [Symbol.dispose]() {
      execFileSync('umount', ['-l', path])
      rmdirSync(path)
    }
  }
}

/** Why there can be no small disk here; null when there can. */
export function whyNoSmallDisk(): string | null {
  try {
    smallDisk(1)[Symbol.dispose]()
    return null
  } catch (error) {
    return `a tmpfs cannot be mounted here (${String(error).split('\n')[0]})`
  }
}

function mount(options: string[]): void {
  execFileSync('mount', options, { stdio: ['ignore', 'ignore', 'pipe'] })
}
