/** What every benchmark needs: a clock that all processes share, medians, a turn of the event loop, a folder. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Milliseconds by CLOCK_MONOTONIC, which all processes of a machine have in common. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** The value below which a share of `values` lies, 0 to 1. */
function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const value = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
  if (value === undefined) throw new RangeError('Nothing was measured')
  return value
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

export interface Spread {
  readonly count: number
  readonly medianMs: number
  readonly p99Ms: number
}

export function spread(values: readonly number[]): Spread {
  return { count: values.length, medianMs: median(values), p99Ms: quantile(values, 0.99) }
}

/** The next turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** A folder that goes away with what is in it. */
export async function scratch(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'skein-bench-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
