/** What a device has in a page: the browser's clock, timers and random source, and IndexedDB. */
import { SkeinError } from '../../lib/errors.ts'
import type { Clock, Platform } from '../../lib/platform.ts'
import { setImmediate } from './immediate.ts'
import { PageStorage } from './page-storage.ts'
import { randombytes_buf } from './sodium.ts'

/** Timers take no more: a longer delay would fire at once. */
const longestTimerMs = 2 ** 31 - 1
/** A page that is being reloaded may hold the lock for a moment after the new one has begun. */
const lockPatienceMs = 5_000

const clock: Clock = {
  now: () => Date.now(),
  after(delayMs, callback) {
    let timer: ReturnType<typeof setTimeout>
    const wait = (leftMs: number): void => {
      const stepMs = Math.min(leftMs, longestTimerMs)
      timer = setTimeout(() => (stepMs < leftMs ? wait(leftMs - stepMs) : callback()), stepMs)
    }
    wait(delayMs)
    return () => clearTimeout(timer)
  },
  soon: (callback) => void setImmediate(callback)
}

export const platform: Platform = {
  clock,
  randomBytes: (length) => {
    const bytes = new Uint8Array(length)
    randombytes_buf(bytes)
    return bytes
  },
  openStorage: async (location) => {
    const release = await takeLock(`skein/${location}`)
    try {
      return await PageStorage.open(location, { factory: indexedDB, release })
    } catch (error) {
      release()
      throw error
    }
  }
}

function takeLock(name: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const patience = AbortSignal.timeout(lockPatienceMs)
    navigator.locks
      .request(name, { signal: patience }, () => new Promise<void>((release) => resolve(release)))
      .catch((cause: unknown) => {
        const message = `Another tab of this origin uses ${name}`
        reject(new SkeinError('STORAGE_LOCKED', message, { cause }))
      })
  })
}
