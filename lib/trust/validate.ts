/**
 * What may reach a document: stands in front of every `Y.applyUpdate` of an entry, since Yjs trusts its updates. What it
 * lets through, Yjs applies whole, without throwing and with nothing left pending.
 *
 * The rules (design/trust.md): 1. the update decodes completely, within the limits; 2. every struct is the author's; 3. its
 * clocks go on where that client's stop; 4. what it refers to is here, or it waits. A refusal is for good and is to be the
 * same on every peer, so it rests on the bytes, on the author's own past, and on where structs stand that are referred to.
 *
 * Left to the comparison of what is visible (design/trust.md), because Yjs takes it without harm to anything but order:
 * - an origin and a right origin that never were neighbours, or that have different parents (Yjs goes by the origin's);
 * - a parent that is not a type, and anything collected as origin or parent: the struct becomes a `GC`, which nobody sees.
 *   Whether it is collected yet differs from peer to peer, and with it whether it is known where it stands: only an
 *   author who breaks one of the two rules about that on purpose is then refused by some and let through by others;
 * - content that its parent has no use for (a mark in a map, a number in XML): it is the app that may stumble over it;
 * - half of another's surrogate pair as origin or deleted: Yjs makes both U+FFFD, everywhere alike.
 *
 * Not prevented: that applying takes long. Yjs walks from a struct's origin to its right origin, so 5,000 structs (40 KB)
 * between far ones take it 13 s. How far they are differs from peer to peer, and honest text that was written apart is far
 * apart too, so this is for whoever schedules and rates authors.
 */
import * as Y from 'yjs'
import { SkeinError } from '../errors.ts'
import { contentKinds, skipContent } from './update-content.ts'
import { malformed, UpdateReader } from './update-reader.ts'

/** Equal on all peers, or one refuses what another applies: not options. */
export const updateLimits = {
  maxBytes: 16 * 1024 * 1024,
  /** A struct of two bytes takes some hundreds in memory, and each may split another in a long list: about 2 s in all. */
  maxStructs: 50_000,
  maxDeletes: 50_000,
  /** Of shared types in each other. Deleting some 2,500 overflows the stack within Yjs. */
  maxNesting: 256,
  maxRootNameChars: 1000
} as const

export interface UpdateContext {
  /** The author's, recomputed from the entry: not what the update says. */
  readonly clientId: number
  /** Up to where the document holds that client's structs. */
  readonly clockOf: (client: number) => number
  /**
   * Where the struct at that clock stands, which the document holds; null if it is collected. Without this an update can
   * pass that makes Yjs throw later, when anyone deletes what it went into.
   */
  readonly placeOf?: (client: number, clock: number) => Place | null
}

/** What Yjs takes over from a struct that another is put beside. */
export interface Place {
  /** How many shared types it stands in, apart from the root. */
  readonly depth: number
  /** Whether it stands under a key, as a map's values and an element's attributes do; undefined if that is not known. */
  readonly isKeyed: boolean | undefined
}

export type Verdict =
  /** `clock` is up to where the author's structs go with it; `deletes` how many runs of structs it deletes. */
  | { readonly verdict: 'apply'; readonly clock: number; readonly deletes: number }
  /** Never to be applied, by anyone. */
  | { readonly verdict: 'refuse'; readonly reason: string }
  /** To be asked again when the document holds `client` up to `clock`. */
  | { readonly verdict: 'wait'; readonly for: { readonly client: number; readonly clock: number } }

/** The context of what goes into `doc`, apart from the author. */
export function heldBy(doc: Y.Doc): Omit<Required<UpdateContext>, 'clientId'> {
  const { store } = doc
  return {
    clockOf: (client) => Y.getState(store, client),
    placeOf: (client, clock) => {
      const structs = store.clients.get(client)!
      const item = structs[Y.findIndexSS(structs, clock)]
      if (!(item instanceof Y.Item)) return null
      let depth = 0
      for (let type = item.parent; type instanceof Y.AbstractType && type._item !== null; depth++) {
        type = type._item.parent
      }
      return { depth, isKeyed: item.parentSub !== null }
    }
  }
}

/** Decides about a Yjs V1 update. Never throws for its bytes, and builds no document. */
export function validateUpdate(update: Uint8Array, context: UpdateContext): Verdict {
  try {
    if (update.length > updateLimits.maxBytes) {
      throw malformed(`has ${update.length} bytes, over ${updateLimits.maxBytes}`)
    }
    return new Validation(update, context).run()
  } catch (error) {
    if (error instanceof SkeinError) return { verdict: 'refuse', reason: error.message }
    throw error
  }
}

const [hasOrigin, hasRightOrigin, hasKey] = [0x80, 0x40, 0x20]
const kindBits = 0x1f

class Validation {
  readonly #reader: UpdateReader
  readonly #context: UpdateContext
  /** The clock of the struct being read, then of the end. */
  #clock: number
  #waitsFor: { client: number; clock: number } | null = null
  /** This update's structs, by increasing first clock. */
  readonly #starts: number[] = []
  readonly #depths: number[] = []
  readonly #keyed: boolean[] = []
  /** Several values under one key: only ever right if they are deleted. */
  readonly #mustBeDeleted: { clock: number; end: number }[] = []

  constructor(update: Uint8Array, context: UpdateContext) {
    this.#reader = new UpdateReader(update)
    this.#context = context
    this.#clock = context.clockOf(context.clientId)
  }

  run(): Verdict {
    this.#readStructs()
    const deletes = this.#readDeletes()
    if (this.#reader.left > 0) throw malformed('goes on behind its end')
    if (this.#waitsFor !== null) return { verdict: 'wait', for: this.#waitsFor }
    return { verdict: 'apply', clock: this.#clock, deletes }
  }

  #readStructs(): void {
    const reader = this.#reader
    const { clientId } = this.#context
    const sections = reader.uint()
    if (sections > 1) throw malformed('has structs of several clients')
    if (sections === 0) return
    const count = reader.count(2, updateLimits.maxStructs, 'structs')
    if (count === 0) throw malformed('names a client and has no structs of it')
    const client = reader.uint()
    if (client !== clientId)
      throw malformed(`has structs of client ${client}, not of its author's ${clientId}`)
    const clock = reader.uint()
    if (clock !== this.#clock) throw malformed(`begins at clock ${clock}, not at ${this.#clock}`)
    for (let left = count; left > 0; left--) {
      const length = this.#readStruct(reader.byte())
      if (length === 0) throw malformed('has an empty struct')
      this.#clock += length
      if (this.#clock > Number.MAX_SAFE_INTEGER) throw malformed('has a clock over 2^53')
    }
  }

  /** Returns the struct's length. */
  #readStruct(info: number): number {
    const kind = info & kindBits
    if (info === contentKinds.gc) {
      this.#note(0, false)
      return this.#reader.uint()
    }
    this.#readPlace(info)
    const length = skipContent(this.#reader, kind)
    if (this.#keyed.at(-1)! && length > 1 && kind !== contentKinds.deleted) {
      this.#mustBeDeleted.push({ clock: this.#clock, end: this.#clock + length })
    }
    if (kind === contentKinds.type && this.#depths.at(-1)! >= updateLimits.maxNesting) {
      throw malformed(`nests types deeper than ${updateLimits.maxNesting}`)
    }
    return length
  }

  /** Reads where an item stands, and notes it. */
  #readPlace(info: number): void {
    const reader = this.#reader
    const claimsKey = (info & hasKey) !== 0
    let beside: Place | null = null
    if ((info & hasOrigin) !== 0) beside = this.#readReference()
    if ((info & hasRightOrigin) !== 0) {
      const right = this.#readReference()
      beside ??= right
    }
    if (beside !== null) {
      // Yjs takes the parent and the key from there, whatever the update says.
      this.#note(beside.depth, beside.isKeyed ?? (this.#context.placeOf === undefined && claimsKey))
      return
    }
    const kindOfParent = reader.uint()
    if (kindOfParent > 1) throw malformed(`has a parent of kind ${kindOfParent}`)
    let depth = 0
    if (kindOfParent === 0) depth = this.#readReference().depth + 1
    else if (reader.key().length > updateLimits.maxRootNameChars) {
      throw malformed(`has a root name of more than ${updateLimits.maxRootNameChars} characters`)
    }
    if (claimsKey) reader.key()
    this.#note(depth, claimsKey)
  }

  #note(depth: number, isKeyed: boolean): void {
    this.#starts.push(this.#clock)
    this.#depths.push(depth)
    this.#keyed.push(isKeyed)
  }

  #readReference(): Place {
    const client = this.#reader.uint()
    const clock = this.#reader.uint()
    if (client !== this.#context.clientId) return this.#placeOfHeld(client, clock)
    if (clock >= this.#clock)
      throw malformed(`refers at clock ${this.#clock} to its own clock ${clock}`)
    if (this.#starts.length === 0 || clock < this.#starts[0]!)
      return this.#placeOfHeld(client, clock)
    const index = lastAtMost(this.#starts, clock)
    return { depth: this.#depths[index]!, isKeyed: this.#keyed[index]! }
  }

  #placeOfHeld(client: number, clock: number): Place {
    if (clock >= this.#context.clockOf(client)) {
      this.#waitsFor ??= { client, clock: clock + 1 }
      return nowhere
    }
    return this.#context.placeOf?.(client, clock) ?? nowhere
  }

  /** Returns the number of runs. */
  #readDeletes(): number {
    const reader = this.#reader
    const clients = new Set<number>()
    let runs = 0
    for (let left = reader.count(4, updateLimits.maxDeletes, 'clients'); left > 0; left--) {
      const client = reader.uint()
      if (clients.has(client)) throw malformed(`has the deletes of client ${client} twice`)
      clients.add(client)
      const count = reader.count(2, updateLimits.maxDeletes - runs, 'more deletes')
      if (count === 0) throw malformed('names a client and deletes nothing of it')
      this.#readRuns(client, count)
      runs += count
    }
    if (!clients.has(this.#context.clientId) && this.#mustBeDeleted.length > 0)
      throw severalUnderOneKey()
    return runs
  }

  #readRuns(client: number, count: number): void {
    const isOwn = client === this.#context.clientId
    const held = isOwn ? this.#clock : this.#context.clockOf(client)
    // Runs may touch: [from, end) is deleted without a gap.
    let from = 0
    let end = 0
    let checked = 0
    for (let left = count; left > 0; left--) {
      const clock = this.#reader.uint()
      const length = this.#reader.uint()
      // Sorted, as Yjs writes them; otherwise each can cost as much as all structs of that client.
      if (length === 0 || clock < end)
        throw malformed('has deletes that are empty, overlap or are out of order')
      if (clock > end) from = clock
      end = clock + length
      if (end > Number.MAX_SAFE_INTEGER) throw malformed('has a clock over 2^53')
      if (end > held) {
        if (isOwn) throw malformed(`deletes its own clock ${end - 1}, which does not exist`)
        this.#waitsFor ??= { client, clock: end }
      }
      if (!isOwn) continue
      for (; (this.#mustBeDeleted[checked]?.end ?? Infinity) <= end; checked++) {
        if (this.#mustBeDeleted[checked]!.clock < from) throw severalUnderOneKey()
      }
    }
    if (isOwn && checked < this.#mustBeDeleted.length) throw severalUnderOneKey()
  }
}

const nowhere: Place = { depth: 0, isKeyed: undefined }

/**
 * Yjs deletes a value when another takes its key, but of several values in one struct only those that are not split off by
 * then; what remains throws when the map is collected. A Yjs that does not collect (`gc: false`) does write values that it
 * has deleted as one struct, deletes included.
 */
function severalUnderOneKey(): SkeinError {
  return malformed('has several values under one key')
}

/** The index of the last of the sorted numbers that is not above `value`. */
function lastAtMost(sorted: readonly number[], value: number): number {
  let low = 0
  let high = sorted.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if (sorted[middle]! <= value) low = middle
    else high = middle - 1
  }
  return low
}
