/** Where what was written here is safe, in plain words. */
import type { Member, Replica, Safety } from 'skein'

export interface SafetyView {
  readonly state: 'saving' | 'here' | 'elsewhere' | 'failed'
  readonly text: string
  /** One line for each other device. */
  readonly devices: readonly {
    readonly device: string
    readonly name: string
    readonly isMirror: boolean
    readonly isConnected: boolean
    readonly isSafe: boolean
    readonly text: string
  }[]
}

export interface SafetyFacts {
  /** Of the note that is open and was written in here; null for what was written before, which replicas tell of. */
  readonly safety: Safety | null
  readonly error: string | null
  /** This device may write nothing that would have to be saved. */
  readonly isReadOnly: boolean
  readonly members: readonly Member[]
  readonly replicas: readonly Replica[]
  readonly nowMs: number
}

export function safetyView(facts: SafetyFacts): SafetyView {
  const { safety, error, isReadOnly, members, replicas, nowMs } = facts
  const held = new Set(safety?.devices)
  const devices = replicas.flatMap((replica) => {
    const member = members.find(({ device }) => device === replica.device)
    // A recovery key is an owner too, and on no device.
    if (member === undefined || (replica.asOfMs === null && !replica.isConnected)) return []
    const hasAll = replica.asOfMs !== null && replica.lacksOfMine === 0
    const isSafe = safety === null ? hasAll : held.has(replica.device)
    const seen = replica.isConnected ? 'connected' : `seen ${ago(replica.asOfMs ?? 0, nowMs)}`
    const name = deviceName(member)
    const text = `${isSafe ? 'has what you wrote' : 'not yet all you wrote'}, ${seen}`
    const { device, isConnected } = replica
    return [{ device, name, isMirror: member.role === 'mirror', isConnected, isSafe, text }]
  })
  const safe = devices.filter(({ isSafe }) => isSafe)
  if (error !== null) return { state: 'failed', text: error, devices }
  if (isReadOnly) return { state: 'here', text: 'You may read, not write', devices }
  if (safety?.durable === false) return { state: 'saving', text: 'Saving …', devices }
  const others = safe.filter(({ isMirror }) => !isMirror).length
  const parts = ['Saved here']
  if (others > 0) parts.push(others === 1 ? 'on 1 device' : `on ${others} devices`)
  if (others < safe.length) parts.push('on your mirror')
  return { state: safe.length > 0 ? 'elsewhere' : 'here', text: parts.join(' · '), devices }
}

function deviceName({ name, person }: Pick<Member, 'name' | 'person'>): string {
  return name === person ? name : `${person} · ${name}`
}

export function ago(whenMs: number, nowMs: number): string {
  const minutes = Math.max(0, Math.round((nowMs - whenMs) / 60_000))
  if (minutes < 1) return 'just now'
  if (minutes < 60) return `${minutes} min ago`
  const hours = Math.round(minutes / 60)
  if (hours < 24) return `${hours} h ago`
  const days = Math.round(hours / 24)
  if (days === 1) return 'yesterday'
  if (days < 7) return `${days} days ago`
  return new Date(whenMs).toLocaleDateString(undefined, { day: 'numeric', month: 'short' })
}
