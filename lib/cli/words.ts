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
