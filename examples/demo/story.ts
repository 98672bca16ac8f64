/**
 * What alice, bob and carol do: they write one list together, at the same place at once, and apart; bob's process is
 * killed while he types and comes back; in the end three new processes read what the disks hold.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import * as Y from 'yjs'
import { Actor } from './actor.ts'
import { Board } from './board.ts'
import type { Reading } from './device.ts'
import { Latencies } from './latencies.ts'
import type { Stage } from './stage.ts'
import { countLost, judge } from './verdict.ts'

const steps = [
  {
    word: 'start',
    what: 'Three devices start: three processes with a folder each',
    why: 'Beside them runs a private DHT on loopback, by which they meet. No server, no account, no internet.'
  },
  {
    word: 'meet',
    what: 'alice makes a space; bob and carol come in by an invite',
    why: 'An invite is one line of text. Who is let in gets the keys; the DHT sees neither keys nor content.'
  },
  {
    word: 'together',
    what: 'All three write at once',
    why: 'Each keystroke goes into its own device’s log, onto its disk, and straight to the other two.'
  },
  {
    word: 'one place',
    what: 'All three write at the very same place at once',
    why: 'Nobody waits and nobody wins: what each wrote stays whole, and all three agree on the order.'
  },
  {
    word: 'apart',
    what: 'bob is offline, carol’s laptop was shut: each writes alone',
    why: 'Nothing is refused while apart. There are three different texts now, until they meet again.'
  },
  {
    word: 'killed',
    what: 'bob’s process is killed in the middle of a word',
    why: 'What was acknowledged as saved must be on his disk when a new process opens the same folder.'
  },
  {
    word: 'check',
    what: 'All is shut. Three new processes read what is on the disks',
    why: 'No network now: byte for byte the same text, nothing waiting, no acknowledged edit lost?'
  }
] as const

const agreeMs = 30_000

export interface StoryOptions {
  /** No pauses. */
  readonly isFast: boolean
  /** Someone who, in the end, writes what nobody else gets: then the check must fail. */
  readonly spoiler: string | undefined
}

export interface Outcome {
  /** What is wrong, a sentence each. */
  readonly problems: string[]
  readonly text: string
  /** Acknowledged edits that a device lacks. */
  readonly lost: number
  readonly logs: { entries: number; bytes: number }
  readonly latenciesMs: number[]
  /** From switching the network on to the same text everywhere: after being apart, and after the kill. */
  readonly apartMs: number
  readonly killedMs: number
}

export class Story {
  readonly board: Board
  readonly #stage: Stage
  readonly #options: StoryOptions
  readonly #latencies = new Latencies()
  readonly actors: readonly [alice: Actor, bob: Actor, carol: Actor]

  constructor(stage: Stage, options: StoryOptions) {
    this.#stage = stage
    this.#options = options
    const actor = (name: string): Actor =>
      new Actor(name, join(stage.folder, name), stage, this.#latencies)
    this.actors = [actor('alice'), actor('bob'), actor('carol')]
    this.board = new Board('Skein: three devices, no server', steps)
    for (const one of this.actors) one.on('changed', () => this.board.look())
  }

  async run(): Promise<Outcome> {
    await this.#start()
    await this.#meet()
    await this.#writeTogether()
    await this.#writeAtOnePlace()
    const apartMs = await this.#writeApart()
    const killedMs = await this.#kill()
    const { readings, problems } = await this.#check()
    this.board.end()
    const { text } = readings[0]!
    const { logs } = this.actors[0]
    const acknowledged = this.actors.flatMap((actor) => actor.acknowledged)
    const lost = Math.max(...readings.map(({ state }) => countLost(state, acknowledged)))
    return { problems, text, lost, logs, latenciesMs: this.#latencies.all(), apartMs, killedMs }
  }

  async #start(): Promise<void> {
    const { dht, folder } = this.#stage
    this.board.next()
    this.board.note('', `a DHT node listens on ${dht.host}:${dht.port}; folders lie in ${folder}`)
    await Promise.all(
      this.actors.map(async (actor) => {
        await actor.start(dht.bootstrap)
        this.board.note(actor.name, `runs as process ${actor.device.pid}`)
      })
    )
    await this.#pause(400)
  }

  async #meet(): Promise<void> {
    const [alice, bob, carol] = this.actors
    this.board.next()
    await alice.device.call('createSpace', 'Trip')
    this.board.note(alice.name, 'makes the space “Trip” and hands out two invites')
    await this.#pause(500)
    await Promise.all(
      [bob, carol].map(async (actor) => {
        await actor.device.call('join', await alice.device.call('invite', null))
        this.board.note(actor.name, 'was let in')
      })
    )
    await this.#type(alice, null, 'Three days at the lake\nTake:\nEat:\nDo:\nMeet:', 22)
    await this.#agree()
    await this.#pause(400)
  }

  async #writeTogether(): Promise<void> {
    const [alice, bob, carol] = this.actors
    this.board.next()
    await this.#measure(async () => {
      await Promise.all([
        this.#type(alice, 'Take:', ' tent, lamp, warm socks, cards', 85),
        this.#type(bob, 'Eat:', ' bread, plums, cheese, tea', 100),
        this.#type(carol, 'Do:', ' swim, row, read, nap', 120)
      ])
      await this.#agree()
    })
    this.board.note('', 'the same on all three screens')
    await this.#pause(700)
  }

  async #writeAtOnePlace(): Promise<void> {
    const [alice, bob, carol] = this.actors
    this.board.next()
    await this.#measure(async () => {
      await Promise.all([
        this.#type(alice, 'Meet:', ' at the old oak', 85),
        this.#type(bob, 'Meet:', ' by the bus', 100),
        this.#type(carol, 'Meet:', ' at seven', 120)
      ])
      await this.#agree()
    })
    const line = this.actors[0].text.split('\n').find((text) => text.startsWith('Meet:'))
    this.board.note('', `all three read “${line}”`)
    await this.#pause(1_200)
  }

  async #writeApart(): Promise<number> {
    const [alice, bob, carol] = this.actors
    const { bootstrap } = this.#stage.dht
    this.board.next()
    await Promise.all([bob.reopen(null), carol.shut()])
    this.board.note(bob.name, 'goes offline')
    this.board.note(carol.name, 'shuts the laptop: her process ends')
    await Promise.all([
      this.#type(alice, 'swim, row,', ' look for herons,', 80),
      this.#type(bob, 'cheese, ', 'coffee', 110, 'tea'),
      (async () => {
        await carol.start(null)
        this.board.note(carol.name, `opens it again, offline: process ${carol.device.pid}`)
        await this.#type(carol, 'Three days at the lake', ' house', 60)
        await this.#type(carol, 'plums, ', 'salt, ', 60)
      })()
    ])
    const differing = new Set(this.actors.map(({ text }) => text)).size
    this.board.note('', `${differing} different texts, each saved on its own disk`)
    await this.#pause(1_300)

    const sinceMs = performance.now()
    await Promise.all([bob.reopen(bootstrap), carol.reopen(bootstrap)])
    this.board.note('', 'bob and carol are online again')
    await this.#agree()
    const tookMs = performance.now() - sinceMs
    this.board.note('', `one text again, ${Math.round(tookMs)} ms later, with all that each wrote`)
    await this.#pause(1_200)
    return tookMs
  }

  async #kill(): Promise<number> {
    const [alice, bob, carol] = this.actors
    const line = '\nNote: no signal there, so bring the paper map'
    this.board.next()
    await this.#pause(500)
    const before = bob.made
    // It never ends: its process does.
    const everyMs = this.#options.isFast ? 15 : 40
    bob.device.call('type', { after: null, text: line, everyMs }).catch(() => {})
    const hers = this.#type(alice, 'nap', ', watch the stars', 90)
    // It has just been typed: perhaps it is not even on its way to the disk.
    await bob.until(() => bob.made === before + 28)
    await bob.kill()
    const count = bob.acknowledged.length
    this.board.note(
      bob.name,
      `SIGKILL: ${count} edits were acknowledged, ${bob.made - count} not yet`
    )
    await Promise.all([hers, this.#type(carol, 'cards', ', sun cream', 60)])

    await bob.start(null)
    const { state } = await bob.device.call('read', null)
    const kept = bob.acknowledged.length - countLost(state, bob.acknowledged)
    this.board.note(
      bob.name,
      `is back as process ${bob.device.pid}: ${kept} of those ${count} are on his disk`
    )
    await this.#pause(1_200)

    const sinceMs = performance.now()
    await bob.reopen(this.#stage.dht.bootstrap)
    await this.#agree()
    const tookMs = performance.now() - sinceMs
    this.board.note('', `bob has caught up, ${Math.round(tookMs)} ms after going online`)
    let written = line.length
    while (!bob.text.endsWith(line.slice(0, written))) written--
    await this.#type(bob, null, line.slice(written), 45)
    await this.#agree()
    await this.#pause(700)
    return tookMs
  }

  async #check(): Promise<{ readings: Reading[]; problems: string[] }> {
    this.board.next()
    await Promise.all(this.actors.map((actor) => actor.device.call('saved', 2)))
    this.board.note('', 'every edit is on all three disks')
    const spoiler = this.actors.find(({ name }) => name === this.#options.spoiler)
    await Promise.all(
      this.actors.map(async (actor) => {
        await actor.shut()
        if (actor === spoiler) {
          await actor.start(null)
          await this.#type(actor, null, ' (spoiled)', 1)
          await actor.shut()
        }
      })
    )
    this.board.note('', 'all three processes have ended')
    const readings = await Promise.all(
      this.actors.map(async (actor) => {
        await actor.start(null)
        const reading = await actor.device.call('read', null)
        this.board.note(actor.name, `holds ${Buffer.byteLength(reading.text)} bytes of text`)
        return reading
      })
    )
    const evidence = this.actors.map(({ name }, i) => ({ name, ...readings[i]! }))
    const acknowledged = new Map(this.actors.map((actor) => [actor.name, actor.acknowledged]))
    const problems = judge(evidence, acknowledged)
    await this.#pause(800)
    await Promise.all(this.actors.map((actor) => actor.shut()))
    return { readings, problems }
  }

  async #type(
    actor: Actor,
    after: string | null,
    text: string,
    everyMs: number,
    erase = ''
  ): Promise<void> {
    const pace = this.#options.isFast ? Math.min(everyMs, 4) : everyMs
    await actor.device.call('type', { after, text, erase, everyMs: pace })
  }

  async #measure(work: () => Promise<void>): Promise<void> {
    this.#latencies.isMeasuring = true
    await work()
    this.#latencies.isMeasuring = false
  }

  /** Resolves when all three screens show the same. */
  #agree(): Promise<void> {
    const isAgreed = (): boolean => {
      const states = this.actors.map(({ doc, text }) => text + Y.encodeStateVector(doc).toString())
      return new Set(states).size === 1
    }
    return new Promise((resolve, reject) => {
      const stop = this.board.on('changed', () => {
        if (!isAgreed()) return
        stop()
        clearTimeout(timer)
        resolve()
      })
      const timer = setTimeout(() => {
        stop()
        const texts = this.actors.map(({ name, text }) => `${name} has ${JSON.stringify(text)}`)
        reject(new Error(`no agreement within ${agreeMs / 1_000} s: ${texts.join(', ')}`))
      }, agreeMs)
      this.board.look()
    })
  }

  async #pause(ms: number): Promise<void> {
    if (!this.#options.isFast) await sleep(ms)
  }
}
