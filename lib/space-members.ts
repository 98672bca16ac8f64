/** Who is in a space, and what each holds of it, as the space tells of them. */
import type { Feed } from './log/feed.ts'
import type { OwnCore } from './log/outbox-records.ts'
import type { Log } from './log/log.ts'
import type { Replica, Replicas } from './sync/replicas.ts'
import type { Role } from './trust/control.ts'
import type { ControlState } from './trust/control-state.ts'
import type { DeviceId } from './trust/members.ts'

export interface Member {
  /** The device's signing key in hex. */
  readonly device: DeviceId
  readonly role: Role
  readonly name: string
  readonly person: string
  readonly isThisDevice: boolean
  readonly isConnected: boolean
}

/** A device that was in the space once, and left or was removed. */
export type FormerMember = Pick<Member, 'device' | 'name' | 'person'>

/** Those with a role, highest first. `me` is this device. */
export function membersOf(
  { members }: ControlState,
  me: DeviceId,
  peers: readonly DeviceId[]
): Member[] {
  const connected = new Set(peers)
  return [...members.values()]
    .filter((member) => member.role !== null)
    .sort((a, b) => b.rank - a.rank || (a.device < b.device ? -1 : 1))
    .map((member) => ({
      device: member.device,
      role: member.role!,
      name: member.record.name,
      person: member.record.person,
      isThisDevice: member.device === me,
      isConnected: connected.has(member.device)
    }))
}

export function formerMembersOf({ members }: ControlState): FormerMember[] {
  return [...members.values()]
    .filter((member) => member.role === null)
    .map(({ device, record: { name, person } }) => ({ device, name, person }))
}

export interface HeldParts {
  readonly feed: Feed
  /** This device's logs. */
  readonly own: Record<OwnCore, Log>
  readonly replicas: Replicas
  readonly transportOf: (device: DeviceId) => string | null
  readonly withheldBy: (device: DeviceId) => number
}

/** What every other of these members holds. */
export function replicasOf(members: readonly Member[], held: HeldParts): Replica[] {
  const { feed, own, replicas, transportOf, withheldBy } = held
  const { logs } = feed
  return members
    .filter(({ isThisDevice }) => !isThisDevice)
    .map(({ device, isConnected }) => {
      const { asOfMs, lengths, lost } = replicas.of(device)
      let lacks = 0
      let lacksOfMine = 0
      let isAhead = 0
      for (const log of logs) {
        const length = lengths.get(log.id) ?? 0
        const lacking = Math.max(0, log.contiguousLength - length)
        lacks += lacking
        if (log === own.control || log === own.content) lacksOfMine += lacking
      }
      for (const [id, length] of lengths) {
        isAhead += Math.max(0, length - (feed.log(id)?.contiguousLength ?? 0))
      }
      const transport = transportOf(device)
      const withholds = Math.min(withheldBy(device), isAhead)
      return {
        device,
        isConnected,
        transport,
        asOfMs,
        lacks,
        lacksOfMine,
        isAhead,
        lost,
        withholds
      }
    })
}
