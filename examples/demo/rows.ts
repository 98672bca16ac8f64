/** The devices of a replay on a live screen: a row each, or one for each process where they are too many. */
import type { Colors, Picture } from './live.ts'

export interface Row {
  readonly name: string
  /** Which process it is in. */
  readonly host: number
  /** It writes nothing. */
  readonly isReader: boolean
  readonly total: number
  done: number
  peers: number
  entries: number
  condition: 'starting' | 'playing' | 'complete' | 'killed' | 'shut'
}

const statusColumns = 34

export function rowsOf(devices: readonly Row[], totals: () => string): Picture {
  return {
    draw({ columns, rows }, colors) {
      const room = rows - 3
      const shown = devices.length <= room ? devices.map((device) => [device]) : byHost(devices)
      const lines = shown.slice(0, room).map((group) => lineOf(group, columns, colors))
      return [...lines, '', devices.length > 0 ? totals() : '', '']
    },
    hueOf: (_, colors) => colors.cyan
  }
}

function byHost(devices: readonly Row[]): Row[][] {
  const groups: Row[][] = []
  for (const device of devices) (groups[device.host] ??= []).push(device)
  return groups
}

function lineOf(group: readonly Row[], columns: number, colors: Colors): string {
  const [first] = group
  const name = group.length === 1 ? first!.name : `${group.length} devices`
  const done = sum(group, (row) => row.done)
  const total = sum(group, (row) => row.total)
  const part = total === 0 ? 1 : done / total
  const width = Math.max(8, columns - 14 - 16 - statusColumns)
  const filled = Math.floor(part * width)
  const condition = group.find((row) => row.condition !== 'complete')?.condition ?? 'complete'
  const count = `${done.toLocaleString('en')} / ${total.toLocaleString('en')}`
  const peers = Math.round(sum(group, (row) => row.peers) / group.length)
  const status = {
    starting: '… starting',
    playing: `● ${peers} peer${peers === 1 ? '' : 's'}`,
    complete: '✓ has all',
    killed: '✕ killed',
    shut: '– shut'
  }[condition]
  const hue = { complete: colors.green, killed: colors.red, playing: colors.cyan }[
    condition as string
  ]
  return (
    (hue ?? colors.dim)(name.slice(0, 13).padEnd(14)) +
    (hue ?? colors.dim)('█'.repeat(filled)) +
    colors.dim('░'.repeat(width - filled)) +
    count.padStart(16) +
    `  ${(hue ?? colors.dim)(status.padEnd(12))}` +
    colors.dim(`${Math.max(...group.map(({ entries }) => entries)).toLocaleString('en')} entries`)
  )
}

function sum(group: readonly Row[], of: (row: Row) => number): number {
  return group.reduce((total, row) => total + of(row), 0)
}
