/**
 * Plays one author's part of a recorded history on a device, as fast as what it waits for arrives; or, of a device that
 * only reads, waits until all has come.
 */
import type { Document } from 'skein'
import type * as Y from 'yjs'
import { Player } from './player.ts'
import type { Plan } from './plan.ts'

/** After so long in one turn, others have theirs: replication too. */
const turnMs = 8

export interface WriterOptions {
  note: Document
  plan: Plan
  /** Index into the plan's authors; null: it reads only. */
  author: number | null
  /** Transactions of this author that are in the document. */
  onProgress: (done: number) => void
}

/** Resolves when all authors' transactions are in the document, and this one's are durable here. */
export async function write({ note, plan, author, onProgress }: WriterOptions): Promise<void> {
  const player = new Player(plan, author ?? 0, note.doc.getText('body'))
  const done = (): number =>
    author === null
      ? plan.authors.reduce((sum, _, index) => sum + player.held(index), 0)
      : player.held(author)

  await new Promise<void>((resolve, reject) => {
    let isScheduled = false
    const schedule = (): void => {
      if (isScheduled) return
      isScheduled = true
      setImmediate(turn)
    }
    const turn = (): void => {
      isScheduled = false
      try {
        const untilMs = performance.now() + turnMs
        let made = 0
        while (author !== null && player.next()) {
          made++
          if (performance.now() >= untilMs) {
            schedule()
            break
          }
        }
        // All that could be made now leaves at once: others wait for it.
        if (made > 0) note.saved().catch(reject)
        onProgress(done())
        if (!player.complete) return
        note.doc.off('afterTransaction', arrived)
        resolve()
      } catch (error) {
        reject(error as Error)
      }
    }
    const arrived = ({ local }: Y.Transaction): void => {
      if (!local) schedule()
    }
    note.doc.on('afterTransaction', arrived)
    schedule()
  })
  await note.saved()
}
