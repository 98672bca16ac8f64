/** `skein status`: who is reached and how, where this device's work is saved, what is missing from whom. */
import type { Member, Replica, Space } from 'skein'
import { defineCommand } from '../command.ts'
import { examples, spaceHelp } from '../help.ts'
import { table, type Output } from '../output.ts'
import { ago, counted, listed, shortId, size } from '../words.ts'

interface SpaceStatus {
  readonly id: string
  readonly name: string
  readonly role: string | null
  readonly documents: number
  readonly entries: number
  readonly bytes: number
  readonly synced: boolean
  readonly waiting: number
  readonly missing: number
  readonly others: readonly OtherStatus[]
}

interface OtherStatus extends Replica {
  readonly name: string
  readonly person: string
  readonly role: string
}

export default defineCommand({
  setUp: (command) =>
    command
      .option('-s, --space <space>', `${spaceHelp.replace('the only one', 'all')}`)
      .addHelpText(
        'after',
        examples(
          ['skein status', 'every space of this device'],
          ['skein status --json | jq .spaces[].others', 'for a program']
        )
      ),
  run({ home, out, settings }, _, options) {
    const spaces = options.space === undefined ? home.skein.spaces() : [home.space(options.space)]
    const { copied } = home.skein
    const broken = home.broken.map(({ space, error }) => ({
      id: space,
      code: error.code,
      message: error.message
    }))
    const status = {
      device: { id: home.skein.id, name: home.skein.name },
      home: settings.home,
      isOnline: home.isOnline,
      bootstrap: home.bootstrap,
      copied,
      spaces: spaces.map(statusOf),
      broken
    }
    out.emit(status, () => {
      const { style } = out
      const { device } = status
      const network = home.bootstrap === null ? 'the public DHT' : `DHT ${listed(home.bootstrap)}`
      const state = home.isOnline
        ? `${style.green('online')} through ${network}`
        : `${style.yellow('offline')}: no \`skein sync\` runs here`
      const head = [
        `${style.bold(device.name)} ${style.dim(shortId(device.id))}  ${state}`,
        style.dim(status.home)
      ]
      if (copied === 'here')
        head.push(
          `${style.red('✗')} a copy of a home that is in use elsewhere: read-only (\`skein renew\`)`
        )
      if (copied === 'elsewhere')
        head.push(`${style.yellow('!')} a copy of this home is in use elsewhere`)
      const parts = status.spaces.map((space) => shown(space, out))
      const damaged = broken.map(
        ({ id, code, message }) => `${style.red('✗')} ${shortId(id)}  ${message} (${code})`
      )
      if (parts.length + damaged.length === 0)
        parts.push('No spaces yet: `skein create` or `skein join`.')
      return [head.join('\n'), ...parts, ...damaged].join('\n\n')
    })
    return Promise.resolve()
  }
})

function statusOf(space: Space): SpaceStatus {
  const members = space.members()
  const memberOf = (device: string): Member | undefined =>
    members.find((member) => member.device === device)
  return {
    id: space.id,
    name: space.name,
    role: space.role,
    documents: space.documents().length,
    entries: space.logLength,
    bytes: space.logBytes,
    synced: space.synced,
    waiting: space.waiting,
    missing: space.missing,
    others: space.replicas().map((replica) => {
      const { name = '?', person = '?', role = '?' } = memberOf(replica.device) ?? {}
      return { ...replica, name, person, role }
    })
  }
}

function shown(space: SpaceStatus, { style }: Output): string {
  const { others } = space
  const facts = [
    space.role ?? 'not let in yet',
    ...(space.role === 'mirror' ? ['kept unread'] : [counted(space.documents, 'document')]),
    counted(space.entries, 'entry', 'entries'),
    size(space.bytes)
  ]
  const head = `${style.bold(space.name)} ${style.dim(shortId(space.id))}  ${facts.join(', ')}`
  const rows = others.map((other) => [
    `  ${other.isConnected ? style.green('●') : style.dim('○')}`,
    style.bold(other.name),
    style.dim(other.role),
    other.isConnected
      ? `by ${other.transport ?? '?'}`
      : style.dim(other.asOfMs === null ? 'never met' : `met ${ago(other.asOfMs)}`),
    holds(other)
  ])
  const lines = [head]
  if (rows.length > 0) lines.push(table(rows))
  lines.push(`  ${saved(space, style)}`)
  if (space.waiting > 0) {
    const waiting = counted(space.waiting, 'entry waits', 'entries wait')
    lines.push(`  ${style.yellow('!')} ${waiting} for others that are not here yet`)
  }
  return lines.join('\n')
}

/** What one other device has and lacks. */
function holds({ asOfMs, lacks, lacksOfMine, isAhead, lost, withholds }: OtherStatus): string {
  if (asOfMs === null) return 'has not said what it has'
  const parts: string[] = []
  if (lacks > 0) {
    const mine =
      lacksOfMine === 0 ? '' : lacksOfMine === lacks ? ', yours' : `, ${lacksOfMine} of them yours`
    parts.push(`lacks ${counted(lacks, 'entry', 'entries')}${mine}`)
  }
  const notHere = counted(isAhead, 'entry', 'entries')
  if (withholds > 0) parts.push(`says it has ${notHere} that are not here, and does not give them`)
  else if (isAhead > 0) parts.push(`has ${notHere} that are not here`)
  if (lost > 0) parts.push(`lost ${counted(lost, 'entry', 'entries')} that it had confirmed`)
  return parts.length === 0 ? 'has everything' : parts.join('; ')
}

/** Where what this device wrote is. */
function saved({ others }: SpaceStatus, style: Output['style']): string {
  if (others.length === 0)
    return `${style.yellow('!')} Only this device is in the space: \`skein invite\``
  const holders = others.filter(({ asOfMs, lacksOfMine }) => asOfMs !== null && lacksOfMine === 0)
  if (holders.length === 0) {
    return `${style.yellow('!')} Something you wrote is on this device alone`
  }
  const names = listed(holders.map(({ name }) => name))
  return `${style.green('✓')} All that you wrote is also on ${names}`
}
