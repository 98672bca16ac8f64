/** Checks one space: its logs as they lie in the store, what they say, this device's outbox, and the views. */
import { equalBytes, toHex } from '../bytes.ts'
import { SkeinError } from '../errors.ts'
import { keyIdOf, type CoreName, type LogId } from '../log/entry.ts'
import type { StoredLog, StoreImage } from '../log/store-image.ts'
import type { LogName } from '../log/log.ts'
import type { OutboxRecord } from '../platform.ts'
import { checkEntries } from './entries-check.ts'
import { checkLog, type CheckedLog } from './log-check.ts'
import { checkOutbox, type OwnLogImage } from './outbox-check.ts'
import type { Findings, Problem, VerifyOptions, VerifySummary } from './problem.ts'
import { nameOfLog, readSpace, type SpaceIdentity, type SpaceImage } from './space-image.ts'
import { openViews, ViewsCheck } from './views-check.ts'

export interface SpaceCheckOptions {
  readonly store: StoreImage
  readonly identity: SpaceIdentity
  readonly outbox: readonly OutboxRecord[]
  readonly findings: Findings
  readonly options: VerifyOptions
}

/** What was looked at. */
export type Looked = Pick<VerifySummary, 'logs' | 'blocks' | 'bytes' | 'entries' | 'documents'>

export async function* checkSpace(
  context: SpaceCheckOptions
): AsyncGenerator<Problem, Looked, void> {
  const looked = { logs: 0, blocks: 0, bytes: 0, entries: 0, documents: 0 }
  const { store, identity, findings, options } = context
  let image: SpaceImage
  try {
    image = await readSpace(store, identity)
  } catch (error) {
    if (!(error instanceof SkeinError)) throw error
    yield findings.damage('secrets', 'secrets', `the space’s genesis: ${error.message}`)
    return looked
  }
  const onProgress = options.onProgress ?? ((): void => {})
  for (const { name, reason } of image.unreadable) {
    yield* findings.unreadable(`the record of ${nameOfLog(image.addresses, name)}`, reason)
  }
  const keys = yield* checkKeys(context, image)
  const checkedById = new Map<LogId, CheckedLog>()
  for (const log of image.logs) {
    options.signal?.throwIfAborted()
    const where = nameOfLog(image.addresses, log.name)
    const own = isOwn(identity, log) ? identity.device : null
    const checked = yield* checkLog({ log, where, keys: own, findings, onProgress })
    checkedById.set(log.id, checked)
    looked.logs++
    looked.blocks += checked.contiguous
    looked.bytes += checked.bytes
  }
  if (!keys.space) return looked
  const views = yield* openViews(store.database, identity.id, findings)
  const viewsCheck = views === null ? null : new ViewsCheck(image, views, findings)
  let isSound = keys.box && image.unreadable.length === 0
  for (const checked of checkedById.values()) isSound &&= checked.isSound
  const entries = checkEntries({
    image,
    checkedById,
    cut: views?.cut ?? new Map(),
    mayOpen: keys.box,
    isOwn: (log) => isOwn(identity, log),
    findings,
    onEntry: (woven) => {
      if (isSound) viewsCheck?.note(woven)
    },
    onProgress,
    signal: options.signal
  })
  for (let next = await entries.next(); ; next = await entries.next()) {
    if (next.done === true) {
      looked.entries = next.value
      break
    }
    if (next.value.severity === 'damage') isSound = false
    yield next.value
  }
  const own = ownLogs(identity, image)
  for await (const problem of checkOutbox({
    records: context.outbox,
    own,
    checkedById,
    findings
  })) {
    if (problem.severity === 'damage') isSound = false
    yield problem
  }
  if (views === null) return looked
  const ends = checkCut(views.cut, image, checkedById, findings)
  for (const problem of isSound ? ends : []) {
    isSound = false
    yield problem
  }
  // What is built from damaged logs says nothing about the views: mend those first.
  if (isSound) yield* viewsCheck!.run(onProgress, options.signal)
  looked.documents = views.documents.length
  return looked
}

/** Returns whether what this device has opens what it should. */
async function* checkKeys(
  { identity, findings }: SpaceCheckOptions,
  { control, logs }: SpaceImage
): AsyncGenerator<Problem, { space: boolean; box: boolean }, void> {
  const right = keyIdOf(identity.spaceKey)
  let [opens, others] = [0, 0]
  for (const log of logs) {
    if (log.name.core !== 'control') continue
    const block = await log.block(0)
    if (!(block instanceof Uint8Array) || block.length < 33) continue
    if (equalBytes(block.subarray(1, 33), right)) opens++
    else others++
  }
  if (opens === 0 && others > 0) {
    const message = 'the key of the space is not the one that its control logs are sealed under'
    yield findings.damage('secrets', 'secrets', message)
    return { space: false, box: true }
  }
  const member = control.members.get(toHex(identity.device.publicKey))
  if (member === undefined || equalBytes(member.record.boxKey, identity.box.publicKey)) {
    return { space: true, box: true }
  }
  const message = 'the key that opens what is sealed to this device is not the one its members know'
  yield findings.damage('secrets', 'secrets', message)
  return { space: true, box: false }
}

function* checkCut(
  cut: ReadonlyMap<LogId, number>,
  image: SpaceImage,
  checkedById: ReadonlyMap<LogId, CheckedLog>,
  findings: Findings
): Generator<Problem, void, void> {
  for (const [id, length] of cut) {
    const log = image.logs.find((one) => one.id === id)
    const has = checkedById.get(id)?.contiguous ?? 0
    if (length <= has) continue
    const where = log === undefined ? `log ${id}` : nameOfLog(image.addresses, log.name)
    const message = `it has ${has} blocks, and documents were made of ${length}`
    yield findings.damage('log-short', where, message)
  }
}

function isOwn({ device }: SpaceIdentity, { name }: StoredLog): boolean {
  return equalBytes(name.device, device.publicKey)
}

function ownLogs(
  identity: SpaceIdentity,
  image: SpaceImage
): Record<'control' | 'content', OwnLogImage> {
  const find = (core: 'control' | 'content/0'): OwnLogImage => {
    const log = image.logs.find((one) => isOwn(identity, one) && one.name.core === core) ?? null
    const name = { space: identity.id, device: identity.device.publicKey, core }
    const isUnreadable = image.unreadable.some(({ name: other }) =>
      isOwnName(identity, other, core)
    )
    return { log, where: nameOfLog(image.addresses, name), isUnreadable }
  }
  return { control: find('control'), content: find('content/0') }
}

function isOwnName({ device }: SpaceIdentity, name: LogName, core: CoreName): boolean {
  return name.core === core && equalBytes(name.device, device.publicKey)
}
