/**
 * Which structs were deleted, as runs of clocks by client id, and how they stand at the end of a Yjs update:
 *
 *     deletes := varUint(clients) • (varUint(client) • varUint(runs) • (varUint(clock) • varUint(length))*)*
 */
import * as encoding from 'lib0/encoding'

/** The shape of a Yjs `DeleteItem`. */
export interface Run {
  readonly clock: number
  readonly len: number
}

export class DeleteRanges {
  readonly #runsByClient = new Map<number, Run[]>()

  get isEmpty(): boolean {
    return this.#runsByClient.size === 0
  }

  add(client: number, runs: readonly Run[]): void {
    if (runs.length === 0) return
    const known = this.#runsByClient.get(client)
    if (known === undefined) this.#runsByClient.set(client, [...runs])
    else for (const run of runs) known.push(run)
  }

  /** Adds what of `runs` is not in `except`. */
  addExcept(client: number, runs: readonly Run[], except: DeleteRanges): void {
    this.add(client, subtract(merged(runs), merged(except.#runsByClient.get(client) ?? [])))
  }

  /**
   * Writes up to `maxRuns` runs, sorted and merged, and forgets them. Of `ownClient` it writes only what lies below
   * `ownEnd`, and this first: the rest deletes what the update does not hold yet.
   */
  drainInto(
    encoder: encoding.Encoder,
    { ownClient, ownEnd, maxRuns }: { ownClient: number; ownEnd: number; maxRuns: number }
  ): void {
    const drained: [client: number, runs: Run[]][] = []
    let room = maxRuns
    const clients = [...this.#runsByClient.keys()].filter((client) => client !== ownClient)
    if (this.#runsByClient.has(ownClient)) clients.unshift(ownClient)
    for (const client of clients) {
      const runs = merged(this.#runsByClient.get(client)!)
      const [ready, later] = split(runs, client === ownClient ? ownEnd : Infinity)
      const left = [...ready.splice(room), ...later]
      room -= ready.length
      if (ready.length > 0) drained.push([client, ready])
      if (left.length > 0) this.#runsByClient.set(client, left)
      else this.#runsByClient.delete(client)
    }
    encoding.writeVarUint(encoder, drained.length)
    // Yjs writes higher client ids first, so that equal deletes are equal bytes.
    for (const [client, runs] of drained.sort(([a], [b]) => b - a)) {
      encoding.writeVarUint(encoder, client)
      encoding.writeVarUint(encoder, runs.length)
      for (const { clock, len } of runs) {
        encoding.writeVarUint(encoder, clock)
        encoding.writeVarUint(encoder, len)
      }
    }
  }
}

/** Sorted by clock, none touching another. */
function merged(runs: readonly Run[]): Run[] {
  const result: Run[] = []
  for (const run of [...runs].sort((a, b) => a.clock - b.clock)) {
    const last = result.at(-1)
    if (last === undefined || last.clock + last.len < run.clock) result.push(run)
    else {
      const end = Math.max(last.clock + last.len, run.clock + run.len)
      result[result.length - 1] = { clock: last.clock, len: end - last.clock }
    }
  }
  return result
}

/** What of merged `runs` lies below `clock`, and what lies from there on. */
function split(runs: readonly Run[], clock: number): [below: Run[], above: Run[]] {
  const below: Run[] = []
  const above: Run[] = []
  for (const run of runs) {
    const end = run.clock + run.len
    if (run.clock < clock) below.push({ clock: run.clock, len: Math.min(end, clock) - run.clock })
    const start = Math.max(run.clock, clock)
    if (end > start) above.push({ clock: start, len: end - start })
  }
  return [below, above]
}

/** Merged `runs` without merged `holes`. */
function subtract(runs: readonly Run[], holes: readonly Run[]): Run[] {
  const result: Run[] = []
  let next = 0
  for (const run of runs) {
    const end = run.clock + run.len
    let clock = run.clock
    while (next < holes.length && holes[next]!.clock + holes[next]!.len <= clock) next++
    for (let i = next; i < holes.length && holes[i]!.clock < end; i++) {
      const hole = holes[i]!
      if (hole.clock > clock) result.push({ clock, len: hole.clock - clock })
      clock = Math.max(clock, hole.clock + hole.len)
    }
    if (clock < end) result.push({ clock, len: end - clock })
  }
  return result
}
