/**
 * `npm run demo`: shows Skein at work on one machine with nothing set up. Exits with 0 only if everything came out right.
 */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { cardsOf } from './card.ts'
import { Replay } from './replay.ts'
import { rowsOf } from './rows.ts'
import { show } from './screen.ts'
import { Stage } from './stage.ts'
import { Story } from './story.ts'
import { summaryOfReplay, summaryOfStory } from './summary.ts'

const help = `Skein at work: devices that write together with no server, on this machine alone.

  npm run demo                   three devices write, part, meet again; one is killed and comes back
  npm run demo -- --trace FILE   replay a recorded history, one device per author (npm start takes --trace too)

  --kill     with --trace: kill one author's process in the middle, and start it again
  --keep     leave the devices' folders there
  --fast     no pauses
  --help     this

It exits with 0 only if all devices hold the same text in the end, and no acknowledged edit is missing.
FILE is a history of https://github.com/josephg/editing-traces, gzipped or not; one lies in
test/fixtures/friendsforever.json.gz
`

const options = readOptions()
if (options === null) process.exit(2)
if (options.help) {
  console.log(help)
  process.exit(0)
}

const { trace, kill, keep, fast } = options
const stage = await Stage.open({ keep })
const keptIn = keep ? stage.folder : null
let endShow = (): void => {}
const stop = async (code: number, lastWords = ''): Promise<never> => {
  endShow()
  endShow = () => {}
  if (lastWords !== '') console.log(lastWords)
  await stage.close()
  process.exit(code)
}
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129]
] as const) {
  process.on(signal, () => void stop(code))
}

try {
  const { summary, problems } = trace === undefined ? await tellStory() : await replay(trace)
  await stop(problems.length === 0 ? 0 : 1, summary)
} catch (error) {
  await stop(1, `\n✗ ${(error as Error).message}`)
}

async function tellStory(): Promise<{ summary: string; problems: string[] }> {
  const story = new Story(stage, { isFast: fast, spoiler: process.env['SKEIN_DEMO_SPOILER'] })
  endShow = show(story.board, cardsOf(story.actors))
  const outcome = await story.run()
  return { summary: summaryOfStory(outcome, story.actors, keptIn), problems: outcome.problems }
}

async function replay(file: string): Promise<{ summary: string; problems: string[] }> {
  // npm changes to the project's folder, and says where it was called.
  const path = resolve(process.env['INIT_CWD'] ?? '.', file)
  const spoils = process.env['SKEIN_DEMO_SPOILER'] !== undefined
  const one = new Replay(stage, { path, kills: kill, spoils })
  endShow = show(
    one.board,
    rowsOf(one.rows, () => one.totals)
  )
  const outcome = await one.run()
  return { summary: summaryOfReplay(outcome, keptIn), problems: outcome.problems }
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        trace: { type: 'string' },
        kill: { type: 'boolean', default: false },
        keep: { type: 'boolean', default: false },
        fast: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false }
      }
    })
    return values
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${help}`)
    return null
  }
}
