/** `skein folder`: keeps a folder of text files and a space in step. */
import { once } from 'node:events'
import type { Space } from 'skein'
import { defineCommand } from '../command.ts'
import { exitCodes } from '../exit.ts'
import {
  FolderSync,
  type Change,
  type Conflict,
  type LeftAlone,
  type Reason
} from '../folder/folder-sync.ts'
import { examples, spaceHelp } from '../help.ts'
import type { Output } from '../output.ts'
import { counted, duration } from '../words.ts'

const onceMs = 15_000

const conflictTexts: Readonly<Record<Conflict['kind'], string>> = {
  'same-name': 'is named so because two files had one name',
  'same-file': 'was made on two devices with the same text, and is one file',
  'edit-wins': 'was deleted, and edited by someone who did not know: it is there',
  raced: 'was saved while it was written: merged',
  'stale-save': 'was saved from an older text: merged'
}

const reasonTexts: Readonly<Record<Reason, string>> = {
  hidden: 'hidden',
  editor: 'an editor’s file',
  ignored: 'ignored',
  'not-text': 'not text (UTF-8)',
  'too-large': 'too large',
  'symbolic-link': 'a link',
  special: 'no file or folder',
  mount: 'another file system',
  unreadable: 'cannot be read',
  'name-clash': 'differs from another name only by case or Unicode form',
  'name-not-allowed': 'in the space, with a name that is not allowed here',
  'place-taken': 'in the space, and something that is left alone has its name here',
  'read-only': 'changed here, where this device may only read'
}

export default defineCommand({
  restarts: true,
  setUp: (command) =>
    command
      .argument('<dir>', 'the folder; it is made where there is none')
      .option('-s, --space <space>', spaceHelp)
      .option('--ignore <pattern...>', 'leave these alone too, as in a .gitignore')
      .option('--once', 'end when the folder and the space are in step')
      .option(
        '--timeout <duration>',
        'with --once: how long to look for other devices (default: 15s)',
        duration
      )
      .option('--offline', 'look for no other devices')
      .addHelpText(
        'after',
        `
Text files (valid UTF-8) are kept in step both ways, character by character: write in any editor, on any
device, at the same time. Renames, moves and deletions go along. A file that was deleted on one device and
edited on another stays. Two files that got one name while apart both stay, the later as "note (from bob).md".

Left alone, and named: what is not text, links, names that differ only by case. Left alone without a word:
names that begin with a dot, and what editors leave beside files. What is known about the folder lies in
its hidden folder .skein, which goes along when the folder is moved or copied.
` +
          examples(
            ['skein folder ~/Notes', 'until Ctrl-C'],
            ['skein folder ~/Notes --once', 'once; exit code 3 if no other device was reached'],
            ['skein folder . --ignore "drafts/" "*.csv"', 'without these']
          )
      ),
  async run({ home, out, signal, path }, [dir], options) {
    const space = home.space(options.space)
    const folder = path(dir)
    const { ignore } = options
    await using sync = new FolderSync({
      space,
      folder,
      open: (name) => home.document(space, name),
      ...(ignore === undefined ? {} : { ignore })
    })
    const view = new FolderView(out, sync, space)
    await sync.ready()
    const isOffline = options.offline === true
    if (!isOffline) await home.online()
    if (options.once === true) {
      const waitMs = isOffline ? 0 : (options.timeout ?? onceMs)
      const isDone = await runOnce(sync, space, signal, waitMs)
      view.end()
      return isDone || isOffline ? exitCodes.done : exitCodes.incomplete
    }
    view.settling(sync.whenSettled())
    await Promise.race([once(signal, 'abort'), view.stopped])
    view.end()
  }
})

/** Everything there is goes both ways; false when no other device was reached, or it was not done in time. */
async function runOnce(
  sync: FolderSync,
  space: Space,
  signal: AbortSignal,
  waitMs: number
): Promise<boolean> {
  await sync.whenSettled()
  if (waitMs > 0) await whenSynced(space, AbortSignal.any([signal, AbortSignal.timeout(waitMs)]))
  const isSynced = space.synced
  await sync.whenSettled()
  if (!isSynced) return false
  // What was taken in is on one other device, too.
  return space
    .saved({ peers: 1, signal: AbortSignal.any([signal, AbortSignal.timeout(waitMs)]) })
    .then(
      () => true,
      () => false
    )
}

async function whenSynced(space: Space, signal: AbortSignal): Promise<void> {
  let stop = (): void => {}
  await new Promise<void>((resolve) => {
    if (space.synced || signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
    stop = space.on('synced', ({ synced }) => synced && resolve())
  })
  stop()
}

/** What people, or programs, see of it. */
class FolderView {
  readonly stopped: Promise<never>
  readonly #out: Output
  readonly #sync: FolderSync
  readonly #space: Space
  readonly #detach: (() => void)[]
  /** At the beginning changes are counted, and not told one by one. */
  #counts: Map<string, number> | null = new Map()
  #peers: number

  constructor(out: Output, sync: FolderSync, space: Space) {
    this.#out = out
    this.#sync = sync
    this.#space = space
    this.#peers = space.peers.length
    this.stopped = new Promise((_, reject) => sync.on('stopped', ({ error }) => reject(error)))
    this.stopped.catch(() => {}) // Told to whoever waits.
    this.#detach = [
      sync.on('change', (change) => this.#change(change)),
      sync.on('conflict', (conflict) => this.#conflict(conflict)),
      sync.on('left-alone', ({ files }) => this.#leftAlone(files)),
      sync.on('status', () => this.#draw()),
      sync.on('error', ({ path, error }) => {
        if (out.isJson)
          out.emit({ event: 'error', path, code: error.code, message: error.message }, () => '')
        else out.warn(error.message)
      }),
      space.on('peers', ({ peers }) => {
        this.#peers = peers.length
        this.#draw()
      })
    ]
    this.#draw()
  }

  settling(settled: Promise<void>): void {
    settled.then(
      () => this.#began(),
      () => {} // 'stopped' tells.
    )
  }

  end(): void {
    for (const detach of this.#detach) detach()
    this.#out.live(null)
    this.#began()
  }

  #began(): void {
    const counts = this.#counts
    if (counts === null) return
    this.#counts = null
    const { files } = this.#sync.status
    const said = [...counts].map(([what, count]) => `${count.toLocaleString('en')} ${what}`)
    const name = this.#space.name
    this.#out.emit(
      {
        event: 'in-step',
        folder: this.#sync.folder,
        space: this.#space.id,
        files,
        counts: Object.fromEntries(counts)
      },
      () =>
        `${counted(files, 'file')} in step with ${name}${said.length === 0 ? '' : `: ${said.join(', ')}`}`
    )
    this.#draw()
  }

  #change({ direction, kind, path, from }: Change): void {
    const { style, isJson } = this.#out
    if (this.#counts !== null && !isJson) {
      const what = `${kind} ${direction === 'in' ? 'here' : 'in the space'}`
      this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1)
      return this.#draw()
    }
    const arrow = direction === 'in' ? style.cyan('↓') : style.green('↑')
    const name = from === undefined ? path : `${style.dim(`${from} →`)} ${path}`
    this.#out.emit(
      { event: 'change', direction, kind, path, ...(from === undefined ? {} : { from }) },
      () => {
        return `${arrow} ${kind.padEnd(7)}  ${name}`
      }
    )
  }

  #conflict({ path, kind }: Conflict): void {
    const { style } = this.#out
    this.#out.emit({ event: 'conflict', kind, path }, () => {
      return `${style.yellow('!')} ${path} ${style.dim(conflictTexts[kind])}`
    })
  }

  #leftAlone(files: readonly LeftAlone[]): void {
    const { style } = this.#out
    this.#out.emit({ event: 'left-alone', files }, () =>
      files
        .map(
          ({ path, reason }) =>
            `${style.dim('–')} ${path} ${style.dim(`left alone: ${reasonTexts[reason]}`)}`
        )
        .join('\n')
    )
  }

  #draw(): void {
    this.#out.live(() => {
      const { noteStyle } = this.#out
      const { busy, files } = this.#sync.status
      const { length } = this.#sync.leftAlone
      const state = busy ? noteStyle.yellow('◌ working') : noteStyle.green('● in step')
      const parts = [
        counted(files, 'file'),
        this.#peers === 0 ? 'no other device connected' : `with ${counted(this.#peers, 'device')}`,
        ...(length === 0 ? [] : [`${length.toLocaleString('en')} left alone`])
      ]
      return [`${state}  ${this.#space.name}  ${noteStyle.dim(parts.join(' · '))}`]
    })
  }
}
