/** Random histories of a space's control logs: as facts for the naive model, and as entries for the library. */
import { fromHex, toHex } from '../../lib/bytes.ts'
import { boxKeysFrom, hash, signKeysFrom } from '../../lib/crypto.ts'
import { kinds } from '../../lib/log/entry.ts'
import {
  encodeGrant,
  encodeLeave,
  type DeviceRecord,
  type Genesis,
  type GrantedRole
} from '../../lib/trust/control.ts'
import { cutNameOf, encodeCut, encodeLift, type CutRole } from '../../lib/trust/cut.ts'
import type { ControlFork } from '../../lib/trust/member-set.ts'
import type { ControlEntry } from '../../lib/trust/members.ts'
import type { Fact } from './naive-members.ts'

/** Numbers from a seed (mulberry32), so that a failure can be repeated. */
export function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

function recordOf(name: string): DeviceRecord {
  const seed = hash('test', new TextEncoder().encode(name))
  const { publicKey } = signKeysFrom(seed)
  const { publicKey: boxKey } = boxKeysFrom(seed)
  return { signKey: publicKey, boxKey, salt: seed.subarray(0, 16), name, person: name }
}

const records = Array.from({ length: 7 }, (_, i) => recordOf(`device ${i}`))
export const devices = records.map(({ signKey }) => toHex(signKey))
const recordById = new Map(records.map((record, i) => [devices[i]!, record]))

export interface RandomHistory {
  readonly genesis: Genesis
  readonly owners: readonly string[]
  readonly facts: readonly Fact[]
  readonly entries: readonly ControlEntry[]
  /** Control logs that have several versions; of the others than the first, only what counts of each is among the entries. */
  readonly forks: readonly ControlFork[]
}

const granted = ['mirror', 'reader', 'writer', 'writer', 'admin', 'admin'] as const
const left = ['none', 'none', 'mirror', 'reader', 'writer'] as const
const treeHash = '0000000000000000'

/**
 * `count` entries by owners, admins and others, most of them what such people would write, some of them what nobody
 * should: positions that understate, demotions that are not, lifts of others' cuts. Of every second history up to three
 * control logs, or one of them at several places, have versions besides.
 */
export function randomHistory(seed: number, count: number): RandomHistory {
  const below = random(seed)
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!
  const owners = devices.slice(0, 1 + below(3))
  const genesis = {
    salt: new Uint8Array(16),
    name: 'Notes',
    owners: owners.map((id) => recordById.get(id)!)
  }
  const facts: Fact[] = []
  const entries: ControlEntry[] = []
  const lengths = new Map(devices.map((device) => [device, 0]))
  const cuts: { name: string; of: string }[] = []
  // The first few carry most of the power, as in a real space.
  const someone = (): string => (below(3) > 0 ? devices[below(4)]! : pick(devices))
  const near = (length: number): number => Math.max(0, length - (below(3) === 0 ? below(4) : 0))
  const forks: ControlFork[] = []
  const forksUpTo = below(2) === 0 ? 0 : 1 + below(3)
  for (let i = 0; i < count; i++) {
    if (forks.length < forksUpTo && below(6) === 0) {
      const device = someone()
      forks.push({ device, common: near(lengths.get(device)!) })
    }
    const forked = forks.length > 0 && below(6) === 0 ? pick(forks) : null
    const by = forked?.device ?? someone()
    const seq = forked === null ? lengths.get(by)! : forked.common + below(4)
    const last = seq + (below(8) === 0 ? 1 : 0)
    if (forked === null) lengths.set(by, last + 1)
    const seen =
      forked !== null
        ? []
        : devices
            .filter((device) => device !== by && below(3) > 0)
            .map((device) => ({ device, length: near(lengths.get(device)!) }))
    const to = pick(devices)
    const control = near(lengths.get(to)!)
    let says: Fact['says']
    let kind: number = kinds.epoch
    let body = new Uint8Array()
    // Of another version cuts, leaves, and keys count.
    const draw = forked === null ? below(100) : pick([50, 60, 90, 99])
    if (draw < 45) {
      const role = pick(granted)
      const [core, content] = [below(2), below(6)]
      says = { kind: 'grant', to, role, control, core, content }
      kind = kinds.grant
      body = new Uint8Array(
        encodeGrant({
          device: recordById.get(to)!,
          role: role as GrantedRole,
          from: { control, contentCore: core, content },
          invite: new Uint8Array(),
          sealedKeys: new Uint8Array()
        })
      )
    } else if (draw < 80) {
      const role = pick(left)
      const content = [below(6), below(4)].slice(0, 1 + below(2))
      const base = cuts.filter((cut) => cut.of === to)
      const demotion = base.length > 0 && below(2) === 0 ? pick(base).name : null
      kind = kinds.cut
      body = new Uint8Array(
        encodeCut({
          device: fromHex(to),
          role: role as CutRole,
          keeps: [
            { core: 'control', length: control, treeHash },
            ...content.map((length, n) => ({ core: `content/${n}`, length, treeHash }) as const)
          ],
          demotion,
          epoch: new Uint8Array([i >> 8, i & 255])
        })
      )
      const name = cutNameOf(by, seq, body)
      cuts.push({ name, of: to })
      says = { kind: 'cut', name, of: to, role, control, content, demotion }
    } else if (draw < 88 && cuts.length > 0) {
      const cut = pick(cuts).name
      says = { kind: 'lift', cut }
      kind = kinds.lift
      body = new Uint8Array(encodeLift(cut))
    } else if (draw < 93) {
      const [core, content] = [below(2), below(6)]
      says = { kind: 'leave', core, content }
      kind = kinds.leave
      body = new Uint8Array(encodeLeave({ contentCore: core, content }))
    } else says = { kind: 'other' }
    facts.push({ by, seq, last, seen, says })
    entries.push({ device: by, seq, last, kind, body, seen })
  }
  return { genesis, owners, facts, entries, forks }
}
