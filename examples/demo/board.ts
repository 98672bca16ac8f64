/** What there is to be shown of a story, for any kind of screen: which step it is at, who does what, what happened. */
import { Emitter } from 'skein'
import type { Actor } from './actor.ts'

export interface Step {
  /** One word for the row of all steps. */
  readonly word: string
  /** What is going on. */
  readonly what: string
  /** Why it matters. */
  readonly why: string
}

export interface Note {
  readonly atMs: number
  /** Null when it is about all. */
  readonly actor: Actor | null
  readonly text: string
}

export interface BoardEvents {
  step: { step: Step; number: number }
  note: Note
  /** Any of what is shown is another. */
  changed: object
}

export class Board extends Emitter<BoardEvents> {
  readonly steps: readonly Step[]
  readonly actors: readonly Actor[]
  readonly notes: Note[] = []
  readonly #startedMs = performance.now()
  /** Index into `steps`. */
  at = -1

  constructor(steps: readonly Step[], actors: readonly Actor[]) {
    super()
    this.steps = steps
    this.actors = actors
    for (const actor of actors) actor.on('changed', () => this.look())
  }

  get elapsedMs(): number {
    return performance.now() - this.#startedMs
  }

  next(): void {
    this.at++
    this.emit('step', { step: this.steps[this.at]!, number: this.at + 1 })
    this.look()
  }

  /** Has everyone look again. */
  look(): void {
    this.emit('changed', {})
  }

  note(actor: Actor | null, text: string): void {
    const note = { atMs: this.elapsedMs, actor, text }
    this.notes.push(note)
    this.emit('note', note)
    this.look()
  }
}
