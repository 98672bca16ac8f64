/**
 * Reopening a written document as the first thing a process does, after a clean close and after a SIGKILL, against
 * `Y.applyUpdate` of its final state as the first thing a process does. Interleaved, a process for each.
 */
import { join } from 'node:path'
import { Child, inChild } from './child.ts'
import { median, scratch } from './measure.ts'

export interface ReopenResult {
  readonly floorMs: number
  readonly closed: Opening
  readonly killed: Opening
  readonly texts: readonly string[]
}

interface Opening {
  /** Opening the device, with everything on it. */
  readonly readyMs: number
  /** `space.open`, and the text. */
  readonly ms: number
  readonly ratio: number
  /** Device and document together. */
  readonly wholeRatio: number
}

export async function reopen(limit: number, rounds: number): Promise<ReopenResult> {
  await using folder = await scratch()
  const closed = { folder: join(folder.path, 'closed'), space: '' }
  {
    await using writer = new Child()
    closed.space = (await writer.call('write', { folder: closed.folder, limit })).space
    await writer.call('close')
  }
  const floors: number[] = []
  const openings = { closed: [] as Timing[], killed: [] as Timing[] }
  const texts = new Set<string>()
  for (let round = 0; round < rounds; round++) {
    const killed = { folder: join(folder.path, `killed-${round}`), space: '' }
    {
      await using writer = new Child()
      killed.space = (await writer.call('write', { folder: killed.folder, limit })).space
      await writer.kill()
    }
    const floor = await inChild('applyState', { folder: closed.folder })
    floors.push(floor.ms)
    texts.add(floor.text)
    for (const [name, place] of Object.entries({ closed, killed })) {
      await using child = new Child()
      const opening = await child.call('reopen', place)
      openings[name as keyof typeof openings].push(opening)
      texts.add(opening.text)
      await child.call('close')
    }
  }
  const floorMs = median(floors)
  return {
    floorMs,
    closed: summary(openings.closed, floorMs),
    killed: summary(openings.killed, floorMs),
    texts: [...texts]
  }
}

interface Timing {
  readonly readyMs: number
  readonly ms: number
}

function summary(timings: readonly Timing[], floorMs: number): Opening {
  const readyMs = median(timings.map((timing) => timing.readyMs))
  const ms = median(timings.map((timing) => timing.ms))
  const wholeMs = median(timings.map((timing) => timing.ms + timing.readyMs))
  return { readyMs, ms, ratio: ms / floorMs, wholeRatio: wholeMs / floorMs }
}
