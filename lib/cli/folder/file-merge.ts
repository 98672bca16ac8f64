/**
 * One file and its document. What an editor saved becomes edits of the text that the editor had, made in the document
 * where that text's characters are now; what the document holds is written over the file only if the file is still what
 * was last seen. So nothing is ever compared with what the editor cannot have known.
 *
 * Which text had the editor? Mostly what was last on the disk. But an editor may hold an older text, which this device has
 * since overwritten with what came from elsewhere, and save that with a change. So a save is compared with the texts that
 * this device has overwritten in the last minutes, too, and the one that it differs from least is taken for the one it was
 * made from. A save that equals an older text exactly may be such an old text saved without a change, or the deliberate
 * removal of just what had come: the first time it counts as the former, and what came is written again; the second time
 * as the latter. Doing again what was undone is better than losing what someone wrote.
 */
import * as Y from 'yjs'
import type { Document } from 'skein'
import {
  anchoredTextOf,
  carryOut,
  planChange,
  planUnion,
  type AnchoredText,
  type Plan
} from './anchored-text.ts'
import type { Disk } from './disk.ts'
import { hashOf, isSame, type Signature } from './disk-file.ts'
import type { DocumentsCache } from './documents-cache.ts'
import type { FileRecord, LocalIndex, Version } from './local-index.ts'
import { distinctName } from './path-names.ts'
import { SharedTree, textName } from './shared-tree.ts'
import { costOf, diffText, likeness, type Replacement } from './text-diff.ts'
import { bytesOf, textOf } from './text-file.ts'

/** For how long after it was overwritten a text may still come back from an editor that has not noticed. */
const staleMs = 10 * 60_000
const maxOlderVersions = 4
/** How long what was displaced is kept, in case a program that had it open writes on. */
const lingerMs = 3_000

export interface FileMergeOptions {
  readonly disk: Disk
  readonly index: LocalIndex
  readonly documents: DocumentsCache
  readonly editCount: (document: string) => number
  readonly now: () => number
  readonly maxBytes: number
  /** What was saved in the very moment when the file was written here has been merged. */
  readonly onRaced: (path: string) => void
  /** A save was made from a text older than what was on the disk. */
  readonly onStale: (path: string) => void
}

/** How writing the document's text to the disk ended. */
export type Written =
  | 'written'
  /** The disk had it. */
  | 'unchanged'
  /** The file is not what was seen: it has to be read first. */
  | 'changed'
  /** Something else has the name. */
  | 'blocked'
  | 'too-large'

/** What was saved, from the file's own place or from one where it was set aside. */
interface Saved {
  readonly text: string
  readonly hash: string
  readonly signature: Signature
  readonly aside: string | null
}

interface Displaced {
  readonly name: string
  readonly id: string
  readonly version: number
  readonly dueMs: number
}

export class FileMerge {
  readonly #options: FileMergeOptions
  readonly #displaced = new Map<string, Displaced>()

  constructor(options: FileMergeOptions) {
    this.#options = options
  }

  /** A record for a file that is not on the disk, or in the space, yet. */
  newRecord(id: string, path: string): FileRecord {
    return {
      id,
      path,
      signature: null,
      hash: '',
      versions: [],
      nextVersion: 0,
      editCount: -1,
      echo: null,
      frozen: null,
      intent: null,
      former: null
    }
  }

  /** Takes what is on the disk into the document. */
  async import(record: FileRecord, saved: Omit<Saved, 'aside'>): Promise<void> {
    const { index } = this.#options
    record.frozen = null
    if (saved.hash === record.hash && record.versions.length > 0) {
      record.signature = saved.signature
      return index.put(record)
    }
    await this.#merge(record, { ...saved, aside: null }, await this.#versionsOf(record))
  }

  /** Notes that what is on the disk is no text now: it is neither read nor written over. */
  async freeze(record: FileRecord, hash: string, signature: Signature): Promise<void> {
    record.frozen = hash
    record.signature = signature
    await this.#options.index.put(record)
  }

  /** Writes what the document holds to the disk. */
  async export(record: FileRecord): Promise<Written> {
    if (record.frozen !== null) return 'blocked'
    const { documents } = this.#options
    return documents.use(SharedTree.documentOf(record.id), (document) =>
      this.#export(record, document)
    )
  }

  /** What the newest text that was on the disk had seen of the document: what its deletion deletes. */
  async seenOf(record: FileRecord): Promise<ReadonlyMap<number, number>> {
    const versions = await this.#versionsOf(record)
    return versions.at(-1)?.seen ?? new Map()
  }

  /**
   * Takes a file off the disk that others have deleted. False when it is not what was last seen. Its record stays until it
   * is sure that nobody was saving it in that moment.
   */
  async remove(record: FileRecord): Promise<boolean> {
    const { disk, index } = this.#options
    if (record.signature !== null) {
      if (!(await disk.hasRealParents(record.path))) return false
      const there = await disk.signature(record.path)
      if (there !== null && !isSame(there, record.signature)) return false
      const version = record.versions.at(-1)?.number ?? 0
      const aside = there && (await disk.setAside(record.path, this.asideName(record)))
      const isOther = aside !== null && (await this.restoreOther(record, aside))
      await this.forget(record)
      if (aside !== null && !isOther) this.#keepForNow(aside, record.id, version)
      return true
    }
    const isDisplaced = [...this.#displaced.values()].some(({ id }) => id === record.id)
    if (!isDisplaced && !this.#isRecent(record.former)) await index.remove(record.id)
    return true
  }

  /** Notes that the file is no longer on the disk. What it was is known for a while: an editor may have it open. */
  async forget(record: FileRecord): Promise<void> {
    record.signature = null
    record.former = { path: record.path, ms: this.#options.now() }
    await this.#options.index.put(record)
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
      (one) => one !== record && one.former?.path === path && this.#isRecent(one.former)
    )
    if (others.length === 0 || text === '') return null
    const own = record === null ? [] : await this.#versionsOf(record)
    let cost = Math.min(...own.map((version) => costOf(diffText(version.text, text))))
    let meant: FileRecord | null = null
    for (const other of others) {
      for (const version of await this.#versionsOf(other)) {
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

  /** Takes what was saved at a path away from there, and merges it into the file that it was meant for. */
  async divert(path: string, meant: FileRecord, record: FileRecord | null): Promise<void> {
    const { disk, index } = this.#options
    if (record !== null) {
      // It is written anew. First of all, so that a crash does not make a deletion of it.
      record.signature = null
      await index.put(record)
    }
    const version = meant.versions.at(-1)?.number ?? 0
    const aside = await disk.setAside(path, this.asideName(meant))
    if (aside === null) return
    await this.importAside(meant, aside, version)
  }

  /**
   * What was set aside may be no save of this file at all, but another file that the user was moving over its name in that
   * moment. Then it goes back to where it was, or beside, and true is returned.
   */
  async restoreOther(record: FileRecord, aside: string): Promise<boolean> {
    const { disk, index } = this.#options
    const signature = await disk.temporarySignature(aside)
    if (signature === null || signature.inode === record.signature?.inode) return false
    const other = [...index.recordsById.values()].find(
      (one) =>
        one.id !== record.id &&
        one.signature?.inode === signature.inode &&
        one.signature.birthNs === signature.birthNs
    )
    if (other === undefined) return false
    if (await disk.putNew(aside, other.path)) await disk.discard(aside)
    else await this.#keepBeside(other.path, aside)
    return true
  }

  /** Merges a file that was set aside, as a change to that version, and lets go of it. False when it is none. */
  async importAside(record: FileRecord, aside: string, version: number): Promise<boolean> {
    const { disk, index, onRaced } = this.#options
    if (await this.restoreOther(record, aside)) return false
    const read = await disk.readTemporary(aside)
    if (read === null) return false
    const text = textOf(read.bytes)
    const base = await index.version(record.id, version)
    const hash = hashOf(read.bytes)
    if (base?.hash === hash) {
      await disk.discard(aside)
      return false
    }
    if (text === null) {
      // Nothing that can be merged: it stays as a file beside.
      await this.#keepBeside(record.path, aside)
      return false
    }
    onRaced(record.path)
    // It was made from that version, or from an older one that its editor still had.
    const versions = await this.#versionsOf(record)
    const candidates =
      base === null
        ? versions
        : [
            ...versions.filter(({ number, supersededMs }) => number < version && supersededMs > 0),
            { ...base, number: version, supersededMs: 0 }
          ]
    await this.#merge(record, { text, hash, signature: read.signature, aside }, candidates)
    return true
  }

  /** Lets the file on the disk go on as that of another document, which holds the same text. */
  async rebind(record: FileRecord, id: string): Promise<void> {
    const { index, documents, editCount } = this.#options
    const name = SharedTree.documentOf(id)
    await documents.use(name, async ({ doc }) => {
      const text = anchoredTextOf(doc.getText(textName))
      const bound: FileRecord = {
        ...this.newRecord(id, record.path),
        signature: record.signature,
        hash: record.hash,
        versions: [{ number: 0, supersededMs: 0 }],
        nextVersion: 1,
        editCount: editCount(name)
      }
      const version = { number: 0, ...text, hash: record.hash, seen: seenIn(doc) }
      await index.put(bound, { versions: [version], durably: true })
    })
    await index.remove(record.id)
  }

  /** Merges what was saved under a file's old name while it was moved. */
  async importMoved(record: FileRecord, aside: string): Promise<void> {
    await this.importAside(record, aside, record.versions.at(-1)?.number ?? 0)
  }

  /** What the file is called when it is set aside: of which file it is, and its version. */
  asideName(record: FileRecord): string {
    return `old-${record.id}-${record.versions.at(-1)?.number ?? 0}`
  }

  /** What a file that makes room for another is called meanwhile. */
  holdName(record: FileRecord): string {
    return `hold-${record.id}-0`
  }

  /** Whether a text is much like the one that the file had when it was last looked at. */
  async resembles(id: string, text: string): Promise<boolean> {
    const record = this.#options.index.recordsById.get(id)
    if (record === undefined) return false
    const newest = (await this.#versionsOf(record)).at(-1)
    return newest === undefined || newest.text === '' || likeness(newest.text, text) >= 0.5
  }

  /** Puts a file that was moved out of the way back, or beside if its place is taken. */
  async unhold(record: FileRecord, aside: string): Promise<void> {
    const { disk } = this.#options
    if (await disk.putNew(aside, record.path)) await disk.discard(aside)
    else await this.#keepBeside(record.path, aside)
  }

  /** Finishes what a crash, or a failed write, has interrupted. */
  async resume(record: FileRecord): Promise<void> {
    const { intent } = record
    if (intent?.kind === 'import') await this.#resumeImport(record)
    else if (intent?.kind === 'write') await this.#resumeWrite(record)
  }

  /**
   * Looks at what was displaced a while ago: was it what had been seen, or has somebody saved it in that moment, or written
   * on in it since? Says which files' documents have changed. `only`: of that file, and at once.
   */
  async lookAtDisplaced(only: string | null = null): Promise<string[]> {
    const { disk, index, now } = this.#options
    const changed: string[] = []
    for (const displaced of [...this.#displaced.values()]) {
      const { name, id, version, dueMs } = displaced
      if (only === null ? now() < dueMs : id !== only) continue
      const signature = await disk.temporarySignature(name)
      const quietMs = signature === null ? Infinity : now() - Number(signature.modifiedNs) / 1e6
      if (only === null && quietMs >= 0 && quietMs < lingerMs / 2) {
        this.#displaced.set(name, { ...displaced, dueMs: now() + lingerMs })
        continue
      }
      const record = index.recordsById.get(id)
      if (record === undefined) await this.#keepOrDiscard(name, id, version)
      else if (await this.importAside(record, name, version)) changed.push(id)
      this.#displaced.delete(name)
      if (record !== undefined)
        await this.#dropVersions(record, [{ number: version, supersededMs: 0 }])
    }
    return changed
  }

  /** When the next of them is to be looked at; null when there is none. */
  get nextDueMs(): number | null {
    const due = [...this.#displaced.values()].map(({ dueMs }) => dueMs)
    return due.length === 0 ? null : Math.min(...due)
  }

  /** At the start: what lies among the temporary files, and no record has an intent for. */
  async sweep(): Promise<void> {
    const { disk, index } = this.#options
    for (const name of await disk.temporaries()) {
      const [kind = '', id = '', version = '0'] = name.split('-')
      const record = index.recordsById.get(id)
      if (kind === 'new') await disk.discard(name)
      else if (record !== undefined && kind === 'hold') await this.unhold(record, name)
      else if (record !== undefined) await this.importAside(record, name, Number(version))
      else await this.#keepOrDiscard(name, id, Number(version))
    }
  }

  async #keepOrDiscard(name: string, id: string, version: number): Promise<void> {
    const { disk, index } = this.#options
    const read = await disk.readTemporary(name)
    if (read === null) return
    const base = await index.version(id, version)
    // Of a file that is gone, as it was: there is nothing to keep.
    if (base?.hash === hashOf(read.bytes) || read.bytes.length === 0) return disk.discard(name)
    await this.#keepBeside(`${id.slice(0, 8)}.md`, name)
  }

  async #keepBeside(path: string, aside: string): Promise<void> {
    const { disk } = this.#options
    for (let number = 1; !(await disk.putNew(aside, distinctName(path, 'recovered', number)));)
      number++
    await disk.discard(aside)
  }

  async #resumeImport(record: FileRecord): Promise<void> {
    const { documents, index } = this.#options
    const intent = record.intent
    if (intent?.kind !== 'import') return
    await documents.use(SharedTree.documentOf(record.id), async (document) => {
      const state = Y.getState(document.doc.store, intent.client)
      const version = await index.version(record.id, intent.version)
      const isIn = intent.inserted > 0 && state >= intent.clock + intent.inserted
      if (isIn && version !== null) {
        await document.saved()
        await this.#imported(record, intent.version, {
          hash: version.hash,
          signature: intent.signature,
          aside: intent.aside
        })
      } else {
        // Deletions can be made twice. Of insertions that are in by half nothing is known but the two texts.
        if (intent.inserted > 0 && state > intent.clock) record.versions = []
        record.intent = null
        await index.put(record)
      }
    })
    if (intent.aside !== null)
      await this.importAside(record, intent.aside, versionOfAside(intent.aside))
  }

  async #resumeWrite(record: FileRecord): Promise<void> {
    const { disk, index } = this.#options
    const intent = record.intent
    if (intent?.kind !== 'write') return
    const { temporary, signature, version } = intent
    const there = await disk.signature(record.path)
    const left = await disk.temporarySignature(temporary)
    const isNew = record.signature === null
    // The two have changed places, or the new one was linked: the temporary name has the other file, or none.
    const isDone = there?.inode === signature.inode || (!isNew && left?.inode !== signature.inode)
    const before = record.versions.at(-1)?.number ?? null
    if (!isDone) {
      record.intent = null
      if (isNew) await index.remove(record.id)
      else await index.put(record)
      await disk.discard(temporary)
      return
    }
    const text = await index.version(record.id, version)
    await this.#wrote(record, version, text?.hash ?? '', signature)
    if (left === null || left.inode === signature.inode || before === null)
      return disk.discard(temporary)
    await this.importAside(record, temporary, before)
  }

  async #export(record: FileRecord, document: Document): Promise<Written> {
    const { disk, index, maxBytes } = this.#options
    const name = SharedTree.documentOf(record.id)
    // First, so that what comes while this is written marks the record again.
    record.editCount = this.#options.editCount(name)
    const text = anchoredTextOf(document.doc.getText(textName))
    const seen = seenIn(document.doc)
    const bytes = bytesOf(text.text)
    const hash = hashOf(bytes)
    if (record.signature !== null && hash === record.hash) {
      await this.#sameText(record, { ...text, hash, seen })
      return 'unchanged'
    }
    if (bytes.length > maxBytes) return 'too-large'
    if (!isSameOrNew(await disk.signature(record.path), record.signature)) {
      record.editCount = -1
      return 'changed'
    }

    const number = record.nextVersion++
    const temporary = await disk.writeTemporary(bytes, record.signature && record.path)
    const { signature } = temporary
    record.intent = { kind: 'write', version: number, temporary: temporary.name, signature }
    const isNew = record.signature === null
    await index.put(record, { versions: [{ number, ...text, hash, seen }], durably: !isNew })
    const before = record.versions.at(-1)?.number ?? 0
    // Just before: a save that came while this was written is not displaced without need.
    const isAsSeen = isSameOrNew(await disk.signature(record.path), record.signature)
    const isDone =
      isAsSeen &&
      (isNew
        ? await disk.putNew(temporary.name, record.path)
        : await disk.exchange(temporary.name, record.path))
    if (!isDone) {
      record.intent = null
      record.editCount = -1
      if (isNew) await index.remove(record.id)
      else await index.put(record)
      await disk.discard(temporary.name)
      return isNew ? 'blocked' : 'changed'
    }
    const displaced = isNew
      ? null
      : await disk.renameTemporary(temporary.name, this.asideName(record))
    const isOther = displaced !== null && (await this.restoreOther(record, displaced))
    await this.#wrote(record, number, hash, signature)
    if (displaced === null) await disk.discard(temporary.name)
    else if (!isOther) this.#keepForNow(displaced, record.id, before)
    return 'written'
  }

  /** The disk has the document's text; its characters may be others than before. */
  async #sameText(record: FileRecord, version: Version): Promise<void> {
    const { index } = this.#options
    const last = record.versions.at(-1)
    const known = last && (await index.version(record.id, last.number))
    if (known && sameRuns(known, version) && sameSeen(known.seen, version.seen))
      return index.put(record)
    const number = record.nextVersion++
    const before = record.versions
    record.versions = [...before.slice(0, -1), { number, supersededMs: 0 }]
    await index.put(record, { versions: [{ number, ...version }] })
    await this.#dropVersions(record, before)
  }

  async #wrote(
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
    await this.#dropVersions(record, before)
  }

  async #imported(
    record: FileRecord,
    version: number,
    { hash, signature, aside }: Pick<Saved, 'hash' | 'signature' | 'aside'>
  ): Promise<void> {
    const { index, disk } = this.#options
    const before = record.versions
    record.intent = null
    if (aside === null) {
      record.versions = [{ number: version, supersededMs: 0 }]
      record.hash = hash
      record.signature = signature
    }
    // Others may have written meanwhile: the export that follows finds out.
    record.editCount = -1
    await index.put(record)
    if (aside === null) await this.#dropVersions(record, before)
    // It was needed as long as the intent stood.
    else await index.dropVersions(record.id, [version])
    if (aside !== null) await disk.discard(aside)
  }

  async #merge(record: FileRecord, saved: Saved, candidates: readonly Candidate[]): Promise<void> {
    const { documents, onStale } = this.#options
    await documents.use(SharedTree.documentOf(record.id), async (document) => {
      const chosen = this.#chooseBase(record, saved, candidates)
      if (chosen?.isStale === true) onStale(record.path)
      await this.#mergeInto(document, record, saved, chosen?.base ?? null)
    })
  }

  async #mergeInto(
    document: Document,
    record: FileRecord,
    saved: Saved,
    base: Version | null
  ): Promise<void> {
    const { index } = this.#options
    const replacements = base && diffText(base.text, saved.text)
    const { hash, signature, aside } = saved
    for (;;) {
      const { doc } = document
      const text = doc.getText(textName)
      const at = { client: doc.clientID, clock: Y.getState(doc.store, doc.clientID) }
      const plan = planFor(text, base, replacements, saved.text, at)
      const number = record.nextVersion++
      const seen = new Map(base === null ? seenIn(doc) : base.seen)
      seen.set(at.client, Math.max(seen.get(at.client) ?? 0, at.clock + plan.inserted))
      const version: Version = { ...plan.result, hash, seen }
      const { inserted } = plan
      record.intent = { kind: 'import', version: number, signature, ...at, inserted, aside }
      await index.put(record, {
        versions: [{ number, ...version }],
        // A file that is new, and lost from the index in a power cut, is found again by its name.
        durably: record.versions.length > 0
      })
      // Meanwhile something may have come: the plan must be the one that stands in the index.
      const isCurrent =
        document.doc === doc &&
        doc.clientID === at.client &&
        Y.getState(doc.store, at.client) === at.clock
      const now = isCurrent ? planFor(text, base, replacements, saved.text, at) : null
      if (now === null || !sameRuns(now.result, plan.result)) continue
      doc.transact(() => carryOut(text, now), this)
      await document.saved()
      await this.#imported(record, number, { hash, signature, aside })
      return
    }
  }

  #chooseBase(
    record: FileRecord,
    saved: Saved,
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

  async #versionsOf(record: FileRecord): Promise<Candidate[]> {
    const versions: Candidate[] = []
    for (const { number, supersededMs } of record.versions) {
      const version = await this.#options.index.version(record.id, number)
      if (version !== null) versions.push({ ...version, number, supersededMs })
    }
    // Without the newest one it is not known what was on the disk.
    return versions.at(-1)?.number === record.versions.at(-1)?.number ? versions : []
  }

  #isRecent(former: FileRecord['former']): boolean {
    return former !== null && Math.abs(this.#options.now() - former.ms) < staleMs
  }

  #keepForNow(name: string, id: string, version: number): void {
    const dueMs = this.#options.now() + lingerMs
    this.#displaced.set(name, { name, id, version, dueMs })
  }

  /** Of versions that the record named before, those that it names no more. */
  async #dropVersions(record: FileRecord, before: FileRecord['versions']): Promise<void> {
    const kept = new Set(record.versions.map(({ number }) => number))
    for (const { id, version } of this.#displaced.values()) if (id === record.id) kept.add(version)
    const numbers = before.map(({ number }) => number).filter((number) => !kept.has(number))
    await this.#options.index.dropVersions(record.id, numbers)
  }
}

function versionOfAside(name: string): number {
  return Number(name.split('-')[2])
}

type Candidate = Version & { readonly number: number; readonly supersededMs: number }

function planFor(
  text: Y.Text,
  base: AnchoredText | null,
  replacements: readonly Replacement[] | null,
  after: string,
  at: { client: number; clock: number }
): Plan {
  const plan = base && replacements && planChange(text, base, replacements, at)
  if (plan) return plan
  // Nothing is known that both came from, or the document has not got it: all that is in either stays.
  return planUnion(text, after, at)
}

function seenIn(doc: Y.Doc): Map<number, number> {
  return Y.decodeStateVector(Y.encodeStateVector(doc))
}

function isSameOrNew(there: Signature | null, expected: Signature | null): boolean {
  return expected === null ? there === null : isSame(there, expected)
}

function sameRuns(a: AnchoredText, b: AnchoredText): boolean {
  return JSON.stringify(a.runs) === JSON.stringify(b.runs)
}

function sameSeen(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): boolean {
  return a.size === b.size && [...a].every(([client, clock]) => b.get(client) === clock)
}
