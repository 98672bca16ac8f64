/**
 * Hands versions of a log that did not stay over to the log's author, piece by piece, each once the author has written the
 * one before again. In Yjs's notation, two messages of the space's channel:
 *
 *     10 keep   := log(8) • piece                    // see log/kept-versions.ts
 *     11 kept   := log(8) • varUint(length) • treeHash(32)      // where the piece ends: it need not be sent again
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, equalBytes, fromHex, readBytes, toHex } from '../bytes.ts'
import { SkeinError } from '../errors.ts'
import type { LogId } from '../log/entry.ts'
import { decodePiece, encodePiece, type KeptVersions, type Piece } from '../log/kept-versions.ts'
import type { Log } from '../log/log.ts'
import type { Clock } from '../platform.ts'

/** Between two offers of one log. */
const paceMs = 5_000

export interface HandOverOptions {
  readonly clock: Clock
  readonly kept: KeptVersions
  readonly log: (id: LogId) => Log | null
  readonly isOwn: (log: Log) => boolean
  /** Writes again what is in a piece of another version of this device's content log; false where that cannot be done yet. */
  readonly take: (piece: Piece) => Promise<boolean>
  readonly onFailed: (error: unknown) => void
}

export class HandOver {
  readonly #options: HandOverOptions
  /** By log, when it may be offered again, and what ends the wait for that. */
  readonly #nextAtMs = new WeakMap<Log, number>()
  readonly #cancels = new Map<Log, () => void>()
  /** By log that waits, how its author is reached now: it may have connected anew meanwhile. */
  readonly #sends = new Map<Log, (bytes: Uint8Array) => void>()
  #isStopped = false

  constructor(options: HandOverOptions) {
    this.#options = options
  }

  /**
   * Sends what is kept for the author of these logs, if anything is: the first piece of each. It may not be able to take
   * it yet: it is offered again when more of these logs is there.
   */
  async offer(logs: readonly Log[], send: (bytes: Uint8Array) => void): Promise<void> {
    const { clock } = this.#options
    for (const log of logs) {
      const waitMs = (this.#nextAtMs.get(log) ?? 0) - clock.now()
      if (waitMs <= 0) await this.#offerNext(log, send)
      else {
        this.#sends.set(log, send)
        if (this.#cancels.has(log)) continue
        const again = (): void => {
          const latest = this.#sends.get(log)!
          this.#cancels.delete(log)
          this.#sends.delete(log)
          void this.#offerNext(log, latest)
        }
        this.#cancels.set(log, clock.after(waitMs, again))
      }
    }
  }

  stop(): void {
    this.#isStopped = true
    for (const cancel of this.#cancels.values()) cancel()
    this.#cancels.clear()
  }

  #failed(error: unknown): void {
    if (!this.#isStopped) this.#options.onFailed(error)
  }

  async #offerNext(log: Log, send: (bytes: Uint8Array) => void): Promise<void> {
    try {
      const next = await this.#options.kept.first(log.id)
      if (next === null) return
      this.#nextAtMs.set(log, this.#options.clock.now() + paceMs)
      send(encodeKeep(log.id, next.piece))
    } catch (error) {
      this.#failed(error)
    }
  }

  /** What another kept of this device; the answer, or null. Fails with `BAD_ENCODING`, and with `BAD_SEAL` for what is not its. */
  async receive(bytes: Uint8Array): Promise<Uint8Array | null> {
    const { log: id, piece } = decodeKeep(bytes)
    const log = this.#options.log(id)
    if (log === null || !this.#options.isOwn(log) || log.name.core === 'control') return null
    const { branch, blocks } = piece
    if (!branch.isSignedBy(log.key, log.name.device) || !branch.beginsWith(blocks))
      throw new SkeinError('BAD_SEAL', 'A version of a log is not what its author signed')
    try {
      return (await this.#options.take(piece)) ? encodeKept(id, endOf(piece)) : null
    } catch (error) {
      this.#failed(error)
      return null
    }
  }

  /** The author has written a piece again: it is let go of, and the next is sent. Fails with `BAD_ENCODING`. */
  async taken(bytes: Uint8Array, author: string, send: (bytes: Uint8Array) => void): Promise<void> {
    const { log: id, length, treeHash } = decodeKept(bytes)
    const { kept } = this.#options
    const log = this.#options.log(id)
    if (log === null || toHex(log.name.device) !== author) return
    try {
      const first = await kept.first(id)
      if (first === null) return
      const end = endOf(first.piece)
      if (end.length !== length || !equalBytes(end.treeHash, treeHash)) return
      await kept.remove(id, first.number)
    } catch (error) {
      this.#failed(error)
      return
    }
    await this.#offerNext(log, send)
  }
}

interface End {
  readonly length: number
  readonly treeHash: Uint8Array
}

function endOf({ branch, blocks }: Piece): End {
  const length = branch.common + blocks.length
  return { length, treeHash: branch.treeHashAt(length) }
}

function encodeKeep(log: LogId, piece: Piece): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeUint8Array(encoder, fromHex(log))
  encoding.writeUint8Array(encoder, encodePiece(piece))
  return encoding.toUint8Array(encoder)
}

function decodeKeep(bytes: Uint8Array): { log: LogId; piece: Piece } {
  return { log: toHex(bytes.subarray(0, 8)), piece: decodePiece(bytes.subarray(8)) }
}

function encodeKept(log: LogId, { length, treeHash }: End): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeUint8Array(encoder, fromHex(log))
  encoding.writeVarUint(encoder, length)
  encoding.writeUint8Array(encoder, treeHash)
  return encoding.toUint8Array(encoder)
}

function decodeKept(bytes: Uint8Array): { log: LogId } & End {
  return decodeAll(bytes, 'word that a piece is kept', (decoder) => ({
    log: toHex(decoding.readUint8Array(decoder, 8)),
    length: decoding.readVarUint(decoder),
    treeHash: readBytes(decoder, 32)
  }))
}
