/**
 * The rules of membership against the naive model, in all orders. The long form, 100,000 histories and 200 sets of up to
 * seven operations in every order (ten minutes): `MEMBER_HISTORIES=100000 MEMBER_SETS=200 npm test -- member-rules`.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MemberSet, type ControlFork } from '../../lib/trust/member-set.ts'
import {
  roleAtContent,
  roleAtControl,
  roleOfRank,
  type ControlEntry
} from '../../lib/trust/members.ts'
import { devices, random, randomHistory, type RandomHistory } from './member-histories.ts'
import { NaiveMembers } from './naive-members.ts'

const histories = Number(process.env.MEMBER_HISTORIES ?? 800)
const sets = Number(process.env.MEMBER_SETS ?? 20)

const test = suite('member rules')

const places = [0, 1, 2, 3, 4, 5, 6, 8, 12]

/** Everything that is decided about devices: at every place the role, and whether it has no power there for a fork. */
function verdict(set: MemberSet): string {
  const { members } = set
  const lines = devices.map((device) => {
    const member = members.get(device)
    const roles = places.map((at) => {
      const power = set.isPowerless(device, at) ? '!' : ''
      if (member === undefined) return `${power}---`
      const three = [roleAtControl(member, at), ...[0, 1].map((n) => roleAtContent(member, n, at))]
      return power + three.map(letterOf).join('')
    })
    return roles.join(' ')
  })
  return lines.join('\n')
}

/** All at once. */
function atOnce({ genesis, entries, forks }: RandomHistory): MemberSet {
  const set = new MemberSet(genesis)
  for (const { device, common } of forks) set.fork(device, common)
  for (const entry of entries) set.add(entry)
  return set
}

function naiveVerdict({ owners, facts, forks }: RandomHistory): string {
  const naive = new NaiveMembers(owners, facts, forks)
  const lines = devices.map((device) =>
    places
      .map((at) => {
        const power = naive.isPowerless(device, at) ? '!' : ''
        const three = [{ control: at }, { core: 0, content: at }, { core: 1, content: at }]
        return (
          power + three.map((place) => letterOf(roleOfRank(naive.rankAt(device, place)))).join('')
        )
      })
      .join(' ')
  )
  return lines.join('\n')
}

function letterOf(role: string | null): string {
  return role === null ? '-' : role.slice(0, 1)
}

function shuffled<T>(items: readonly T[], below: (n: number) => number): T[] {
  const list = [...items]
  for (let i = list.length - 1; i > 0; i--) {
    const j = below(i + 1)
    ;[list[i], list[j]] = [list[j]!, list[i]!]
  }
  return list
}

function* permutations<T>(items: readonly T[]): Generator<T[]> {
  if (items.length === 0) yield []
  for (const [i, item] of items.entries()) {
    for (const rest of permutations([...items.slice(0, i), ...items.slice(i + 1)]))
      yield [item, ...rest]
  }
}

/** As they come over the network: looked at after each. */
function oneByOne(
  { genesis }: RandomHistory,
  news: readonly (ControlEntry | ControlFork)[]
): MemberSet {
  const set = new MemberSet(genesis)
  for (const one of news) {
    void set.members
    if ('common' in one) set.fork(one.device, one.common)
    else set.add(one)
  }
  return set
}

test(`${histories} random histories give what the naive model says, taken in one by one and at once`, () => {
  const met = new Map<string, number>()
  for (let seed = 1; seed <= histories; seed++) {
    const below = random(seed * 7919)
    const history = randomHistory(seed, 4 + below(22))
    const expected = naiveVerdict(history)
    const repeat = `seed ${seed}`
    assert.is(verdict(atOnce(history)), expected, repeat)
    const order = shuffled([...history.entries, ...history.forks], below)
    assert.is(verdict(oneByOne(history, order)), expected, `${repeat}, shuffled`)
    for (const letter of new Set(expected)) met.set(letter, (met.get(letter) ?? 0) + 1)
  }
  // A generator that never gets anywhere would show nothing.
  for (const letter of 'oawrm-!') assert.ok((met.get(letter) ?? 0) > histories / 20, letter)
})

test(`${sets} sets of up to seven operations give the same in every order`, () => {
  for (let seed = 1; seed <= sets; seed++) {
    const count = seed % 10 === 0 || sets >= 200 ? 7 : 3 + (seed % 4)
    const { forks, entries, facts, ...people } = randomHistory(seed * 31, count)
    const left = Math.max(1, count - forks.length)
    const history = {
      ...people,
      forks,
      entries: entries.slice(0, left),
      facts: facts.slice(0, left)
    }
    const expected = naiveVerdict(history)
    for (const order of permutations([...history.entries, ...forks])) {
      const set = oneByOne(history, order)
      assert.is(verdict(set), expected, `seed ${seed}`)
    }
  }
})

test.run()
