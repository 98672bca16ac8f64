/**
 * The bytes of an outbox's files. Integers are little-endian, `crc32` is zlib's:
 *
 *     generation := header • record*
 *     header     := "SKEINBOX" • uint32(version) • uint64(number) • uint32(checksum)
 *     record     := uint32(checksum) • uint32(length) • uint8(kind) • uint64(index) • byte{length}
 *
 *     header.checksum := crc32(the 20 bytes before it)
 *     record.checksum := crc32(the record's bytes after its checksum), begun at the checksum of the record before
 *                        it, the first one's at the header's
 *
 * Since each checksum begins at the one before, a record counts only behind the very records it was written behind:
 * bytes left over from an append that failed, or from another generation, never pass for records.
 */
import { crc32 } from 'node:zlib'
import { SkeinError } from '../../lib/errors.ts'
import type { OutboxRecord } from '../../lib/platform.ts'

const magic = Buffer.from('SKEINBOX')
const version = 1
const headerLength = 24
const recordHeaderLength = 17

/** The good part of a generation. */
export interface Generation {
  readonly records: OutboxRecord[]
  /** Where the last good record ends, and what its checksum is. */
  readonly end: number
  readonly checksum: number
}

export interface EncodedRecords {
  readonly bytes: Uint8Array
  /** Of the last record. */
  readonly checksum: number
}

export function encodeGeneration(number: number, records: OutboxRecord[]): EncodedRecords {
  const header = Buffer.alloc(headerLength)
  magic.copy(header)
  header.writeUInt32LE(version, 8)
  header.writeBigUInt64LE(BigInt(number), 12)
  const headerChecksum = crc32(header.subarray(0, 20))
  header.writeUInt32LE(headerChecksum, 20)
  const { bytes, checksum } = encodeRecords(records, headerChecksum)
  return { bytes: joined([header, bytes]), checksum }
}

/** `before` is the checksum of what the records are written behind. */
export function encodeRecords(records: OutboxRecord[], before: number): EncodedRecords {
  const parts: Uint8Array[] = []
  let checksum = before
  for (const { kind, index, bytes } of records) {
    if (!Number.isInteger(kind) || kind < 0 || kind > 255) {
      throw new TypeError(`A record's kind is a whole number from 0 to 255, not ${kind}`)
    }
    if (!Number.isSafeInteger(index) || index < 0) {
      throw new TypeError(`A record's index is a whole number, not ${index}`)
    }
    const head = Buffer.alloc(recordHeaderLength)
    head.writeUInt32LE(bytes.length, 4)
    head.writeUInt8(kind, 8)
    head.writeBigUInt64LE(BigInt(index), 9)
    checksum = crc32(bytes, crc32(head.subarray(4), checksum))
    head.writeUInt32LE(checksum, 0)
    parts.push(head, bytes)
  }
  return { bytes: joined(parts), checksum }
}

/**
 * Reads the records up to the first bad one. Fails with `STORAGE_DAMAGED` when not even the header is right: files
 * come into being whole, so no crash does that. `path` is for the message.
 */
export function decodeGeneration(file: Uint8Array, number: number, path: string): Generation {
  const view = Buffer.from(file.buffer, file.byteOffset, file.byteLength)
  let checksum = readHeader(view, number, path)
  const records: OutboxRecord[] = []
  let end = headerLength
  while (end + recordHeaderLength <= view.length) {
    const length = view.readUInt32LE(end + 4)
    const next = end + recordHeaderLength + length
    if (
      next > view.length ||
      view.readUInt32LE(end) !== crc32(view.subarray(end + 4, next), checksum)
    )
      break
    checksum = view.readUInt32LE(end)
    records.push({
      kind: view.readUInt8(end + 8),
      index: Number(view.readBigUInt64LE(end + 9)),
      bytes: new Uint8Array(view.subarray(end + recordHeaderLength, next))
    })
    end = next
  }
  return { records, end, checksum }
}

function readHeader(view: Buffer, number: number, path: string): number {
  const damaged = (what: string) =>
    new SkeinError('STORAGE_DAMAGED', `The outbox ${path} ${what}: it is damaged, or not one`)
  if (view.length < headerLength)
    throw damaged(`has ${view.length} bytes, fewer than a header's ${headerLength}`)
  if (!view.subarray(0, 8).equals(magic)) throw damaged('does not begin with SKEINBOX')
  const checksum = view.readUInt32LE(20)
  if (checksum !== crc32(view.subarray(0, 20)))
    throw damaged('has a header whose checksum is wrong')
  const foundVersion = view.readUInt32LE(8)
  if (foundVersion !== version) {
    throw new SkeinError(
      'STORAGE_FAILED',
      `The outbox ${path} has version ${foundVersion}, this program reads ${version}: a newer one wrote it`
    )
  }
  const foundNumber = view.readBigUInt64LE(12)
  if (foundNumber !== BigInt(number))
    throw damaged(`calls itself generation ${foundNumber}, not ${number}`)
  return checksum
}

/** Not a Buffer, whose `slice` gives no copy. */
function joined(parts: Uint8Array[]): Uint8Array {
  const { buffer, byteOffset, byteLength } = Buffer.concat(parts)
  return new Uint8Array(buffer, byteOffset, byteLength)
}
