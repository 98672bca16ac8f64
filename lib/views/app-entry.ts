/**
 * An app's own verified events, for what is not a text document: a ledger, a chat. In Yjs's notation:
 *
 *     event     := varString(type) • varString(JSON)
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll } from '../bytes.ts'
import type { Entry, LogId } from '../log/entry.ts'
import type { DeviceId } from '../trust/members.ts'

const maxTypeChars = 200

export interface AppEntry {
  /** Names the entry within its space, on every device alike. */
  readonly id: string
  readonly type: string
  /** As JSON has it. */
  readonly value: unknown
  /** Who wrote it: a signing key in hex. */
  readonly device: DeviceId
  /** When, by the writer's clock, which may be wrong. */
  readonly timeMs: number
}

/** Throws a `TypeError` for a value that JSON cannot hold. */
export function encodeAppEntry(type: string, value: unknown): Uint8Array {
  if (typeof type !== 'string' || type === '' || type.length > maxTypeChars) {
    throw new TypeError(`An event's type has 1 to ${maxTypeChars} characters`)
  }
  const json = JSON.stringify(value) as string | undefined
  if (json === undefined) throw new TypeError('An event’s value is one that JSON can hold')
  const encoder = encoding.createEncoder()
  encoding.writeVarString(encoder, type)
  encoding.writeVarString(encoder, json)
  return encoding.toUint8Array(encoder)
}

/** Fails with `BAD_ENCODING`. */
export function decodeAppEntry(
  entry: Entry,
  device: DeviceId,
  { log, from }: { readonly log: LogId; readonly from: number }
): AppEntry {
  return decodeAll(entry.body, 'application event', (decoder) => {
    const type = decoding.readVarString(decoder)
    if (type === '' || type.length > maxTypeChars) throw new RangeError('A type of no valid length')
    const value = JSON.parse(decoding.readVarString(decoder)) as unknown
    return { id: `${log}/${from}`, type, value, device, timeMs: entry.timeMs }
  })
}
