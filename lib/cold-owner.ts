/** A cold owner of a space, whose keys are on no device: what is done as that owner, by the seed that its recovery key holds. */
import { equalBytes, toHex } from './bytes.ts'
import { boxKeysFrom, signKeysFrom } from './crypto.ts'
import { SkeinError } from './errors.ts'
import type { Roles } from './roles.ts'
import type { SpaceParts } from './space-parts.ts'
import { coldOwnerOf, type DeviceRecord } from './trust/control.ts'
import { parseRecoveryKey } from './trust/invite.ts'
import { wouldRaise } from './trust/members.ts'

export interface AsOwnerOptions {
  /** What `Space.recoveryKey` was when the space was made. */
  readonly recoveryKey?: string
}

/** This device's roles or, with the recovery key, the owner's. Fails with `INVITE_INVALID`. */
export function rolesFor(parts: SpaceParts, { recoveryKey }: AsOwnerOptions): Roles {
  if (recoveryKey === undefined) return parts.roles
  const { space, seed } = parseRecoveryKey(recoveryKey)
  if (!equalBytes(space, parts.control.ring.space))
    throw new SkeinError('INVITE_INVALID', 'This is the recovery key of another space')
  return rolesOfOwner(parts, seed)
}

/** See `Space.recover`. */
export async function recover(
  parts: SpaceParts,
  seed: Uint8Array,
  record: DeviceRecord,
  signal: AbortSignal
): Promise<void> {
  parts.isRecovering = true
  try {
    parts.sync.update()
    await parts.sync.whenClaimedIsHere(signal)
    const { publicKey } = signKeysFrom(seed)
    parts.control.epochs.adopt(publicKey, boxKeysFrom(seed))
    const roles = rolesOfOwner(parts, seed)
    const mine = parts.control.members.get(parts.me)
    if (mine === undefined) await roles.give(record, 'admin')
    else if (wouldRaise(mine.role, 'admin')) await roles.grant(parts.me, 'admin')
  } finally {
    parts.isRecovering = false
  }
  parts.sync.update()
}

function rolesOfOwner(parts: SpaceParts, seed: Uint8Array): Roles {
  const keys = signKeysFrom(seed)
  const owner = coldOwnerOf(parts.control.genesis)
  if (owner === null || !equalBytes(owner.signKey, keys.publicKey))
    throw new SkeinError('INVITE_INVALID', 'This is not the key of the first owner')
  return parts.rolesOf(toHex(keys.publicKey), (kind, body) => parts.logs.appendAs(keys, kind, body))
}
