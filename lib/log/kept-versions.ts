/**
 * Versions of others' logs that did not stay, kept for their authors: who was put back to an older state may not have
 * what it wrote then, and nobody else may write it again. They lie in the database of the logs, in pieces, each of which
 * proves itself. In Yjs's notation, keys and values:
 *
 *     key       := 'v' • space(32) • log(8) • uint32 number
 *     value     := piece
 *     piece     := varUint(since) • varUint8Array(branch) • varUint(n) • varUint8Array(block)*n    // see branch.ts
 *
 * `since` is the length up to which the version and the one that stayed are alike. The branch begins where the piece does,
 * and has a point where that ends.
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, equalBytes, fromHex } from '../bytes.ts'
import { Branch } from './branch.ts'
import type { KeyValueStore } from './database.ts'
import type { LogId } from './entry.ts'
import type { Log } from './log.ts'

const table = 0x76
const pieceBytes = 256 * 1024
/** Of one log; more is not kept. */
const maxKeptBytes = 16 * 1024 * 1024
const numberBytes = 4

export interface Piece {
  readonly since: number
  readonly branch: Branch
  /** From the branch's `common` on. */
  readonly blocks: readonly Uint8Array[]
}

export class KeptVersions {
  readonly #database: () => KeyValueStore
  readonly #space: Uint8Array
  /** Logs of which nothing is kept, as far as that has been looked up. */
  readonly #none = new Set<LogId>()
  /** How often something was kept. */
  #times = 0

  constructor(database: () => KeyValueStore, space: Uint8Array) {
    this.#database = database
    this.#space = space
  }

  /** Keeps what is here of a log from `since` on, as far as there is room. Whoever needs it durable syncs the store. */
  async keep(log: Log, since: number): Promise<void> {
    let { bytes, next } = await this.#sizeOf(log.id)
    const batch = this.#database().write({ autoDestroy: true })
    for (let from = since; from < log.contiguousLength && bytes < maxKeptBytes;) {
      const blocks: Uint8Array[] = []
      for (let size = 0; from + blocks.length < log.contiguousLength && size < pieceBytes;) {
        const block = await log.get(from + blocks.length)
        if (block === null) break
        blocks.push(block)
        size += block.length
      }
      const branch = await log.branch(from, [from + blocks.length])
      if (branch === null || blocks.length === 0) break
      const piece = encodePiece({ since, branch, blocks })
      batch.tryPut(this.#key(log.id, next++), piece)
      bytes += piece.length
      from += blocks.length
    }
    await batch.flush()
    this.#none.delete(log.id)
    this.#times++
  }

  /** Keeps a piece; false where there is no room. The same once only. */
  async put(log: LogId, piece: Piece): Promise<boolean> {
    const bytes = encodePiece(piece)
    for await (const { value } of this.#database().iterator(this.#range(log)))
      if (equalBytes(value, bytes)) return true
    const { bytes: kept, next } = await this.#sizeOf(log)
    if (kept >= maxKeptBytes) return false
    const batch = this.#database().write({ autoDestroy: true })
    batch.tryPut(this.#key(log, next), bytes)
    await batch.flush()
    return true
  }

  /** The pieces of one version that lead to that one, which is the last; those that are kept. Fails with `BAD_ENCODING`. */
  async chainTo(log: LogId, last: Piece): Promise<Piece[]> {
    const pieces: Piece[] = []
    for await (const { value } of this.#database().iterator(this.#range(log)))
      pieces.push(decodePiece(new Uint8Array(value)))
    const chain = [last]
    for (;;) {
      const { since, branch } = chain[0]!
      const before = pieces.find(
        (piece) =>
          piece.since === since &&
          piece.branch.common + piece.blocks.length === branch.common &&
          piece.blocks.length > 0 &&
          equalBytes(piece.branch.treeHashAt(branch.common), branch.treeHashAt(branch.common))
      )
      if (before === undefined) return chain
      chain.unshift(before)
    }
  }

  /** Lets go of these pieces. */
  async forget(log: LogId, pieces: readonly Piece[]): Promise<void> {
    const encoded = pieces.map((piece) => encodePiece(piece))
    const batch = this.#database().write({ autoDestroy: true })
    for await (const { key, value } of this.#database().iterator(this.#range(log))) {
      if (!encoded.some((bytes) => equalBytes(bytes, value))) continue
      batch.tryDeleteRange(key, this.#key(log, numberIn(key) + 1))
    }
    await batch.flush()
  }

  /** The first that is kept of a log, or null. Fails with `BAD_ENCODING`. */
  async first(log: LogId): Promise<{ readonly number: number; readonly piece: Piece } | null> {
    if (this.#none.has(log)) return null
    const times = this.#times
    for await (const { key, value } of this.#database().iterator(this.#range(log))) {
      const number = numberIn(key)
      return { number, piece: decodePiece(new Uint8Array(value)) }
    }
    if (times === this.#times) this.#none.add(log)
    return null
  }

  async remove(log: LogId, number: number): Promise<void> {
    const batch = this.#database().write({ autoDestroy: true })
    batch.tryDeleteRange(this.#key(log, number), this.#key(log, number + 1))
    await batch.flush()
  }

  /** Forgets everything about the space. */
  async clear(): Promise<void> {
    const batch = this.#database().write({ autoDestroy: true })
    batch.tryDeleteRange(this.#key('00'.repeat(8), 0), this.#key('ff'.repeat(8), 0xffffffff))
    await batch.flush()
  }

  async #sizeOf(log: LogId): Promise<{ bytes: number; next: number }> {
    let [bytes, next] = [0, 0]
    for await (const { key, value } of this.#database().iterator(this.#range(log))) {
      bytes += value.length
      next = numberIn(key) + 1
    }
    return { bytes, next }
  }

  #range(log: LogId): { gte: Uint8Array; lt: Uint8Array } {
    return { gte: this.#key(log, 0), lt: this.#key(log, 0xffffffff) }
  }

  #key(log: LogId, number: number): Uint8Array {
    const key = new Uint8Array(1 + 32 + 8 + numberBytes)
    key[0] = table
    key.set(this.#space, 1)
    key.set(fromHex(log), 33)
    new DataView(key.buffer).setUint32(41, number)
    return key
  }
}

function numberIn(key: Uint8Array): number {
  return new DataView(key.buffer, key.byteOffset + key.length - numberBytes).getUint32(0)
}

export function encodePiece({ since, branch, blocks }: Piece): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, since)
  encoding.writeVarUint8Array(encoder, branch.encode())
  encoding.writeVarUint(encoder, blocks.length)
  for (const block of blocks) encoding.writeVarUint8Array(encoder, block)
  return encoding.toUint8Array(encoder)
}

/** Fails with `BAD_ENCODING`. */
export function decodePiece(bytes: Uint8Array): Piece {
  return decodeAll(bytes, 'piece of a version of a log', (decoder) => {
    const since = decoding.readVarUint(decoder)
    const branch = Branch.decode(decoding.readVarUint8Array(decoder))
    const count = decoding.readVarUint(decoder)
    if (count > bytes.length) throw new RangeError(`${count} blocks`)
    const blocks = Array.from(
      { length: count },
      () => new Uint8Array(decoding.readVarUint8Array(decoder))
    )
    return { since, branch, blocks }
  })
}
