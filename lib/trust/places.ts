/**
 * In how many places an update puts something, told by the update alone. Where an item goes between two that were there
 * before, others may have put any number of items meanwhile, all of which Yjs walks past to find its place. An item that
 * goes beside one of the same update costs nothing, as nobody can have put anything there yet; nor does the first of a list
 * or of a key, taken together, since no two of those walks meet. So the number of places bounds what an update costs,
 * whoever wrote it and wherever it is applied: `updateLimits.maxPlaces`.
 *
 * Follows the order that the author sees. References that no Yjs makes count as places, and break nothing.
 */

export interface Ref {
  readonly client: number
  readonly clock: number
}

/** Where an item stands. The rest matters only where it has neither origin. */
export interface Spot {
  readonly origin: Ref | null
  readonly rightOrigin: Ref | null
  /** The item of the type that it stands in; null for a root. */
  readonly parentItem: Ref | null
  /** Stands for that type, by any value. */
  readonly parent: unknown
  readonly key: string | null
}

export class Places {
  readonly #client: number
  readonly #start: number
  /** What stands right of an item's end, by the clock of that end. */
  readonly #after = new Map<number, Ref | null>()
  /** By parent, the keys (null: the list) that have an item of this update. */
  readonly #begun = new Map<unknown, Set<string | null>>()
  /** Clocks of first items of lists that are new with this update. */
  readonly #firsts = new Set<number>()

  /** Of an update with structs of `client` from clock `start` on. */
  constructor(client: number, start: number) {
    this.#client = client
    this.#start = start
  }

  /** Adds the item at `clock`, and tells whether it goes to a place of its own. */
  add(clock: number, length: number, spot: Spot): boolean {
    const { origin, rightOrigin } = spot
    const end = clock + length - 1
    if (origin !== null && this.#isOwn(origin)) {
      const after = this.#after.get(origin.clock)
      const next = after === undefined ? { client: this.#client, clock: origin.clock + 1 } : after
      this.#after.set(origin.clock, { client: this.#client, clock })
      this.#after.set(end, rightOrigin)
      return !isSame(next, rightOrigin)
    }
    this.#after.set(end, rightOrigin)
    if (origin === null && rightOrigin === null) return this.#begin(clock, spot)
    if (origin !== null || !this.#isOwn(rightOrigin!)) return true
    if (!this.#firsts.delete(rightOrigin!.clock)) return true
    this.#firsts.add(clock)
    return false
  }

  #begin(clock: number, { parentItem, parent, key }: Spot): boolean {
    let begun = this.#begun.get(parent)
    if (begun === undefined) this.#begun.set(parent, (begun = new Set()))
    if (begun.has(key)) return true
    begun.add(key)
    if (parentItem !== null && this.#isOwn(parentItem) && key === null) this.#firsts.add(clock)
    return false
  }

  #isOwn({ client, clock }: Ref): boolean {
    return client === this.#client && clock >= this.#start
  }
}

function isSame(a: Ref | null, b: Ref | null): boolean {
  return a === b || (a !== null && b !== null && a.client === b.client && a.clock === b.clock)
}
