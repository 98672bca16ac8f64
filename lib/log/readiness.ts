/** Whether the next entry of a log may be delivered: it counts, and what its author had seen is here and has been delivered. */
import { storageError, type SkeinError } from '../errors.ts'
import { kinds, type Dep, type LogId } from './entry.ts'
import type { Log } from './log.ts'
import type { Pending, Reader } from './reader.ts'

export interface ReadinessOptions {
  readonly reader: (id: LogId) => Reader | undefined
  /** Is it proven that this log has two versions? */
  readonly isForked: (log: LogId) => boolean
  /** A proof of a fork waits for its turn. It proves itself: true if that was not known. */
  readonly onProof: (body: Uint8Array) => boolean
  /** Up to where a log's entries count. */
  readonly countedOf: (reader: Reader) => number
  /** More of a log counts than before: what waited for that is to be looked at again. */
  readonly onCounted: () => void
  readonly isStopped: () => boolean
  readonly onReadFailed: (error: SkeinError) => void
  /** An entry declares another history of a log than ours. */
  readonly onForkEvidence: (log: Log) => void
}

export class Readiness {
  readonly #options: ReadinessOptions
  /** Proofs of forks that have been looked at. */
  readonly #foreseen = new WeakSet<Pending>()

  constructor(options: ReadinessOptions) {
    this.#options = options
  }

  /** True if it may be delivered; else `waitsFor` says what for. */
  async isReady(reader: Reader, pending: Pending): Promise<boolean> {
    if (pending.from >= this.#options.countedOf(reader)) {
      reader.waitsFor = 'trust'
      return false
    }
    if (pending.depsChecked || pending.entry === null) return true
    // What it waits for may wait for a log that nothing holds up once it is known to have several versions.
    const { kind, body } = pending.entry
    if (kind === kinds.forkProof && !this.#foreseen.has(pending)) {
      this.#foreseen.add(pending)
      if (this.#options.onProof(body)) this.#options.onCounted()
    }
    // Members are a function of the set of control entries, whichever version of a log they stand in.
    const deps = pending.entry.deps.filter(({ log }) => !this.#isForkedControl(log))
    for (const dep of deps) {
      const other = this.#options.reader(dep.log)
      if (other !== undefined && other.delivered >= dep.length) continue
      reader.waitsFor = dep
      if (other !== undefined) await this.#countPast(other, dep)
      return false
    }
    for (const dep of deps) {
      const other = this.#options.reader(dep.log)!.log
      const treeHash = await this.#treeHashOf(other, dep.length)
      if (treeHash === dep.treeHash) continue
      if (treeHash !== null) this.#options.onForkEvidence(other)
      // A control entry may be what proves it.
      if (treeHash !== null && reader.log.name.core === 'control') continue
      reader.waitsFor = treeHash === null ? dep : 'trust'
      return false
    }
    pending.depsChecked = true
    return true
  }

  #isForkedControl(id: LogId): boolean {
    return this.#options.isForked(id) && this.#options.reader(id)?.log.name.core === 'control'
  }

  /** Has what a dep names been delivered, and is it the same here? */
  async isHere({ log, length, treeHash }: Dep): Promise<boolean> {
    if (this.#isForkedControl(log)) return true
    const other = this.#options.reader(log)
    if (other === undefined || other.delivered < length) return false
    return (await this.#treeHashOf(other.log, length)) === treeHash
  }

  /** What an entry that counts builds on counts with it, once it is here and is what that entry names. */
  async #countPast(other: Reader, dep: Dep): Promise<void> {
    if (other.counted >= dep.length || other.log.contiguousLength < dep.length) return
    if ((await this.#treeHashOf(other.log, dep.length)) !== dep.treeHash) return
    other.counted = Math.max(other.counted, dep.length)
    this.#options.onCounted()
  }

  /** Null while it is not to be had: then 'progress' of the log tells when to ask again. */
  async #treeHashOf(log: Log, length: number): Promise<string | null> {
    try {
      return await log.treeHashAt(length)
    } catch (cause) {
      if (!this.#options.isStopped() && log.isAttached) {
        const message = `The tree of log ${log.id} could not be read`
        this.#options.onReadFailed(storageError(message, cause))
      }
      return null
    }
  }
}
