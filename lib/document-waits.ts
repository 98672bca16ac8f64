/** What callers of a document wait for, unless it ends before. */
import { SkeinError } from './errors.ts'

/** Resolves at `onSynced`; rejects with `ABORTED`, or with `CLOSED` once what is in `untilClosed` is called. */
export function untilSynced(
  onSynced: (listener: () => void) => () => void,
  untilClosed: Set<() => void>,
  signal: AbortSignal | undefined
): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const done = (): void => {
      stop()
      signal?.removeEventListener('abort', abort)
      untilClosed.delete(closed)
    }
    const stop = onSynced(() => {
      done()
      resolve()
    })
    const abort = (): void => {
      done()
      reject(new SkeinError('ABORTED', 'The call was aborted', { cause: signal?.reason }))
    }
    const closed = (): void => {
      done()
      reject(new SkeinError('CLOSED', 'The document was closed before it was synced'))
    }
    signal?.addEventListener('abort', abort, { once: true })
    untilClosed.add(closed)
  })
}

/** As the promise, or rejects with `ABORTED`. */
export function aborting(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const abort = (): void =>
      reject(new SkeinError('ABORTED', 'The call was aborted', { cause: signal.reason }))
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
