/**
 * Files that were set aside: what was displaced when something was written, or was at a name that is needed. Each is looked
 * at before it goes: somebody may have saved it in that very moment, or write on in it.
 */
import { hashOf } from './disk-file.ts'
import type { Disk } from './disk.ts'
import type { FileVersions } from './file-versions.ts'
import type { FileRecord, LocalIndex } from './local-index.ts'
import { distinctName } from './path-names.ts'
import type { SaveMerge } from './save-merge.ts'
import { textOf } from './text-file.ts'

/** How long what was displaced is kept, in case a program that had it open writes on. */
const lingerMs = 3_000

interface Displaced {
  readonly name: string
  readonly id: string
  readonly version: number
  readonly dueMs: number
}

export interface AsideOptions {
  readonly disk: Disk
  readonly index: LocalIndex
  readonly versions: FileVersions
  readonly saves: SaveMerge
  readonly now: () => number
  /** What was saved in the very moment when the file was written here has been merged. */
  readonly onRaced: (path: string) => void
}

export class Aside {
  readonly #options: AsideOptions
  readonly #displaced = new Map<string, Displaced>()

  constructor(options: AsideOptions) {
    this.#options = options
  }

  /** What the file is called when it is set aside: of which file it is, and its version. */
  nameOf(record: FileRecord): string {
    return `old-${record.id}-${record.versions.at(-1)?.number ?? 0}`
  }

  /** What a file that makes room for another is called meanwhile. */
  holdName(record: FileRecord): string {
    return `hold-${record.id}-0`
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
    const versions = await this.#options.versions.of(record)
    const candidates =
      base === null
        ? versions
        : [
            ...versions.filter(({ number, supersededMs }) => number < version && supersededMs > 0),
            { ...base, number: version, supersededMs: 0 }
          ]
    await this.#options.saves.merge(
      record,
      { text, hash, signature: read.signature, aside },
      candidates
    )
    return true
  }

  /** Merges what was saved under a file's old name while it was moved. */
  async importMoved(record: FileRecord, aside: string): Promise<void> {
    await this.importAside(record, aside, record.versions.at(-1)?.number ?? 0)
  }

  /** Puts a file that was moved out of the way back, or beside if its place is taken. */
  async unhold(record: FileRecord, aside: string): Promise<void> {
    const { disk } = this.#options
    if (await disk.putNew(aside, record.path)) await disk.discard(aside)
    else await this.#keepBeside(record.path, aside)
  }

  /** Keeps what was displaced for a while: a change to that version may come in it. */
  keepForNow(name: string, id: string, version: number): void {
    const dueMs = this.#options.now() + lingerMs
    this.#displaced.set(name, { name, id, version, dueMs })
  }

  /** Versions of a file that what was displaced is compared with. */
  neededOf(id: string): number[] {
    return [...this.#displaced.values()]
      .filter((displaced) => displaced.id === id)
      .map(({ version }) => version)
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
        await this.#options.versions.drop(record, [{ number: version, supersededMs: 0 }])
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
}

/** The version of the file that a name says was set aside. */
export function versionOfAside(name: string): number {
  return Number(name.split('-')[2])
}
