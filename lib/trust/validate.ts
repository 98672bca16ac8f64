/**
 * What may reach a document: stands in front of every `Y.applyUpdate` of an entry, since Yjs trusts its updates. What it
 * lets through, Yjs applies whole, without throwing and with nothing left pending.
 *
 * The rules (design/trust.md): 1. the update decodes completely, within the limits; 2. every struct is the author's; 3. its
 * clocks go on where that client's stop; 4. what it refers to is here, or it waits. A refusal is for good and is to be the
 * same on every peer, so it rests on the bytes, on the author's own past, and on where structs stand that are referred to.
 *
 * Left to the comparison of what is visible (`../views/split.ts`), because Yjs takes it without harm to anything but order:
 * - an origin and a right origin that never were neighbours, or that have different parents (Yjs goes by the origin's);
 * - a parent that is not a type, and anything collected as origin or parent: the struct becomes a `GC`, which nobody sees;
 * - content that its parent has no use for (a mark in a map, a number in XML): it is the app that may stumble over it;
 * - half of another's surrogate pair as origin or deleted: Yjs makes both U+FFFD, everywhere alike.
 * Left to `../views/integrate.ts`, since it rests on what may be collected here and not there: several values in one
 * struct under one key, and types that nest too deep together with those that they are put into.
 *
 * What an update costs is bounded by what it says (`updateLimits`), apart from how large the document is: each of its
 * places may take a walk past all that others put there, about 2 ms for 20,000 items.
 */
import * as Y from 'yjs'
import { SkeinError } from '../errors.ts'
import { Places, type Ref, type Spot } from './places.ts'
import { contentKinds, skipContent } from './update-content.ts'
import { malformed, UpdateReader } from './update-reader.ts'

/** Equal on all peers, or one refuses what another applies: not options. */
export const updateLimits = {
  maxBytes: 16 * 1024 * 1024,
  /** A struct of two bytes takes some hundreds in memory. */
  maxStructs: 10_000,
  /** Runs of structs. Each may split two of them, in a long list. */
  maxDeletes: 500,
  /** See `places.ts`. What is edited in more places at once goes into several entries. */
  maxPlaces: 16,
  /** Of shared types in each other. Deleting some 2,500 overflows the stack within Yjs. */
  maxNesting: 256,
  /** Of an import, which is one entry whatever it holds, and cheap in all else. */
  maxImportStructs: 50_000,
  maxRootNameChars: 1000
} as const

/** Stands in an import for the client id that its bytes give it. */
export const importClient = 0

export interface UpdateContext {
  /** The author's, recomputed from the entry: not what the update says. */
  readonly clientId: number
  /** Up to where the document holds that client's structs. */
  readonly clockOf: (client: number) => number
  readonly isImport?: boolean
  /**
   * In how many shared types the item at that clock stands, apart from its root; for one's own updates, which are not to
   * be written if they nest too deep. Not for those of others: what is collected here may not be collected there.
   */
  readonly depthOf?: (client: number, clock: number) => number
}

export type Verdict =
  /** `clock` is up to where the author's structs go with it; `deletes` how many runs of structs it deletes. */
  | { readonly verdict: 'apply'; readonly clock: number; readonly deletes: number }
  /** Never to be applied, by anyone. */
  | { readonly verdict: 'refuse'; readonly reason: string }
  /** To be asked again when the document holds `client` up to `clock`. */
  | { readonly verdict: 'wait'; readonly for: { readonly client: number; readonly clock: number } }

/** The context of what goes into `doc`, apart from the author. */
export function heldBy(doc: Y.Doc): Pick<UpdateContext, 'clockOf'> {
  return { clockOf: (client) => Y.getState(doc.store, client) }
}

/** Decides about content that was made elsewhere: structs of `importClient` alone, which delete nothing. */
export function validateImport(update: Uint8Array): Exclude<Verdict, { verdict: 'wait' }> {
  const context = { clientId: importClient, clockOf: () => 0, isImport: true }
  const result = validateUpdate(update, context)
  const refuse = (reason: string): Verdict & { verdict: 'refuse' } => ({
    verdict: 'refuse',
    reason
  })
  if (result.verdict === 'wait') return refuse('The update refers to what it does not hold')
  if (result.verdict === 'refuse') return result
  if (result.deletes > 0) return refuse('The update deletes something')
  return result.clock === 0 ? refuse('The update is empty') : result
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
  /** First clocks of this update's structs, and in how many types each stands. */
  readonly #starts: number[] = []
  readonly #depths: number[] = []
  #places: Places | null = null
  #placesLeft: number = updateLimits.maxPlaces

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
    const { maxStructs, maxImportStructs } = updateLimits
    const { isImport = false } = this.#context
    const count = reader.count(2, isImport ? maxImportStructs : maxStructs, 'structs')
    if (count === 0) throw malformed('names a client and has no structs of it')
    const client = reader.uint()
    if (client !== clientId)
      throw malformed(`has structs of client ${client}, not of its author's ${clientId}`)
    const clock = reader.uint()
    if (clock !== this.#clock) throw malformed(`begins at clock ${clock}, not at ${this.#clock}`)
    this.#places = new Places(client, clock)
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
      this.#note(0)
      return this.#reader.uint()
    }
    const spot = this.#readSpot(info)
    const length = skipContent(this.#reader, kind)
    if (length > 0) this.#count(spot, length, kind)
    if (kind === contentKinds.type && this.#depths.at(-1)! >= updateLimits.maxNesting) {
      throw malformed(`nests types deeper than ${updateLimits.maxNesting}`)
    }
    return length
  }

  #count(spot: Spot, length: number, kind: number): void {
    const isApart = this.#places!.add(this.#clock, length, spot)
    // A subdocument may be opened at once.
    const isOpened = kind === contentKinds.document && this.#context.isImport !== true
    if (!isApart && !isOpened) return
    if (--this.#placesLeft < 0)
      throw malformed(`puts something into more than ${updateLimits.maxPlaces} places`)
  }

  /** Reads where an item stands, and notes in how many types. */
  #readSpot(info: number): Spot {
    const reader = this.#reader
    const isKeyed = (info & hasKey) !== 0
    const origin = (info & hasOrigin) === 0 ? null : this.#readReference()
    const rightOrigin = (info & hasRightOrigin) === 0 ? null : this.#readReference()
    const beside = origin ?? rightOrigin
    if (beside !== null) {
      // Yjs takes the parent and the key from there, whatever the update says.
      this.#note(this.#depthOf(beside))
      return { origin, rightOrigin, parentItem: null, parent: null, key: null }
    }
    const kindOfParent = reader.uint()
    if (kindOfParent > 1) throw malformed(`has a parent of kind ${kindOfParent}`)
    const parent = kindOfParent === 0 ? this.#readReference() : null
    const root = parent === null ? reader.key() : ''
    if (root.length > updateLimits.maxRootNameChars) {
      throw malformed(`has a root name of more than ${updateLimits.maxRootNameChars} characters`)
    }
    const key = isKeyed ? reader.key() : null
    this.#note(parent === null ? 0 : this.#depthOf(parent) + 1)
    const name = parent === null ? `root ${root}` : `${parent.client}/${parent.clock}`
    return { origin, rightOrigin, parentItem: parent, parent: name, key }
  }

  #note(depth: number): void {
    this.#starts.push(this.#clock)
    this.#depths.push(depth)
  }

  #readReference(): Ref {
    const client = this.#reader.uint()
    const clock = this.#reader.uint()
    if (client === this.#context.clientId && clock >= this.#clock)
      throw malformed(`refers at clock ${this.#clock} to its own clock ${clock}`)
    if (client !== this.#context.clientId && clock >= this.#context.clockOf(client)) {
      this.#waitsFor ??= { client, clock: clock + 1 }
    }
    return { client, clock }
  }

  /** Is it of this update? */
  #isNew({ client, clock }: Ref): boolean {
    return client === this.#context.clientId && clock >= (this.#starts[0] ?? Infinity)
  }

  #depthOf(ref: Ref): number {
    if (this.#isNew(ref)) return this.#depths[lastAtMost(this.#starts, ref.clock)]!
    if (this.#context.depthOf === undefined || this.#waitsFor !== null) return 0
    return this.#context.depthOf(ref.client, ref.clock)
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
    return runs
  }

  #readRuns(client: number, count: number): void {
    const isOwn = client === this.#context.clientId
    const held = isOwn ? this.#clock : this.#context.clockOf(client)
    let end = 0
    for (let left = count; left > 0; left--) {
      const clock = this.#reader.uint()
      const length = this.#reader.uint()
      // Sorted, as Yjs writes them; otherwise each can cost as much as all structs of that client.
      if (length === 0 || clock < end)
        throw malformed('has deletes that are empty, overlap or are out of order')
      end = clock + length
      if (end > Number.MAX_SAFE_INTEGER) throw malformed('has a clock over 2^53')
      if (end > held) {
        if (isOwn) throw malformed(`deletes its own clock ${end - 1}, which does not exist`)
        this.#waitsFor ??= { client, clock: end }
      }
    }
  }
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
