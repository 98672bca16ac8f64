/** A member asks a mirror to keep the space: it hands it an invite, and sees it come in. */
import { toHex } from './bytes.ts'
import { SkeinError } from './errors.ts'
import type { Member } from './space-members.ts'
import type { SpaceParts } from './space-parts.ts'
import { parseMirrorAddress, type MirrorAddress } from './trust/mirror-address.ts'

const defaultTimeoutMs = 60_000

export interface AddMirrorOptions {
  /** How long to look for the mirror. Default 60 s. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

export interface AddMirrorContext {
  readonly ask: (address: MirrorAddress, invite: string, signal: AbortSignal) => Promise<void>
  readonly onMembers: (check: () => void) => () => void
}

/** Resolves with the mirror as a member. See `Space.addMirror`. */
export async function addMirror(
  parts: SpaceParts,
  text: string,
  { timeoutMs = defaultTimeoutMs, signal }: AddMirrorOptions,
  { ask, onMembers }: AddMirrorContext
): Promise<Member> {
  const address = parseMirrorAddress(text)
  const device = toHex(address.device)
  const found = (): Member | undefined => parts.members().find((member) => member.device === device)
  const known = found()
  if (known !== undefined) return known
  const patience = new AbortController()
  const abort = (): void =>
    patience.abort(new SkeinError('ABORTED', 'The call was aborted', { cause: signal?.reason }))
  signal?.addEventListener('abort', abort, { once: true })
  const cancel = parts.context.platform.clock.after(timeoutMs, () => {
    const message = `The mirror was not reached within ${timeoutMs} ms`
    patience.abort(new SkeinError('INVITE_UNANSWERED', message))
  })
  // In time for its answers to cross a slow network; it serves one device.
  const invite = await parts.admission.invite({ role: 'mirror', expiresInMs: 2 * timeoutMs })
  try {
    parts.admission.update(parts.connections())
    await ask(address, invite, patience.signal)
    return await untilMember(found, onMembers, patience.signal)
  } catch (error) {
    // It may have been let in meanwhile: then it is in.
    await parts.admission.revoke(invite).catch(() => {}) // It expires by itself.
    throw error
  } finally {
    cancel()
    signal?.removeEventListener('abort', abort)
  }
}

function untilMember(
  found: () => Member | undefined,
  onMembers: (check: () => void) => () => void,
  signal: AbortSignal
): Promise<Member> {
  return new Promise((resolve, reject) => {
    const check = (): void => {
      const member = found()
      if (member === undefined) return
      stop()
      resolve(member)
    }
    const stop = onMembers(check)
    signal.addEventListener(
      'abort',
      () => {
        stop()
        reject(signal.reason as Error)
      },
      { once: true }
    )
    check()
  })
}
