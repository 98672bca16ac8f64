/**
 * What a space's views keep on disk: which entries belong to which document, each document's merged state, and the cut
 * of the logs that all this includes. It lies in the same database as the logs, so a power loss never leaves it ahead
 * of them; all of it can be thrown away and rebuilt. In Yjs's notation, keys and values:
 *
 *     key       := table(1) • space(32) • rest
 *     'c'                            → (log(8) • varUint(delivered length))*
 *     'd' document(8)                → varString(name) • varUint(entries filed) • varUint(entries merged)
 *                                      • varUint(bytes filed since) • varUint(bytes merged)
 *                                      • varUint(1: canonical) • (log(8) • varUint(end of its last entry there))*
 *     's' document(8)                → varUint(entries merged) • state      // V1; V2, which begins with a 0, from before
 *     'f' document(8) uint32 number  → ref            // an entry, in the order of delivery; merged ones too
 *     'e' uint32 number              → ref • varString(type)      // an application event
 *     ref       := log(8) • varUint(from) • varUint(to)
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, fromHex, toHex } from '../bytes.ts'
import type { KeyValueStore } from '../log/database.ts'
import type { LogId } from '../log/entry.ts'
import type { EntryRef } from '../log/read-back.ts'
import {
  decodeRecord,
  encodeCut,
  encodeRecord,
  encodeRef,
  numberAt,
  readCut,
  readRef,
  uint32,
  type DocumentRecord
} from './view-records.ts'

const flushAtRecords = 512
const tables = { cut: 0x63, document: 0x64, state: 0x73, filed: 0x66, event: 0x65 } as const

export interface StoredDocument {
  /** A Yjs update, see `applier.ts`; null when nothing has been merged yet. */
  readonly state: Uint8Array | null
  /** The entries since, in the order of delivery. */
  readonly since: readonly EntryRef[]
  /** How many entries that is, together with those in the state. */
  readonly filed: number
  /** Bytes of those in `since`. */
  readonly bytes: number
  /** How often what is filed under the document has been replaced, in this run: see `refile`. */
  readonly refiled: number
}

export interface StoredEvent {
  readonly number: number
  readonly type: string
  readonly ref: EntryRef
}

type Write =
  | { readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly deleteFrom: Uint8Array; readonly deleteTo: Uint8Array }

export class ViewStore {
  readonly #database: () => KeyValueStore
  readonly #space: Uint8Array
  readonly #documentsById = new Map<string, DocumentRecord>()
  readonly #refiledById = new Map<string, number>()
  readonly #cut = new Map<LogId, number>()
  #writes: Write[] = []
  readonly #changed = new Set<DocumentRecord>()
  #events = 0
  /** A log has been delivered less far than is written: what is made of the rest must never be taken for made. */
  #isCutLower = false
  #flushing: Promise<void> = Promise.resolve()

  /** `database` is asked for at each use, since the store may have been opened again meanwhile. */
  constructor(database: () => KeyValueStore, space: Uint8Array) {
    this.#database = database
    this.#space = space
  }

  async ready(): Promise<void> {
    const database = this.#database()
    const last = { ...this.#bounds(tables.event), reverse: true, limit: 1 }
    const [cut, documents, events] = await Promise.all([
      database.get(this.#key(tables.cut)),
      rowsOf(database.iterator(this.#bounds(tables.document))),
      rowsOf(database.iterator(last))
    ])
    if (cut !== null) {
      for (const [log, length] of decodeAll(new Uint8Array(cut), 'cut', readCut))
        this.#cut.set(log, length)
    }
    for (const { key, value } of documents) {
      const id = toHex(key.subarray(33))
      this.#documentsById.set(id, decodeRecord(id, new Uint8Array(value)))
    }
    for (const { key } of events) this.#events = numberAt(key, 33) + 1
  }

  /** By log, the delivered length that all this includes. */
  get cut(): ReadonlyMap<LogId, number> {
    return this.#cut
  }

  get documents(): DocumentRecord[] {
    return [...this.#documentsById.values()]
  }

  document(id: string): DocumentRecord | null {
    return this.#documentsById.get(id) ?? null
  }

  /** How often what is filed under a document has been replaced in this run. */
  refiledOf(id: string): number {
    return this.#refiledById.get(id) ?? 0
  }

  /** Notes that a log has been delivered so far; where that is less than before, the next flush writes it. */
  advance(log: LogId, length: number): void {
    if (length < (this.#cut.get(log) ?? 0)) this.#isCutLower = true
    this.#cut.set(log, length)
  }

  /** Files an entry under its document, and returns its number there; `name` when the entry says it. */
  file(id: string, name: string | null, ref: EntryRef, bytes: number): number {
    let record = this.#documentsById.get(id)
    if (record === undefined) {
      record = newRecord(id, name ?? '')
      this.#documentsById.set(id, record)
    }
    record.cut.set(ref.log, ref.to)
    if (record.name === '' && name !== null) record.name = name
    this.#writes.push({
      key: this.#key(tables.filed, fromHex(id), uint32(record.filed)),
      value: encodeRef(ref)
    })
    record.bytesSince += bytes
    this.#changed.add(record)
    return record.filed++
  }

  /** From here on the document has no merged state. */
  makeCanonical(id: string): void {
    const record = this.#documentsById.get(id)
    if (record === undefined) return
    record.isCanonical = true
    this.#changed.add(record)
  }

  fileEvent(type: string, ref: EntryRef): number {
    const number = this.#events++
    const encoder = encoding.createEncoder()
    encoding.writeUint8Array(encoder, encodeRef(ref))
    encoding.writeVarString(encoder, type)
    this.#writes.push({
      key: this.#key(tables.event, uint32(number)),
      value: encoding.toUint8Array(encoder)
    })
    return number
  }

  /** Lets go of events that do not count any more; the others keep their numbers. */
  async dropEvents(counts: (ref: EntryRef) => boolean): Promise<void> {
    const dropped: StoredEvent[] = []
    for await (const event of this.events(0)) if (!counts(event.ref)) dropped.push(event)
    for (const { number } of dropped) {
      this.#writes.push({
        deleteFrom: this.#key(tables.event, uint32(number)),
        deleteTo: this.#key(tables.event, uint32(number + 1))
      })
    }
    await this.flush()
  }

  /** The number that the next event gets. */
  get eventCount(): number {
    return this.#events
  }

  /** Is there more waiting to be written than should wait? */
  get wantsFlush(): boolean {
    return this.#writes.length >= flushAtRecords
  }

  /** Reads a document as it stood after `filed` entries, at the moment of the call. */
  async read(id: string): Promise<StoredDocument> {
    const record = this.#documentsById.get(id)
    const refiled = this.refiledOf(id)
    if (record === undefined) return { state: null, since: [], filed: 0, bytes: 0, refiled }
    // Before the flush: what is filed during it may not be written with it.
    const { filed, bytesSince: bytes } = record
    await this.flush()
    const stored = await this.#database().get(this.#key(tables.state, fromHex(id)))
    let state: Uint8Array | null = null
    let merged = 0
    if (stored !== null) {
      const decoder = decoding.createDecoder(new Uint8Array(stored))
      merged = decoding.readVarUint(decoder)
      state = decoding.readTailAsUint8Array(decoder)
    }
    return { state, since: await this.#readRefs(id, merged, filed), filed, bytes, refiled }
  }

  /** All entries of a document, in the order of delivery, at the moment of the call. */
  async readRefs(id: string): Promise<EntryRef[]> {
    const filed = this.#documentsById.get(id)?.filed ?? 0
    await this.flush()
    return this.#readRefs(id, 0, filed)
  }

  /**
   * Replaces what is filed under a document: for when entries do not count any more. Its merged state goes. `bytes` are
   * those of these entries.
   */
  async refile(id: string, refs: readonly EntryRef[], bytes: number): Promise<void> {
    const before = this.#documentsById.get(id)
    if (before === undefined) return
    this.#refiledById.set(id, this.refiledOf(id) + 1)
    const record = newRecord(id, before.name, before.isCanonical)
    const key = fromHex(id)
    const first = this.#key(tables.filed, key, uint32(0))
    this.#writes.push({
      deleteFrom: first,
      deleteTo: this.#key(tables.filed, key, uint32(before.filed))
    })
    const state = this.#key(tables.state, key)
    this.#writes.push({
      deleteFrom: state,
      deleteTo: this.#key(tables.state, key, Uint8Array.of(0))
    })
    for (const ref of refs) {
      this.#writes.push({
        key: this.#key(tables.filed, key, uint32(record.filed++)),
        value: encodeRef(ref)
      })
      record.cut.set(ref.log, ref.to)
    }
    record.bytesSince = bytes
    this.#documentsById.set(id, record)
    this.#changed.delete(before)
    this.#changed.add(record)
    await this.flush()
  }

  /**
   * Replaces a document's merged state, atomically, by one that includes its first `merged` entries: `bytesMerged` more
   * than before. Does nothing if a later one has been written meanwhile, or if it is of entries that were replaced since
   * they were read (`refiled`).
   */
  async writeState(
    id: string,
    merged: number,
    state: Uint8Array,
    bytesMerged: number,
    refiled: number
  ): Promise<void> {
    const record = this.#documentsById.get(id)
    if (refiled !== this.refiledOf(id)) return
    if (record === undefined || record.isCanonical || merged <= record.merged) return
    const encoder = encoding.createEncoder()
    encoding.writeVarUint(encoder, merged)
    encoding.writeUint8Array(encoder, state)
    const value = encoding.toUint8Array(encoder)
    record.merged = merged
    record.bytesMerged = state.length
    record.bytesSince = Math.max(0, record.bytesSince - bytesMerged)
    this.#changed.add(record)
    // In one batch with the entries filed so far: a state must never include what is not filed.
    this.#writes.push({ key: this.#key(tables.state, fromHex(id)), value })
    await this.flush()
  }

  /** Events numbered from `from` on, in the order of delivery. */
  async *events(from: number): AsyncGenerator<StoredEvent> {
    await this.flush()
    const range = { gte: this.#key(tables.event, uint32(from)), lt: this.#bounds(tables.event).lt }
    for await (const { key, value } of this.#database().iterator(range)) {
      const { ref, type } = decodeAll(new Uint8Array(value), 'event record', (decoder) => ({
        ref: readRef(decoder),
        type: decoding.readVarString(decoder)
      }))
      yield { number: numberAt(key, 33), type, ref }
    }
  }

  /** Writes what waits in one batch, with the cut. What fails to be written waits on. */
  flush(): Promise<void> {
    const run = this.#flushing.catch(() => {}).then(() => this.#flush()) // Told to whoever asked for that one.
    this.#flushing = run
    return run
  }

  /** Forgets everything about the space. */
  async clear(): Promise<void> {
    this.#documentsById.clear()
    this.#cut.clear()
    this.#writes = []
    this.#changed.clear()
    this.#events = 0
    const batch = this.#database().write({ autoDestroy: true })
    for (const table of Object.values(tables)) {
      const { gte, lt } = this.#bounds(table)
      batch.tryDeleteRange(gte, lt)
    }
    await batch.flush()
  }

  async #flush(): Promise<void> {
    if (this.#writes.length === 0 && this.#changed.size === 0 && !this.#isCutLower) return
    // First: while there is no store it fails, and what waits must not be lost.
    const batch = this.#database().write({ autoDestroy: true })
    const writes = this.#writes
    const changed = [...this.#changed]
    const isCutLower = this.#isCutLower
    this.#isCutLower = false
    this.#writes = []
    this.#changed.clear()
    for (const write of writes) {
      if ('value' in write) batch.tryPut(write.key, write.value)
      else batch.tryDeleteRange(write.deleteFrom, write.deleteTo)
    }
    for (const record of changed)
      batch.tryPut(this.#key(tables.document, fromHex(record.id)), encodeRecord(record))
    batch.tryPut(this.#key(tables.cut), encodeCut(this.#cut))
    try {
      await batch.flush()
    } catch (error) {
      this.#writes = [...writes, ...this.#writes]
      for (const record of changed) this.#changed.add(record)
      this.#isCutLower ||= isCutLower
      throw error
    }
  }

  async #readRefs(id: string, from: number, to: number): Promise<EntryRef[]> {
    const refs: EntryRef[] = []
    const range = {
      gte: this.#key(tables.filed, fromHex(id), uint32(from)),
      lt: this.#key(tables.filed, fromHex(id), uint32(to))
    }
    for await (const { value } of this.#database().iterator(range)) {
      refs.push(decodeAll(new Uint8Array(value), 'entry reference', readRef))
    }
    return refs
  }

  #key(table: number, ...rest: Uint8Array[]): Uint8Array {
    const key = new Uint8Array(33 + rest.reduce((sum, part) => sum + part.length, 0))
    key[0] = table
    key.set(this.#space, 1)
    let at = 33
    for (const part of rest) {
      key.set(part, at)
      at += part.length
    }
    return key
  }

  #bounds(table: number): { gte: Uint8Array; lt: Uint8Array } {
    const longest = new Uint8Array(16).fill(255)
    return { gte: this.#key(table), lt: this.#key(table, longest) }
  }
}

async function rowsOf<Row>(range: AsyncIterable<Row>): Promise<Row[]> {
  const rows: Row[] = []
  for await (const row of range) rows.push(row)
  return rows
}

function newRecord(id: string, name: string, isCanonical = false): DocumentRecord {
  const nothing = { filed: 0, merged: 0, bytesSince: 0, bytesMerged: 0 }
  return { id, name, ...nothing, cut: new Map(), isCanonical }
}
