/** `skein sync`: exchanges with other devices, until stopped or until nothing is missing. */
import type { Space } from 'skein'
import { defineCommand, exitCodes, type HomeContext } from '../command.ts'
import { examples } from '../help.ts'
import { ProgressOf, progressLines } from '../progress.ts'
import { SyncNews } from '../sync-news.ts'
import { counted, duration, listed } from '../words.ts'

const lookMs = 100
/** How long everything must have been in step: another device may just be on its way. */
const settledMs = 600

export default defineCommand({
  restarts: true,
  setUp: (command) =>
    command
      .argument('[space...]', 'which spaces (default: all)')
      .option('-1, --once', 'end when nothing is missing: code 0, or 3 if something still is')
      .option(
        '-t, --timeout <time>',
        'with --once: give up after so long without progress',
        duration,
        30_000
      )
      .addHelpText(
        'after',
        examples(
          ['skein sync', 'keeps all spaces in step, until Ctrl-C'],
          ['skein sync Notes --once', 'exchanges what is new, then ends'],
          ['skein sync --once --timeout 5s || echo later', 'in a script']
        )
      ),
  async run(context, [wanted], { once = false, timeout }) {
    const { home } = context
    const given = wanted.map((name) => home.space(name))
    const spaces = given.length > 0 ? given : home.skein.spaces()
    if (spaces.length === 0) home.space() // Says what to do.
    return keepInStep(context, spaces, given.length === 0, once ? timeout : null)
  }
})

/**
 * Keeps spaces in step; `takesNew`: also those that this device joins meanwhile. With a time, until nothing is missing,
 * or nothing has come for that long; else until Ctrl-C. Resolves with the exit code.
 */
export async function keepInStep(
  context: HomeContext,
  spaces: readonly Space[],
  takesNew: boolean,
  timeoutMs: number | null
): Promise<number> {
  const { home, out, signal } = context
  const progresses = spaces.map((space) => new ProgressOf(space))
  const news = new SyncNews(out)
  for (const space of spaces) news.follow(space)
  // Others may join a space meanwhile, and this device others: what was not named is taken in.
  const stop = takesNew ? followNew(context, progresses, news) : () => {}
  const stopHearing = home.skein.on('copied', ({ where }) => news.copied(where))
  const draw = (): string[] =>
    progresses.flatMap((progress) =>
      progressLines(progress, progress.now(), out.noteStyle, out.columns)
    )
  out.live(draw)
  try {
    await home.online()
    if (timeoutMs === null) out.note('Keeping in step, until Ctrl-C')
    const isComplete = await ended(context, progresses, timeoutMs, () => out.live(draw))
    out.live(null)
    news.flush()
    if (signal.aborted || timeoutMs === null) return exitCodes.done
    for (const progress of progresses) tell(context, progress)
    return isComplete ? exitCodes.done : exitCodes.incomplete
  } finally {
    stop()
    stopHearing()
    news.stop()
  }
}

function followNew({ home }: HomeContext, progresses: ProgressOf[], news: SyncNews): () => void {
  const timer = setInterval(() => {
    for (const space of home.skein.spaces()) {
      if (progresses.some((progress) => progress.space === space)) continue
      progresses.push(new ProgressOf(space))
      news.follow(space)
    }
    const spaces = home.skein.spaces()
    const gone = progresses.findIndex(({ space }) => !spaces.includes(space))
    if (gone !== -1) progresses.splice(gone, 1)
  }, 1_000)
  return () => clearInterval(timer)
}

/** Resolves at Ctrl-C; or, with a time, true once all is in step, false after that long without progress. */
function ended(
  { signal }: HomeContext,
  progresses: readonly ProgressOf[],
  timeoutMs: number | null,
  onLook: () => void
): Promise<boolean> {
  return new Promise((resolve) => {
    let completeSinceMs: number | null = null
    let progressAtMs = performance.now()
    let before = ''
    const done = (isComplete: boolean): void => {
      clearInterval(timer)
      signal.removeEventListener('abort', abort)
      resolve(isComplete)
    }
    const abort = (): void => done(false)
    const look = (): void => {
      onLook()
      if (timeoutMs === null) return
      const nowMs = performance.now()
      const states = progresses.map((progress) => progress.now(nowMs))
      const summary = states
        .map(({ missing, waiting, toSend, receivedEntries, connected }) =>
          [missing, waiting, toSend, receivedEntries, connected].join()
        )
        .join(';')
      if (summary !== before) progressAtMs = nowMs
      before = summary
      completeSinceMs = states.every(({ isComplete }) => isComplete)
        ? (completeSinceMs ?? nowMs)
        : null
      const isAlone = states.every(({ others }) => others === 0)
      const settled = completeSinceMs !== null && nowMs - Math.max(completeSinceMs, progressAtMs)
      if (settled !== false && (isAlone || settled >= settledMs)) done(true)
      else if (completeSinceMs === null && nowMs - progressAtMs >= timeoutMs) done(false)
    }
    const timer = setInterval(look, lookMs)
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    else look()
  })
}

/** What `--once` came to, for one space. */
function tell({ out }: HomeContext, progressOf: ProgressOf): void {
  const progress = progressOf.now()
  const { style } = out
  out.emit({ event: 'done', ...progress }, () => {
    const { name, isComplete, others, connected, missing, waiting, toSend } = progress
    const { receivedEntries: received } = progress
    const got = received === 0 ? 'nothing new' : `${counted(received, 'entry', 'entries')} received`
    if (others === 0) return `${style.bold(name)}  nobody else is in this space yet`
    if (isComplete) {
      return `${style.green('✓')} ${style.bold(name)}  in step with ${withWhom(progressOf.space)}; ${got}`
    }
    const why: string[] = []
    if (connected === 0) why.push('no other device was reached')
    if (missing > 0) why.push(`${counted(missing, 'entry', 'entries')} did not come`)
    if (waiting > 0)
      why.push(`${counted(waiting, 'entry', 'entries')} wait for others that nobody had`)
    if (toSend > 0) why.push(`${counted(toSend, 'entry', 'entries')} were not taken`)
    const because = why.length === 0 ? 'it was not told in time what there is' : why.join(', ')
    return `${style.yellow('!')} ${style.bold(name)}  not in step: ${because}; ${got}`
  })
}

function withWhom(space: Space): string {
  return listed(
    space
      .members()
      .filter(({ isConnected }) => isConnected)
      .map(({ name }) => name)
  )
}
