/**
 * Whose store this is. A device's secrets and its store are kept apart and belong together: where one of them is gone
 * or of another device, that is damage, and never a new device or a space to be founded anew.
 *
 * On first opening: the store is made, the secrets are written durably, and then the store is marked with the device's
 * public key, durably, before there is any space. So a store without a mark holds nothing yet, whatever step was the
 * last, and a marked one without secrets has lost them.
 *
 * A copy that becomes a device of its own gets other secrets, in one write; what else says whose it is follows, and where
 * that was cut short it is done at the next opening: see `finishRenewal`.
 */
import { equalBytes, toHex } from './bytes.ts'
import { signKeysFrom } from './crypto.ts'
import { damagedError, SkeinError } from './errors.ts'
import type { LogStore } from './log/store.ts'
import type { Storage } from './platform.ts'
import { decodeSecrets, encodeSecrets, type Secrets } from './secrets.ts'
import { spaceIdOf } from './trust/control.ts'

/** In the store's database, beside the views: the public key of the device that it belongs to. */
export const ownerKey = new TextEncoder().encode('owner')
const storeGone = 'This device’s store is gone and its keys are there'

/**
 * The secrets of the device whose storage this is; `create` gives those of a new one. `store` is opened for it.
 * Fails with `STORAGE_DAMAGED` or `PASSPHRASE_WRONG`, and then it has changed nothing that was there.
 */
export async function identify(
  location: string,
  storage: Storage,
  store: LogStore,
  file: Pick<Storage, 'readSecrets' | 'writeSecrets'>,
  create: () => Secrets
): Promise<Secrets> {
  const bytes = await file.readSecrets().catch((cause: unknown) => {
    if (!(cause instanceof SkeinError) || cause.code !== 'BAD_ENCODING') throw cause
    throw damagedError('The file with this device’s keys cannot be read', location, cause)
  })
  // Before the store is opened, which makes one.
  const known = bytes === null ? null : readable(bytes, location)
  await store.ready()
  const owner = await store.database.get(ownerKey)
  if (known === null && owner !== null) {
    throw damagedError('This device’s keys are gone and its store is there', location)
  }
  const secrets = known ?? create()
  const { publicKey } = signKeysFrom(secrets.signSeed)
  if (owner !== null) {
    if (equalBytes(new Uint8Array(owner), publicKey)) return secrets
    const former = secrets.formerly?.device
    if (former !== undefined && equalBytes(new Uint8Array(owner), former)) {
      await finishRenewal(storage, store, secrets, former)
      return secrets
    }
    throw damagedError('The keys are those of another device than the store', location)
  }
  if (known === null) await file.writeSecrets(encodeSecrets(secrets))
  else await assertRecoverable(known, storage, location)
  await markOwner(store, publicKey)
  return secrets
}

/**
 * What the device that was left behind has in the storage, and this one is not to have: what waited to reach its logs (it
 * is there, or kept elsewhere) and its signing key beside them. Then the store is this device's. No space is open.
 */
export async function finishRenewal(
  storage: Storage,
  store: LogStore,
  { signSeed, spaces }: Secrets,
  former: Uint8Array
): Promise<void> {
  for (const { genesis } of spaces) {
    const space = spaceIdOf(genesis)
    for (const core of ['control', 'content/0'] as const) {
      const log = await store.open({ space, device: former, core }, null)
      await log.forgetKeys()
      await store.closeLog(log)
    }
    await storage.removeOutbox(toHex(space))
  }
  await markOwner(store, signKeysFrom(signSeed).publicKey)
}

async function markOwner(store: LogStore, publicKey: Uint8Array): Promise<void> {
  const batch = store.database.write({ autoDestroy: true })
  batch.tryPut(ownerKey, publicKey)
  await batch.flush()
  await store.sync()
}

/**
 * The store is empty. What this device wrote comes back out of its outboxes, or they say how much is lacking; of a
 * space without even that nothing tells what it wrote before, and writing would fork its logs.
 */
async function assertRecoverable(
  { spaces }: Secrets,
  storage: Storage,
  location: string
): Promise<void> {
  for (const { genesis } of spaces) {
    // Blocks pass no outbox there.
    if (storage.isDurable === true) throw damagedError(storeGone, location)
    const outbox = await storage.openOutbox(toHex(spaceIdOf(genesis)))
    try {
      if ((await outbox.read()).length > 0) continue
    } finally {
      await outbox.close()
    }
    throw damagedError(storeGone, location)
  }
}

function readable(bytes: Uint8Array, location: string): Secrets {
  try {
    return decodeSecrets(bytes)
  } catch (cause) {
    throw damagedError('The file with this device’s keys cannot be read', location, cause)
  }
}
