/**
 * What this device knows about each file of the folder: what was last read from or written to the disk, and from which
 * state of the document. It lies in the folder itself (`.skein/index`, a LevelDB), so that it goes wherever the files go
 * that it describes: in a copy or a restored backup of the folder, files and index fit each other. LevelDB's own lock
 * keeps a second process out.
 *
 *     meta               what the folder belongs to
 *     file!<id>          FileRecord, JSON
 *     version!<id>!<n>   varUint(runs) • (client • clock • length)* • varUint8Array(seen) • varString(hash) • varString(text)
 *     gone!<id>          when a deletion was found to cover its document: how many edits that had
 *     dir!<path>         a folder that was on the disk
 *
 * An intent stands here durably before what it announces is done, so that after a crash at any moment it is known whether
 * it was: a text that has gone into its document is not taken for a new change, nor a file that was written for an edit.
 */
import * as Y from 'yjs'
import { ClassicLevel } from 'classic-level'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import type { AnchoredText, Run } from './anchored-text.ts'
import type { Signature } from './disk-file.ts'
import { decodeSeen, encodeSeen } from './shared-tree.ts'

/** A text that the file had, and how it hangs together with the document. */
export interface Version extends AnchoredText {
  /** Of its bytes. */
  readonly hash: string
  /** What the document held when the text was made from it, or changed into it: by client up to which clock. */
  readonly seen: ReadonlyMap<number, number>
}

/** The text of the disk, version `version`, goes into the document. */
export interface ImportIntent {
  readonly kind: 'import'
  readonly version: number
  readonly signature: Signature
  /** Its insertions begin at this clock of this client, and take that many. */
  readonly client: number
  readonly clock: number
  readonly inserted: number
  /** A temporary file that holds the text; null when it stands at the file's own place. */
  readonly aside: string | null
}

/** A new text of the document, version `version`, is written to the disk by way of a temporary file. */
export interface WriteIntent {
  readonly kind: 'write'
  readonly version: number
  readonly temporary: string
  readonly signature: Signature
}

export interface FileRecord {
  readonly id: string
  /** Where it is on this disk; a `create` that was not finished: where it is to be. */
  path: string
  /** Null before the file has been on the disk. */
  signature: Signature | null
  /** Of the bytes on the disk, as far as known. */
  hash: string
  /**
   * The texts that an editor may hold, oldest first; the last one is what is on the disk. The others are older ones that
   * this device has overwritten, with when.
   */
  versions: { number: number; supersededMs: number }[]
  nextVersion: number
  /** How many edits the document had when the last version was made from it; -1: it has to be looked at. */
  editCount: number
  /** The hash of an older version that a save has brought back once: see `chooseBase`. */
  echo: string | null
  /** What is on the disk is no text now, and has this hash; nothing is written over it. */
  frozen: string | null
  intent: ImportIntent | WriteIntent | null
  /** Where it was until it was moved or taken away, not by the user of this disk: an editor may still save it there. */
  former: { path: string; ms: number } | null
}

interface Meta {
  readonly format: 1
  readonly space: string
  /** What tells a copy of the folder from the folder. */
  place: string
  isClean: boolean
}

type Batch = ({ type: 'put'; key: string; value: Uint8Array } | { type: 'del'; key: string })[]

export class LocalIndex {
  readonly #level: ClassicLevel<string, Uint8Array>
  readonly recordsById = new Map<string, FileRecord>()
  readonly goneById = new Map<string, number>()
  readonly folders = new Set<string>()
  #meta: Meta | null = null

  constructor(path: string) {
    this.#level = new ClassicLevel(path, { keyEncoding: 'utf8', valueEncoding: 'view' })
  }

  /** Fails with LevelDB's `LEVEL_LOCKED` or `LEVEL_CORRUPTION` as the cause's code. */
  async open(): Promise<void> {
    await this.#level.open()
    for await (const [key, value] of this.#level.iterator({ lt: 'version!' }))
      this.#load(key, value)
  }

  async close(): Promise<void> {
    if (this.#meta !== null) {
      this.#meta.isClean = true
      await this.#putMeta()
    }
    await this.#level.close()
  }

  /** For one whose content is not to be trusted as a clean end would say. */
  async abandon(): Promise<void> {
    await this.#level.close()
  }

  get meta(): Readonly<Meta> | null {
    return this.#meta
  }

  /** Notes whose index this is, and that it is in use; the returned value says whether it was closed cleanly. */
  async begin(space: string, place: string): Promise<{ wasClean: boolean }> {
    const wasClean = this.#meta?.isClean ?? false
    this.#meta = { format: 1, space, place, isClean: false }
    await this.#putMeta()
    return { wasClean }
  }

  /** Writes a record, and with it versions that it names for the first time; `durably` before the promise resolves. */
  async put(
    record: FileRecord,
    options: { versions?: readonly (Version & { number: number })[]; durably?: boolean } = {}
  ): Promise<void> {
    this.recordsById.set(record.id, record)
    const operations: Batch = [
      { type: 'put', key: `file!${record.id}`, value: encodeJson(record) },
      ...(options.versions ?? []).map((version) => ({
        type: 'put' as const,
        key: versionKey(record.id, version.number),
        value: encodeVersion(version)
      }))
    ]
    await this.#level.batch(operations, { sync: options.durably === true })
  }

  /** Forgets a file, with its versions. */
  async remove(id: string): Promise<void> {
    this.recordsById.delete(id)
    const keys = await this.#level.keys({ gte: `version!${id}!`, lt: `version!${id}"` }).all()
    const operations: Batch = [`file!${id}`, ...keys].map((key) => ({ type: 'del' as const, key }))
    await this.#level.batch(operations)
  }

  /** Forgets versions that no editor can hold any more. */
  async dropVersions(id: string, numbers: readonly number[]): Promise<void> {
    if (numbers.length === 0) return
    const operations: Batch = numbers.map((number) => ({
      type: 'del' as const,
      key: versionKey(id, number)
    }))
    await this.#level.batch(operations)
  }

  /** A version, or null where it is not there or damaged. */
  async version(id: string, number: number): Promise<Version | null> {
    const bytes = await this.#level.get(versionKey(id, number))
    return bytes === undefined ? null : decodeVersion(bytes)
  }

  async putGone(id: string, editCount: number): Promise<void> {
    this.goneById.set(id, editCount)
    await this.#level.put(`gone!${id}`, encodeJson(editCount))
  }

  async putFolder(path: string): Promise<void> {
    this.folders.add(path)
    await this.#level.put(`dir!${path}`, encodeJson(true))
  }

  async removeFolder(path: string): Promise<void> {
    this.folders.delete(path)
    await this.#level.del(`dir!${path}`)
  }

  async #putMeta(): Promise<void> {
    await this.#level.put('meta', encodeJson(this.#meta), { sync: true })
  }

  #load(key: string, bytes: Uint8Array): void {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    if (key === 'meta') this.#meta = value as Meta
    else if (key.startsWith('file!')) {
      const record = value as FileRecord
      this.recordsById.set(record.id, record)
    } else if (key.startsWith('gone!')) this.goneById.set(key.slice(5), value as number)
    else if (key.startsWith('dir!')) this.folders.add(key.slice(4))
  }
}

function versionKey(id: string, number: number): string {
  return `version!${id}!${String(number).padStart(12, '0')}`
}

function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

function encodeVersion({ text, runs, seen, hash }: Version): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, runs.length)
  for (const { client, clock, length } of runs) {
    encoding.writeVarUint(encoder, client)
    encoding.writeVarUint(encoder, clock)
    encoding.writeVarUint(encoder, length)
  }
  encoding.writeVarUint8Array(encoder, encodeSeen(seen))
  encoding.writeVarString(encoder, hash)
  encoding.writeVarString(encoder, text)
  return encoding.toUint8Array(encoder)
}

function decodeVersion(bytes: Uint8Array): Version {
  const decoder = decoding.createDecoder(bytes)
  const runs: Run[] = []
  for (let left = decoding.readVarUint(decoder); left > 0; left--) {
    runs.push({
      client: decoding.readVarUint(decoder),
      clock: decoding.readVarUint(decoder),
      length: decoding.readVarUint(decoder)
    })
  }
  const seen = decodeSeen(decoding.readVarUint8Array(decoder))
  const hash = decoding.readVarString(decoder)
  return { runs, seen, hash, text: decoding.readVarString(decoder) }
}

/** What a document holds, by client: `Version.seen`. */
export function seenIn(doc: Y.Doc): Map<number, number> {
  return Y.decodeStateVector(Y.encodeStateVector(doc))
}
