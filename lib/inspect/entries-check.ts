/**
 * Checks what the blocks of a space say: seals, encodings, that what an entry had seen is here and is the same, roles.
 * Blocks that are damaged have been told of and are left out here, and so is what follows from them.
 */
import { toHex } from '../bytes.ts'
import { SkeinError } from '../errors.ts'
import { countContent, type Past } from '../log/counts.ts'
import { kinds, type LogId } from '../log/entry.ts'
import { Unreadable, type StoredLog } from '../log/store-image.ts'
import crypto from 'hypercore-crypto'
import flat from 'flat-tree'
import { blockKeyOf, keptOf } from '../space-logs.ts'
import { roleAtControl } from '../trust/members.ts'
import { decodeAppEntry } from '../views/app-entry.ts'
import { decodeContent, isContent } from '../views/edit.ts'
import { controlSummaryOf } from './control-summary.ts'
import type { CheckedLog } from './log-check.ts'
import type { Findings, Problem, VerifyProgress } from './problem.ts'
import { nameOfLog, type SpaceImage } from './space-image.ts'
import { weave, type ForkedLogs, type Thread, type Woven } from './weave.ts'

/** Entries between two reports of progress. */
const progressEach = 256

export interface EntriesCheckOptions {
  readonly image: SpaceImage
  readonly checkedById: ReadonlyMap<LogId, CheckedLog>
  /** By log, up to where this device has delivered it before. */
  readonly cut: ReadonlyMap<LogId, number>
  /** False where what this device has to open seals is damaged. */
  readonly mayOpen: boolean
  readonly isOwn: (log: StoredLog) => boolean
  readonly findings: Findings
  /** A content entry that counts. */
  readonly onEntry: (woven: Woven<StoredLog>) => void
  readonly onProgress: (progress: VerifyProgress) => void
  readonly signal: AbortSignal | undefined
}

/** Returns how many entries there are. */
export async function* checkEntries(
  options: EntriesCheckOptions
): AsyncGenerator<Problem, number, void> {
  return yield* new Check(options).run()
}

class Check {
  readonly #options: EntriesCheckOptions
  readonly #logsById = new Map<LogId, StoredLog>()
  readonly #shortTold = new Set<LogId>()
  /** By log, where blocks that are damaged, or hang on such, end. */
  readonly #brokenAt = new Map<LogId, number>()

  readonly #threads: readonly Thread<StoredLog>[]
  /** By log, up to where its content counts; worked out where some of it is not kept by a role. */
  #counts: Map<LogId, number> | null = null

  constructor(options: EntriesCheckOptions) {
    this.#options = options
    this.#threads = options.image.logs.map((log) => {
      return { log, length: options.checkedById.get(log.id)?.contiguous ?? 0 }
    })
    for (const log of options.image.logs) this.#logsById.set(log.id, log)
  }

  async *run(): AsyncGenerator<Problem, number, void> {
    const { image, onProgress, signal } = this.#options
    const total = this.#threads.reduce((sum, { length }) => sum + length, 0)
    let blocks = 0
    let entries = 0
    const keyOf = (log: StoredLog, keyId: Uint8Array): Uint8Array | null =>
      blockKeyOf(image.control, log.name, keyId)
    for await (const woven of weave(this.#threads, keyOf, forksOf(image))) {
      signal?.throwIfAborted()
      blocks += woven.to - woven.from
      if (++entries % progressEach === 0) onProgress({ part: 'entries', done: blocks, total })
      yield* this.#check(woven)
    }
    onProgress({ part: 'entries', done: total, total })
    return entries
  }

  async *#check(woven: Woven<StoredLog>): AsyncGenerator<Problem, void, void> {
    const { image, checkedById, findings, onEntry } = this.#options
    const { log, from, to, entry, fault, isReady, isSetAside } = woven
    const checked = checkedById.get(log.id)!
    for (let index = from; index < to; index++) {
      if (!checked.damagedBlocks.has(index)) continue
      this.#brokenAt.set(log.id, to)
      return
    }
    // What goes on with an entry whose beginning is damaged.
    if (entry === null && this.#brokenAt.get(log.id) === from) {
      this.#brokenAt.set(log.id, to)
      return
    }
    const where = image.addresses.of(toHex(log.name.device), log.name.core, from)
    if (entry === null) {
      // Blocks that are right, by their author's signature, and say nothing: it is the author who wrote them so.
      if (fault?.code === 'NOT_ALLOWED') {
        yield* this.#tellKey(where)
      } else if (fault?.code === 'LOG_BEHIND') {
        yield findings.pending('missing-past', where, 'the rest of this entry is not here')
      } else if (fault !== null) {
        const code = fault.code === 'BAD_SEAL' ? 'seal' : 'encoding'
        yield findings.refused(code, where, fault.message)
      }
      return
    }
    // It is written again behind: nothing is wrong with it.
    if (isSetAside) return
    yield* this.#checkPast(woven, where)
    if (!isReady) return
    const isAllowed = yield* this.#checkRole(woven, where)
    const isSaid = yield* this.#checkBody(woven, where)
    if (isAllowed && isSaid && log.name.core !== 'control') onEntry(woven)
  }

  /** A key that is not here may be so because the entry that hands it over is damaged. */
  *#tellKey(where: string): Generator<Problem, void, void> {
    const { findings, mayOpen } = this.#options
    if (!mayOpen || this.#isDamaged('control')) return
    yield findings.pending('missing-key', where, 'the key that it is sealed under is not here')
  }

  async *#checkPast(
    { log, from, entry, isReady }: Woven<StoredLog>,
    where: string
  ): AsyncGenerator<Problem, void, void> {
    const { image, checkedById, findings, cut, isOwn } = this.#options
    for (const dep of entry!.deps) {
      // Of which another version may be here.
      if (image.control.isForked(dep.log)) continue
      const other = this.#logsById.get(dep.log)
      const checked = other === undefined ? undefined : checkedById.get(other.id)
      if (other === undefined || checked === undefined || dep.length > checked.contiguous) {
        // It was here when this device wrote the entry, or delivered it.
        const wasHere = isOwn(log) || from < (cut.get(log.id) ?? 0)
        if (!wasHere || this.#shortTold.has(dep.log) || checked?.isSound === false) continue
        this.#shortTold.add(dep.log)
        const name = other === undefined ? `log ${dep.log}` : nameOfLog(image.addresses, other.name)
        const has = other === undefined ? 'is not here' : `has ${checked?.contiguous ?? 0} blocks`
        const message = `it ${has}, and ${where} had seen ${dep.length} of it`
        yield findings.damage('log-short', name, message)
        continue
      }
      if (!checked.isSound) continue
      const treeHash = await treeHashAt(other, dep.length)
      if (treeHash === null || treeHash === dep.treeHash) continue
      const name = nameOfLog(image.addresses, other.name)
      const message = `it had seen another version of the first ${dep.length} blocks of ${name}`
      yield findings.refused('fork', where, message)
    }
    if (isReady || this.#shortTold.size > 0 || this.#isDamaged('any')) return
    yield findings.pending('missing-past', where, 'it waits for entries that are not here')
  }

  async *#checkRole(
    { log, from, entry }: Woven<StoredLog>,
    where: string
  ): AsyncGenerator<Problem, boolean, void> {
    const { image, findings } = this.#options
    const { control } = image
    // What makes someone a member may be in what is damaged.
    if (this.#isDamaged('control')) return true
    if (log.name.core === 'control') {
      const member = control.members.get(toHex(log.name.device))
      const role = member === undefined ? null : roleAtControl(member, from)
      if (role !== null || entry!.kind === kinds.genesis) return true
      yield findings.refused('role', where, 'its author was no member when it wrote this')
      return false
    }
    const { length } = this.#threads.find((thread) => thread.log === log)!
    if (from < keptOf(control, log.name, length)) return true
    // Or as the past of what is kept.
    this.#counts ??= await this.#countContent()
    if (from < (this.#counts.get(log.id) ?? 0)) return true
    const message = 'its author had no role that lets it write this, as far as is known here'
    yield findings.pending('role', where, message)
    return false
  }

  async #countContent(): Promise<Map<LogId, number>> {
    const { image } = this.#options
    const { control } = image
    const content = this.#threads.filter(({ log }) => log.name.core !== 'control')
    const pasts = new Map<LogId, Past[]>(content.map(({ log }) => [log.id, []]))
    const entries = weave(
      content,
      (log, keyId) => blockKeyOf(control, log.name, keyId),
      forksOf(image)
    )
    for await (const { log, from, entry } of entries)
      if (entry !== null) pasts.get(log.id)!.push({ from, deps: entry.deps })
    return countContent(
      content.map(({ log: { id, name }, length: end }) => {
        return { id, kept: keptOf(control, name, end), end, pasts: pasts.get(id)! }
      })
    )
  }

  *#checkBody(
    { log, from, entry }: Woven<StoredLog>,
    where: string
  ): Generator<Problem, boolean, void> {
    const { image, findings } = this.#options
    try {
      if (log.name.core === 'control') controlSummaryOf(entry!, () => '')
      else if (isContent(entry!.kind)) decodeContent(entry!, image.control.ring.space)
      else if (entry!.kind === kinds.event) {
        decodeAppEntry(entry!, toHex(log.name.device), { log: log.id, from })
      }
      return true
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error
      yield findings.refused('encoding', where, error.message)
      return false
    }
  }

  #isDamaged(core: 'control' | 'any'): boolean {
    const { image, checkedById } = this.#options
    return image.logs.some(
      (log) =>
        (core === 'any' || log.name.core === 'control') &&
        checkedById.get(log.id)?.isSound === false
    )
  }
}

function forksOf({ control }: SpaceImage): ForkedLogs<StoredLog> {
  return { isForked: (log) => control.isForked(log), treeHashAt }
}

/** The first 8 bytes of a log's tree hash at a length, in hex; null where its roots cannot be read. */
async function treeHashAt(log: StoredLog, length: number): Promise<string | null> {
  const nodes = await Promise.all(flat.fullRoots(2 * length).map((index) => log.node(index)))
  const roots = nodes.flatMap((node) => (node === null || node instanceof Unreadable ? [] : [node]))
  return roots.length < nodes.length ? null : toHex(crypto.tree(roots).subarray(0, 8))
}
