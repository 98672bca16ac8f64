/**
 * Hypercore writes the keys that a core is opened with beside it, the secret one too. Of a device that has become another
 * one they must go. This reaches into hypercore's storage, which is why it stands alone, with a test.
 */
import type Hypercore from 'hypercore'

/** Durable once the store is synced. */
export async function forgetKeys(core: Hypercore): Promise<void> {
  const { header, storage } = core.core
  const tx = storage.write()
  tx.setAuth({
    key: core.key,
    discoveryKey: core.discoveryKey,
    manifest: header.manifest,
    keyPair: null
  })
  await tx.flush()
  header.keyPair = null
}
