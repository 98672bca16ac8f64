/** What is here and does not count, as an app may look at it. */
import { SkeinError } from '../errors.ts'
import { kinds, type Entry } from '../log/entry.ts'
import type { EntryRef } from '../log/read-back.ts'
import type { DeviceId } from '../trust/members.ts'
import { decodeAppEntry } from './app-entry.ts'
import { decodeContent, isContent } from './edit.ts'

/** An edit or an application event that does not count. */
export interface ExcludedEntry {
  /** Names the entry within its space, on every device alike. */
  readonly id: string
  /** Who wrote it: a signing key in hex. */
  readonly device: DeviceId
  /** When, by the writer's clock, which may be wrong. */
  readonly timeMs: number
  /** Of an edit: the document's name, null where no entry that is here says it, and the Yjs update. */
  readonly edit: { readonly document: string | null; readonly update: Uint8Array } | null
  readonly event: { readonly type: string; readonly value: unknown } | null
}

/** Null for what is neither, or malformed. */
export function excludedOf(
  { device, entry, log, from }: EntryRef & { readonly device: DeviceId; readonly entry: Entry },
  space: Uint8Array,
  nameOf: (id: string) => string | undefined
): ExcludedEntry | null {
  const said = { id: `${log}/${from}`, device, timeMs: entry.timeMs }
  try {
    if (isContent(entry.kind)) {
      const { document, name, update } = decodeContent(entry, space)
      const known = name ?? nameOf(document) ?? ''
      return { ...said, edit: { document: known === '' ? null : known, update }, event: null }
    }
    if (entry.kind !== kinds.event) return null
    const { type, value } = decodeAppEntry(entry, device, { log, from })
    return { ...said, edit: null, event: { type, value } }
  } catch (error) {
    if (error instanceof SkeinError) return null
    throw error
  }
}
