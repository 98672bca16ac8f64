/**
 * Verifies what a device has: every record of every log, every entry, the outbox, the views, the keys. Says what is
 * wrong and where as it finds it, and changes nothing.
 */
import type HypercoreStorage from 'hypercore-storage'
import { toHex } from '../bytes.ts'
import { boxKeysFrom, signKeysFrom } from '../crypto.ts'
import { SkeinError } from '../errors.ts'
import { ownerKey } from '../identity.ts'
import { StoreImage, Unreadable } from '../log/store-image.ts'
import type { OutboxRecord, StorageImage } from '../platform.ts'
import { isSealed, openSecrets } from '../secrets-file.ts'
import { decodeSecrets, type Secrets } from '../secrets.ts'
import { spaceIdOf } from '../trust/control.ts'
import { Findings, type Problem, type VerifyOptions, type VerifySummary } from './problem.ts'
import { checkSpace, type Looked } from './space-check.ts'
import type { SpaceIdentity } from './space-image.ts'

/** Problems as they are found; returns what was looked at. */
export type Verification = AsyncGenerator<Problem, VerifySummary, void>

/** @internal One space of a store that is open. */
export async function* verifyOpenSpace(
  storage: HypercoreStorage,
  identity: SpaceIdentity,
  outbox: readonly OutboxRecord[],
  options: VerifyOptions
): Verification {
  const store = StoreImage.ofLive(storage)
  const count = new Count()
  const findings = new Findings(toHex(identity.id))
  try {
    const looked = yield* count.all(checkSpace({ store, identity, outbox, findings, options }))
    count.add(looked)
    return count.summary
  } finally {
    await store.close()
  }
}

/** @internal A device's storage that nobody has open. `only` picks a space by its id. */
export async function* verifyImage(
  image: StorageImage,
  options: VerifyOptions & { readonly only?: string | undefined }
): Verification {
  const count = new Count()
  yield* count.all(verifyAll(image, options, count, new Findings(null)))
  return count.summary
}

async function* verifyAll(
  image: StorageImage,
  options: VerifyOptions & { readonly only?: string | undefined },
  count: Count,
  findings: Findings
): AsyncGenerator<Problem, void, void> {
  const faults = await image.fileFaults()
  for (const { file, message } of faults) yield findings.damage('file', file, message)
  const secrets = yield* readSecrets(image, options.passphrase, findings)
  const outboxes = new Map<string, OutboxRecord[]>()
  for (const name of await image.outboxes()) {
    const read = await image.readOutbox(name)
    for (const fault of read.faults) yield findings.damage('outbox', fault.file, fault.message)
    // What a damaged file lacks is not held against the logs.
    outboxes.set(name, read.faults.length > 0 ? [] : read.records)
    const isKnown = secrets?.spaces.some(({ genesis }) => toHex(spaceIdOf(genesis)) === name)
    if (isKnown !== false) continue
    const message = 'there is an outbox of a space whose keys are gone'
    yield findings.damage('secrets', `outbox/${name}`, message)
  }
  const storage = image.store as HypercoreStorage
  let store: StoreImage
  try {
    store = await StoreImage.ofClosed(storage)
  } catch (error) {
    yield* findings.unreadable('the store', new Unreadable(error))
    return
  }
  try {
    if (secrets !== null) {
      // Behind a damaged write-ahead file the store is an older one: that it lacks what came later is no more damage.
      yield* verifySpaces(store, secrets, outboxes, options, count, findings)
    }
    // What nobody asked for above lies in the same files.
    const unreadable = await store.scan()
    if (unreadable !== null && !findings.hasTold(unreadable))
      yield* findings.unreadable('a record', unreadable)
  } finally {
    await store.close()
    await storage.close()
  }
}

async function* verifySpaces(
  store: StoreImage,
  secrets: Secrets,
  outboxes: ReadonlyMap<string, OutboxRecord[]>,
  options: VerifyOptions & { readonly only?: string | undefined },
  count: Count,
  findings: Findings
): AsyncGenerator<Problem, void, void> {
  const device = signKeysFrom(secrets.signSeed)
  const box = boxKeysFrom(secrets.boxSeed)
  yield* checkOwner(store, device.publicKey, findings)
  for (const { spaceKey, genesis, epochKeys = [] } of secrets.spaces) {
    const id = spaceIdOf(genesis)
    const name = toHex(id)
    if (options.only !== undefined && options.only !== name) continue
    const identity = { id, spaceKey, genesis, device, box, epochKeys }
    const outbox = outboxes.get(name) ?? []
    const looked = yield* checkSpace({
      store,
      identity,
      outbox,
      findings: findings.of(name),
      options
    })
    count.add(looked)
  }
}

/** The store says whose it is. */
async function* checkOwner(
  store: StoreImage,
  publicKey: Uint8Array,
  findings: Findings
): AsyncGenerator<Problem, void, void> {
  try {
    const owner = await store.database.get(ownerKey)
    if (owner !== null && toHex(new Uint8Array(owner)) === toHex(publicKey)) return
    const message =
      owner === null
        ? 'the store does not say whose it is'
        : 'the store is that of another device than the keys'
    yield findings.damage('secrets', 'store', message)
  } catch (error) {
    yield* findings.unreadable('the owner of the store', new Unreadable(error))
  }
}

async function* readSecrets(
  image: StorageImage,
  passphrase: string | undefined,
  findings: Findings
): AsyncGenerator<Problem, Secrets | null, void> {
  let bytes = await image.readSecrets()
  if (bytes === null) {
    yield findings.damage('secrets', 'secrets', 'the file with this device’s keys is missing')
    return null
  }
  if (isSealed(bytes) && passphrase !== undefined) bytes = openSecrets(bytes, passphrase)
  if (isSealed(bytes)) {
    const message =
      'this device’s keys are sealed with a passphrase, so what is sealed under them stays shut'
    yield findings.pending('missing-key', 'secrets', message)
    return null
  }
  try {
    return decodeSecrets(bytes)
  } catch (error) {
    if (!(error instanceof SkeinError)) throw error
    yield findings.damage('secrets', 'secrets', error.message)
    return null
  }
}

class Count {
  #looked: Looked & { spaces: number } = {
    spaces: 0,
    logs: 0,
    blocks: 0,
    bytes: 0,
    entries: 0,
    documents: 0
  }
  readonly #bySeverity = { damage: 0, refused: 0, pending: 0 }

  /** Counts what passes. */
  async *all<T>(problems: AsyncGenerator<Problem, T, void>): AsyncGenerator<Problem, T, void> {
    for (let next = await problems.next(); ; next = await problems.next()) {
      if (next.done === true) return next.value
      this.#bySeverity[next.value.severity]++
      yield next.value
    }
  }

  add(looked: Looked): void {
    const sum = this.#looked
    this.#looked = {
      spaces: sum.spaces + 1,
      logs: sum.logs + looked.logs,
      blocks: sum.blocks + looked.blocks,
      bytes: sum.bytes + looked.bytes,
      entries: sum.entries + looked.entries,
      documents: sum.documents + looked.documents
    }
  }

  get summary(): VerifySummary {
    return { ...this.#looked, ...this.#bySeverity }
  }
}
