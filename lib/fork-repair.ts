/**
 * Another version of a log takes the place of the one that is here, and what this device wrote that hung on that one is
 * written again. The rule by which a version stays is in `trust/README.md`; who finds out is `sync/forks.ts`.
 *
 * In this order, so that a crash anywhere loses nothing: what is to be written again is kept durably; what was made of the
 * entries that leave is made anew; the log is another, in one write; what was kept is written, and let go of.
 */
import * as Y from 'yjs'
import { equalBytes, toHex } from './bytes.ts'
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
import type { KeptVersions, Piece } from './log/kept-versions.ts'
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

/** Of a document, by its id. */
type Updates = ReadonlyMap<string, readonly Uint8Array[]>

/** A block as it is kept, by its number. */
interface KeptBlock {
  readonly number: number
  readonly since: number
  readonly place: number
  readonly block: Uint8Array
}

/** An entry in pieces that others kept. */
interface KeptEntry {
  readonly entry: Entry
  readonly blocks: readonly Uint8Array[]
  /** Behind its last block. */
  readonly to: number
}

export interface ForkRepairOptions {
  readonly clock: Clock
  readonly rescue: RescueStore
  readonly kept: KeptVersions
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
  #takingKept: Promise<unknown> = Promise.resolve()
  #isWanted = true
  #isStopped = false

  constructor(options: ForkRepairOptions) {
    this.#options = options
  }

  /** Fails with the store's errors; nothing is lost then, and it can be tried again. */
  async take(log: Log, branch: Branch): Promise<void> {
    const { logs, documents, store, kept, leaveOut, reconnect } = this.#options
    const { ownLog, own } = logs
    const release = await ownLog.hold(() => documents.flushEdits())
    try {
      const core = (['control', 'content'] as const).find((one) => own[one] === log)
      const take = (): Promise<void> => log.takeBranch(branch)
      await logs.feed.rebranch(log, branch.common, {
        keep: async (stays) => {
          for (const one of Object.values(own)) await this.#keepOwn(one, stays.get(one.id))
          const former = await this.#formerLogs()
          for (const { log: one, length } of former)
            await this.#keepOwn(one, stays.get(one.id), length)
          const isAnothers = core === undefined && !former.some(({ log: one }) => one === log)
          if (isAnothers && log.name.core !== 'control') await kept.keep(log, branch.common)
          await store.sync()
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
    const since = Math.min(...blocks.map(({ index }) => index))
    await rescue.add(
      blocks.map(({ index, bytes }) => ({ what: 'block', since, place: index, block: bytes })),
      blocks.map(({ bytes }) => bytes)
    )
    await store.sync()
  }

  /**
   * Takes what others kept of another version of this device’s content log; false where that cannot be done yet. Each piece
   * after the one before, which its edits build upon.
   */
  takeKept(piece: Piece): Promise<boolean> {
    const taken = this.#takingKept.then(() => this.#takeKept(piece))
    this.#takingKept = taken.catch(() => {}) // Whoever brought it is not answered.
    return taken
  }

  async #takeKept(piece: Piece): Promise<boolean> {
    const { rescue, store, logs, kept } = this.#options
    const { content } = logs.own
    const isAnother = this.#isStopped ? null : await this.#isAnother(piece)
    if (isAnother === null) return false
    if (!isAnother) return true
    if (!(await kept.put(content.id, piece))) return false
    const chain = await kept.chainTo(content.id, piece)
    const entries = this.#entriesIn(chain)
    if (entries === null) return false
    const since = await this.#partsAt(chain)
    const fresh: KeptEntry[] = []
    const before: Entry[] = []
    for (const one of entries) {
      if (one.to <= since) continue
      const seenTo = await Promise.all(one.blocks.map((block) => rescue.isSeenTo(block)))
      if (seenTo.includes(true)) before.push(one.entry)
      else fresh.push(one)
    }
    const rescued = await this.#rescued(
      fresh.map(({ entry }) => entry),
      since,
      before
    )
    const end = piece.branch.treeHashAt(endOf(piece))
    await rescue.add(rescued, [...fresh.flatMap(({ blocks }) => blocks), end])
    await store.sync()
    // Nothing will build on it any more.
    if (endOf(piece) === piece.branch.length) await kept.forget(content.id, chain)
    if (rescued.length > 0) this.#isWanted = true
    this.look()
    // Whoever has it may let go of it once it is in the log again, and on its way.
    await this.#writing
    return (await rescue.all()).length === 0
  }

  /** Is that of another version of this device’s log than the one that is here? Null while that cannot be said. */
  async #isAnother({ branch, blocks }: Piece): Promise<boolean | null> {
    const { content } = this.#options.logs.own
    if (await this.#options.rescue.isSeenTo(branch.treeHashAt(branch.common))) return true
    for (const [i, block] of blocks.entries()) {
      const place = branch.common + i
      const here = place < content.contiguousLength ? await content.get(place) : null
      if (here === null) return null
      if (!equalBytes(here, block)) return true
    }
    return false
  }

  /**
   * The length up to which such pieces are like the log that is here. Who kept them took another version in their place than
   * the one that is here now, perhaps; only where theirs begins behind the parting does their word count.
   */
  async #partsAt(chain: readonly Piece[]): Promise<number> {
    const { content } = this.#options.logs.own
    const { since, branch } = chain[0]!
    let at = branch.common
    if (at > content.contiguousLength) return Math.min(since, at)
    if (!equalBytes(await content.treeHash(at), branch.treeHashAt(at))) return Math.min(since, at)
    for (const block of chain.flatMap(({ blocks }) => blocks)) {
      const here = at < content.contiguousLength ? await content.get(at) : null
      if (here === null || !equalBytes(here, block)) return at
      at++
    }
    return at
  }

  /** The entries in pieces that follow each other, with their blocks; null while a key is not here. */
  #entriesIn(chain: readonly Piece[]): KeptEntry[] | null {
    const { feed, own } = this.#options.logs
    const assembler = new EntryAssembler()
    const entries: KeptEntry[] = []
    let blocks: Uint8Array[] = []
    for (const piece of chain) {
      for (const [i, block] of piece.blocks.entries()) {
        const key = feed.keyOf(own.content, keyIdOfBlock(block))
        if (key === null) return null
        blocks.push(block)
        let entry: Entry | null = null
        try {
          const place = { ...own.content.name, seq: piece.branch.common + i }
          entry = assembler.add(openBlock(block, place, key))
        } catch (error) {
          if (!(error instanceof SkeinError)) throw error
          assembler.reset() // Malformed: nothing on any device.
        }
        if (entry !== null) entries.push({ entry, blocks, to: piece.branch.common + i + 1 })
        if (assembler.isEmpty) blocks = []
      }
    }
    return entries
  }

  /** Keeps updates of a document of this device that cannot be written now. */
  async keepEdits(document: string, updates: readonly Uint8Array[]): Promise<void> {
    const { rescue, store, logs } = this.#options
    const isOfIt = (body: Uint8Array): boolean => this.#editOf(body).document === document
    const waiting = logs.ownLog.isAside
      ? (await logs.ownLog.takeWaiting(kinds.edit, isOfIt)).bodies
      : []
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
      const { bodies } = await logs.ownLog.takeWaiting(kind)
      await rescue.add(await this.#rescued(bodies.map((body) => ({ kind, body }))))
    }
    await store.sync()
  }

  /** Writes again what is kept for that, if that can be done now. */
  look(): void {
    if (!this.#isWanted || this.#writing !== null || this.#isStopped) return
    if (!this.#options.mayWriteAgain()) return
    this.#isWanted = false
    this.#writing = this.#writeAgain().then(
      () => {
        this.#writing = null
        this.look() // More may have come meanwhile.
      },
      (error: unknown) => {
        this.#writing = null
        this.#isWanted = true
        if (!this.#isStopped) this.#options.onFailed(error)
      }
    )
  }

  /** Forgets what is kept: the device has left the space. */
  async clear(): Promise<void> {
    await this.#options.rescue.clear()
    await this.#options.kept.clear()
  }

  /** Resolves when what is under way has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancelRetry()
    await this.#goingOn
    await this.#takingKept
    await this.#writing
  }

  async #goOn(): Promise<void> {
    const { rescue, store, logs, documents } = this.#options
    if (this.#isStopped) return
    const { bodies, since } = await logs.ownLog.takeWaiting(kinds.edit)
    this.#taken.push(...bodies)
    const edits = this.#taken.map((body) => ({ kind: kinds.edit, body }))
    await rescue.add(await this.#rescued(edits, since))
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
    const { rescue, logs } = this.#options
    const to = Math.min(length, log.contiguousLength)
    if (from >= to) return
    const keyOf = logs.feed.keyOf.bind(logs.feed)
    const entries: Entry[] = []
    for await (const { entry } of entriesOf(log, from, to, keyOf))
      if (!forkedAway.has(entry.kind)) entries.push(entry)
    const blocks: Uint8Array[] = []
    for (let seq = from; log === logs.own.content && seq < log.contiguousLength; seq++)
      blocks.push((await log.get(seq))!)
    await rescue.add(await this.#rescued(entries), blocks)
  }

  /**
   * Entries of this device as they are kept: edits together with their document as it is with them, and with those `before`.
   * Where its log has others from `since` on, as it is without those, which may have used the same client ids.
   */
  async #rescued(
    entries: readonly Pick<Entry, 'kind' | 'body'>[],
    since = Infinity,
    before: readonly Entry[] = []
  ): Promise<Rescued[]> {
    const { logs } = this.#options
    const rescued: Rescued[] = []
    const { space } = logs.own.content.name
    for (const { kind, body } of entries)
      if (kind !== kinds.edit) rescued.push({ what: 'entry', kind, body })
    const updatesById = updatesIn(entries, space)
    return [
      ...rescued,
      ...(await this.#withDocuments(updatesById, since, updatesIn(before, space)))
    ]
  }

  async #withDocuments(
    updatesById: Updates,
    since = Infinity,
    beforeById: Updates = new Map()
  ): Promise<Rescued[]> {
    const { logs, documents } = this.#options
    const { content } = logs.own
    const isShorter = since < content.contiguousLength && updatesById.size > 0
    const counts = isShorter ? await logs.feed.notBuiltOn(content, since) : null
    const rescued: Rescued[] = []
    for (const [document, updates] of updatesById) {
      const doc =
        counts === null
          ? await documents.read(document)
          : await documents.readOf(
              document,
              ({ log, from }) => from < (counts.get(log) ?? Infinity)
            )
      // Those that were delivered are in it already.
      for (const update of [...(beforeById.get(document) ?? []), ...updates])
        Y.applyUpdate(doc, update)
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
    for (const run of await this.#runs()) {
      const assembler = new EntryAssembler()
      const entries: Entry[] = []
      const numbers: number[] = []
      const ofEntry: number[] = []
      for (const { number, place, block } of run) {
        const key = logs.feed.keyOf(content, keyIdOfBlock(block))
        if (key === null) break
        ofEntry.push(number)
        const names = [content.name, ...former]
        const entry = assembler.add(openUnderOneOf(names, { place, block }, key))
        if (entry === null) continue
        entries.push(entry)
        // The rest of one that is not whole may come yet.
        numbers.push(...ofEntry.splice(0))
      }
      if (numbers.length === 0) continue
      await rescue.add(await this.#rescued(entries, run[0]!.since))
      for (const number of numbers) await rescue.remove(number)
    }
  }

  /** The blocks that are kept: those together that are of one version, and follow each other. */
  async #runs(): Promise<KeptBlock[][]> {
    const runs: KeptBlock[][] = []
    for (const { number, rescued } of await this.#options.rescue.all()) {
      if (rescued.what !== 'block') continue
      const { since, place, block } = rescued
      const last = runs.at(-1)?.at(-1)
      if (last?.since === since && last.place + 1 === place)
        runs.at(-1)!.push({ number, since, place, block })
      else runs.push([{ number, since, place, block }])
    }
    return runs
  }
}

function endOf({ branch, blocks }: Piece): number {
  return branch.common + blocks.length
}

/** By document. Fails with `BAD_ENCODING`. */
function updatesIn(entries: readonly Pick<Entry, 'kind' | 'body'>[], space: Uint8Array): Updates {
  const updatesById = new Map<string, Uint8Array[]>()
  for (const { kind, body } of entries) {
    if (kind !== kinds.edit) continue
    const { document, update } = decodeEdit(body, space)
    updatesById.set(document, [...(updatesById.get(document) ?? []), update])
  }
  return updatesById
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
