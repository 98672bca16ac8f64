/**
 * Another version of a log takes the place of the one that is here, and what this device wrote that hung on that one is
 * written again. The rule by which a version stays is in `trust/README.md`; who finds out is `sync/forks.ts`.
 *
 * In this order, so that a crash anywhere loses nothing: what is to be written again is kept durably; what was made of the
 * entries that leave is made anew; the log is another, in one write; what was kept is written, and let go of.
 */
import * as Y from 'yjs'
import { toHex } from './bytes.ts'
import type { Documents } from './documents.ts'
import { SkeinError } from './errors.ts'
import type { Branch } from './log/branch.ts'
import {
  EntryAssembler,
  keyIdOfBlock,
  kinds,
  openBlock,
  type Entry,
  type LogId
} from './log/entry.ts'
import type { Counts } from './log/feed.ts'
import type { Log, LogName } from './log/log.ts'
import { recordKinds } from './log/outbox-records.ts'
import { entriesOf } from './log/read-back.ts'
import type { LogStore } from './log/store.ts'
import type { Clock, OutboxRecord } from './platform.ts'
import type { RescueStore, Rescued } from './rescue-store.ts'
import type { SpaceLogs } from './space-logs.ts'
import { decodeEdit } from './views/edit.ts'
import { lostIn } from './views/write-again.ts'

const retryMs = 1_000
/** Of one's own control log, what grants nothing any more where it stood. */
const forkedAway: ReadonlySet<number> = new Set([
  kinds.genesis,
  kinds.grant,
  kinds.lift,
  kinds.invite
])

export interface ForkRepairOptions {
  readonly clock: Clock
  readonly rescue: RescueStore
  readonly store: LogStore
  readonly logs: SpaceLogs
  readonly documents: Documents
  /** Takes back what was made of entries beyond these lengths. */
  readonly leaveOut: (counts: Counts) => Promise<void>
  /** Begins every connection anew: who is at the other end knows the version before. */
  readonly reconnect: () => void
  /** May this device write, and is everything here that it has to name first? */
  readonly mayWriteAgain: () => boolean
  readonly onFailed: (error: unknown) => void
}

export class ForkRepair {
  readonly #options: ForkRepairOptions
  #writing: Promise<void> | null = null
  #goingOn: Promise<void> = Promise.resolve()
  /** Edits that were taken from the log's queue, and are not kept yet. */
  #taken: Entry['body'][] = []
  #cancelRetry = (): void => {}
  #isWanted = true
  #isStopped = false

  constructor(options: ForkRepairOptions) {
    this.#options = options
  }

  /** Fails with the store's errors; nothing is lost then, and it can be tried again. */
  async take(log: Log, branch: Branch): Promise<void> {
    const { logs, documents, leaveOut, reconnect } = this.#options
    const { ownLog, own } = logs
    const release = await ownLog.hold(() => documents.flushEdits())
    try {
      const core = (['control', 'content'] as const).find((one) => own[one] === log)
      const take = (): Promise<void> => log.takeBranch(branch)
      await logs.feed.rebranch(log, branch.common, {
        keep: async (stays) => {
          for (const one of Object.values(own)) await this.#keepOwn(one, stays.get(one.id))
          for (const { log: one, length } of await this.#formerLogs())
            await this.#keepOwn(one, stays.get(one.id), length)
        },
        leave: leaveOut,
        change: () => (core === undefined ? take() : ownLog.takeBranch(core, branch.common, take))
      })
    } finally {
      release()
    }
    this.#isWanted = true
    reconnect()
    for (const document of documents.open) document.mayWriteChanged()
    this.look()
  }

  /**
   * This device’s log has more than this device knows of: it was put back to an older state, and wrote again perhaps, under
   * client ids that may be in use. What has not reached the log is kept, and written again behind what is there.
   */
  overtaken(): void {
    this.#goingOn = this.#goOn().catch((error: unknown) => {
      if (this.#isStopped) return
      this.#options.onFailed(error)
      this.#cancelRetry = this.#options.clock.after(retryMs, () => this.overtaken())
    })
  }

  /** Keeps blocks that had not reached the log when others took their places. */
  async keepDisplaced(records: readonly OutboxRecord[]): Promise<void> {
    const { rescue, store } = this.#options
    const blocks = records.filter(({ kind }) => kind === recordKinds.content)
    await rescue.add(
      blocks.map(({ index, bytes }) => ({ what: 'block', place: index, block: bytes }))
    )
    await store.sync()
  }

  /**
   * Keeps updates of a document of this device that cannot be written now; where it has stepped aside, behind those that
   * wait to be written and will not be.
   */
  async keepEdits(document: string, updates: readonly Uint8Array[]): Promise<void> {
    const { rescue, store, logs } = this.#options
    const isOfIt = (body: Uint8Array): boolean => this.#editOf(body).document === document
    const waiting = logs.ownLog.isAside ? await logs.ownLog.takeWaiting(kinds.edit, isOfIt) : []
    const all = [...waiting.map((body) => this.#editOf(body).update), ...updates]
    if (all.length === 0) return
    await rescue.add(await this.#withDocuments(new Map([[document, all]])))
    await store.sync()
    this.#isWanted = true
    this.look()
  }

  /**
   * Keeps content that waits to be written and will not be, as this device has stepped aside: another one, which it may
   * become, writes it. Fails with the store's errors.
   */
  async keepWaiting(): Promise<void> {
    const { rescue, store, logs } = this.#options
    await this.#openBlocks()
    for (const kind of [kinds.edit, kinds.import, kinds.event]) {
      const bodies = await logs.ownLog.takeWaiting(kind)
      await rescue.add(await this.#rescued(bodies.map((body) => ({ kind, body }))))
    }
    await store.sync()
  }

  /** Writes again what is kept for that, if that can be done now. */
  look(): void {
    if (!this.#isWanted || this.#writing !== null || this.#isStopped) return
    if (!this.#options.mayWriteAgain()) return
    this.#isWanted = false
    this.#writing = this.#writeAgain()
      .catch((error: unknown) => {
        this.#isWanted = true
        if (!this.#isStopped) this.#options.onFailed(error)
      })
      .finally(() => {
        this.#writing = null
      })
  }

  /** Resolves when what is under way has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancelRetry()
    await this.#goingOn
    await this.#writing
  }

  async #goOn(): Promise<void> {
    const { rescue, store, logs, documents } = this.#options
    if (this.#isStopped) return
    this.#taken.push(...(await logs.ownLog.takeWaiting(kinds.edit)))
    await rescue.add(await this.#rescued(this.#taken.map((body) => ({ kind: kinds.edit, body }))))
    await store.sync()
    this.#taken = []
    await logs.ownLog.beginAnew()
    // All of them write under other client ids from here on.
    await documents.recount(() => true, true)
    logs.ownLog.goOn()
    this.#isWanted = true
    this.look()
  }

  /** Content logs of devices that this storage was a copy of, as far as they may have been written here. */
  async #formerLogs(): Promise<{ log: Log; length: number }[]> {
    const { rescue, logs } = this.#options
    const lengths = await rescue.former()
    return logs.feed.logs.flatMap((log) => {
      const length = lengths.get(toHex(log.name.device))
      const isFormer = log.name.core !== 'control' && log !== logs.own.content
      return length !== undefined && isFormer ? [{ log, length }] : []
    })
  }

  #editOf(body: Uint8Array): ReturnType<typeof decodeEdit> {
    return decodeEdit(body, this.#options.logs.own.content.name.space)
  }

  /** Keeps what this device wrote that does not stay. */
  async #keepOwn(log: Log, from = Infinity, length = Infinity): Promise<void> {
    const { rescue, store, logs } = this.#options
    const to = Math.min(length, log.contiguousLength)
    if (from >= to) return
    const keyOf = logs.feed.keyOf.bind(logs.feed)
    const entries: Entry[] = []
    for await (const { entry } of entriesOf(log, from, to, keyOf))
      if (!forkedAway.has(entry.kind)) entries.push(entry)
    await rescue.add(await this.#rescued(entries))
    await store.sync()
  }

  /** Entries of this device as they are kept: edits together with their document as it is with them. */
  async #rescued(entries: readonly Pick<Entry, 'kind' | 'body'>[]): Promise<Rescued[]> {
    const rescued: Rescued[] = []
    const updatesById = new Map<string, Uint8Array[]>()
    for (const { kind, body } of entries) {
      if (kind === kinds.edit) {
        const { document, update } = this.#editOf(body)
        updatesById.set(document, [...(updatesById.get(document) ?? []), update])
      } else rescued.push({ what: 'entry', kind, body })
    }
    return [...rescued, ...(await this.#withDocuments(updatesById))]
  }

  async #withDocuments(
    updatesById: ReadonlyMap<string, readonly Uint8Array[]>
  ): Promise<Rescued[]> {
    const rescued: Rescued[] = []
    for (const [document, updates] of updatesById) {
      const doc = await this.#options.documents.read(document)
      // Those that were delivered are in it already.
      for (const update of updates) Y.applyUpdate(doc, update)
      const before = Y.encodeStateAsUpdateV2(doc)
      doc.destroy()
      rescued.push({ what: 'edits', document, lost: lostIn(updates), before })
    }
    return rescued
  }

  async #writeAgain(): Promise<void> {
    const { rescue, logs, documents, mayWriteAgain } = this.#options
    await this.#openBlocks()
    for (const { number, rescued } of await rescue.all()) {
      if (this.#isStopped) return
      if (!mayWriteAgain()) {
        this.#isWanted = true
        return
      }
      if (rescued.what === 'entry') {
        const core = rescued.kind < kinds.edit ? 'control' : 'content'
        await logs.ownLog.append(core, rescued.kind, rescued.body)
      }
      if (rescued.what === 'edits')
        await documents.writeAgain(rescued.document, rescued.before, rescued.lost)
      if (rescued.what !== 'block') await rescue.remove(number)
    }
  }

  /** Makes entries of blocks that are kept: at the opening that kept them their key was not here yet. */
  async #openBlocks(): Promise<void> {
    const { rescue, logs } = this.#options
    const { content } = logs.own
    const former = (await this.#formerLogs()).map(({ log }) => log.name)
    const assembler = new EntryAssembler()
    const entries: Entry[] = []
    const numbers: number[] = []
    for (const { number, rescued } of await rescue.all()) {
      if (rescued.what !== 'block') continue
      const key = logs.feed.keyOf(content, keyIdOfBlock(rescued.block))
      if (key === null) return
      const names = [content.name, ...former]
      const entry = assembler.add(openUnderOneOf(names, rescued, key))
      numbers.push(number)
      if (entry !== null) entries.push(entry)
    }
    if (numbers.length === 0) return
    await rescue.add(await this.#rescued(entries))
    for (const number of numbers) await rescue.remove(number)
  }
}

/** Opens a block of one of several logs: which one, only the seal tells. Fails with `BAD_SEAL`. */
function openUnderOneOf(
  names: readonly LogName[],
  { place, block }: { readonly place: number; readonly block: Uint8Array },
  key: Uint8Array
): ReturnType<typeof openBlock> {
  for (const [i, name] of names.entries()) {
    try {
      return openBlock(block, { ...name, seq: place }, key)
    } catch (error) {
      const isLast = i === names.length - 1
      if (isLast || !(error instanceof SkeinError) || error.code !== 'BAD_SEAL') throw error
    }
  }
  throw new TypeError('A block is of some log')
}

/** Is everything here that this device's next entry has to name of the logs that forked? */
export function isNameable(logs: SpaceLogs, isForked: (log: LogId) => boolean): boolean {
  return logs.feed.logs
    .filter(({ id }) => isForked(id))
    .every((log) => log.length === 0 || logs.feed.deliveredOf(log.id) > 0)
}
