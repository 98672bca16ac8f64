/** Sizes, durations and counts as people write and read them. */
import { InvalidArgumentError } from 'commander'
import ms, { type StringValue } from 'ms'
import prettyBytes from 'pretty-bytes'

/** An option's parser: '90s', '5m', '7d', '2 weeks' in milliseconds. */
export function duration(text: string): number {
  const value = /^\s*[\d.]/.test(text) ? ms(text as StringValue) : undefined
  if (value === undefined || Number.isNaN(value) || value <= 0 || /^\s*[\d.]+\s*$/.test(text)) {
    throw new InvalidArgumentError('It is a number with a unit, such as 30s, 5m, 12h or 7d.')
  }
  return value
}

/** An option's parser: a whole number from 1. */
export function count(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < 1) {
    throw new InvalidArgumentError('It is a whole number from 1.')
  }
  return value
}

/** An option's parser: a port. */
export function port(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value > 65_535) {
    throw new InvalidArgumentError('It is a port, 0 to 65535.')
  }
  return value
}

/** An option's parser, for one that may be given often: 'host:port', or several with commas between. */
export function addresses(text: string, before: string[] = []): string[] {
  const parts = text.split(',').map((part) => part.trim())
  for (const part of parts) {
    const [, host, portText] = /^([^\s:]+):(\d{1,5})$/.exec(part) ?? []
    if (host === undefined || Number(portText) < 1 || Number(portText) > 65_535) {
      throw new InvalidArgumentError('It is host:port.')
    }
  }
  return [...before, ...parts]
}

/** '1.2 kB'. */
export function size(bytes: number): string {
  return prettyBytes(bytes)
}

/** '3 minutes', '2 days'. */
export function span(milliseconds: number): string {
  return milliseconds < 1_000 ? 'a moment' : ms(milliseconds, { long: true })
}

/** '1 document', '3 documents', '1,200 entries'. */
export function counted(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString('en')} ${number === 1 ? one : many}`
}

/** The beginning of an id that people see. */
export function shortId(id: string): string {
  return id.slice(0, 8)
}

/** '14:05:09' by this machine's clock. */
export function timeOfDay(atMs: number): string {
  return new Date(atMs).toLocaleTimeString('en-GB')
}

/** 'just now', '3 minutes ago'. */
export function ago(atMs: number, nowMs = Date.now()): string {
  const passed = nowMs - atMs
  return passed < 5_000 ? 'just now' : `${span(passed)} ago`
}

/** 'a', 'a and b', 'a, b and 3 more'. */
export function listed(names: readonly string[], most = 3): string {
  if (names.length > most)
    return `${names.slice(0, most).join(', ')} and ${names.length - most} more`
  const last = names.at(-1) ?? ''
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} and ${last}`
}
