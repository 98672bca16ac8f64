/** What of a call's arguments can go to another tab: all but functions, and signals, which are told apart. */

export interface Sent {
  readonly args: readonly unknown[]
  readonly signal: AbortSignal | undefined
  /** The argument whose `signal` it was; null if there was none. */
  readonly signalAt: number | null
}

export function sentOf(given: readonly unknown[]): Sent {
  let signal: AbortSignal | undefined
  let signalAt: number | null = null
  const args = given.map((arg, i) => {
    if (!isPlain(arg)) return arg
    const entries = Object.entries(arg).filter(([, value]) => {
      if (!(value instanceof AbortSignal)) return typeof value !== 'function'
      signal = value
      signalAt = i
      return false
    })
    return Object.fromEntries(entries)
  })
  return { args, signal, signalAt }
}

function isPlain(value: unknown): value is object {
  return (
    typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  )
}

/** The pieces of a stream, which does not go to another tab as one. */
export async function piecesOf(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = []
  for await (const piece of stream) pieces.push(piece)
  return pieces
}
