/** How a run of a command ends: exit codes, and the failure that is told to the user. */

/** What exit codes mean; `skein help exit-codes` says the same. */
export const exitCodes = {
  done: 0,
  failed: 1,
  /** Wrong arguments. */
  usage: 2,
  /** It went as it could, and something is missing (`sync --once`) or wrong (`verify`). */
  incomplete: 3,
  /** This device's role, or a member, does not allow it. */
  refused: 4,
  /** There is no such device, space or document here. */
  unknown: 5,
  /** The home is in use by a program that does not answer, and the time to wait for it is over. */
  busy: 75,
  interrupted: 130
} as const

/** A failure that says itself what to do next. */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly exitCode: number
  readonly advice: string | undefined

  constructor(
    message: string,
    options: { exitCode?: number; advice?: string; cause?: unknown } = {}
  ) {
    super(message, { cause: options.cause })
    this.exitCode = options.exitCode ?? exitCodes.failed
    this.advice = options.advice
  }
}

/** What was called has failed, and has said so. */
export class Told extends Error {
  override readonly name = 'Told'
  readonly exitCode: number

  constructor(exitCode: number) {
    super(`A called command ended with ${exitCode}`)
    this.exitCode = exitCode
  }
}
