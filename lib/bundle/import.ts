/**
 * Takes the logs of a bundle in, each block verified as a peer's is before it is kept. A log is taken in once its device
 * is known as a member: control logs come first, and say who is.
 */
import { toHex } from '../bytes.ts'
import { SkeinError, throwIfAborted } from '../errors.ts'
import type { CoreName, LogId } from '../log/entry.ts'
import type { Receiver } from '../log/receive.ts'
import { logIdOf, type Log } from '../log/log.ts'
import type { DeviceId } from '../trust/members.ts'
import type { BundledHead, BundledLog, BundleRecord } from './contents.ts'

export interface ImportProgress {
  /** Blocks looked at, of those that the bundle has at most. */
  readonly blocks: number
  readonly totalBlocks: number
}

export interface ImportOptions {
  readonly onProgress?: (progress: ImportProgress) => void
  readonly signal?: AbortSignal
}

/** What a bundle brought. */
export interface Imported {
  /** Blocks that were not here. */
  readonly blocks: number
  readonly logs: number
  /** Logs of devices that are no members by what is here: nothing of them was kept. */
  readonly strangers: readonly { readonly device: DeviceId; readonly core: CoreName }[]
}

export interface ImportContext {
  readonly space: Uint8Array
  /** The log, if it is one of the space's as far as is known now. */
  readonly log: (id: LogId) => Log | null
  /** Resolves when what came so far is delivered, and the logs of members that came are open. */
  readonly settled: () => Promise<void>
  readonly options: ImportOptions
}

/** Fails with `BUNDLE_INVALID`, `BUNDLE_GAP`, `LOG_FORKED`, `ABORTED`, and as the store does. */
export async function takeIn(
  records: AsyncIterable<BundleRecord>,
  { space, log: logOf, settled, options }: ImportContext
): Promise<Imported> {
  const { onProgress, signal } = options
  const strangers: { device: DeviceId; core: CoreName }[] = []
  let logs: readonly BundledLog[] | null = null
  let open: { where: string; log: Log; receiver: Receiver } | null = null
  let [blocks, done, taken] = [0, 0, 0]
  let totalBlocks = 0
  let last = -1
  for await (const record of records) {
    throwIfAborted(signal)
    if (record.type === 'logs') {
      if (logs !== null) throw outOfPlace()
      logs = record.logs
      totalBlocks = logs.reduce((sum, { from, to }) => sum + to - from, 0)
      continue
    }
    if (logs === null) throw outOfPlace()
    if (record.type === 'head') {
      if (record.log <= last || record.log >= logs.length) throw outOfPlace()
      last = record.log
      const { device, core, to } = logs[record.log]!
      // The control logs before it say whether its device is a member.
      await settled()
      const log = logOf(logIdOf({ space, device, core }))
      const where = `the ${core} log of ${toHex(device).slice(0, 8)}`
      open =
        log === null ? null : { where, log, receiver: await receiverOf(log, record, to, where) }
      if (open === null) strangers.push({ device: toHex(device), core })
      else taken++
      continue
    }
    if (last < 0) throw outOfPlace()
    done += record.blocks.length
    onProgress?.({ blocks: Math.min(done, totalBlocks), totalBlocks })
    if (open === null) continue
    const { receiver, log, where } = open
    blocks += await naming(where, () => receiver.take(record.first, record.blocks))
    log.received()
  }
  if (logs === null) throw outOfPlace()
  await settled()
  return { blocks, logs: taken, strangers }
}

async function receiverOf(
  log: Log,
  { fork, signature, cover }: BundledHead,
  length: number,
  where: string
): Promise<Receiver> {
  const receiver = await naming(where, () =>
    Promise.resolve(log.receiver({ length, fork, signature, cover }))
  )
  const here = log.contiguousLength >= length ? toHex(await log.treeHash(length)) : null
  if (here !== null && here !== toHex(receiver.treeHash)) {
    throw new SkeinError(
      'LOG_FORKED',
      `The bundle has another version of ${where} than this device`
    )
  }
  return receiver
}

/** Says of which log it is that something does not hold. */
async function naming<T>(where: string, take: () => Promise<T>): Promise<T> {
  try {
    return await take()
  } catch (cause) {
    if (!(cause instanceof SkeinError)) throw cause
    if (cause.code === 'BUNDLE_GAP')
      throw new SkeinError('BUNDLE_GAP', `Of ${where}: ${cause.message}`)
    if (cause.code !== 'BAD_SEAL') throw cause
    throw new SkeinError('BUNDLE_INVALID', `In ${where}: ${cause.message}`, { cause })
  }
}

function outOfPlace(): SkeinError {
  return new SkeinError('BUNDLE_INVALID', 'A record of this bundle is out of place')
}
