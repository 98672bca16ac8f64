/**
 * Checks the views of a space against the logs: which entries each document's records name, and that its merged state
 * reads as one that is built anew from the entries alone. On the way the validator looks at every edit.
 */
import * as Y from 'yjs'
import { toHex } from '../bytes.ts'
import { SkeinError } from '../errors.ts'
import type { KeyValueStore } from '../log/database.ts'
import {
  EntryAssembler,
  keyIdOfBlock,
  kinds,
  openBlock,
  type Entry,
  type LogId
} from '../log/entry.ts'
import type { EntryRef } from '../log/read-back.ts'
import { leaveMarksUntidied } from '../log/changes.ts'
import { Unreadable, type StoredLog } from '../log/store-image.ts'
import { blockKeyOf } from '../space-logs.ts'
import { clientIdOf } from '../trust/keys.ts'
import type { DeviceId } from '../trust/members.ts'
import { Applier, type IncomingEdit } from '../views/applier.ts'
import { decodeAppEntry } from '../views/app-entry.ts'
import { CanonicalOrder } from '../views/canonical.ts'
import { decodeContent, isContent } from '../views/edit.ts'
import type { DocumentRecord } from '../views/view-records.ts'
import { ViewStore } from '../views/view-store.ts'
import type { Findings, Problem, VerifyProgress } from './problem.ts'
import { renderedOf, structureOf } from './rendered.ts'
import type { SpaceImage } from './space-image.ts'
import type { Woven } from './weave.ts'

/** Bodies that are kept between the walk through the logs and the building of documents; others are read again. */
const keptBytes = 64 * 1024 * 1024

interface Kept {
  readonly ref: EntryRef
  readonly device: DeviceId
  /** Null where it is to be read again. */
  readonly entry: Entry | null
  readonly bytes: number
}

/** Opens a space's views without changing them. Null when they cannot be read, which is told. */
export async function* openViews(
  database: KeyValueStore,
  space: Uint8Array,
  findings: Findings
): AsyncGenerator<Problem, ViewStore | null, void> {
  const views = new ViewStore(() => database, space)
  try {
    await views.ready()
    return views
  } catch (error) {
    if (error instanceof SkeinError) {
      yield findings.damage('view', 'views', `a record of them cannot be read: ${error.message}`)
    } else yield* findings.unreadable('the views', new Unreadable(error))
    return null
  }
}

/** Takes note of content entries in a causal order; then checks the views. */
export class ViewsCheck {
  readonly #image: SpaceImage
  readonly #views: ViewStore
  readonly #findings: Findings
  readonly #byDocument = new Map<string, Kept[]>()
  readonly #events: { ref: EntryRef; type: string }[] = []
  readonly #logsById = new Map<LogId, StoredLog>()
  #bytes = 0

  constructor(image: SpaceImage, views: ViewStore, findings: Findings) {
    this.#image = image
    this.#views = views
    this.#findings = findings
    for (const log of image.logs) this.#logsById.set(log.id, log)
  }

  /** A content entry that counts. */
  note({ log, from, to, entry }: Woven<StoredLog>): void {
    // What the views have not taken in yet, they take in at the next opening.
    if (entry === null || to > (this.#views.cut.get(log.id) ?? 0)) return
    const ref = { log: log.id, from, to }
    const device = toHex(log.name.device)
    if (entry.kind === kinds.event) {
      this.#events.push({ ref, type: decodeAppEntry(entry, device, ref).type })
    }
    if (!isContent(entry.kind)) return
    const { document } = decodeContent(entry, this.#image.control.ring.space)
    const isKept = this.#bytes + entry.body.length <= keptBytes
    if (isKept) this.#bytes += entry.body.length
    const kept = { ref, device, entry: isKept ? entry : null, bytes: entry.body.length }
    const list = this.#byDocument.get(document)
    if (list === undefined) this.#byDocument.set(document, [kept])
    else list.push(kept)
  }

  async *run(
    onProgress: (progress: VerifyProgress) => void,
    signal: AbortSignal | undefined
  ): AsyncGenerator<Problem, void, void> {
    const records = this.#views.documents
    let done = 0
    for (const id of new Set([...this.#byDocument.keys(), ...records.map((record) => record.id)])) {
      signal?.throwIfAborted()
      yield* this.#checkDocument(id)
      onProgress({ part: 'documents', done: ++done, total: records.length })
    }
    yield* this.#checkEvents()
  }

  async *#checkDocument(id: string): AsyncGenerator<Problem, void, void> {
    const record = this.#views.document(id)
    const kept = this.#byDocument.get(id) ?? []
    const edits: IncomingEdit[] = []
    for (const one of kept) edits.push(await this.#editOf(one))
    const name = record?.name || nameIn(kept, this.#image.control.ring.space) || id
    const where = `document ${JSON.stringify(name)}`
    if (record === null) {
      const message = `its ${kept.length} edits were taken in, and there is no record of it`
      yield this.#findings.damage('view', where, message)
      return
    }
    try {
      yield* this.#compare(record, where, kept, edits)
    } catch (error) {
      if (error instanceof SkeinError) {
        yield this.#findings.damage(
          'view',
          where,
          `a record of it cannot be read: ${error.message}`
        )
      } else yield* this.#findings.unreadable(where, new Unreadable(error))
    }
  }

  async *#compare(
    record: DocumentRecord,
    where: string,
    kept: readonly Kept[],
    edits: readonly IncomingEdit[]
  ): AsyncGenerator<Problem, void, void> {
    const fault = (message: string): Problem => this.#findings.damage('view', where, message)
    if (record.filed !== kept.length) {
      yield fault(`its record says ${record.filed} edits, and the logs have ${kept.length}`)
      return
    }
    const said = nameIn(kept, this.#image.control.ring.space)
    if (said !== null && said !== record.name) {
      yield fault(
        `its record calls it ${JSON.stringify(record.name)}, and its first edit ${JSON.stringify(said)}`
      )
      return
    }
    const byRef = new Map(
      edits.map((edit, i) => [keyOf(edit.ref), { edit, bytes: kept[i]!.bytes }])
    )
    const refs = await this.#views.readRefs(record.id)
    const listed = refs.map((ref) => byRef.get(keyOf(ref)))
    if (listed.includes(undefined) || new Set(refs.map(keyOf)).size < kept.length) {
      yield fault('its list lacks one of its edits, or names one twice, or another entry')
      return
    }
    if (!isCutOf(record, refs)) {
      yield fault('its record says that it goes up to other entries than its list')
      return
    }
    const { state, since } = await this.#views.read(record.id)
    if (
      record.filed - since.length !== record.merged ||
      (state === null) !== (record.merged === 0)
    ) {
      const parts = `its record says that ${record.merged} of its ${record.filed} edits are merged`
      yield fault(
        state === null ? `${parts}, and there is no state` : `${parts}, and its state not`
      )
      return
    }
    const sinceThen = listed.slice(record.merged)
    const bytes = sinceThen.reduce((sum, one) => sum + one!.bytes, 0)
    if (bytes !== record.bytesSince || (state?.length ?? 0) !== record.bytesMerged) {
      yield fault('its record gives other sizes than its state and its list have')
      return
    }
    const refused: { edit: IncomingEdit; error: SkeinError }[] = []
    const inOrder = (all: readonly IncomingEdit[]): readonly IncomingEdit[] =>
      record.isCanonical ? this.#canonical(all) : all
    const onRefused = (edit: IncomingEdit, error: SkeinError): void =>
      void refused.push({ edit, error })
    const right = this.#build(null, inOrder(edits), onRefused)
    for (const { edit, error } of refused) {
      const log = this.#logsById.get(edit.ref.log)!
      const address = this.#image.addresses.of(edit.device, log.name.core, edit.ref.from)
      yield this.#findings.refused('edit', address, error.message)
    }
    const stored = this.#build(
      record.isCanonical ? null : state,
      inOrder(listed.map((one) => one!.edit)),
      () => {}
    )
    if (stored === null || stored !== right) {
      yield fault('its merged state does not read as one that is built from its entries')
    }
  }

  /** As a document is made that looked different on two devices. */
  #canonical(edits: readonly IncomingEdit[]): IncomingEdit[] {
    const order = new CanonicalOrder((device, counter) => this.#clientIdsOf(device, counter))
    order.add(edits)
    return order.edits
  }

  /** Null when the state is no state at all. */
  #build(
    state: Uint8Array | null,
    edits: readonly IncomingEdit[],
    onRefused: (edit: IncomingEdit, error: SkeinError) => void
  ): string | null {
    const doc = new Y.Doc()
    const origin = {}
    leaveMarksUntidied(doc, (transaction) => transaction.origin === origin)
    const clientIdsOf = (device: DeviceId, counter: number): number[] =>
      this.#clientIdsOf(device, counter)
    try {
      new Applier({ doc, origin, clientIdsOf, onRefused }).apply(state, edits)
      return renderedOf(doc) + structureOf(doc)
    } catch (error) {
      if (state === null) throw error
      return null
    } finally {
      doc.destroy()
    }
  }

  async *#checkEvents(): AsyncGenerator<Problem, void, void> {
    const left = new Map(this.#events.map(({ ref, type }) => [keyOf(ref), type]))
    let listed = 0
    try {
      for await (const { number, type, ref } of this.#views.events(0)) {
        const right = left.get(keyOf(ref))
        left.delete(keyOf(ref))
        listed++
        // Those that do not count any more left gaps between the numbers.
        if (right === type) continue
        const message = `record ${number} names no event, or another kind than its entry, or one twice`
        yield this.#findings.damage('view', 'events', message)
        return
      }
    } catch (error) {
      if (error instanceof SkeinError) {
        yield this.#findings.damage('view', 'events', `record ${listed}: ${error.message}`)
      } else yield* this.#findings.unreadable('the list of events', new Unreadable(error))
      return
    }
    if (left.size === 0) return
    yield this.#findings.damage('view', 'events', `${left.size} of them are not in their list`)
  }

  async #editOf({ ref, device, entry }: Kept): Promise<IncomingEdit> {
    const { space } = this.#image.control.ring
    const read = entry ?? (await this.#read(ref))
    const { document: _, name: __, ...edit } = decodeContent(read, space)
    return { device, ref, deps: read.deps, ...edit }
  }

  async #read({ log: id, from, to }: EntryRef): Promise<Entry> {
    const log = this.#logsById.get(id)!
    const assembler = new EntryAssembler()
    for (let seq = from; seq < to; seq++) {
      const block = await log.get(seq)
      if (block === null) break
      const key = blockKeyOf(this.#image.control, log.name, keyIdOfBlock(block))
      if (key === null) break
      const entry = assembler.add(openBlock(block, { ...log.name, seq }, key))
      if (entry !== null) return entry
    }
    throw new SkeinError('STORAGE_DAMAGED', `Entry ${from} of log ${id} was here and is gone`)
  }

  #clientIdsOf(device: DeviceId, counter: number): number[] {
    const { members, ring } = this.#image.control
    const member = members.get(device)
    if (member === undefined) return []
    const { signKey } = member.record
    return [...new Set(member.salts.map((salt) => clientIdOf(ring.space, signKey, salt, counter)))]
  }
}

function keyOf({ log, from, to }: EntryRef): string {
  return `${log}/${from}-${to}`
}

function isCutOf(record: DocumentRecord, refs: readonly EntryRef[]): boolean {
  const ends = new Map<LogId, number>()
  for (const { log, to } of refs) ends.set(log, Math.max(ends.get(log) ?? 0, to))
  return ends.size === record.cut.size && [...ends].every(([log, to]) => record.cut.get(log) === to)
}

/** The name of a document, as its edits say it. */
function nameIn(kept: readonly Kept[], space: Uint8Array): string | null {
  for (const { entry } of kept) {
    const name = entry === null ? null : decodeContent(entry, space).name
    if (name !== null) return name
  }
  return null
}
