/** What a device has in a page: the browser's clock, timers and random source, and IndexedDB. */
import type { Clock, Platform } from '../../lib/platform.ts'
import { setImmediate } from './immediate.ts'
import { PageStorage } from './page-storage.ts'
import { randombytes_buf } from './sodium.ts'
import { PageTabs } from './tabs.ts'

/** Timers take no more: a longer delay would fire at once. */
const longestTimerMs = 2 ** 31 - 1
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
  openStorage: (location) => PageStorage.open(location, { factory: indexedDB }),
  tabs: (location) => new PageTabs(location, crypto.getRandomValues(new Uint32Array(4)).join('-'))
}
