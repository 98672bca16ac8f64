/**
 * The inside of a bundle: logs with what it takes to verify them as a peer's are. In Yjs's notation:
 *
 *     inside    := varUint8Array(record)* • varUint(0)
 *     record    := 1 • varUint(n) • (device(32) • varString(core) • varUint(from) • varUint(to))*n   // the first record
 *                | 2 • varUint(log) • varUint(fork) • varUint8Array(signature) • varUint(n) • node*n
 *                | 3 • varUint(first) • varUint(n) • varUint8Array(block)*n
 *     node      := varUint(index) • varUint(size) • hash(32)
 *
 * Record 1 says which logs the bundle has, and how far: blocks [from, to) of each, control logs first. `from` is what the
 * reader is taken to have. Then for each log comes record 2: the head that its author signed, of length `to`, and the
 * nodes of hypercore's tree that lie side by side over all its blocks; they hash up to what is signed. Records 3 have
 * the blocks below these nodes, one node a record, from the one that `from` lies under.
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import type { TreeNode } from 'hypercore-crypto'
import { decodeAll, joinBytes, readBytes } from '../bytes.ts'
import { SkeinError } from '../errors.ts'
import { readCoreName, type CoreName } from '../log/entry.ts'

const maxRecordBytes = 64 * 1024 * 1024
const maxLogs = 100_000
const maxNodes = 10_000_000
const maxBlocks = 64

/** One device's log in a bundle: blocks [from, to). */
export interface BundledLog {
  readonly device: Uint8Array
  readonly core: CoreName
  readonly from: number
  readonly to: number
}

/** What a bundle holds. */
export interface BundleContents {
  readonly logs: readonly BundledLog[]
}

export interface BundledHead {
  /** Its place in record 1. */
  readonly log: number
  readonly fork: number
  readonly signature: Uint8Array
  readonly cover: readonly TreeNode[]
}

export interface BundledBlocks {
  readonly first: number
  readonly blocks: readonly Uint8Array[]
}

export type BundleRecord =
  | { readonly type: 'logs'; readonly logs: readonly BundledLog[] }
  | ({ readonly type: 'head' } & BundledHead)
  | ({ readonly type: 'blocks' } & BundledBlocks)

export function encodeRecord(record: BundleRecord): Uint8Array {
  const encoder = encoding.createEncoder()
  if (record.type === 'logs') {
    encoding.writeUint8(encoder, 1)
    encoding.writeVarUint(encoder, record.logs.length)
    for (const { device, core, from, to } of record.logs) {
      encoding.writeUint8Array(encoder, device)
      encoding.writeVarString(encoder, core)
      encoding.writeVarUint(encoder, from)
      encoding.writeVarUint(encoder, to)
    }
  } else if (record.type === 'head') {
    encoding.writeUint8(encoder, 2)
    encoding.writeVarUint(encoder, record.log)
    encoding.writeVarUint(encoder, record.fork)
    encoding.writeVarUint8Array(encoder, record.signature)
    encoding.writeVarUint(encoder, record.cover.length)
    for (const { index, size, hash } of record.cover) {
      encoding.writeVarUint(encoder, index)
      encoding.writeVarUint(encoder, size)
      encoding.writeUint8Array(encoder, hash)
    }
  } else {
    encoding.writeUint8(encoder, 3)
    encoding.writeVarUint(encoder, record.first)
    encoding.writeVarUint(encoder, record.blocks.length)
    for (const block of record.blocks) encoding.writeVarUint8Array(encoder, block)
  }
  const framed = encoding.createEncoder()
  encoding.writeVarUint8Array(framed, encoding.toUint8Array(encoder))
  return encoding.toUint8Array(framed)
}

/** The record that ends the inside. */
export const endOfRecords: Uint8Array = Uint8Array.of(0)

/** Fails with `BUNDLE_INVALID`. */
export async function* readRecords(
  inside: AsyncIterable<Uint8Array>
): AsyncGenerator<BundleRecord, void, void> {
  let parts: Uint8Array[] = []
  let bytes = 0
  let needed = 1
  let hasEnded = false
  for await (const part of inside) {
    // What is behind the end fills a chunk up.
    if (hasEnded) continue
    parts.push(part)
    bytes += part.length
    if (bytes < needed) continue
    let rest = joinBytes(parts)
    for (;;) {
      const frame = frameOf(rest)
      needed = frame?.end ?? rest.length + 1
      if (frame === null || rest.length < needed) break
      if (frame.begin === frame.end) {
        hasEnded = true
        break
      }
      yield decodeRecord(rest.subarray(frame.begin, frame.end))
      rest = rest.subarray(frame.end)
    }
    parts = [rest]
    bytes = rest.length
  }
  if (!hasEnded) throw new SkeinError('BUNDLE_INVALID', 'This bundle is not whole: it has no end')
}

function decodeRecord(bytes: Uint8Array): BundleRecord {
  try {
    return decodeAll(bytes, 'record of a bundle', (decoder): BundleRecord => {
      const type = decoding.readUint8(decoder)
      if (type === 1) return { type: 'logs', logs: times(decoder, maxLogs, () => readLog(decoder)) }
      if (type === 2) {
        return {
          type: 'head',
          log: decoding.readVarUint(decoder),
          fork: decoding.readVarUint(decoder),
          signature: new Uint8Array(decoding.readVarUint8Array(decoder)),
          cover: times(decoder, maxNodes, () => ({
            index: decoding.readVarUint(decoder),
            size: decoding.readVarUint(decoder),
            hash: readBytes(decoder, 32)
          }))
        }
      }
      if (type !== 3) throw new RangeError(`A record of type ${type}`)
      const first = decoding.readVarUint(decoder)
      const blocks = times(
        decoder,
        maxBlocks,
        () => new Uint8Array(decoding.readVarUint8Array(decoder))
      )
      return { type: 'blocks', first, blocks }
    })
  } catch (cause) {
    throw new SkeinError('BUNDLE_INVALID', 'A record of this bundle cannot be read', { cause })
  }
}

function readLog(decoder: decoding.Decoder): BundledLog {
  const device = readBytes(decoder, 32)
  const core = readCoreName(decoder)
  const from = decoding.readVarUint(decoder)
  const to = decoding.readVarUint(decoder)
  if (from > to) throw new RangeError('A log that ends before it begins')
  return { device, core, from, to }
}

function times<T>(decoder: decoding.Decoder, max: number, read: () => T): T[] {
  const count = decoding.readVarUint(decoder)
  if (count > max) throw new RangeError(`${count} of them`)
  const list: T[] = []
  for (let i = 0; i < count; i++) list.push(read())
  return list
}

/** Where the next record lies; null while its length has not come. */
function frameOf(bytes: Uint8Array): { begin: number; end: number } | null {
  let length = 0
  for (let at = 0; at < bytes.length; at++) {
    length += (bytes[at]! & 127) * 128 ** at
    if (length > maxRecordBytes) {
      throw new SkeinError(
        'BUNDLE_INVALID',
        'A record of this bundle is larger than a record may be'
      )
    }
    if (bytes[at]! < 128) return { begin: at + 1, end: at + 1 + length }
  }
  return null
}
