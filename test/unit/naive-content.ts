/**
 * What content counts, by `lib/trust/README.md` ("Content that counts"), as plainly as can be: every entry is looked at again
 * until nothing is added. It shares no code with the library.
 */

export interface ContentFact {
  readonly by: string
  readonly log: string
  readonly from: number
  readonly deps: readonly { readonly log: string; readonly length: number }[]
}

/** The causal past of every kept entry, whoever wrote it. */
export function naiveCounted<F extends ContentFact>(
  facts: readonly F[],
  isKept: (fact: F) => boolean
): Set<F> {
  const counted = new Set(facts.filter(isKept))
  for (let before = -1; before < counted.size;) {
    before = counted.size
    for (const one of [...counted]) {
      const past = [...one.deps, { log: one.log, length: one.from }]
      for (const fact of facts) {
        if (past.some(({ log, length }) => fact.log === log && fact.from < length))
          counted.add(fact)
      }
    }
  }
  return counted
}
