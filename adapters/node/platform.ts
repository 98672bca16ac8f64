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

/** Asking for a few bytes at a time costs as much as sealing a block with them. */
const pool = new Uint8Array(4096)
let taken = pool.length

function randomBytes(length: number): Uint8Array {
  if (length > 64) return randomFillSync(new Uint8Array(length))
  if (taken + length > pool.length) {
    randomFillSync(pool)
    taken = 0
  }
  const bytes = pool.slice(taken, taken + length)
  // A key must not be found in here later.
  pool.fill(0, taken, (taken += length))
  return bytes
}

export const platform: Platform = {
  clock,
  randomBytes,
  openStorage: (location) => openFolder(location, { randomBytes }),
  openImage: openFolderImage
}
