/** What a device has in Node: the system's clock, timers and random source, and folders. */
import { randomFillSync } from 'node:crypto'
import type { Clock, Platform } from '../../lib/platform.ts'
import { openFolder } from './folder.ts'
import { openFolderImage } from './folder-image.ts'

/** Node's timers take no more: a longer delay would fire at once. */
const longestTimerMs = 2 ** 31 - 1

const clock: Clock = {
  now: () => Date.now(),
  after(delayMs, callback) {
    let timer: NodeJS.Timeout
    const wait = (leftMs: number) => {
      const stepMs = Math.min(leftMs, longestTimerMs)
      timer = setTimeout(
        () => (stepMs < leftMs ? wait(leftMs - stepMs) : callback()),
        stepMs
      ).unref()
    }
    wait(delayMs)
    return () => clearTimeout(timer)
  },
  soon: (callback) => void setImmediate(callback)
}

const randomBytes = (length: number) => randomFillSync(new Uint8Array(length))

export const platform: Platform = {
  clock,
  randomBytes,
  openStorage: (location) => openFolder(location, { randomBytes }),
  openImage: openFolderImage
}
