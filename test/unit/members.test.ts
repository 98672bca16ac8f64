/** Who is a member, which invites and keys count: a function of the set of control entries, in whatever order they came. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { platform } from '../../adapters/node/platform.ts'
import { boxKeysFrom, hash, signKeysFrom } from '../../lib/crypto.ts'
import { toHex } from '../../lib/bytes.ts'
import { keyIdOf, kinds, type CoreName } from '../../lib/log/entry.ts'
import { logIdOf, type LogName } from '../../lib/log/log.ts'
import { LogStore } from '../../lib/log/store.ts'
import {
  encodeGenesis,
  encodeGrant,
  encodeInviteEntry,
  encodeLeave,
  decodeGenesis,
  spaceIdOf,
  type DeviceRecord,
  type GrantedRole,
  type LogPosition
} from '../../lib/trust/control.ts'
import { ControlState } from '../../lib/trust/control-state.ts'
import { encodeCut } from '../../lib/trust/cut.ts'
import { decodeEpoch, encodeEpoch, encodeKeyShare, encodeLacking } from '../../lib/trust/epoch.ts'
import {
  byStrength,
  encodeForkProof,
  isNamedBy,
  type Declaration
} from '../../lib/trust/fork-proof.ts'
import { KeyRing, openHandedKeys } from '../../lib/trust/keys.ts'
import { MemberSet, membersOf } from '../../lib/trust/member-set.ts'
import {
  keptContent,
  mayGrant,
  roleAtContent,
  type ControlEntry,
  type Membership
} from '../../lib/trust/members.ts'

const test = suite('members')

interface Person {
  readonly record: DeviceRecord
  readonly id: string
}

function person(name: string): Person {
  const seed = hash('test', new TextEncoder().encode(name))
  const { publicKey } = signKeysFrom(seed)
  const record = {
    signKey: publicKey,
    boxKey: boxKeysFrom(seed).publicKey,
    salt: seed.subarray(0, 16),
    name,
    person: name
  }
  return { record, id: toHex(publicKey) }
}

const [alice, bob, carol, dave] = ['alice', 'bob', 'carol', 'dave'].map(person) as [
  Person,
  Person,
  Person,
  Person
]
const people = [alice, bob, carol, dave]
const start: LogPosition = { control: 0, contentCore: 0, content: 0 }

function spaceBy(...owners: Person[]): Uint8Array {
  const salt = new Uint8Array(16)
  return encodeGenesis({ salt, name: 'Notes', owners: owners.map(({ record }) => record) })
}

const byAlice = spaceBy(alice)

/** Writes entries into control logs, one after the other in each. */
class History {
  readonly entries: ControlEntry[] = []
  /** What the entries that are added from now on declare to have seen. */
  seen: NonNullable<ControlEntry['seen']> = []
  readonly #lengths = new Map<string, number>()

  add(by: Person, kind: number, body: Uint8Array): this {
    const seq = this.#lengths.get(by.id) ?? 0
    this.#lengths.set(by.id, seq + 1)
    this.entries.push({ device: by.id, seq, kind, body, seen: this.seen })
    return this
  }

  grant(by: Person, to: Person, role: GrantedRole, from: Partial<LogPosition> = {}): this {
    const none = new Uint8Array()
    const body = {
      device: to.record,
      role,
      from: { ...start, ...from },
      invite: none,
      sealedKeys: none
    }
    return this.add(by, kinds.grant, encodeGrant(body))
  }

  /** Keeps that much of the control log, and of content/0 as much. */
  cut(by: Person, of: Person, length: number, treeHash = '0123456789abcdef'): this {
    const keeps = (['control', 'content/0'] as const).map((core) => ({ core, length, treeHash }))
    const epoch = new Uint8Array()
    const { signKey: device } = of.record
    return this.add(
      by,
      kinds.cut,
      encodeCut({ device, role: 'none', keeps, demotion: null, epoch })
    )
  }

  leave(by: Person, content = 0): this {
    return this.add(by, kinds.leave, encodeLeave({ contentCore: 0, content }))
  }

  lengthOf(who: Person): number {
    return this.#lengths.get(who.id) ?? 0
  }

  members(genesis = byAlice, forked?: Person): ReadonlyMap<string, Membership> {
    const forks = forked === undefined ? [] : [{ device: forked.id, common: 0 }]
    return membersOf(decodeGenesis(genesis), this.entries, forks)
  }

  /** As `alice writer`, for everyone who has a role. All of the log of `forked` is proven to have two versions. */
  roles(genesis = byAlice, forked?: Person): string[] {
    const members = this.members(genesis, forked)
    return people.flatMap(({ id, record }) => {
      const role = members.get(id)?.role ?? null
      return role === null ? [] : [`${record.name} ${role}`]
    })
  }
}

/** Everything that is decided about a space, to compare. */
function verdict(genesis: Uint8Array, entries: readonly ControlEntry[]): string {
  const members = membersOf(decodeGenesis(genesis), entries)
  const sorted = [...members.values()].sort((a, b) => (a.device < b.device ? -1 : 1))
  return JSON.stringify(sorted, (_, value: unknown) =>
    value instanceof Uint8Array ? toHex(value) : value
  )
}

function* permutations<T>(items: readonly T[]): Generator<T[]> {
  if (items.length === 0) yield []
  for (const [i, item] of items.entries()) {
    const others = [...items.slice(0, i), ...items.slice(i + 1)]
    for (const rest of permutations(others)) yield [item, ...rest]
  }
}

/** Numbers from a seed (mulberry32), so that a failure can be repeated. */
function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

const roles: GrantedRole[] = ['mirror', 'reader', 'writer', 'admin']

function randomHistory(seed: number, count: number): History {
  const below = random(seed)
  const history = new History()
  for (let i = 0; i < count; i++) {
    const by = people[below(people.length)]!
    const to = people[below(people.length)]!
    if (below(5) === 0) history.leave(by, below(4))
    else history.grant(by, to, roles[below(4)]!, { control: below(4), content: below(4) })
  }
  return history
}

// Roles

test('who made the space is its owner', () => {
  assert.equal(new History().roles(), ['alice owner'])
})

test('a grant makes a member, and the highest one counts', () => {
  const history = new History().grant(alice, bob, 'writer').grant(alice, bob, 'reader')
  assert.equal(history.roles(), ['alice owner', 'bob writer'])
  assert.equal(history.grant(alice, bob, 'admin').roles(), ['alice owner', 'bob admin'])
})

test('an admin grants what is strictly lower, and nobody below an admin grants anything', () => {
  const history = new History()
    .grant(alice, bob, 'admin')
    .grant(bob, carol, 'admin')
    .grant(carol, dave, 'reader')
  assert.equal(history.roles(), ['alice owner', 'bob admin'])
  history.grant(bob, carol, 'writer')
  assert.equal(history.roles(), ['alice owner', 'bob admin', 'carol writer'])
})

test('what was written before the role that allows it stays powerless', () => {
  const history = new History().grant(bob, carol, 'writer')
  history.grant(alice, bob, 'admin', { control: history.lengthOf(bob) })
  assert.equal(history.roles(), ['alice owner', 'bob admin'])
  history.grant(bob, dave, 'writer')
  assert.equal(history.roles(), ['alice owner', 'bob admin', 'dave writer'])
})

test('who has left has no role, and what it granted before stays', () => {
  const history = new History().grant(alice, bob, 'admin').grant(bob, carol, 'writer').leave(bob)
  history.grant(bob, dave, 'writer')
  assert.equal(history.roles(), ['alice owner', 'carol writer'])
})

test('who has left comes back by a grant from a later position on', () => {
  const history = new History().grant(alice, bob, 'writer').leave(bob, 3)
  history.grant(alice, bob, 'reader', { control: 0 })
  assert.equal(history.roles(), ['alice owner'])
  history.grant(alice, bob, 'reader', { control: history.lengthOf(bob), content: 3 })
  assert.equal(history.roles(), ['alice owner', 'bob reader'])
})

test('content counts up to where its author left, and again from where it was let back in', () => {
  const history = new History().grant(alice, bob, 'writer').leave(bob, 3)
  const left = history.members().get(bob.id)!
  assert.equal(
    [0, 2, 3, 9].map((seq) => roleAtContent(left, 0, seq)),
    ['writer', 'writer', null, null]
  )
  history.grant(alice, bob, 'writer', { control: history.lengthOf(bob), content: 5 })
  const back = history.members().get(bob.id)!
  assert.equal(
    [2, 3, 4, 5].map((seq) => roleAtContent(back, 0, seq)),
    ['writer', null, null, 'writer']
  )
  // What it wrote meanwhile counts with what it writes from now on, which hangs on it.
  assert.equal(
    [2, 3, 5, 6].map((length) => keptContent(back, 0, length)),
    [2, 3, 3, 6]
  )
})

test('who leaves before writing anything may write nothing', () => {
  const history = new History().grant(alice, bob, 'writer').leave(bob, 0)
  assert.is(roleAtContent(history.members().get(bob.id)!, 0, 0), null)
  history.grant(alice, bob, 'writer', { control: history.lengthOf(bob), content: 0 })
  assert.is(roleAtContent(history.members().get(bob.id)!, 0, 0), 'writer')
})

test('every salt that a valid grant gave stays the device’s own', () => {
  const again = { ...bob, record: { ...bob.record, salt: new Uint8Array(16).fill(7) } }
  const history = new History().grant(alice, bob, 'writer').leave(bob)
  history.grant(alice, again, 'writer', { control: history.lengthOf(bob) })
  const { salts } = history.members().get(bob.id)!
  assert.equal(salts.map(toHex).sort(), [bob.record.salt, again.record.salt].map(toHex).sort())
})

test('a second owner who left, and was made an admin by a third, grants again', () => {
  const genesis = spaceBy(alice, bob, carol)
  const history = new History().leave(bob)
  history.grant(carol, bob, 'admin', { control: history.lengthOf(bob) })
  history.grant(bob, dave, 'writer')
  assert.equal(history.roles(genesis), ['alice owner', 'bob admin', 'carol owner', 'dave writer'])
})

test('of owners the first ranks highest, and all may grant admins', () => {
  const genesis = spaceBy(alice, bob)
  const history = new History().grant(bob, carol, 'admin').grant(carol, dave, 'writer')
  assert.equal(history.roles(genesis), ['alice owner', 'bob owner', 'carol admin', 'dave writer'])
  const members = history.members(genesis)
  assert.ok(members.get(alice.id)!.rank > members.get(bob.id)!.rank)
  assert.ok(mayGrant(members.get(bob.id)!.role, 'admin'))
  assert.not(mayGrant(members.get(carol.id)!.role, 'admin'))
})

test('entries that are malformed count for nothing', () => {
  const history = new History()
    .add(alice, kinds.grant, new Uint8Array([1, 2, 3]))
    .add(alice, kinds.leave, new Uint8Array())
    .grant(alice, bob, 'writer')
  assert.equal(history.roles(), ['alice owner', 'bob writer'])
})

// Order

test('every order of up to six entries gives the same members', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const { entries } = randomHistory(seed, 3 + (seed % 4))
    const expected = verdict(byAlice, entries)
    for (const order of permutations(entries)) {
      assert.is(verdict(byAlice, order), expected, `seed ${seed}`)
    }
  }
})

test('shuffled long histories give the same members, with one owner or several', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const below = random(seed * 7919)
    const genesis = seed % 2 === 0 ? byAlice : spaceBy(alice, bob, carol)
    const { entries } = randomHistory(seed, 30)
    const expected = verdict(genesis, entries)
    const shuffled = [...entries]
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = below(i + 1)
      ;[shuffled[i], shuffled[j]] = [shuffled[j]!, shuffled[i]!]
    }
    assert.is(verdict(genesis, shuffled), expected, `seed ${seed}`)
  }
})

test('in no random history does anyone get a role but from a higher one', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const history = randomHistory(seed, 25)
    assert.equal(history.roles(), naiveRoles(history), `seed ${seed}`)
  }
})

/**
 * The rules once more, as plainly as can be: a grant stands if its author, at its position, has a role above the granted
 * one; start with the owner, and look again until nothing changes.
 */
function naiveRoles({ entries }: History): string[] {
  const order = ['mirror', 'reader', 'writer', 'admin', 'owner']
  const grants = entries.filter(({ kind }) => kind === kinds.grant)
  const leavesOf = (id: string): ControlEntry[] =>
    entries.filter(({ kind, device }) => kind === kinds.leave && device === id)
  const standing: { to: string; role: string; from: number }[] = [
    { to: alice.id, role: 'owner', from: 0 }
  ]
  const roleAt = (id: string, seq: number): number =>
    Math.max(
      -1,
      ...standing
        .filter(({ to, from }) => to === id && from <= seq)
        .filter(({ from }) => !leavesOf(id).some((leave) => leave.seq >= from && leave.seq < seq))
        .map(({ role }) => order.indexOf(role))
    )
  const known = new Set<ControlEntry>()
  for (let changed = true; changed;) {
    changed = false
    for (const entry of grants) {
      const { to, role, from } = readGrant(entry)
      const rank = roleAt(entry.device, entry.seq)
      if (known.has(entry) || rank < 3 || rank <= order.indexOf(role)) continue
      known.add(entry)
      standing.push({ to, role, from })
      changed = true
    }
  }
  return people.flatMap(({ id, record }) => {
    const rank = roleAt(id, Infinity)
    return rank < 0 ? [] : [`${record.name} ${order[rank]}`]
  })
}

/** As `History.grant` wrote it: all names are of one length or another, so the role is found behind the record. */
function readGrant({ body }: ControlEntry): { to: string; role: string; from: number } {
  const to = people.find(({ id }) => id === toHex(body.subarray(0, 32)))!
  const recordBytes = 32 + 32 + 16 + 2 * (1 + to.record.name.length)
  return { to: to.id, role: roles[body[recordBytes]! - 1]!, from: body[recordBytes + 1]! }
}

// Logs that fork

test('whom a removed admin let in stays, though it signs another version of its log', () => {
  const history = new History().grant(alice, bob, 'admin').grant(bob, carol, 'writer')
  assert.equal(history.roles(byAlice, bob), ['alice owner', 'bob admin'])
  history.cut(alice, bob, 1)
  assert.equal(history.roles(byAlice, bob), ['alice owner', 'carol writer'])
  const { genesis } = stateAt(alice, [])
  for (const order of permutations([...history.entries, null])) {
    const set = new MemberSet(genesis)
    for (const entry of order) {
      if (entry === null) set.fork(bob.id, 0)
      else set.add(entry)
      void set.members // Looked at after each of them.
    }
    assert.is(set.members.get(carol.id)?.role, 'writer')
    assert.is(set.members.get(bob.id)?.role, null)
  }
  // What it had not been seen to grant stays without power.
  history.grant(bob, dave, 'writer')
  assert.equal(history.roles(byAlice, bob), ['alice owner', 'carol writer'])
})

test('the cut of a junior gives nothing of a forked log its power back', () => {
  const twoOwners = spaceBy(alice, dave)
  const history = new History()
    .grant(alice, bob, 'admin')
    .grant(dave, carol, 'writer')
    .cut(bob, dave, 1)
  assert.equal(history.roles(twoOwners), ['alice owner', 'bob admin', 'carol writer', 'dave owner'])
  assert.equal(history.roles(twoOwners, dave), ['alice owner', 'bob admin', 'dave owner'])
})

/** The roles where control logs of these devices part at these lengths. */
function rolesOf(history: History, parting: [Person, number][], genesis = byAlice): string[] {
  const forks = parting.map(([{ id: device }, common]) => ({ device, common }))
  const members = membersOf(decodeGenesis(genesis), history.entries, forks)
  return people.flatMap(({ id, record: { name } }) => {
    const role = members.get(id)?.role ?? null
    return role === null ? [] : [`${name} ${role}`]
  })
}

test('who forks its log anew, having been granted its role anew, loses its power anew', () => {
  const history = new History()
    .grant(alice, bob, 'admin')
    .grant(bob, carol, 'writer')
    .grant(alice, bob, 'admin', { control: 1 })
    .grant(bob, dave, 'writer')
  assert.equal(rolesOf(history, [[bob, 0]]), ['alice owner', 'bob admin', 'dave writer'])
  for (const parting of [
    [0, 1],
    [1, 0]
  ])
    assert.equal(
      rolesOf(
        history,
        parting.map((common) => [bob, common])
      ),
      ['alice owner', 'bob admin']
    )
})

test('nobody below gives the power back that a fork took', () => {
  const genesis = spaceBy(alice, bob, carol)
  const history = new History()
    .grant(carol, bob, 'admin', { control: 1 })
    .add(bob, kinds.epoch, new Uint8Array())
    .grant(bob, dave, 'writer')
  const owners = ['alice owner', 'bob owner', 'carol owner']
  assert.equal(rolesOf(history, [[bob, 0]], genesis), owners)
  history.grant(alice, bob, 'admin', { control: 1 })
  assert.equal(rolesOf(history, [[bob, 0]], genesis), [...owners, 'dave writer'])
})

test('an entry of several blocks stands where its last one does, which may be where versions part', () => {
  const history = new History().grant(alice, bob, 'admin').grant(bob, carol, 'writer')
  const [, ofBob] = history.entries
  assert.equal(rolesOf(history, [[bob, 1]]), ['alice owner', 'bob admin', 'carol writer'])
  history.entries[1] = { ...ofBob!, last: 1 }
  assert.equal(rolesOf(history, [[bob, 1]]), ['alice owner', 'bob admin'])
  history.cut(alice, bob, 1)
  assert.equal(rolesOf(history, [[bob, 1]]), ['alice owner'])
  history.cut(alice, bob, 2)
  assert.equal(rolesOf(history, [[bob, 1]]), ['alice owner', 'carol writer'])
})

test('of a version that left, grants and invites count no more, cuts do; and what stays is taken in at its places', () => {
  const history = new History()
    .grant(alice, bob, 'admin')
    .grant(alice, dave, 'writer')
    .grant(bob, carol, 'writer')
    .add(bob, kinds.invite, inviteBody('reader'))
    .cut(bob, dave, 0)
  const state = stateAt(alice, history.entries)
  const roles = (): string[] =>
    people.flatMap(({ id, record: { name } }) => {
      const role = state.members.get(id)?.role ?? null
      return role === null ? [] : [`${name} ${role}`]
    })
  assert.equal(roles(), ['alice owner', 'bob admin', 'carol writer'])
  assert.is(state.invites.length, 1)
  state.withdraw(bob.id, 0)
  assert.equal(roles(), ['alice owner', 'bob admin'])
  assert.equal(state.invites, [])
  for (const entry of history.entries) state.add(entry)
  assert.equal(roles(), ['alice owner', 'bob admin', 'carol writer'])
  assert.is(state.invites.length, 1)
})

test('what a member declared of a log in a version of its own that left counts no more', async () => {
  const name: LogName = {
    ...{ space: spaceIdOf(byAlice), device: carol.record.signKey },
    core: 'content/0'
  }
  const keys = signKeysFrom(hash('test', new TextEncoder().encode('carol')))
  const [held, other] = await Promise.all(
    [2, 3].map(async (last) => {
      const folder = await mkdtemp(join(tmpdir(), 'skein-members-'))
      const storage = await platform.openStorage(folder)
      const store = new LogStore(storage, platform.clock)
      await store.ready()
      const log = await store.open(name, keys)
      await log.append([Uint8Array.of(1), Uint8Array.of(last)])
      const branch = await log.branch(1, [2])
      await store.closeLog(log)
      await store.close()
      await storage.close()
      await rm(folder, { recursive: true })
      return branch!
    })
  )
  const history = new History()
    .grant(alice, bob, 'writer')
    .grant(alice, carol, 'writer')
    .add(bob, kinds.forkProof, encodeForkProof(name, held!, other!))
  const state = stateAt(alice, history.entries)
  const issuers = (): string[] =>
    state.declarations({ id: logIdOf(name), name }).map(({ issuer }) => issuer)
  assert.equal(issuers(), [bob.id])
  state.withdraw(bob.id, 0)
  assert.equal(issuers(), [])
  assert.ok(state.isForked(logIdOf(name)), 'that it forked is proven')
  for (const entry of history.entries) state.add(entry)
  assert.equal(issuers(), [bob.id])
})

test('a cut declares which version of a log stays, before all who hold one', () => {
  const history = new History()
    .grant(alice, bob, 'admin')
    .grant(alice, carol, 'admin')
    .cut(alice, bob, 3)
    .cut(carol, alice, 5)
  const state = stateAt(carol, history.entries)
  const declared = (who: Person, core: CoreName): Declaration[] => {
    const name = { space: spaceIdOf(byAlice), device: who.record.signKey, core }
    return state.declarations({ id: logIdOf(name), name })
  }
  for (const core of ['control', 'content/0'] as const) {
    const [cut, ...others] = declared(bob, core)
    assert.equal(others, [])
    assert.is(cut!.issuer, alice.id)
    assert.is(cut!.length, 3)
    assert.ok(isNamedBy(cut!, Buffer.from('0123456789abcdef'.padEnd(64, '7'), 'hex')))
    assert.not(isNamedBy(cut!, Buffer.from('0123456789abcdee'.padEnd(64, '7'), 'hex')))
    const senior = { ...cut!, rank: 1_001, length: 9, isCut: false }
    assert.equal([senior, cut!].sort(byStrength), [cut, senior])
  }
  assert.equal(declared(bob, 'content/1'), [], 'of which nothing is kept')
  assert.equal(declared(alice, 'control'), [], 'a junior’s cut says nothing')
})

// Invites and keys

const spaceKey = new Uint8Array(32).fill(3)

function stateAt(who: Person, entries: readonly ControlEntry[], genesis = byAlice): ControlState {
  const box = boxKeysFrom(hash('test', new TextEncoder().encode(who.record.name)))
  const ring = new KeyRing(spaceIdOf(genesis), spaceKey)
  const state = new ControlState(genesis, ring, who.record.signKey, box)
  for (const entry of entries) state.add(entry)
  return state
}

const inviteKey = new Uint8Array(32).fill(9)

function inviteBody(role: GrantedRole): Uint8Array {
  return encodeInviteEntry({ publicKey: inviteKey, role, uses: 1, expiresAtMs: 0 })
}

test('an invite that somebody copied without the power to issue it changes nothing, in any order', () => {
  const { entries } = new History()
    .grant(alice, bob, 'reader')
    .add(alice, kinds.invite, inviteBody('writer'))
    .add(bob, kinds.invite, inviteBody('admin'))
  for (const order of permutations(entries)) {
    const state = stateAt(alice, order)
    assert.is(state.inviteFault(inviteKey, 0), null)
    assert.is(state.invite(inviteKey)?.role, 'writer')
  }
})

test('an invite written before its author had the power stays powerless', () => {
  const history = new History().add(bob, kinds.invite, inviteBody('writer'))
  history.grant(alice, bob, 'admin', { control: history.lengthOf(bob) })
  assert.is(stateAt(alice, history.entries).inviteFault(inviteKey, 0), 'INVITE_REFUSED')
})

test('an invite ends when who issued it has left', () => {
  const { entries } = new History()
    .grant(alice, bob, 'admin')
    .add(bob, kinds.invite, inviteBody('writer'))
    .leave(bob)
  assert.is(stateAt(alice, entries).inviteFault(inviteKey, 0), 'INVITE_REVOKED')
})

test('an invite is revoked by those who might have issued it, and by nobody else', () => {
  const history = new History()
    .add(alice, kinds.invite, inviteBody('writer'))
    .grant(alice, bob, 'writer')
    .add(bob, kinds.inviteRevoke, inviteKey)
  assert.is(stateAt(alice, history.entries).inviteFault(inviteKey, 0), null)
  history.grant(alice, carol, 'admin').add(carol, kinds.inviteRevoke, inviteKey)
  for (const order of permutations(history.entries)) {
    assert.is(stateAt(alice, order).inviteFault(inviteKey, 0), 'INVITE_REVOKED')
  }
})

function epochBody(
  key: Uint8Array,
  to: Person,
  seen = new Map<string, number>(),
  ...others: Person[]
): Uint8Array {
  const ring = new KeyRing(spaceIdOf(byAlice), spaceKey)
  const sealed = [to, ...others].map(({ record: { signKey, boxKey } }) => ({
    signKey,
    sealedKey: ring.sealEpochKeyTo(key, signKey, boxKey)
  }))
  return encodeEpoch({ epochId: keyIdOf(key), sealed, earlierKeys: new Uint8Array(), seen })
}

test('content is sealed under the key of a writer or above, never one that a reader made up', () => {
  const [good, bad] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
  const history = new History()
    .grant(alice, bob, 'writer')
    .grant(alice, carol, 'reader')
    .add(carol, kinds.epoch, epochBody(bad, bob))
  assert.is(stateAt(bob, history.entries).contentKey, null)
  history.add(alice, kinds.epoch, epochBody(good, bob))
  for (const order of permutations(history.entries)) {
    assert.equal(stateAt(bob, order).contentKey, good)
  }
})

test('when who made the key has left, it serves no longer, and who may write makes another', () => {
  const [first, second] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
  const history = new History()
    .add(alice, kinds.epoch, epochBody(first, bob))
    .grant(alice, bob, 'writer')
    .leave(alice)
  assert.is(stateAt(bob, history.entries).contentKey, null)
  const seen = new Map([[alice.id, history.lengthOf(alice)]])
  history.add(bob, kinds.epoch, epochBody(second, bob, seen))
  assert.equal(stateAt(bob, history.entries).contentKey, second)
})

test('who was let in while another made the key is found to lack it, and a key share mends that', () => {
  const key = new Uint8Array(32).fill(1)
  const history = new History()
    .grant(alice, bob, 'admin')
    .add(alice, kinds.epoch, epochBody(key, alice, new Map(), bob))
    .grant(bob, carol, 'writer')
  for (const order of permutations(history.entries)) {
    const gaps = stateAt(bob, order).epochs.gaps.map(({ member }) => member.record.name)
    assert.equal(gaps, ['carol'])
    assert.is(stateAt(carol, order).contentKey, null)
  }
  const ring = new KeyRing(spaceIdOf(byAlice), spaceKey)
  ring.addEpochKey(key)
  const { signKey, boxKey } = carol.record
  const sealedKeys = ring.sealFor('writer', signKey, boxKey)
  history.seen = [{ device: alice.id, length: history.lengthOf(alice) }]
  history.add(bob, kinds.keyShare, encodeKeyShare({ device: signKey, sealedKeys }))
  assert.equal(stateAt(bob, history.entries).epochs.gaps, [])
  assert.equal(stateAt(carol, history.entries).contentKey, key)
})

test('who was handed junk says so, and is handed the key by another each time that it does', () => {
  const key = new Uint8Array(32).fill(1)
  const { signKey, boxKey } = carol.record
  const junk = { signKey, sealedKey: new Uint8Array(80) }
  const { sealed, ...epoch } = decodeEpoch(epochBody(key, alice, new Map(), bob))
  const history = new History()
    .grant(alice, bob, 'admin')
    .grant(alice, carol, 'reader')
    .add(alice, kinds.epoch, encodeEpoch({ ...epoch, sealed: [...sealed, junk] }))
  const gapsOf = (who: Person): string[] =>
    stateAt(who, shuffled()).epochs.gaps.map(({ member }) => member.record.name)
  const unopened = (): number => stateAt(carol, shuffled()).epochs.unopened.length
  let turn = 0
  const shuffled = (): ControlEntry[] =>
    turn++ % 2 === 0 ? history.entries : [...history.entries].reverse()
  const look = (): unknown[] => {
    const [first, second] = [1, 2].map(() => [gapsOf(alice), gapsOf(bob), unopened()])
    assert.equal(first, second)
    return first!
  }
  const say = (): void => {
    history.seen = []
    history.add(carol, kinds.keyShare, encodeLacking(signKey, [keyIdOf(key)]))
    history.seen = [{ device: carol.id, length: history.lengthOf(carol) }]
  }
  assert.equal(look(), [[], [], 1])
  say()
  assert.equal(look(), [['carol'], ['carol'], 0])
  // Alice hands it junk again, and then again: once counts.
  for (let i = 0; i < 2; i++) {
    history.add(
      alice,
      kinds.keyShare,
      encodeKeyShare({ device: signKey, sealedKeys: junk.sealedKey })
    )
    assert.equal(look(), [[], [], 1])
  }
  say()
  assert.equal(look(), [[], ['carol'], 0])
  const ring = new KeyRing(spaceIdOf(byAlice), spaceKey)
  ring.addEpochKey(key)
  const sealedKeys = ring.sealFor('reader', signKey, boxKey)
  history.add(bob, kinds.keyShare, encodeKeyShare({ device: signKey, sealedKeys }))
  assert.equal(look(), [[], [], 0])
  assert.equal(stateAt(carol, history.entries).contentKey, key)
})

test('a mirror is handed the space key and no content key', () => {
  const ring = new KeyRing(spaceIdOf(byAlice), spaceKey)
  const key = new Uint8Array(32).fill(1)
  ring.addEpochKey(key)
  const box = boxKeysFrom(hash('test', new TextEncoder().encode('bob')))
  const { signKey, boxKey } = bob.record
  const handedTo = (role: GrantedRole): unknown =>
    openHandedKeys(ring.sealFor(role, signKey, boxKey), ring.space, signKey, box)
  assert.equal(handedTo('reader'), { spaceKey, epochKeys: [key] })
  assert.equal(handedTo('mirror'), { spaceKey, epochKeys: [] })
})

test('a critical kind that is not known here stops writing, unless its author has no role', () => {
  const unknown = 61
  const history = new History().add(bob, unknown, new Uint8Array())
  assert.is(stateAt(alice, history.entries).unknownCritical, null)
  history.grant(alice, bob, 'writer', { control: history.lengthOf(bob) })
  assert.is(stateAt(alice, history.entries).unknownCritical, null)
  history.add(bob, unknown + 1, new Uint8Array())
  assert.is(stateAt(alice, history.entries).unknownCritical, null)
  history.add(bob, unknown, new Uint8Array())
  assert.is(stateAt(alice, history.entries).unknownCritical, unknown)
})

test('a genesis that is not the space’s is refused', () => {
  const ring = new KeyRing(spaceIdOf(byAlice), spaceKey)
  const box = boxKeysFrom(new Uint8Array(32))
  assert.throws(
    () => new ControlState(spaceBy(bob), ring, alice.record.signKey, box),
    (error: { code?: string }) => error.code === 'BAD_ENCODING'
  )
})

test.run()
