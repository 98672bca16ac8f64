/** Answers how this home is, as far as its device can tell: for `doctor`. */
import { defineCommand } from '../command.ts'

/** Reading the whole history would take long where it is long. */
const lookMs = 2_000

export interface HealthAnswer {
  readonly pid: number
  readonly isOnline: boolean
  readonly broken: readonly {
    readonly space: string
    readonly code: string
    readonly message: string
  }[]
  readonly waiting: number
  readonly peers: number
  readonly spaces: number
  /** The latest time that an entry of another device bears. */
  readonly latestMs: number | null
}

export default defineCommand({
  setUp: (command) => command,
  async run({ home, out, signal }) {
    const spaces = home.skein.spaces()
    let latestMs: number | null = null
    const patience = AbortSignal.any([signal, AbortSignal.timeout(lookMs)])
    for (const space of spaces) {
      try {
        for await (const { device, timeMs } of space.history({ signal: patience })) {
          if (device !== home.skein.id && timeMs !== null)
            latestMs = Math.max(latestMs ?? 0, timeMs)
        }
      } catch (error) {
        if (!patience.aborted) throw error
      }
    }
    const answer: HealthAnswer = {
      pid: process.pid,
      isOnline: home.isOnline,
      broken: home.broken.map(({ space, error }) => ({
        space,
        code: error.code,
        message: error.message
      })),
      waiting: spaces.reduce((sum, space) => sum + space.waiting, 0),
      peers: home.skein.peers.length,
      spaces: spaces.length,
      latestMs
    }
    out.answer(answer)
  }
})
