/** The texts that a file had on the disk lately: which of them a save was made from, and which file it was meant for. */
import type { Signature } from './disk-file.ts'
import type { FileRecord, LocalIndex, Version } from './local-index.ts'
import { costOf, diffText, likeness } from './text-diff.ts'

/** For how long after it was overwritten a text may still come back from an editor that has not noticed. */
const staleMs = 10 * 60_000
const maxOlderVersions = 4

export type Candidate = Version & { readonly number: number; readonly supersededMs: number }

export interface FileVersionsOptions {
  readonly index: LocalIndex
  readonly now: () => number
  /** Versions of a file that what was set aside is still compared with. */
  readonly neededOf: (id: string) => Iterable<number>
}

export class FileVersions {
  readonly #options: FileVersionsOptions

  constructor(options: FileVersionsOptions) {
    this.#options = options
  }

  /** Oldest first; none where the newest is not known. */
  async of(record: FileRecord): Promise<Candidate[]> {
    const versions: Candidate[] = []
    for (const { number, supersededMs } of record.versions) {
      const version = await this.#options.index.version(record.id, number)
      if (version !== null) versions.push({ ...version, number, supersededMs })
    }
    // Without the newest one it is not known what was on the disk.
    return versions.at(-1)?.number === record.versions.at(-1)?.number ? versions : []
  }

  /** The version that a save was made from, which is the newest in most cases; null without any. */
  chooseBase(
    record: FileRecord,
    saved: Pick<Version, 'text' | 'hash'>,
    candidates: readonly Candidate[]
  ): { base: Version; isStale: boolean } | null {
    const newest = candidates.at(-1)
    if (newest === undefined) return null
    let base = newest
    if (candidates.length > 1) {
      let cost = costOf(diffText(newest.text, saved.text))
      for (const older of candidates.slice(0, -1).reverse()) {
        if (this.#options.now() - older.supersededMs > staleMs) continue
        const olderCost = costOf(diffText(older.text, saved.text))
        if (olderCost >= cost) continue
        base = older
        cost = olderCost
      }
      const isEcho = base !== newest && base.hash === saved.hash
      if (isEcho && record.echo === saved.hash) base = newest
      record.echo = isEcho && base !== newest ? saved.hash : null
    }
    return { base, isStale: base !== newest }
  }

  /**
   * The file that a save at a path was meant for, if that is another than the one that is there now (`record`, or none):
   * one that was there when the editor opened it, and whose text is much more like what was saved.
   */
  async meantFor(
    path: string,
    text: string,
    record: FileRecord | null
  ): Promise<FileRecord | null> {
    const { index } = this.#options
    const others = [...index.recordsById.values()].filter(
      (one) => one !== record && one.former?.path === path && this.isRecent(one.former)
    )
    if (others.length === 0 || text === '') return null
    const own = record === null ? [] : await this.of(record)
    let cost = Math.min(...own.map((version) => costOf(diffText(version.text, text))))
    let meant: FileRecord | null = null
    for (const other of others) {
      for (const version of await this.of(other)) {
        if (version.text === '' || likeness(version.text, text) < 0.5) continue
        // A copy, or a save without a change.
        if (record === null && version.text === text) continue
        const otherCost = costOf(diffText(version.text, text))
        if (otherCost >= cost) continue
        cost = otherCost
        meant = other
      }
    }
    return meant
  }

  /** Whether a text is much like the one that the file had when it was last looked at. */
  async resembles(id: string, text: string): Promise<boolean> {
    const record = this.#options.index.recordsById.get(id)
    if (record === undefined) return false
    const newest = (await this.of(record)).at(-1)
    return newest === undefined || newest.text === '' || likeness(newest.text, text) >= 0.5
  }

  /** The file has that version's text now. */
  async wrote(
    record: FileRecord,
    version: number,
    hash: string,
    signature: Signature
  ): Promise<void> {
    const nowMs = this.#options.now()
    const before = record.versions
    const older = before
      .map(({ number, supersededMs }) => ({ number, supersededMs: supersededMs || nowMs }))
      .filter(({ supersededMs }) => nowMs - supersededMs < staleMs)
    record.versions = [...older.slice(-maxOlderVersions), { number: version, supersededMs: 0 }]
    record.hash = hash
    record.signature = signature
    record.intent = null
    await this.#options.index.put(record)
    await this.drop(record, before)
  }

  /** Of versions that the record named before, those that it names no more. */
  async drop(record: FileRecord, before: FileRecord['versions']): Promise<void> {
    const kept = new Set(record.versions.map(({ number }) => number))
    for (const version of this.#options.neededOf(record.id)) kept.add(version)
    const numbers = before.map(({ number }) => number).filter((number) => !kept.has(number))
    await this.#options.index.dropVersions(record.id, numbers)
  }

  /** May an editor still have a file open that was there then? */
  isRecent(former: FileRecord['former']): boolean {
    return former !== null && Math.abs(this.#options.now() - former.ms) < staleMs
  }
}
