/** Waiting in tests: for events, with a deadline, never for time. */

/** Settles as `promise` does, or fails after `ms` and names what did not come. */
export async function deadline<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Within ${ms} ms there was not: ${what}`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * The payload of the next event. `subscribe` takes a listener and returns the function that removes it:
 * `await once<Connection>((listener) => transport.on('connection', listener), 5_000, 'a connection')`.
 */
export async function once<T>(
  subscribe: (listener: (payload: T) => void) => () => void,
  ms: number,
  what: string
): Promise<T> {
  let stop: (() => void) | undefined
  try {
    return await deadline(
      new Promise<T>((resolve) => {
        stop = subscribe(resolve)
      }),
      ms,
      what
    )
  } finally {
    stop?.()
  }
}

/**
 * Resolves once `check` returns true. A check that throws is tried again, and its error is the cause if the deadline
 * passes. It polls: only for what tells nobody when it changes.
 */
export async function eventually(
  check: () => boolean | Promise<boolean>,
  options: { deadlineMs?: number; everyMs?: number; what?: string } = {}
): Promise<void> {
  const { deadlineMs = 20_000, everyMs = 10, what = check.toString() } = options
  const startedAt = performance.now()
  let cause: unknown
  do {
    try {
      if (await check()) return
      cause = undefined
    } catch (error) {
      cause = error
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  } while (performance.now() - startedAt < deadlineMs)
  throw new Error(`Within ${deadlineMs} ms there was not: ${what}`, { cause })
}
