/**
 * Replays a recorded history by one device per author: every edit is made against exactly what its author had seen. In
 * the end new processes read from the disks, and each text must be the recording's `endContent`.
 */
import { Board } from './board.ts'
import { Child } from './channel.ts'
import type { Holding, HostCalls, HostEvents, HostOptions, Seat } from './host.ts'
import { planTrace } from './plan.ts'
import type { Row } from './rows.ts'
import type { Stage } from './stage.ts'
import { readTrace } from './trace.ts'
import { differenceOf } from './verdict.ts'

const steps = [
  {
    word: 'plan',
    what: 'The recording is read and planned',
    why: 'Each edit was made against what its author had seen; so it will be made again, by ids instead of positions.'
  },
  {
    word: 'join',
    what: 'One device per author, in processes of their own, joins one space',
    why: 'Each has its own folder and keys. They meet by a private DHT on loopback; there is no server.'
  },
  {
    word: 'replay',
    what: 'Every author writes as fast as the others’ edits arrive',
    why: 'A device waits only for what its next edit builds upon: real branches and merges come about again.'
  },
  {
    word: 'check',
    what: 'All is shut. New processes read what is on the disks',
    why: 'No network now: every device must hold the recording’s end, byte for byte, with nothing waiting.'
  }
] as const

/** A process of its own for each device, up to so many; beyond, they share fewer. */
const maxHosts = 16
const sharedHosts = 4
/** Every device keeps two logs of every device: the work grows with the square of their number, on one machine. */
const maxAuthors = 40
const standstillMs = 60_000

export interface ReplayOptions {
  readonly path: string
  /** Kill a process in the middle. */
  readonly kills: boolean
  /** In the end one device writes what is in no history: then the check must fail. */
  readonly spoils: boolean
}

export interface ReplayOutcome {
  /** What is wrong, a sentence each. */
  readonly problems: string[]
  readonly transactions: number
  readonly authors: number
  readonly devices: number
  readonly processes: number
  readonly textBytes: number
  readonly entries: number
  readonly logBytes: number
  readonly joinMs: number
  readonly playMs: number
}

type Host = Child<HostCalls, HostEvents>

export class Replay {
  readonly board = new Board('Skein: a recorded history, one device per author', steps)
  /** Filled once the recording has been planned. */
  readonly rows: Row[] = []
  readonly #stage: Stage
  readonly #options: ReplayOptions
  #hosts: Host[] = []
  /** By host, its devices. */
  #seats: Seat[][] = []
  #startedMs = 0
  #toldPercent = 0
  #willKill: boolean
  #stillSince = 0
  #killed: Host | null = null
  #revived: Promise<void> = Promise.resolve()

  constructor(stage: Stage, options: ReplayOptions) {
    this.#stage = stage
    this.#options = options
    this.#willKill = options.kills
  }

  /** A line about all devices together. */
  get totals(): string {
    const [done, total] = [this.#done, this.#total]
    const seconds = (performance.now() - this.#startedMs) / 1_000
    const rate = this.#startedMs === 0 ? 0 : Math.round(done / seconds)
    const count = `${number(done)} of ${number(total)} transactions`
    return rate > 0 ? `${count}, ${number(rate)} each second` : count
  }

  async run(): Promise<ReplayOutcome> {
    this.board.next()
    const plan = planTrace(await readTrace(this.#options.path))
    const transactions = plan.authors.reduce(
      (sum, { transactions }) => sum + transactions.length,
      0
    )
    if (plan.authors.length > maxAuthors) {
      throw new Error(
        `this history has ${plan.authors.length} authors, and one machine replays at most ${maxAuthors}: ` +
          'each is a device that keeps two logs of every other'
      )
    }
    this.#seat(plan.authors)
    const devices = this.rows.length
    const processes = this.#seats.length
    this.board.note(
      '',
      `${number(transactions)} transactions by ${plan.authors.length} authors, ` +
        `ending in ${number(plan.endContent.length)} characters`
    )

    this.board.next()
    if (devices > processes) {
      this.board.note(
        '',
        `${devices} devices share ${processes} processes; within one they meet in memory`
      )
    }
    const joinMs = await timed(() => this.#join())
    this.board.note('', `${devices} devices are in one space, after ${seconds(joinMs)}`)

    this.board.next()
    const playMs = await timed(() => this.#play())
    this.board.note('', `everyone has everything, after ${seconds(playMs)}`)

    this.board.next()
    const holdings = await this.#check()
    this.board.end()
    const { endContent } = plan
    const problems = holdings.flatMap(({ name, text, waiting }) => {
      const difference = differenceOf(text, endContent)
      return [
        ...(difference === null ? [] : [`${name} differs from the recorded end ${difference}`]),
        ...(waiting === 0 ? [] : [`${name} holds ${waiting} entries that wait for something`])
      ]
    })
    const { entries, logBytes } = holdings[0]!
    const textBytes = Buffer.byteLength(endContent)
    const authors = plan.authors.length
    return {
      problems,
      transactions,
      authors,
      devices,
      processes,
      textBytes,
      entries,
      logBytes,
      joinMs,
      playMs
    }
  }

  get #done(): number {
    return this.rows.reduce((sum, { done, isReader }) => sum + (isReader ? 0 : done), 0)
  }

  get #total(): number {
    return this.rows.reduce((sum, { total, isReader }) => sum + (isReader ? 0 : total), 0)
  }

  #seat(authors: readonly { agent: number; transactions: readonly unknown[] }[]): void {
    const seats: Seat[] = authors.map(({ agent }, author) => ({ name: `author ${agent}`, author }))
    // With one author there would be nobody to sync to.
    if (seats.length === 1) seats.push({ name: 'reader', author: null })
    const hosts = seats.length <= maxHosts ? seats.length : sharedHosts
    this.#seats = Array.from({ length: hosts }, (_, host) =>
      seats.filter((_, index) => index % hosts === host)
    )
    for (const [index, { name, author }] of seats.entries()) {
      const total = authors[author ?? 0]!.transactions.length
      const state = { done: 0, peers: 0, entries: 0, condition: 'starting' as const }
      this.rows.push({ name, host: index % hosts, isReader: author === null, total, ...state })
    }
  }

  async #join(): Promise<void> {
    const { bootstrap } = this.#stage.dht
    const { path } = this.#options
    this.#hosts = await Promise.all(this.#seats.map((_, host) => this.#open(host, path, bootstrap)))
    const [first] = this.#hosts
    const firsts = this.#hosts.length - 1
    const others = this.rows.length - this.#hosts.length
    const invites = await first!.call('found', { firsts, others })
    let joined = 1
    for (const host of this.#hosts) {
      host.on('joined', ({ name }) => {
        joined++
        const isTold = this.rows.length <= maxHosts || joined % 25 === 0
        if (isTold) this.board.note(name, `was let in: ${joined} of ${this.rows.length}`)
      })
    }
    await Promise.all(this.#hosts.map((host) => host.call('join', invites)))
  }

  async #play(): Promise<void> {
    this.#startedMs = performance.now()
    for (const row of this.rows) row.condition = 'playing'
    await this.#unlessStill(Promise.all(this.#hosts.map((_, host) => this.#playOn(host))))
  }

  async #playOn(host: number): Promise<void> {
    const child = this.#hosts[host]!
    try {
      await child.call('play', null)
      for (const row of this.#rowsOf(host)) row.condition = 'complete'
    } catch (error) {
      if (this.#killed !== child) throw error
      await this.#revived
      await this.#playOn(host)
    }
  }

  async #kill(row: Row): Promise<void> {
    const { host } = row
    const { path } = this.#options
    const child = this.#hosts[host]!
    this.#killed = child
    this.board.note(row.name, `SIGKILL to process ${child.pid}, after ${number(row.done)} edits`)
    for (const one of this.#rowsOf(host)) Object.assign(one, { condition: 'killed', peers: 0 })
    await child.kill()
    const revived = await this.#open(host, path, this.#stage.dht.bootstrap)
    this.#hosts[host] = revived
    for (const one of this.#rowsOf(host)) one.condition = 'playing'
    this.board.note(row.name, `is back as process ${revived.pid} and goes on from its folder`)
  }

  async #check(): Promise<Holding[]> {
    if (this.#options.spoils) await this.#hosts.at(-1)!.call('spoil', null)
    await Promise.all(
      this.#hosts.map(async (host) => {
        await host.call('close', null)
        await host.end()
      })
    )
    this.board.note('', 'all processes have ended')
    const holdings = await Promise.all(
      this.#seats.map(async (_, index) => {
        const host = await this.#open(index, null, null)
        const held = await host.call('read', null)
        for (const row of this.#rowsOf(index)) row.condition = 'complete'
        await host.call('close', null)
        await host.end()
        return held
      })
    )
    return holdings.flat()
  }

  async #open(
    host: number,
    path: string | null,
    bootstrap: HostOptions['bootstrap']
  ): Promise<Host> {
    const child = this.#stage.add(new Child<HostCalls, HostEvents>('host.ts'))
    child.on('progress', (progress) => {
      for (const { name, ...state } of progress) {
        Object.assign(
          this.rows.find((row) => row.name === name)!,
          state
        )
      }
      this.#progressed()
    })
    const { folder } = this.#stage
    const devices = this.#seats[host]!
    await child.call('open', { path, folder, bootstrap, devices })
    return child
  }

  #rowsOf(host: number): Row[] {
    return this.rows.filter((row) => row.host === host)
  }

  #progressed(): void {
    this.#stillSince = performance.now()
    const percent = Math.floor((100 * this.#done) / Math.max(1, this.#total))
    if (percent >= this.#toldPercent + 10) {
      this.#toldPercent = percent - (percent % 10)
      if (percent < 100) this.board.note('', `${percent} %: ${this.totals}`)
    }
    if (!this.#willKill) return
    const longest = this.rows.reduce((most, row) => (row.total > most.total ? row : most))
    if (longest.condition !== 'playing' || longest.done < longest.total / 2) return
    this.#willKill = false
    this.#revived = this.#kill(longest)
  }

  /** Fails when nothing at all happens for long. */
  async #unlessStill<T>(playing: Promise<T>): Promise<T> {
    let timer: ReturnType<typeof setInterval> | undefined
    const still = new Promise<never>((_, reject) => {
      this.#stillSince = performance.now()
      timer = setInterval(() => {
        if (performance.now() - this.#stillSince < standstillMs) return
        const missing = this.rows.filter(({ done, total }) => done < total)
        const names = missing
          .slice(0, 3)
          .map(({ name, done, total }) => `${name} at ${done} of ${total}`)
        reject(new Error(`nothing has happened for ${seconds(standstillMs)}: ${names.join(', ')}`))
      }, 1_000)
    })
    try {
      return await Promise.race([playing, still])
    } finally {
      clearInterval(timer)
    }
  }
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}

function number(value: number): string {
  return value.toLocaleString('en')
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}
