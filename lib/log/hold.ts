/**
 * Lets an append be written while what makes it durable is still under way, and keeps it unseen until both are done: only
 * then does hypercore count the blocks, tell peers of them, and answer for them. Two waits for the disk then take as long
 * as the longer one. This reaches into hypercore's session state, which is why it stands alone, with a test.
 *
 * Where the hold ends in a failure, the append fails: hypercore goes on as before it, though the database may hold the
 * blocks all the same. The same blocks can be appended again, and whoever opens the store anew may find them there.
 */
import type Hypercore from 'hypercore'

/** `hold` is asked at each write, those that bring a peer's blocks included. Call it once a core. */
export function holdWrites({ core }: Hypercore, hold: () => Promise<void> | null): void {
  const { state } = core
  const flush = state.flush.bind(state)
  state.flush = async () => {
    const held = hold()
    if (held === null) return flush()
    // Not before both have ended, also where one fails: nothing else is to be written meanwhile.
    const [written, released] = await Promise.allSettled([flush(), held])
    if (written.status === 'rejected') throw written.reason
    if (released.status === 'rejected') throw released.reason
    return written.value
  }
}
