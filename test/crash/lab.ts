/** What the crash tests have in common: folders, seeded choices, and what must be in a document. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder that is removed with all in it. */
export function scratch(name: string): { path: string; [Symbol.dispose](): void } {
  const path = mkdtempSync(join(process.env['SCRATCH'] ?? tmpdir(), `skein-${name}-`))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

/** The seed of this run, printed so that a failure can be repeated: `SEED=… npm test -- …`. */
export function seedOf(name: string): number {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
  console.log(`SEED=${seed} npm test -- ${name}`)
  return seed
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Edits that were reported as saved, by document. */
export class Acknowledged {
  readonly #tokensByDocument = new Map<string, string[]>()
  count = 0

  add(document: string, token: string): void {
    this.count++
    const tokens = this.#tokensByDocument.get(document)
    if (tokens === undefined) this.#tokensByDocument.set(document, [token])
    else tokens.push(token)
  }

  /** What is wrong with these texts: edits that are missing, or there twice. */
  faultsIn(texts: Readonly<Record<string, string>>): string[] {
    const faults: string[] = []
    for (const [document, text] of Object.entries(texts)) {
      const found = new Set<string>()
      for (const part of text.split(';').slice(0, -1)) {
        const token = part.replace(/-+$/, '')
        if (found.has(token)) faults.push(`${document}: ${token} is there twice`)
        found.add(token)
      }
      if (!text.endsWith(';') && text !== '') faults.push(`${document} ends with half an edit`)
      for (const token of this.#tokensByDocument.get(document) ?? []) {
        if (!found.has(token)) faults.push(`${document}: ${token} was saved and is missing`)
      }
    }
    for (const document of this.#tokensByDocument.keys()) {
      if (!(document in texts)) faults.push(`${document} is missing`)
    }
    return faults
  }
}
