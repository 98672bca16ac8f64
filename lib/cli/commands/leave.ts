/** `skein leave`: ends this device's membership in a space, and forgets the space here. */
import type { Space } from 'skein'
import { defineCommand, exitCodes, Failure } from '../command.ts'
import { examples, spaceHelp } from '../help.ts'
import { counted, duration } from '../words.ts'

export default defineCommand({
  setUp: (command) =>
    command
      .option('-s, --space <space>', spaceHelp)
      .option('-y, --yes', 'really leave')
      .option('-t, --timeout <time>', 'how long to look for a member to tell', duration, 5_000)
      .addHelpText(
        'after',
        examples([
          'skein leave --space Notes --yes',
          'tells the others, and forgets the space here'
        ])
      ),
  async run({ home, out, signal }, _, { space: wanted, yes, timeout }) {
    const space = home.space(wanted)
    const { id, name } = space
    if (yes !== true) {
      const inside = counted(space.documents().length, 'document')
      throw new Failure(`Leaving removes ${name} with ${inside} from this device`, {
        exitCode: exitCodes.usage,
        advice:
          'Add --yes to do so. Members that have them keep them; coming back needs a new invite.'
      })
    }
    await home.online()
    const others = space.members().filter(({ isThisDevice }) => !isThisDevice)
    if (others.length > 0) await met(space, timeout, signal)
    const wasMet = space.peers.length > 0
    await space.leave()
    out.emit({ id, name, told: wasMet }, () => `Left the space ${out.style.bold(name)}`)
    if (others.length > 0 && !wasMet) {
      out.warn('no member was reached, so none knows that this device has left')
    }
  }
})

/** Resolves when a member is connected, or the time is over. */
function met(space: Space, timeoutMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      clearTimeout(timer)
      stop()
      signal.removeEventListener('abort', abort)
    }
    const look = (): void => {
      if (space.peers.length === 0) return
      done()
      resolve()
    }
    const abort = (): void => {
      done()
      reject(signal.reason as Error)
    }
    const timer = setTimeout(() => {
      done()
      resolve()
    }, timeoutMs)
    const stop = space.on('peers', look)
    signal.addEventListener('abort', abort, { once: true })
    look()
  })
}
