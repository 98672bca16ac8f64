/** The bytes of what a view store keeps; the layout stands in `view-store.ts`. */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, fromHex, toHex } from '../bytes.ts'
import type { LogId } from '../log/entry.ts'
import type { EntryRef } from '../log/read-back.ts'

export interface DocumentRecord {
  readonly id: string
  name: string
  /** How many entries belong to the document. */
  filed: number
  /** How many of them the merged state includes. */
  merged: number
  /** Bytes of the entries that it does not include. */
  bytesSince: number
  bytesMerged: number
  /** By log, where the last entry ends that belongs to the document: equal on peers that have the same of its entries. */
  readonly cut: Map<LogId, number>
  /** It looked different on two devices: it is made of its entries, in their canonical order, and has no merged state. */
  isCanonical: boolean
}

export function encodeRef({ log, from, to }: EntryRef): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeUint8Array(encoder, fromHex(log))
  encoding.writeVarUint(encoder, from)
  encoding.writeVarUint(encoder, to)
  return encoding.toUint8Array(encoder)
}

export function readRef(decoder: decoding.Decoder): EntryRef {
  const log = toHex(decoding.readUint8Array(decoder, 8))
  return { log, from: decoding.readVarUint(decoder), to: decoding.readVarUint(decoder) }
}

export function encodeRecord(record: DocumentRecord): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeVarString(encoder, record.name)
  encoding.writeVarUint(encoder, record.filed)
  encoding.writeVarUint(encoder, record.merged)
  encoding.writeVarUint(encoder, record.bytesSince)
  encoding.writeVarUint(encoder, record.bytesMerged)
  encoding.writeVarUint(encoder, record.isCanonical ? 1 : 0)
  encoding.writeUint8Array(encoder, encodeCut(record.cut))
  return encoding.toUint8Array(encoder)
}

/** Fails with `BAD_ENCODING`. */
export function decodeRecord(id: string, bytes: Uint8Array): DocumentRecord {
  return decodeAll(bytes, 'document record', (decoder) => ({
    id,
    name: decoding.readVarString(decoder),
    filed: decoding.readVarUint(decoder),
    merged: decoding.readVarUint(decoder),
    bytesSince: decoding.readVarUint(decoder),
    bytesMerged: decoding.readVarUint(decoder),
    isCanonical: decoding.readVarUint(decoder) === 1,
    cut: readCut(decoder)
  }))
}

export function encodeCut(cut: ReadonlyMap<LogId, number>): Uint8Array {
  const encoder = encoding.createEncoder()
  for (const [log, length] of cut) {
    encoding.writeUint8Array(encoder, fromHex(log))
    encoding.writeVarUint(encoder, length)
  }
  return encoding.toUint8Array(encoder)
}

export function readCut(decoder: decoding.Decoder): Map<LogId, number> {
  const cut = new Map<LogId, number>()
  while (decoding.hasContent(decoder)) {
    const log = toHex(decoding.readUint8Array(decoder, 8))
    cut.set(log, decoding.readVarUint(decoder))
  }
  return cut
}

export function uint32(number: number): Uint8Array {
  return new Uint8Array([number >>> 24, number >>> 16, number >>> 8, number])
}

export function numberAt(key: Uint8Array, at: number): number {
  return new DataView(key.buffer, key.byteOffset).getUint32(at)
}
