/** Whether it all came out right, judged from what was read back and from what had been acknowledged. */
import * as Y from 'yjs'

export interface Evidence {
  readonly name: string
  readonly text: string
  /** As a Yjs update. */
  readonly state: Uint8Array
  /** Entries that are there and wait for something. */
  readonly waiting: number
}

/** What is wrong, a sentence each; empty when all is right. */
export function judge(
  readings: readonly Evidence[],
  acknowledgedByName: ReadonlyMap<string, readonly Uint8Array[]>
): string[] {
  const problems: string[] = []
  const [first, ...others] = readings
  for (const other of others) {
    const difference = differenceOf(other.text, first!.text)
    if (difference !== null) problems.push(`${other.name} and ${first!.name} differ ${difference}`)
  }
  for (const { name, state, waiting } of readings) {
    if (waiting > 0) problems.push(`on ${name}’s device ${waiting} entries wait for something`)
    for (const [author, acknowledged] of acknowledgedByName) {
      const lost = countLost(state, acknowledged)
      if (lost === 0) continue
      problems.push(
        `${name}’s device lacks ${lost} of ${acknowledged.length} edits acknowledged to ${author}`
      )
    }
  }
  return problems
}

/** Where and how two texts differ, byte by byte; null when they do not. */
export function differenceOf(text: string, expected: string): string | null {
  const [bytes, expectedBytes] = [Buffer.from(text), Buffer.from(expected)]
  if (bytes.equals(expectedBytes)) return null
  let at = 0
  while (bytes[at] === expectedBytes[at]) at++
  const show = (all: Buffer): string => JSON.stringify(all.subarray(at, at + 24).toString())
  return (
    `at byte ${at} (of ${bytes.length} and ${expectedBytes.length}): ` +
    `${show(bytes)} and ${show(expectedBytes)}`
  )
}

/** How many of the updates are not wholly in the state, insertions and deletions. */
export function countLost(state: Uint8Array, updates: readonly Uint8Array[]): number {
  const doc = new Y.Doc()
  Y.applyUpdate(doc, state)
  const snapshot = Y.snapshot(doc)
  return updates.filter((update) => !Y.snapshotContainsUpdate(snapshot, update)).length
}
