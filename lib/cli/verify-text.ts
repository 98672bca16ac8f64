/** What a verification finds, on the terminal: problems as they come, progress below them, and what was looked at. */
import type { Problem, Verification, VerifyProgress, VerifySummary } from 'skein'
import { exitCodes } from './exit.ts'
import type { Output } from './output.ts'
import { counted, size } from './words.ts'

export class VerifyPrinter {
  readonly #out: Output
  #progress: VerifyProgress | null = null
  #before: VerifySummary = nothing

  constructor(out: Output) {
    this.#out = out
  }

  readonly onProgress = (progress: VerifyProgress): void => {
    this.#progress = progress
    this.#out.live(() => [this.#progressLine()])
  }

  /** Prints what is found. */
  async take(verification: Verification): Promise<void> {
    for (;;) {
      const next = await verification.next()
      if (next.done === true) {
        this.#before = sum(this.#before, next.value)
        return
      }
      const problem = next.value
      this.#out.emit(problem, () => this.#problemLine(problem))
    }
  }

  /** Prints what was looked at; the exit code. */
  end(): number {
    this.#out.live(null)
    const { damage, refused, pending, spaces, logs, blocks, bytes, entries, documents } =
      this.#before
    const { noteStyle } = this.#out
    const looked = [
      counted(spaces, 'space'),
      counted(logs, 'log'),
      `${counted(blocks, 'block')} (${size(bytes)})`,
      counted(entries, 'entry', 'entries'),
      counted(documents, 'document')
    ].join(', ')
    const found = [
      damage > 0 ? noteStyle.red(counted(damage, 'damage')) : noteStyle.green('no damage'),
      ...(refused > 0
        ? [counted(refused, 'entry that breaks a rule', 'entries that break a rule')]
        : []),
      ...(pending > 0 ? [`${pending} unfinished`] : [])
    ].join(', ')
    this.#out.note(`${damage > 0 ? noteStyle.red('✗') : noteStyle.green('✓')} ${found}: ${looked}`)
    if (damage > 0) {
      this.#out.note(
        'Keep a copy of this home before anything else. What other devices hold comes back by joining anew into a new home; what they do not, `skein export` may still read.'
      )
    }
    return damage > 0 ? exitCodes.incomplete : exitCodes.done
  }

  #problemLine({ severity, where, message }: Problem): string {
    const { style } = this.#out
    if (severity === 'damage') return `${style.red('✗')} ${style.bold(where)}: ${message}`
    if (severity === 'refused') return `${style.yellow('!')} ${style.bold(where)}: ${message}`
    return style.dim(`… ${where}: ${message}`)
  }

  #progressLine(): string {
    if (this.#progress === null) return ''
    const { part, done, total } = this.#progress
    const width = 20
    const filled = total === 0 ? width : Math.round((width * done) / total)
    const bar = '━'.repeat(filled) + ' '.repeat(width - filled)
    return `${this.#out.noteStyle.cyan(bar)} ${part} ${done.toLocaleString('en')} of ${total.toLocaleString('en')}`
  }
}

const nothing: VerifySummary = {
  spaces: 0,
  logs: 0,
  blocks: 0,
  bytes: 0,
  entries: 0,
  documents: 0,
  damage: 0,
  refused: 0,
  pending: 0
}

function sum(a: VerifySummary, b: VerifySummary): VerifySummary {
  const keys = Object.keys(a) as (keyof VerifySummary)[]
  return Object.fromEntries(keys.map((key) => [key, a[key] + b[key]])) as unknown as VerifySummary
}
