/** The last words of a story or a replay: whether it came out right, and the figures. */
import type { Actor } from './actor.ts'
import type { ReplayOutcome } from './replay.ts'
import type { Outcome } from './story.ts'

/** `keptIn`: the folder that is left there, if it is. */
export function summaryOfStory(
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
    ['folders', '', keptIn ?? removed]
  ] as const
  const good = `all three devices hold the same ${text.length} characters, and no edit was lost`
  return page(rows, problems, good)
}

export function summaryOfReplay(outcome: ReplayOutcome, keptIn: string | null): string {
  const { problems, transactions, authors, devices, processes, entries, logBytes } = outcome
  const { textBytes, joinMs, playMs } = outcome
  const number = (value: number): string => value.toLocaleString('en')
  const rows = [
    ['transactions', number(transactions), `by ${number(authors)} authors`],
    [
      'devices',
      number(devices),
      `in ${processes} processes, joined in ${(joinMs / 1e3).toFixed(1)} s`
    ],
    [
      'replayed in',
      `${(playMs / 1e3).toFixed(1)} s`,
      `${number(Math.round(transactions / (playMs / 1e3)))} each second`
    ],
    ['log entries', number(entries), `${number(Math.round(logBytes / 1e3))} kB, on each device`],
    ['text', number(textBytes), 'bytes in the end'],
    ['folders', '', keptIn ?? removed]
  ] as const
  return page(rows, problems, `all ${devices} devices end in the recorded text, byte for byte`)
}

const removed = 'removed (--keep leaves them there)'

function page(
  rows: readonly (readonly [name: string, figure: string | number, remark: string])[],
  problems: readonly string[],
  good: string
): string {
  const table = rows.map(
    ([name, figure, remark]) => `  ${name.padEnd(16)}${String(figure).padStart(8)}   ${remark}`
  )
  const verdict =
    problems.length === 0
      ? [`✓ ${good}`]
      : ['✗ something went wrong', ...problems.map((problem) => `  ${problem}`)]
  return ['', ...table, '', ...verdict].join('\n')
}
