/**
 * What happened in a space, entry by entry: who wrote what, when by the author's clock, what the author had seen, and
 * what of it counts. Everything is read from the logs, so it works without a view and shows what views leave out.
 */
import { toHex } from '../bytes.ts'
import { SkeinError, throwIfAborted } from '../errors.ts'
import { kinds, type CoreName, type Entry, type LogId } from '../log/entry.ts'
import type { Feed } from '../log/feed.ts'
import type { Log } from '../log/log.ts'
import type { ControlState } from '../trust/control-state.ts'
import { documentIdOf } from '../trust/keys.ts'
import type { DeviceId } from '../trust/members.ts'
import { decodeAppEntry } from '../views/app-entry.ts'
import { decodeContent, decodeEdit, isContent } from '../views/edit.ts'
import { Addresses } from './address.ts'
import { controlSummaryOf, type ControlSummary } from './control-summary.ts'
import { summaryOf, TextMemory, type EditSummary } from './edit-summary.ts'
import { weave, type Woven } from './weave.ts'

/** Of text that was inserted, so that text deleted before long can be shown. */
const remembersChars = 256 * 1024
const remembersDocuments = 64

export interface HistoryOptions {
  /** The name of a document: its edits only. */
  readonly document?: string
  /** A device's key in hex: what it wrote only. */
  readonly author?: DeviceId
  readonly signal?: AbortSignal
}

/** What became of an entry on this device. */
export type EntryState =
  | 'delivered'
  /** It waits for what its author had seen, or for a role or key. */
  | 'waiting'
  /** It is malformed, or its author had no right to write it, or a log forked beneath it: every device leaves it out. */
  | 'passed-over'

/** Up to where an author had delivered a log. */
export interface Seen {
  readonly log: LogId
  /** Whose it is, and what that device is called; null for a log that is not known here. */
  readonly device: DeviceId | null
  readonly author: string | null
  readonly core: CoreName | null
  readonly length: number
  /** The first 8 bytes of the log's tree hash at that length, in hex. */
  readonly treeHash: string
}

export interface HistoryEntry {
  /** `log/place`: names the entry within its space on every device alike, as `AppEntry.id` does. */
  readonly id: string
  /** `alice:content:12`: the same for people. */
  readonly address: string
  readonly device: DeviceId
  /** What the device is called in this space; with the beginning of its key where several are called so. */
  readonly author: string
  readonly core: CoreName
  /** Its blocks in the log: [from, to). */
  readonly from: number
  readonly to: number
  /** `edit`, `event`, `grant` …; `unknown 40` for one that this version does not know; null if it cannot be read. */
  readonly kind: string | null
  /** By the author's clock, which may be wrong; null if it cannot be read. */
  readonly timeMs: number | null
  /** Of its blocks, as they are stored. */
  readonly bytes: number
  /** What its author had delivered since its entry before. */
  readonly saw: readonly Seen[]
  readonly state: EntryState
  /** Why it is passed over, or cannot be read. */
  readonly problem: string | null
  /** Of an edit. `name` is null where no entry that is here says it. */
  readonly document: { readonly id: string; readonly name: string | null } | null
  readonly edit: EditSummary | null
  readonly event: { readonly type: string; readonly value: unknown } | null
  /** Of a control entry, what it says, in words. */
  readonly control: ControlSummary | null
}

/**
 * What it needs of its space.
 * @internal
 */
export interface HistoryContext {
  readonly space: Uint8Array
  readonly feed: Feed
  readonly control: ControlState
  readonly documentName: (id: string) => string | null
}

/** @internal Entries in a causal order, those that wait last. */
export async function* historyOf(
  context: HistoryContext,
  { document, author, signal }: HistoryOptions = {}
): AsyncGenerator<HistoryEntry, void, void> {
  throwIfAborted(signal)
  const only = document === undefined ? null : documentIdOf(context.space, document)
  const describer = new Describer(context, remembersChars)
  for await (const woven of weaveOf(context)) {
    throwIfAborted(signal)
    if (author !== undefined && toHex(woven.log.name.device) !== author) {
      // What others wrote is remembered all the same: the author may have deleted it.
      if (woven.entry?.kind === kinds.edit) describer.remember(woven.entry)
      continue
    }
    if (only !== null && !isContent(woven.entry?.kind ?? 0)) continue
    const entry = describer.describe(woven)
    if (only === null || entry.document?.id === only) yield entry
  }
}

/** @internal All that is here of a space's logs now. */
export function weaveOf({ feed, control }: HistoryContext): AsyncGenerator<Woven<Log>, void, void> {
  const threads = feed.logs.map((log) => ({ log, length: log.contiguousLength }))
  return weave(threads, (log, keyId) => feed.keyOf(log, keyId), {
    isForked: (log) => control.isForked(log),
    treeHashAt: (log, length) => log.treeHashAt(length)
  })
}

/** @internal */
export function addressesOf({ feed, control }: HistoryContext): Addresses {
  const devices = [...control.members.values()].map(({ device, record }) => ({
    device,
    name: record.name
  }))
  const logs = feed.logs.map(({ id, name }) => {
    return { id, device: toHex(name.device), core: name.core }
  })
  return new Addresses(devices, logs)
}

/** @internal Puts entries into words; keep one for a walk through them. */
export class Describer {
  readonly #context: HistoryContext
  readonly #addresses: Addresses
  readonly #memories = new Map<string, TextMemory>()
  readonly #remembersChars: number

  constructor(context: HistoryContext, chars: number) {
    this.#context = context
    this.#addresses = addressesOf(context)
    this.#remembersChars = chars
  }

  describe(woven: Woven<Log>): HistoryEntry {
    const { log, from, to, entry, bytes } = woven
    const device = toHex(log.name.device)
    const said = this.#said(device, woven)
    return {
      id: `${log.id}/${from}`,
      address: this.#addresses.of(device, log.name.core, from),
      device,
      author: this.#addresses.nameOf(device),
      core: log.name.core,
      from,
      to,
      kind: entry === null ? null : kindName(entry.kind),
      timeMs: entry?.timeMs ?? null,
      bytes,
      saw: (entry?.deps ?? []).map((dep) => {
        const other = this.#context.feed.log(dep.log)
        const of = other === null ? null : toHex(other.name.device)
        const author = of === null ? null : this.#addresses.nameOf(of)
        return { ...dep, device: of, author, core: other?.name.core ?? null }
      }),
      ...this.#stateOf(woven, said.problem),
      document: said.document,
      edit: said.edit,
      event: said.event,
      control: said.control
    }
  }

  /** Takes note of what an edit inserted, without describing it. */
  remember(entry: Entry): void {
    try {
      const edit = decodeEdit(entry.body, this.#context.space)
      summaryOf(edit.update, this.#memoryOf(edit.document))
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error // Malformed: it inserted nothing.
    }
  }

  #said(device: DeviceId, { log, from, entry, fault }: Woven<Log>): Said {
    const said: Said = { document: null, edit: null, event: null, control: null, problem: null }
    if (entry === null) return { ...said, problem: fault?.message ?? null }
    try {
      if (log.name.core === 'control') {
        const nameOf = (other: DeviceId): string => this.#addresses.nameOf(other)
        return { ...said, control: controlSummaryOf(entry, nameOf) }
      }
      if (isContent(entry.kind)) {
        const { document, name, update } = decodeContent(entry, this.#context.space)
        const named = { id: document, name: name ?? this.#context.documentName(document) }
        return { ...said, document: named, edit: summaryOf(update, this.#memoryOf(document)) }
      }
      if (entry.kind === kinds.event) {
        const { type, value } = decodeAppEntry(entry, device, { log: log.id, from })
        return { ...said, event: { type, value } }
      }
      return said
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error
      return { ...said, problem: error.message }
    }
  }

  #stateOf(
    { log, from, to, entry, isReady, isSetAside }: Woven<Log>,
    problem: string | null
  ): { state: EntryState; problem: string | null } {
    const { feed } = this.#context
    if (isSetAside) {
      const reason = 'It builds on a version of a log that did not stay; its author wrote it again'
      return { state: 'passed-over', problem: problem ?? reason }
    }
    if (!isReady || to > feed.deliveredOf(log.id)) return { state: 'waiting', problem }
    if (entry === null) return { state: 'passed-over', problem }
    if (!feed.counts(log, from)) {
      const reason = 'Its author had no role that lets it write this'
      return { state: 'passed-over', problem: problem ?? reason }
    }
    return { state: problem === null ? 'delivered' : 'passed-over', problem }
  }

  #memoryOf(document: string): TextMemory {
    let memory = this.#memories.get(document)
    if (memory === undefined) {
      memory = new TextMemory(this.#remembersChars)
      const [oldest] = this.#memories.keys()
      if (this.#memories.size >= remembersDocuments && oldest !== undefined) {
        this.#memories.delete(oldest)
      }
      this.#memories.set(document, memory)
    }
    return memory
  }
}

interface Said {
  readonly document: HistoryEntry['document']
  readonly edit: EditSummary | null
  readonly event: HistoryEntry['event']
  readonly control: ControlSummary | null
  readonly problem: string | null
}

function kindName(kind: number): string {
  const known = Object.entries(kinds).find(([, number]) => number === kind)
  return known?.[0] ?? `unknown ${kind}`
}
