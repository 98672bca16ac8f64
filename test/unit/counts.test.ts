/** What content counts after removals: 1,000 seeded histories against a naive reading of the rule. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { countContent, type Countable, type Past } from '../../lib/log/counts.ts'
import { random } from './member-histories.ts'

const test = suite('what counts')

const treeHash = '0000000000000000'

/**
 * Five devices write and meet at random. Some are removed: each by someone who has delivered this much of it. An entry
 * takes one block or three, as large ones do.
 */
function history(seed: number): Countable[] {
  const below = random(seed)
  const ids = ['alice', 'bob', 'carol', 'dave', 'erin']
  const logs = ids.map((): Past[] => [])
  const ends = ids.map(() => 0)
  const delivered = ids.map(() => ids.map(() => 0))
  for (let step = 0; step < 80; step++) {
    const who = below(ids.length)
    if (below(2) === 0) {
      const from = delivered[below(ids.length)]!
      delivered[who] = delivered[who]!.map((length, i) => Math.max(length, from[i]!))
    } else {
      const deps = ids.flatMap((log, i) => {
        const length = delivered[who]![i]!
        return i === who || length === 0 ? [] : [{ log, length, treeHash }]
      })
      logs[who]!.push({ from: ends[who]!, deps })
      ends[who]! += below(5) === 0 ? 3 : 1
      delivered[who]![who] = ends[who]!
    }
  }
  const removed = ids.map((_, i) => i > 0 && below(3) === 0)
  return ids.map((id, i) => ({
    id,
    kept: removed[i]! ? delivered[removed.indexOf(false)]![i]! : ends[i]!,
    end: ends[i]!,
    pasts: logs[i]!
  }))
}

/** Entry by entry: it counts if it is kept, or one that counts has it in its past. */
function naive(logs: readonly Countable[]): Map<string, number> {
  const entries = logs.flatMap(({ id, kept, pasts, end }) =>
    pasts.map(({ from, deps }, i) => ({
      ...{ id, from, deps, to: pasts[i + 1]?.from ?? end },
      counts: from < kept
    }))
  )
  const isInPastOf = (entry: (typeof entries)[0], later: (typeof entries)[0]): boolean =>
    (entry.id === later.id && entry.from < later.from) ||
    later.deps.some(({ log, length }) => log === entry.id && entry.from < length)
  for (let changed = true; changed;) {
    changed = false
    for (const entry of entries) {
      if (entry.counts || !entries.some((later) => later.counts && isInPastOf(entry, later)))
        continue
      entry.counts = true
      changed = true
    }
  }
  return new Map(
    logs.map(({ id }) => [
      id,
      Math.max(0, ...entries.filter((one) => one.id === id && one.counts).map(({ to }) => to))
    ])
  )
}

test('1,000 seeded removals leave what the rule says: no innocent edit lost, and nothing dangling', () => {
  let left = 0
  let endorsed = 0
  for (let seed = 1; seed <= 1_000; seed++) {
    const logs = history(seed)
    const counts = countContent(logs)
    assert.equal(counts, naive(logs), `seed ${seed}`)
    for (const { id, kept, end, pasts } of logs) {
      assert.ok(counts.get(id)! >= kept, `seed ${seed}: what ${id} wrote as a member is lost`)
      if (counts.get(id)! < end) left++
      if (counts.get(id)! > kept) endorsed++
      for (const { from, deps } of pasts) {
        if (from >= counts.get(id)!) break
        for (const { log, length } of deps)
          assert.ok(counts.get(log)! >= length, `seed ${seed}: ${id} ${from} dangles`)
      }
    }
  }
  // Both happen, and often.
  assert.ok(left > 200 && endorsed > 200, `${left} ${endorsed}`)
})

test('an entry that names more of a log than there is makes no more of it count', () => {
  const pasts = [{ from: 0, deps: [] }]
  const liar = {
    id: 'alice',
    kept: 1,
    end: 1,
    pasts: [{ from: 0, deps: [{ log: 'bob', length: 99, treeHash }] }]
  }
  assert.equal(
    [...countContent([liar, { id: 'bob', kept: 0, end: 1, pasts }])],
    [
      ['alice', 1],
      ['bob', 1]
    ]
  )
})

test.run()
