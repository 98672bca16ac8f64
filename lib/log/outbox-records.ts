/**
 * What stands in the outbox.
 *
 * Records in the outbox: 0 and 1, a block of the control and the content log (index: its place) · 2, a session mark
 * (index: the client counter; bytes: 1 when the session ended cleanly) · 3, a watermark (index: 0 control, 1 content;
 * bytes: varUint of the length that the store is known to hold durably) · 4, a member has answered what this device wrote
 * (index: 0; bytes: the name of the copy of the storage for which it was asked, or none).
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import type { OutboxRecord } from '../platform.ts'

export const recordKinds = {
  control: 0,
  content: 1,
  session: 2,
  watermark: 3,
  answered: 4
} as const

/** This device's two logs in a space. */
export type OwnCore = 'control' | 'content'

/** The log that a record of a block is of. */
export function coreOf(record: OutboxRecord): OwnCore {
  return record.kind === recordKinds.control ? 'control' : 'content'
}

export function sessionRecord(counter: number, clean: boolean): OutboxRecord {
  return { kind: recordKinds.session, index: counter, bytes: new Uint8Array([clean ? 1 : 0]) }
}

export function watermarkRecord(index: number, length: number): OutboxRecord {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, length)
  return { kind: recordKinds.watermark, index, bytes: encoding.toUint8Array(encoder) }
}

/** What the records of an outbox say, for whoever checks them against the logs. */
export interface OutboxContent {
  readonly control: KnownOfLog
  readonly content: KnownOfLog
  /** Records that mean nothing. */
  readonly faults: readonly string[]
}

interface KnownOfLog {
  /** The length that the store is known to have had durably. */
  readonly watermark: number
  readonly blocks: ReadonlyMap<number, Uint8Array>
}

export function readOutboxRecords(records: readonly OutboxRecord[]): OutboxContent {
  const watermarks = { control: 0, content: 0 }
  const blocks = { control: new Map<number, Uint8Array>(), content: new Map<number, Uint8Array>() }
  const faults: string[] = []
  for (const { kind, index, bytes } of records) {
    if (kind === recordKinds.control) blocks.control.set(index, bytes)
    else if (kind === recordKinds.content) blocks.content.set(index, bytes)
    else if (kind === recordKinds.watermark && index <= 1) {
      const core = index === 0 ? 'control' : 'content'
      const length = decoding.readVarUint(decoding.createDecoder(bytes))
      watermarks[core] = Math.max(watermarks[core], length)
    } else if (kind !== recordKinds.session && kind !== recordKinds.answered)
      faults.push(`it has a record of unknown kind ${kind}`)
  }
  return {
    control: { watermark: watermarks.control, blocks: blocks.control },
    content: { watermark: watermarks.content, blocks: blocks.content },
    faults
  }
}
