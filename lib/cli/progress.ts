/** How far the spaces that are synced have come, in numbers and as lines on a terminal. */
import type { Member, Replica, Space } from 'skein'
import type { Style } from './output.ts'
import { counted, size } from './words.ts'

/** The rate is that of the last seconds. */
const rateOverMs = 3_000
const barCells = 20

export interface SpaceProgress {
  readonly space: string
  readonly name: string
  /** Every connected member's entries are here, and they have all of ours. */
  readonly isComplete: boolean
  /** Members besides this device. */
  readonly others: number
  readonly connected: number
  /** Entries that connected members have and that are not here. */
  readonly missing: number
  /** Of what is being fetched now: how many entries there were to fetch, and how many of them have come. */
  readonly goal: number
  readonly done: number
  /** Entries that are here and wait for others that nobody connected has. */
  readonly waiting: number
  /** Entries that connected members have not got yet: the most that one of them lacks. */
  readonly toSend: number
  readonly receivedEntries: number
  readonly receivedBytes: number
  readonly bytesPerSecond: number
  readonly documents: number
}

export class ProgressOf {
  readonly space: Space
  readonly #start: { entries: number; bytes: number }
  /** What there was to fetch when fetching began, and what had come by then: blocks come in any order. */
  #goal = { entries: 0, from: 0 }
  #samples: { atMs: number; bytes: number }[] = []

  constructor(space: Space) {
    this.space = space
    this.#start = space.received
  }

  now(nowMs = performance.now()): SpaceProgress {
    const { space } = this
    const { entries, bytes } = space.received
    this.#samples = [
      ...this.#samples.filter(({ atMs }) => nowMs - atMs <= rateOverMs),
      { atMs: nowMs, bytes }
    ]
    const [first] = this.#samples
    const overMs = nowMs - first!.atMs
    const replicas = space.replicas()
    const connected = replicas.filter(({ isConnected }) => isConnected)
    // Before they have said what they hold, it is not known.
    const toSend = space.synced ? Math.max(0, ...connected.map(({ lacks }) => lacks)) : 0
    const { missing, waiting } = space
    if (missing === 0 || this.#goal.entries === 0) this.#goal = { entries: missing, from: entries }
    this.#goal.entries = Math.max(this.#goal.entries, missing)
    return {
      goal: this.#goal.entries,
      done: Math.min(this.#goal.entries, entries - this.#goal.from),
      space: space.id,
      name: space.name,
      isComplete:
        missing === 0 &&
        waiting === 0 &&
        (replicas.length === 0 || (connected.length > 0 && space.synced && toSend === 0)),
      others: replicas.length,
      connected: connected.length,
      missing,
      waiting,
      toSend,
      receivedEntries: entries - this.#start.entries,
      receivedBytes: bytes - this.#start.bytes,
      bytesPerSecond: overMs > 0 ? ((bytes - first!.bytes) * 1_000) / overMs : 0,
      documents: space.documents().length
    }
  }
}

/** The live lines of one space: how far it is, and below that each member that is connected. */
export function progressLines(
  { space }: ProgressOf,
  progress: SpaceProgress,
  style: Style,
  columns: number
): string[] {
  const { missing, goal, done, receivedBytes, bytesPerSecond, toSend, connected } = progress
  const name = style.bold(space.name)
  const lines: string[] = []
  if (connected === 0) {
    lines.push(`${name}  ${style.yellow('looking for other devices …')}`)
  } else if (missing > 0) {
    const share = goal === 0 ? 1 : done / goal
    const counts = `${done.toLocaleString('en')} of ${counted(goal, 'entry', 'entries')}`
    const rate = `${size(receivedBytes)}, ${size(Math.round(bytesPerSecond))}/s`
    lines.push(`${name}  ${bar(share, style)} ${counts}, ${rate}`)
  } else if (toSend > 0) {
    lines.push(`${name}  ${style.cyan('↑')} sending ${counted(toSend, 'entry', 'entries')}`)
  } else if (!space.synced) {
    lines.push(`${name}  ${style.cyan('…')} comparing`)
  } else {
    const documents = counted(progress.documents, 'document')
    lines.push(`${name}  ${style.green('✓')} in step, ${documents}, ${size(space.logBytes)}`)
  }
  const members = space.members()
  const replicas = space.replicas().filter(({ isConnected }) => isConnected)
  const shown = replicas.slice(0, 6)
  for (const replica of shown) lines.push(`  ${peerLine(replica, members, style)}`)
  if (replicas.length > shown.length) {
    lines.push(style.dim(`  and ${counted(replicas.length - shown.length, 'other device')}`))
  }
  return columns < 40 ? lines.slice(0, 1) : lines
}

function peerLine(replica: Replica, members: readonly Member[], style: Style): string {
  const { device, transport, lacks, isAhead } = replica
  const name = members.find((member) => member.device === device)?.name ?? device.slice(0, 8)
  const parts: string[] = []
  if (isAhead > 0) parts.push('has more for us')
  if (lacks > 0) parts.push(`gets ${lacks.toLocaleString('en')} from us`)
  const state = parts.length === 0 ? style.dim('has everything') : parts.join(', ')
  return `${style.green('●')} ${name} ${style.dim(`by ${transport ?? 'none'}`)}  ${state}`
}

function bar(share: number, style: Style): string {
  const filled = Math.min(barCells, Math.floor(share * barCells))
  return style.cyan('━'.repeat(filled)) + style.dim('─'.repeat(barCells - filled))
}
