/**
 * How the database stood at one moment. IndexedDB has no snapshots: whoever writes while one is held first puts what it
 * replaces into it, within the same transaction. So a snapshot costs what changes while it is held, and nothing else.
 */
import { compareBytes, textOf } from './idb.ts'

export interface Row {
  readonly key: Uint8Array
  /** Null: there was none. */
  readonly value: Uint8Array | null
}

export class Snapshot {
  readonly #held: Set<Snapshot>
  readonly #rowsByStore = new Map<string, Map<string, Row>>()
  #references = 0

  /** @param held The snapshots that writers look after, of which this is one while it is referred to. */
  constructor(held: Set<Snapshot>) {
    this.#held = held
  }

  refer(): void {
    if (this.#references++ === 0) this.#held.add(this)
  }

  letGo(): void {
    if (--this.#references > 0) return
    this.#held.delete(this)
    this.#rowsByStore.clear()
  }

  /** Keeps how a row was; what has been kept of it before is older, and right. */
  keep(store: string, row: Row): void {
    let rows = this.#rowsByStore.get(store)
    if (rows === undefined) this.#rowsByStore.set(store, (rows = new Map()))
    const text = textOf(row.key)
    if (!rows.has(text)) rows.set(text, row)
  }

  /** The row if it has changed since; undefined if the database still has it as it was. */
  changed(store: string, key: Uint8Array): Row | undefined {
    return this.#rowsByStore.get(store)?.get(textOf(key))
  }

  /** Rows as the database has them now, put back as they were; ascending. `isWithin` says which keys are asked for. */
  restore(store: string, now: readonly Row[], isWithin: (key: Uint8Array) => boolean): Row[] {
    const rows = this.#rowsByStore.get(store)
    if (rows === undefined || rows.size === 0) return [...now]
    const unchanged = now.filter(({ key }) => !rows.has(textOf(key)))
    const changed = [...rows.values()].filter(({ key, value }) => value !== null && isWithin(key))
    return [...unchanged, ...changed].sort((a, b) => compareBytes(a.key, b.key))
  }
}
