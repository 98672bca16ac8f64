/**
 * Seeded histories of removals, on real devices: members are removed while they are away, write on, and come back; a device
 * with a changed client (`hostile.ts`) dates back what it writes, says that it has seen less than it has, and writes on once
 * it is out; an admin of that kind, who is about to be cut, cuts others down to nothing, gives its accomplices roles, lets a
 * stranger in and makes keys that leave people out. In the end, whoever remains
 *
 * - shows the same, and what two naive models make of the entries (`naive-members.ts`, `naive-content.ts`),
 * - shows nothing of who was cut, from the cut on, that nobody remaining had built upon,
 * - has every edit that was acknowledged to an honest device that is in,
 * - and waits for nothing.
 *
 *   REMOVAL_HISTORIES=400 TEST_DEADLINE_MS=7200000 npm test -- removal-h     the long form, more than 1,000 removals; 3 otherwise
 *   SEED=…                                                                  the first of them
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { platform as nodePlatform } from '../../adapters/node/platform.ts'
import { toHex } from '../../lib/bytes.ts'
import { hash } from '../../lib/crypto.ts'
import { SkeinError, type Document, type Platform, type Space } from '../../lib/index.ts'
import { kinds } from '../../lib/log/entry.ts'
import { decodeGrant, decodeLeave } from '../../lib/trust/control.ts'
import { contentNumberOf, cutNameOf, decodeCut, decodeLift } from '../../lib/trust/cut.ts'
import { decodeAppEntry } from '../../lib/views/app-entry.ts'
import { decodeEdit } from '../../lib/views/edit.ts'
import { random, seedOf } from '../crash/lab.ts'
import { device, joinAs, waitMs, type Device } from '../devices.ts'
import { deadline, eventually } from '../events.ts'
import { Inside, type Written } from './hostile.ts'
import { naiveCounted, type ContentFact } from './naive-content.ts'
import { NaiveMembers, type Fact } from './naive-members.ts'

const histories = Number(process.env['REMOVAL_HISTORIES'] ?? 3)
const documentName = 'ideas'
const writerRank = 3
const readerRank = 2
/** Whoever lacks a key is handed it after turns of this; here they come quicker. */
const [mendAfterMs, quicker] = [3_000, 30]

const told: readonly string[] = ['NOT_ALLOWED', 'EDIT_INVALID']
const vain: readonly string[] = ['NOT_ALLOWED', 'INVITE_UNANSWERED', 'INVITE_REVOKED']

const test = suite('histories of removals')

interface Part {
  readonly name: string
  readonly role: 'owner' | 'admin' | 'writer' | null
  readonly isHonest: boolean
}

const cast: readonly Part[] = [
  { name: 'alice', role: 'owner', isHonest: true },
  { name: 'bob', role: 'admin', isHonest: true },
  { name: 'carol', role: 'writer', isHonest: true },
  { name: 'dave', role: 'writer', isHonest: true },
  { name: 'eve', role: 'admin', isHonest: false },
  { name: 'mallory', role: 'writer', isHonest: false },
  // Let in by eve alone, if by anyone.
  { name: 'zoe', role: null, isHonest: false }
]

interface Totals {
  removals: number
  byHostile: number
  acknowledged: number
  leftOut: number
  /** Of them, what its author wrote while nobody met it before all had heard that it was out. */
  tooLate: number
  /** Of documents, where entries had to leave them. */
  resets: number
  returned: number
  keysHanded: number
}

class Actor {
  readonly part: Part
  readonly device: Device
  /** What it was told is saved. */
  readonly acknowledged: string[] = []
  /** What it wrote since it was alone. */
  unseen: string[] = []
  /** By alice, whom nobody outranks, and not let in again since. */
  isRemoved = false
  /** What it wrote alone, and had seen by nobody before all knew that it was removed. */
  tooLate: string[] = []
  note: Document | null = null
  counter = 1_000

  constructor(part: Part, device: Device) {
    this.part = part
    this.device = device
  }

  get name(): string {
    return this.part.name
  }

  get id(): string {
    return this.device.id
  }

  /** Null before it has joined. */
  get space(): Space | null {
    return this.device.skein.spaces()[0] ?? null
  }

  get inside(): Inside {
    return new Inside(this.id, this.space!.id)
  }

  get text(): string {
    return this.note!.doc.getText('body').toJSON()
  }

  async open({ totals }: Story): Promise<void> {
    this.space!.on('returned', () => void totals.returned++)
    this.note = await this.space!.open(documentName)
    this.note.on('reset', () => void totals.resets++)
  }

  roleOf(other: Actor): string | null {
    return this.space?.members().find((member) => member.device === other.id)?.role ?? null
  }
}

/** The same bytes for the same seed: devices, keys and ids are those of the run before. */
function seededPlatform(seed: number, name: string, clockErrorMs: number): Partial<Platform> {
  let count = 0
  const { clock } = nodePlatform
  return {
    randomBytes: (length) => {
      const blocks: Uint8Array[] = []
      for (let bytes = 0; bytes < length; bytes += 32)
        blocks.push(hash('test', new TextEncoder().encode(`${seed} ${name} ${count++}`)))
      return new Uint8Array(Buffer.concat(blocks).subarray(0, length))
    },
    clock: {
      now: () => clock.now() + clockErrorMs,
      soon: (callback) => clock.soon(callback),
      after: (ms, callback) =>
        clock.after(ms > 0 && ms % mendAfterMs === 0 ? ms / quicker : ms, callback)
    }
  }
}

class Story implements AsyncDisposable {
  readonly seed: number
  readonly choose: () => number
  readonly network = new MemoryNetwork()
  readonly actors: Actor[] = []
  readonly lines: string[] = []
  readonly totals: Totals
  #groups: Actor[][] = []
  #tokens = 0

  constructor(seed: number, totals: Totals) {
    this.seed = seed
    this.choose = random(seed)
    this.totals = totals
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.actors.map(({ device }) => device[Symbol.asyncDispose]()))
  }

  below(count: number): number {
    return Math.floor(this.choose() * count)
  }

  oneOf<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }

  named(name: string): Actor {
    return this.actors.find((actor) => actor.name === name)!
  }

  get present(): Actor[] {
    return this.actors.filter(({ space }) => space !== null)
  }

  async begin(): Promise<void> {
    const wrongYears = (): number => (this.below(5) - 2) * 365 * 86_400_000
    for (const part of cast) {
      const platform = seededPlatform(this.seed, part.name, wrongYears())
      this.actors.push(new Actor(part, await device(part.name, this.network, platform)))
    }
    const [alice, ...others] = this.actors
    const space = await alice!.device.skein.createSpace({ name: 'Notes' })
    for (const { part, device: newcomer } of others) {
      if (part.role !== null && part.role !== 'owner')
        await joinAs(space, newcomer, { role: part.role })
    }
    for (const actor of this.present) await actor.open(this)
    this.#groups = [this.actors]
  }

  part(groups: Actor[][]): void {
    this.#groups = groups.filter((group) => group.length > 0)
    const said = this.#groups.map((group) => group.map(({ name }) => name).join('+'))
    this.lines.push(said.join(' | '))
    this.#meet()
    this.network.partition(this.#groups.map((group) => group.map(({ device: { key } }) => key)))
  }

  /** Hostile ones keep together as a rule. */
  partAtRandom(): void {
    const count = 2 + this.below(2)
    const groups: Actor[][] = Array.from({ length: count }, () => [])
    const lair = this.below(count)
    for (const actor of this.actors) {
      const isInLair = !actor.part.isHonest && this.choose() < 0.7
      groups[isInLair ? lair : this.below(count)]!.push(actor)
    }
    this.part(groups)
  }

  heal(): void {
    this.#groups = [this.actors]
    this.lines.push('all together')
    this.#meet()
    this.network.heal()
  }

  /** Those that were alone, and no longer are. */
  #meet(): void {
    for (const actor of this.present) {
      if (actor.unseen.length === 0 || this.groupOf(actor).length === 1) continue
      const others = this.present.filter((other) => other !== actor)
      if (actor.isRemoved && others.every((other) => other.roleOf(actor) === null))
        actor.tooLate.push(...actor.unseen)
      actor.unseen = []
    }
  }

  /** One is removed while it is away and writes on; the others hear of it before it comes back. */
  async removeAlone(): Promise<void> {
    const others = this.present.filter(({ name }) => name !== 'alice')
    const target = this.oneOf(others)
    this.part([[target], this.actors.filter((actor) => actor !== target)])
    if (this.choose() < 0.5) await this.write(target)
    await this.remove(this.named('alice'), target)
    await this.settle(this.groupOf(this.named('alice')))
    for (let count = this.below(3); count >= 0; count--) await this.write(target)
    if (this.choose() < 0.3) await this.restart(target)
  }

  groupOf(actor: Actor): Actor[] {
    return this.#groups.find((group) => group.includes(actor))!
  }

  /** Those that hold each other for members are connected, and have what the others have. */
  async settle(group: readonly Actor[]): Promise<void> {
    this.lines.push(`${group.map(({ name }) => name).join('+')} settle`)
    const isSettled = (): boolean => {
      const members = group.filter((one) => one.space !== null && one.roleOf(one) !== null)
      return members.every((one) => {
        const others = members.filter(
          (other) => other !== one && one.roleOf(other) !== null && other.roleOf(one) !== null
        )
        if (!others.every((other) => one.space!.peers.includes(other.id))) return false
        return others.length === 0 || one.space!.synced
      })
    }
    await eventually(isSettled, { deadlineMs: waitMs, what: 'a group settles' })
  }

  async write(actor: Actor): Promise<void> {
    const { space, note } = actor
    if (space === null || note === null) return
    const isOut = space.readOnly
    if (!actor.part.isHonest) this.#tamper(actor)
    if (!actor.part.isHonest && (isOut || this.choose() < 0.4)) return this.#forge(actor)
    if (isOut) return
    const token = this.#token(actor)
    if (this.groupOf(actor).length === 1) actor.unseen.push(token)
    const isEvent = this.choose() < 0.3
    this.lines.push(`${actor.name} ${isEvent ? 'appends' : 'writes'} ${token}`)
    try {
      if (isEvent) await deadline(space.append('chat', token), waitMs, `${token} is appended`)
      else {
        const body = note.doc.getText('body')
        const ends = [...body.toJSON().matchAll(/>/g)].map(({ index }) => index + 1)
        body.insert(this.oneOf([0, ...ends]), token)
        await deadline(note.saved(), waitMs, `${token} is saved`)
      }
    } catch (error) {
      // It has just heard that it may not, or what it typed on is leaving: it is told so.
      if (error instanceof SkeinError && told.includes(error.code)) return
      throw error
    }
    // Where it has heard meanwhile that it is out, the edit may have gone with the document that it was made in.
    if (!space.readOnly) actor.acknowledged.push(token)
  }

  async #forge(actor: Actor): Promise<void> {
    const token = this.#token(actor)
    if (this.groupOf(actor).length === 1) actor.unseen.push(token)
    if (this.choose() < 0.3) {
      this.lines.push(`${actor.name} forges the event ${token}`)
      return actor.inside.event(token)
    }
    this.lines.push(`${actor.name} forges ${token}`)
    await actor.inside.edit(documentName, actor.note!.doc, token, actor.counter++)
  }

  /** What it says from now on that it has seen. */
  #tamper({ inside }: Actor): void {
    const how = this.choose()
    if (how < 0.3) inside.tamper(null)
    else if (how < 0.6) inside.tamper(() => null)
    else inside.tamper((dep) => (this.choose() < 0.5 ? dep : null))
  }

  #token({ name }: Actor): string {
    return `<${name}${this.#tokens++}>`
  }

  async remove(remover: Actor, target: Actor): Promise<void> {
    const { space } = remover
    if (space === null || remover.roleOf(target) === null) return
    try {
      await space.remove(target.id)
    } catch (error) {
      if (error instanceof SkeinError && error.code === 'NOT_ALLOWED') return
      throw error
    }
    this.totals.removals++
    if (remover.name === 'alice') target.isRemoved = true
    this.lines.push(`${remover.name} removes ${target.name}`)
  }

  async letInAgain(target: Actor): Promise<void> {
    const alice = this.named('alice')
    const known = alice.space!.formerMembers().some(({ device: id }) => id === target.id)
    if (!known) return
    await alice.space!.grant(target.id, 'writer')
    target.isRemoved = false
    target.tooLate = []
    target.unseen = []
    this.lines.push(`alice lets ${target.name} in again`)
  }

  /** An entry of a hostile device that no client of ours would write. */
  async conspire(actor: Actor): Promise<void> {
    if (actor.space === null) return
    this.#tamper(actor)
    const { inside } = actor
    const bytes = (length: number): Uint8Array =>
      hash('test', new TextEncoder().encode(`${this.seed} ${this.#tokens++}`)).subarray(0, length)
    const others = this.actors.filter((other) => other !== actor)
    const what = this.choose()
    if (what < 0.4) {
      const victim = this.oneOf(others)
      const role = this.oneOf(['none', 'none', 'reader', 'writer'] as const)
      const [control, content] = [this.below(4), this.below(4)]
      this.lines.push(
        `${actor.name} cuts ${victim.name} to ${role}, keeping ${control}, ${content}`
      )
      await inside.cut(victim.id, role, control, content, bytes)
      this.totals.byHostile++
    } else if (what < 0.6) {
      const friend = this.oneOf(this.actors)
      const role = this.oneOf(['admin', 'writer', 'reader'] as const)
      if (await inside.grant(friend.id, role))
        this.lines.push(`${actor.name} grants ${friend.name} ${role}`)
    } else if (what < 0.75) {
      const friend = this.oneOf(this.actors)
      const count = await inside.lift(friend.id)
      this.lines.push(`${actor.name} lifts ${count} cuts of ${friend.name}`)
    } else if (what < 0.9) {
      const readers = this.present.filter(() => this.choose() < 0.5)
      this.lines.push(`${actor.name} makes a key for ${readers.map(({ name }) => name).join('+')}`)
      await inside.epoch(
        [...readers, actor].map(({ id }) => id),
        bytes
      )
    } else await this.#smuggle(actor)
  }

  /** Lets the stranger in. */
  async #smuggle(actor: Actor): Promise<void> {
    const zoe = this.named('zoe')
    if (zoe.space !== null || !this.groupOf(actor).includes(zoe)) return
    if (actor.roleOf(actor) !== 'admin') return
    actor.inside.tamper(null)
    try {
      const invite = await actor.space!.invite()
      await zoe.device.skein.join(invite, { timeoutMs: 2_000 })
    } catch (error) {
      // It hears meanwhile that it is out.
      if (!(error instanceof SkeinError && vain.includes(error.code))) throw error
    }
    if (zoe.space === null) return
    await zoe.open(this)
    this.lines.push(`${actor.name} lets zoe in`)
  }

  async restart(actor: Actor): Promise<void> {
    if (actor.space === null) return
    this.lines.push(`${actor.name} starts again`)
    await actor.device.restart()
    await actor.open(this)
  }

  async step(): Promise<void> {
    const what = this.choose()
    const actor = this.oneOf(this.present)
    if (what < 0.5) return this.write(actor)
    if (what < 0.6) return this.settle(this.groupOf(actor))
    if (what < 0.75) {
      const remover = this.named(this.oneOf(['alice', 'alice', 'bob']))
      return this.remove(remover, this.oneOf(this.actors.filter(({ name }) => name !== 'alice')))
    }
    if (what < 0.8) return this.letInAgain(this.oneOf(this.actors))
    if (what < 0.97)
      return this.conspire(this.oneOf(['eve', 'eve', 'mallory'].map((one) => this.named(one))))
    return this.restart(actor)
  }
}

/** What of a space a device shows. */
interface Shown {
  readonly text: string
  readonly events: string[]
  readonly members: Record<string, number>
  readonly excluded: string[]
}

const ranks: Record<string, number> = { owner: 1_000, admin: 4, writer: 3, reader: 2, mirror: 1 }

async function shownBy({ space, text }: Actor): Promise<Shown> {
  const events: string[] = []
  for await (const { value } of space!.entries()) events.push(String(value))
  const excluded: string[] = []
  for await (const { id } of space!.excluded()) excluded.push(id)
  const members = space!.members().map(({ device: id, role }) => [id, ranks[role]!] as const)
  return {
    text,
    events: events.sort(),
    members: Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1))),
    excluded: excluded.sort()
  }
}

interface Model extends Shown {
  /** Tokens that count, whether or not they could go into the document. */
  readonly tokens: ReadonlySet<string>
  /** Of those whose edits wait for what does not count: Yjs client ids. */
  readonly waiting: readonly number[]
  /** What the device has yet to deliver, or has and should not. */
  readonly faults: readonly string[]
}

/** What should be shown on a device that has these entries. */
async function modelOf(actor: Actor, owner: string): Promise<Model> {
  const { feed } = actor.inside
  const written = await actor.inside.written()
  const control = written.filter(({ log }) => log.name.core === 'control')
  const content = written.filter(({ log }) => log.name.core !== 'control')
  const naive = new NaiveMembers(
    [owner],
    control.map((one) => factOf(one, written))
  )
  const facts = content.map((one): ContentFact & { readonly written: Written } => ({
    written: one,
    by: one.device,
    log: one.log.id,
    from: one.from,
    deps: one.entry?.deps ?? []
  }))
  const counted = naiveCounted(
    facts,
    ({ by, from }) => naive.rankAt(by, { core: 0, content: from }) >= writerRank
  )
  const doc = new Y.Doc()
  const events: string[] = []
  const excluded: string[] = []
  const faults: string[] = []
  const tokens = new Set<string>()
  const lengths = new Map<string, number>()
  for (const fact of facts) {
    const { log, from, to, entry, device: by } = fact.written
    const isCounted = counted.has(fact)
    if (isCounted) lengths.set(log.id, Math.max(lengths.get(log.id) ?? 0, to))
    if (entry === null) {
      if (isCounted) faults.push(`${log.id}/${from} counts and cannot be read`)
      continue
    }
    if (!isCounted) {
      excluded.push(`${log.id}/${from}`)
      continue
    }
    if (entry.kind === kinds.event) {
      const value = String(decodeAppEntry(entry, by, { log: log.id, from }).value)
      events.push(value)
      tokens.add(value)
    } else {
      const { update } = decodeEdit(entry.body, log.name.space)
      for (const token of tokensIn(update)) tokens.add(token)
      Y.applyUpdate(doc, update)
    }
  }
  for (const log of feed.logs) {
    const isControl = log.name.core === 'control'
    const length = isControl ? log.contiguousLength : (lengths.get(log.id) ?? 0)
    if (feed.deliveredOf(log.id) !== length)
      faults.push(
        `${log.name.core} of ${toHex(log.name.device).slice(0, 8)}: delivered ${feed.deliveredOf(log.id)}, not ${length}`
      )
    // Of who is out, nobody may have it.
    const isOut = naive.roles[toHex(log.name.device)] === undefined
    if (log.contiguousLength < log.length && !isOut) faults.push(`${log.id} is not here as a whole`)
  }
  const pending = doc.store.pendingStructs
  return {
    text: doc.getText('body').toJSON(),
    events: events.sort(),
    members: naive.roles,
    excluded: excluded.sort(),
    tokens,
    waiting: pending === null ? [] : [...pending.missing.keys()],
    faults
  }
}

function tokensIn(update: Uint8Array): string[] {
  const { structs } = Y.decodeUpdate(update)
  return structs.flatMap((struct) =>
    'content' in struct && struct.content instanceof Y.ContentString
      ? [...struct.content.str.matchAll(/<\w+>/g)].map(([token]) => token)
      : []
  )
}

function factOf({ device: by, from: seq, to, entry }: Written, all: readonly Written[]): Fact {
  const seen = (entry?.deps ?? []).flatMap(({ log: id, length }) => {
    const log = all.find((one) => one.log.id === id)?.log
    return log?.name.core === 'control' ? [{ device: toHex(log.name.device), length }] : []
  })
  return { by, seq, last: to - 1, seen, says: sayingOf(by, seq, entry) }
}

function sayingOf(by: string, seq: number, entry: Written['entry']): Fact['says'] {
  const body = entry?.body ?? new Uint8Array()
  switch (entry?.kind) {
    case kinds.grant: {
      const { device: of, role, from } = decodeGrant(body)
      const { control, contentCore: core, content } = from
      return { kind: 'grant', to: toHex(of.signKey), role, control, core, content }
    }
    case kinds.cut: {
      const { device: of, role, keeps, demotion } = decodeCut(body)
      const content: number[] = []
      let control = 0
      for (const { core, length } of keeps) {
        if (core === 'control') control = length
        else content[contentNumberOf(core)] = length
      }
      return {
        kind: 'cut',
        name: cutNameOf(by, seq, body),
        of: toHex(of),
        role,
        control,
        content,
        demotion
      }
    }
    case kinds.lift:
      return { kind: 'lift', cut: decodeLift(body) }
    case kinds.leave: {
      const { contentCore: core, content } = decodeLeave(body)
      return { kind: 'leave', core, content }
    }
    default:
      return { kind: 'other' }
  }
}

async function tell(seed: number, totals: Totals): Promise<void> {
  await using story = new Story(seed, totals)
  try {
    await play(story)
  } catch (cause) {
    const why = [cause, (cause as Error).cause].map((one) =>
      one instanceof Error ? one.message : ''
    )
    const repeat = `SEED=${seed} REMOVAL_HISTORIES=1`
    throw new Error(`${repeat}: ${why.join(' ')}, after ${story.lines.join('; ')}`, { cause })
  }
}

async function play(story: Story): Promise<void> {
  await story.begin()
  const alice = story.named('alice')
  for (const actor of story.present) await story.write(actor)
  if (story.choose() < 0.7) await story.settle(story.actors)
  for (let round = 1 + story.below(3); round > 0; round--) {
    if (story.choose() < 0.4) {
      await story.removeAlone()
      if (story.choose() < 0.5) story.heal()
    }
    story.partAtRandom()
    for (let steps = 4 + story.below(6); steps > 0; steps--) await story.step()
    if (story.choose() < 0.5) {
      story.heal()
      if (story.choose() < 0.5) await story.settle(story.actors)
    }
  }
  // What eve and hers do unseen while she is cut, to be brought back with people who have not heard.
  story.partAtRandom()
  const [eve, mallory] = [story.named('eve'), story.named('mallory')]
  for (const actor of [eve, mallory, ...story.groupOf(eve)]) await story.write(actor)
  await story.conspire(eve)
  await story.remove(alice, eve)
  if (story.choose() < 0.7) await story.remove(alice, mallory)
  await story.conspire(eve)
  for (const actor of story.groupOf(eve)) if (story.choose() < 0.6) await story.write(actor)
  if (story.choose() < 0.5) {
    const visited = new Set([story.oneOf(story.actors), ...story.groupOf(eve)])
    visited.delete(alice)
    story.part([[...visited], story.actors.filter((actor) => !visited.has(actor))])
    await story.step()
  }
  story.heal()
  for (const name of ['eve', 'mallory'])
    if (story.choose() < 0.5) await story.write(story.named(name))
  await judge(story)
}

async function judge(story: Story): Promise<void> {
  const alice = story.named('alice')
  const honest = story.present.filter(({ part }) => part.isHonest)
  let remaining: Actor[] = []
  let models: Model[] = []
  await eventually(
    async () => {
      remaining = honest.filter((actor) => (ranks[alice.roleOf(actor) ?? ''] ?? 0) >= readerRank)
      models = await Promise.all(remaining.map((actor) => modelOf(actor, alice.id)))
      for (const [i, actor] of remaining.entries()) {
        const { text, events, members, excluded, faults } = models[i]!
        assert.equal(faults, [], `${actor.name} waits for nothing: ${faults.join()}`)
        const expected = { text, events, members, excluded }
        assert.equal(await shownBy(actor), expected, `${actor.name} shows what the model says`)
        // What is left out need not have come to everyone.
        assert.is(text, models[0]!.text, `${actor.name} shows what alice shows`)
        assert.equal(events, models[0]!.events, `${actor.name} has the events that alice has`)
        assert.equal(members, models[0]!.members, `${actor.name} has the members that alice has`)
        assert.ok(actor.space!.synced || remaining.length === 1, `${actor.name} is in step`)
      }
      return true
    },
    { deadlineMs: 3 * waitMs, everyMs: 50, what: 'all who remain show the same' }
  )
  const [model] = models
  for (const actor of honest) {
    if ((model!.members[actor.id] ?? 0) < writerRank) continue
    const lost = actor.acknowledged.filter(
      (token) => !model!.text.includes(token) && !model!.events.includes(token)
    )
    assert.equal(lost, [], `what ${actor.name} was told is saved`)
    story.totals.acknowledged += actor.acknowledged.length
  }
  for (const { name, tooLate } of story.present) {
    const shown = tooLate.filter((token) => model!.tokens.has(token))
    assert.equal(shown, [], `what ${name} wrote once it was removed`)
    story.totals.tooLate += tooLate.length
  }
  for (const actor of honest) if (!remaining.includes(actor)) await hears(actor, model!)
  story.totals.leftOut += model!.excluded.length
  const written = await alice.inside.written()
  story.totals.keysHanded += written.filter(({ entry }) => entry?.kind === kinds.keyShare).length
}

/** An honest device that is out comes to know it, and takes back what it wrote in vain. */
async function hears(actor: Actor, { tokens }: Model): Promise<void> {
  await eventually(
    () => {
      assert.is(actor.roleOf(actor), null, `${actor.name} knows that it is out`)
      const vainly = actor.acknowledged.filter((token) => !tokens.has(token))
      const shown = vainly.filter((token) => actor.text.includes(token))
      assert.equal(shown, [], `${actor.name} shows what does not count`)
      return true
    },
    { deadlineMs: waitMs, what: `${actor.name} has heard` }
  )
}

test(`in ${histories} histories nothing is lost, nothing comes back, and all honest devices end equal`, async () => {
  const first = seedOf('unit/removal-h')
  const totals: Totals = {
    removals: 0,
    byHostile: 0,
    acknowledged: 0,
    leftOut: 0,
    tooLate: 0,
    resets: 0,
    returned: 0,
    keysHanded: 0
  }
  for (let seed = first; seed < first + histories; seed++) await tell(seed, totals)
  const counts = Object.entries(totals).map(([name, count]) => `${count} ${name}`)
  console.log(`${histories} histories: ${counts.join(', ')}`)
  assert.ok(totals.removals > 0 && totals.acknowledged > 0)
  // Of so many, some are of each kind.
  if (histories >= 100)
    for (const [name, count] of Object.entries(totals)) assert.ok(count > 0, name)
})

test.run()
