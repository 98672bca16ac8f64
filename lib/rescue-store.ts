/**
 * What this device wrote and is to write again, since it hung on a version of a log that did not stay: kept durably from
 * before that version goes until it is written. It lies in the database of the logs; nothing else has it. In Yjs's
 * notation, keys and values:
 *
 *     key       := 'w' • space(32) • uint32 number
 *     value     := 0 • varString(document) • varUint(n) • (varUint(client) • varUint(clock))*n       // lost: see views/write-again.ts
 *                    • varUint(n) • (varUint(client) • varUint(clock) • varUint(length))*n • Yjs state update V2
 *                | 1 • varUint(kind) • body                          // an entry as it was
 *                | 2 • varUint(since) • varUint(place) • block        // of the content log, as it was sealed
 *     key       := 'h' • space(32) • hash(16)                        // of a block, or a tree, that was seen to
 *
 * `since` is the length from which on the block's version of the log is another than the one that stayed. And, where this
 * storage was a copy of another device's, which it is not any more, how far that one's content log went here then:
 *
 *     key       := 'b' • space(32) • device(32)
 *     value     := varUint(length)
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, fromHex, toHex } from './bytes.ts'
import { hash } from './crypto.ts'
import type { KeyValueStore } from './log/database.ts'
import type { DeviceId } from './trust/members.ts'
import { numberAt, uint32 } from './views/view-records.ts'
import type { Lost } from './views/write-again.ts'

const table = 0x77
const formerTable = 0x62
const markTable = 0x68

export type Rescued =
  | {
      readonly what: 'edits'
      readonly document: string
      readonly lost: Lost
      /** The document with them: a Yjs state, V2. */
      readonly before: Uint8Array
    }
  | { readonly what: 'entry'; readonly kind: number; readonly body: Uint8Array }
  | {
      readonly what: 'block'
      readonly since: number
      readonly place: number
      readonly block: Uint8Array
    }

export class RescueStore {
  readonly #database: () => KeyValueStore
  readonly #space: Uint8Array
  /** One after the other: each takes the numbers behind those of the one before. */
  #adding: Promise<unknown> = Promise.resolve()

  constructor(database: () => KeyValueStore, space: Uint8Array) {
    this.#database = database
    this.#space = space
  }

  /** In the order they were added. Fails with `BAD_ENCODING`. */
  async all(): Promise<{ readonly number: number; readonly rescued: Rescued }[]> {
    const all: { number: number; rescued: Rescued }[] = []
    const range = { gte: this.#key(0), lte: this.#key(0xffffffff) }
    for await (const { key, value } of this.#database().iterator(range))
      all.push({ number: numberAt(key, 33), rescued: decodeRescued(new Uint8Array(value)) })
    return all
  }

  /**
   * In one write, together with the note that these blocks (or trees, by their hash) were seen to. Whoever needs them
   * durable syncs the store.
   */
  add(rescued: readonly Rescued[], seenTo: readonly Uint8Array[] = []): Promise<void> {
    const added = this.#adding.then(() => this.#add(rescued, seenTo))
    this.#adding = added.catch(() => {}) // Whoever adds is told.
    return added
  }

  async #add(rescued: readonly Rescued[], seenTo: readonly Uint8Array[]): Promise<void> {
    const last = (await this.all()).at(-1)?.number ?? -1
    const batch = this.#database().write({ autoDestroy: true })
    rescued.forEach((one, i) => batch.tryPut(this.#key(last + 1 + i), encodeRescued(one)))
    for (const block of seenTo) batch.tryPut(this.#mark(block), Uint8Array.of(1))
    await batch.flush()
  }

  /** Was that block, or tree, seen to once? */
  async isSeenTo(block: Uint8Array): Promise<boolean> {
    return (await this.#database().get(this.#mark(block))) !== null
  }

  #mark(block: Uint8Array): Uint8Array {
    const key = new Uint8Array(49)
    key[0] = markTable
    key.set(this.#space, 1)
    key.set(hash('skein/seen-to', block).subarray(0, 16), 33)
    return key
  }

  async remove(number: number): Promise<void> {
    const batch = this.#database().write({ autoDestroy: true })
    batch.tryDeleteRange(this.#key(number), this.#key(number + 1))
    await batch.flush()
  }

  /** This storage is to be another device's. */
  async noteFormer(device: DeviceId, length: number): Promise<void> {
    const encoder = encoding.createEncoder()
    encoding.writeVarUint(encoder, length)
    const batch = this.#database().write({ autoDestroy: true })
    batch.tryPut(this.#formerKey(fromHex(device)), encoding.toUint8Array(encoder))
    await batch.flush()
  }

  /** By device that this storage was of, how long its content log was then. Fails with `BAD_ENCODING`. */
  async former(): Promise<Map<DeviceId, number>> {
    const former = new Map<DeviceId, number>()
    const bounds = [0x00, 0xff].map((byte) => this.#formerKey(new Uint8Array(32).fill(byte)))
    const range = { gte: bounds[0]!, lte: bounds[1]! }
    for await (const { key, value } of this.#database().iterator(range)) {
      const length = decodeAll(new Uint8Array(value), 'length of a log', decoding.readVarUint)
      former.set(toHex(key.subarray(33)), length)
    }
    return former
  }

  #formerKey(device: Uint8Array): Uint8Array {
    const key = new Uint8Array(65)
    key[0] = formerTable
    key.set(this.#space, 1)
    key.set(device, 33)
    return key
  }

  /** Forgets everything about the space. */
  async clear(): Promise<void> {
    const batch = this.#database().write({ autoDestroy: true })
    batch.tryDeleteRange(this.#key(0), this.#key(0xffffffff))
    const [first, last] = [new Uint8Array(49), new Uint8Array(49).fill(255)]
    for (const key of [first, last]) {
      key[0] = markTable
      key.set(this.#space, 1)
    }
    batch.tryDeleteRange(first, last)
    await batch.flush()
  }

  #key(number: number): Uint8Array {
    const key = new Uint8Array(37)
    key[0] = table
    key.set(this.#space, 1)
    key.set(uint32(number), 33)
    return key
  }
}

function encodeRescued(rescued: Rescued): Uint8Array {
  const encoder = encoding.createEncoder()
  if (rescued.what === 'entry') {
    encoding.writeUint8(encoder, 1)
    encoding.writeVarUint(encoder, rescued.kind)
    encoding.writeUint8Array(encoder, rescued.body)
    return encoding.toUint8Array(encoder)
  }
  if (rescued.what === 'block') {
    encoding.writeUint8(encoder, 2)
    encoding.writeVarUint(encoder, rescued.since)
    encoding.writeVarUint(encoder, rescued.place)
    encoding.writeUint8Array(encoder, rescued.block)
    return encoding.toUint8Array(encoder)
  }
  const { document, lost, before } = rescued
  encoding.writeUint8(encoder, 0)
  encoding.writeVarString(encoder, document)
  encoding.writeVarUint(encoder, lost.from.size)
  for (const [client, clock] of lost.from) {
    encoding.writeVarUint(encoder, client)
    encoding.writeVarUint(encoder, clock)
  }
  encoding.writeVarUint(encoder, lost.deletes.length)
  for (const { client, clock, length } of lost.deletes)
    for (const number of [client, clock, length]) encoding.writeVarUint(encoder, number)
  encoding.writeUint8Array(encoder, before)
  return encoding.toUint8Array(encoder)
}

function decodeRescued(bytes: Uint8Array): Rescued {
  return decodeAll(bytes, 'what is to be written again', (decoder): Rescued => {
    const type = decoding.readUint8(decoder)
    if (type > 0) {
      if (type > 2) throw new RangeError(`Something of type ${type}`)
      const about = decoding.readVarUint(decoder)
      if (type === 1)
        return { what: 'entry', kind: about, body: decoding.readTailAsUint8Array(decoder) }
      const place = decoding.readVarUint(decoder)
      return { what: 'block', since: about, place, block: decoding.readTailAsUint8Array(decoder) }
    }
    const number = (): number => decoding.readVarUint(decoder)
    const document = decoding.readVarString(decoder)
    const from = new Map<number, number>()
    for (let left = number(); left > 0; left--) from.set(number(), number())
    const deletes: { client: number; clock: number; length: number }[] = []
    for (let left = number(); left > 0; left--)
      deletes.push({ client: number(), clock: number(), length: number() })
    return {
      what: 'edits',
      document,
      lost: { from, deletes },
      before: decoding.readTailAsUint8Array(decoder)
    }
  })
}
