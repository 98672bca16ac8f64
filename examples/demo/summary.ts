/** The last words of a story: whether it came out right, and the figures. */
import type { Actor } from './actor.ts'
import type { Outcome } from './story.ts'

/** `keptIn`: the folder that is left there, if it is. */
export function summaryOf(
  outcome: Outcome,
  actors: readonly Actor[],
  keptIn: string | null
): string {
  const { problems, text, lost, logs, latenciesMs, apartMs, killedMs } = outcome
  const total = (count: (actor: Actor) => number): number =>
    actors.reduce((sum, actor) => sum + count(actor), 0)
  const each = actors.map(({ name, made }) => `${name} ${made}`).join(', ')
  const at = (part: number): string =>
    (latenciesMs[Math.floor(latenciesMs.length * part)] ?? 0).toFixed(1)

  const rows = [
    ['edits', total(({ made }) => made), each],
    ['acknowledged', total(({ acknowledged }) => acknowledged.length), 'said to be on disk'],
    ['lost of those', lost, 'looked up on every device'],
    ['log entries', logs.entries, `${(logs.bytes / 1_000).toFixed(1)} kB, on each device`],
    ['edit to screen', `${at(0.5)} ms`, `the median; ${at(0.99)} ms for 1 in 100`],
    [
      'together again',
      `${apartMs.toFixed(0)} ms`,
      `after being apart; ${killedMs.toFixed(0)} ms after the kill`
    ],
    ['folders', '', keptIn ?? 'removed (--keep leaves them there)']
  ] as const
  const table = rows.map(
    ([name, figure, remark]) => `  ${name.padEnd(16)}${String(figure).padStart(8)}   ${remark}`
  )
  const verdict =
    problems.length === 0
      ? [`✓ all three devices hold the same ${text.length} characters, and no edit was lost`]
      : ['✗ something went wrong', ...problems.map((problem) => `  ${problem}`)]
  return ['', ...table, '', ...verdict].join('\n')
}
