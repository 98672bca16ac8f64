/** What there is to be told, for any kind of screen: the step it is at, and what has happened. */
import { Emitter } from 'skein'

export interface Step {
  /** One or two words, for the row of all steps. */
  readonly word: string
  /** What is going on. */
  readonly what: string
  /** Why it matters. */
  readonly why: string
}

export interface Note {
  readonly atMs: number
  /** The device that it is about; '' when it is about all. */
  readonly name: string
  readonly text: string
}

export interface BoardEvents {
  step: { step: Step; number: number }
  note: Note
  /** Any of what is shown is another. */
  changed: object
}

export class Board extends Emitter<BoardEvents> {
  readonly title: string
  readonly steps: readonly Step[]
  readonly notes: Note[] = []
  readonly #startedMs = performance.now()
  /** Index into `steps`; beyond the last when all is done. */
  at = -1

  constructor(title: string, steps: readonly Step[]) {
    super()
    this.title = title
    this.steps = steps
  }

  get elapsedMs(): number {
    return performance.now() - this.#startedMs
  }

  next(): void {
    this.at++
    this.emit('step', { step: this.steps[this.at]!, number: this.at + 1 })
    this.look()
  }

  /** The last step is done. */
  end(): void {
    this.at++
    this.look()
  }

  note(name: string, text: string): void {
    const note = { atMs: this.elapsedMs, name, text }
    this.notes.push(note)
    this.emit('note', note)
    this.look()
  }

  /** Has everyone look again. */
  look(): void {
    this.emit('changed', {})
  }
}
