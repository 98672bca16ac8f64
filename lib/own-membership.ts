/** This device comes into a space, and leaves it again. */
import { kinds } from './log/entry.ts'
import type { SpaceParts } from './space-parts.ts'
import { encodeLeave, type GrantedRole } from './trust/control.ts'
import { wouldRaise } from './trust/members.ts'

const leaveWaitMs = 5_000

/**
 * Resolves when this device has been let in, with that role at the least, and can read. `onMembers` calls what it is
 * given whenever members change, until what it returns is called.
 */
export function whenMember(
  parts: SpaceParts,
  onMembers: (check: () => void) => () => void,
  least: GrantedRole,
  signal: AbortSignal
): Promise<void> {
  if (signal.aborted) return Promise.reject(signal.reason as Error)
  return new Promise((resolve, reject) => {
    const check = (): void => {
      if (wouldRaise(parts.role, least)) return
      if (parts.role !== 'mirror' && parts.control.epochs.anyKey === null) return
      stop()
      signal.removeEventListener('abort', abort)
      resolve()
    }
    const stop = onMembers(check)
    const abort = (): void => {
      stop()
      reject(signal.reason as Error)
    }
    signal.addEventListener('abort', abort, { once: true })
    check()
  })
}

/** Writes that this device leaves, after all else, and waits a while for another to hear of it. Fails with `LOG_BEHIND`, `COPIED`. */
export async function sayLeave(parts: SpaceParts): Promise<void> {
  const { ownLog, own } = parts.logs
  // Nobody knows yet how far its content goes, and the entry could wait for ever.
  if (ownLog.isBehind) throw ownLog.whyBehind
  // From here on nothing is written any more: the entry says how far the content goes that counts.
  parts.isLeaving = true
  await parts.documents.close()
  await ownLog.flush()
  const leave = encodeLeave({ contentCore: 0, content: own.content.length })
  const { cut } = await ownLog.append('control', kinds.leave, leave)
  if (parts.sync.peers.length > 0) {
    const tooLong = new AbortController()
    const cancel = parts.context.platform.clock.after(leaveWaitMs, () => tooLong.abort())
    // Whoever hears of it later, hears of it from those who know.
    await parts.sync.holdings
      .whenHeldBy(cut, { peers: 1, mirrors: 0 }, tooLong.signal)
      .catch(() => {})
    cancel()
  }
}
