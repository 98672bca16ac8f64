/** What a check finds, and how it is told. */
import type { Unreadable } from '../log/store-image.ts'

/** What can be wrong. Codes stay the same between major versions, messages do not. */
export type ProblemCode =
  /** The database cannot be opened, or a record of it cannot be read; `where` names the file if it is known. */
  | 'unreadable'
  /** A file beneath the database is damaged or cut short. */
  | 'file'
  /** The file with this device's keys is not what was written, or does not fit what lies beside it. */
  | 'secrets'
  /** A log's own record (its key, its manifest) is wrong, or the log is gone. */
  | 'log'
  /** The signed head: length, hash and signature do not belong together. */
  | 'head'
  /** A node of a log's hash tree. */
  | 'tree-node'
  /** A block's bytes. */
  | 'block'
  /** Blocks that the log says it has are not there. */
  | 'block-missing'
  /** What the log says it has is not what it has. */
  | 'bitfield'
  /** A log is shorter than it is known to have been. */
  | 'log-short'
  /** What is written and not yet in the log, in the outbox. */
  | 'outbox'
  /** The merged state of a document, or the lists beside it: they can be made anew from the logs. */
  | 'view'
  /** A block does not open, or is no entry. */
  | 'seal'
  | 'encoding'
  /** An entry had seen another version of a log. */
  | 'fork'
  /** Its author's role did not allow it. */
  | 'role'
  /** The validator leaves an edit out. */
  | 'edit'
  /** An entry had seen what is not here. */
  | 'missing-past'
  /** The key of an entry is not here. */
  | 'missing-key'

export interface Problem {
  /**
   * `damage`: what lies on this disk is not what was written. `refused`: a member wrote what breaks a rule; every device
   * leaves it out. `pending`: something is still to come, or to be finished at the next opening; nothing is wrong.
   */
  readonly severity: 'damage' | 'refused' | 'pending'
  readonly code: ProblemCode
  /** What it is about: a file, a log, an entry's address, a document. */
  readonly where: string
  readonly message: string
  /** The space's id, where it is about one. */
  readonly space: string | null
}

/** How far a check has come. */
export interface VerifyProgress {
  /** What is looked at: `alice:content`, `documents` … */
  readonly part: string
  readonly done: number
  readonly total: number
}

export interface VerifySummary {
  readonly spaces: number
  readonly logs: number
  readonly blocks: number
  readonly bytes: number
  readonly entries: number
  readonly documents: number
  readonly damage: number
  readonly refused: number
  readonly pending: number
}

export interface VerifyOptions {
  /** What the keys of a device that nobody has open are sealed with. */
  readonly passphrase?: string
  readonly onProgress?: (progress: VerifyProgress) => void
  readonly signal?: AbortSignal
}

/** Collects what a check finds, and counts. A damaged file is told once, however many records of it are lost. */
export class Findings {
  readonly space: string | null
  readonly #told: Set<string>

  constructor(space: string | null, told = new Set<string>()) {
    this.space = space
    this.#told = told
  }

  /** Those of one space; files are told once in all. */
  of(space: string): Findings {
    return new Findings(space, this.#told)
  }

  damage(code: ProblemCode, where: string, message: string): Problem {
    return { severity: 'damage', code, where, message, space: this.space }
  }

  refused(code: ProblemCode, where: string, message: string): Problem {
    return { severity: 'refused', code, where, message, space: this.space }
  }

  pending(code: ProblemCode, where: string, message: string): Problem {
    return { severity: 'pending', code, where, message, space: this.space }
  }

  /** Has a failure to read for that reason been told of, wherever it was? */
  hasTold({ reason }: Unreadable): boolean {
    return this.#told.has(reason)
  }

  /** Nothing where the same has been told before: one place in a file holds many records. */
  *unreadable(where: string, { reason }: Unreadable): Generator<Problem, void, void> {
    const file = /[^\s/\\]+\.(?:sst|blob|log)\b/.exec(reason)?.[0]
    const key = file === undefined ? `${where} ${reason}` : reason
    if (this.#told.has(key)) return
    this.#told.add(key).add(reason)
    const message =
      file === undefined ? reason : `${where} and perhaps more cannot be read: ${reason}`
    yield this.damage('unreadable', file ?? where, message)
  }
}

/** Runs of whole numbers: [1, 2, 3, 7] gives `1–3` and `7`. */
export function runsOf(numbers: readonly number[]): string[] {
  const runs: [number, number][] = []
  for (const number of numbers) {
    const last = runs.at(-1)
    if (last !== undefined && last[1] === number - 1) last[1] = number
    else runs.push([number, number])
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`))
}
