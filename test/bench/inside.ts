/**
 * Looking inside: a document typed by the trace, and a space of many small entries in several documents. How long it takes
 * to walk through the history, to verify the folder, to export the space, and for a newcomer to import it. Against: a
 * BLAKE2b hash over the same blocks, which is the least that verifying can cost.
 */
import { join } from 'node:path'
import crypto from 'hypercore-crypto'
import { Skein, type Space } from '../../lib/index.ts'
import { edit, type History } from './history.ts'
import { nowMs, scratch, turn } from './measure.ts'

export interface InsideResult {
  readonly entries: number
  readonly bytes: number
  readonly historyMs: number
  readonly verifyMs: number
  readonly exportMs: number
  readonly importMs: number
  readonly bundleBytes: number
  readonly hashMs: number
  /** Problems found; there must be none. */
  readonly problems: number
  /** Both have the same documents. */
  readonly agrees: boolean
}

/** One document, typed; groups as they come. */
export function typed({ edits }: History): Promise<InsideResult> {
  return measure(async (space) => {
    const note = await space.open('paper')
    const body = note.doc.getText('body')
    for (const [i, one] of edits.entries()) {
      edit(body, one)
      if (i % 100 === 99) await turn()
    }
    await note.saved()
  })
}

/** That many entries of a few words each, in ten documents. */
export function small(entries: number): Promise<InsideResult> {
  return measure(async (space) => {
    const notes = await Promise.all(
      Array.from({ length: 10 }, (_, i) => space.open(`document ${i}`))
    )
    for (let i = 0; i < entries; i++) {
      const note = notes[i % notes.length]!
      note.doc.getText('body').insert(0, `entry ${i} `)
      await note.saved()
    }
  })
}

async function measure(write: (space: Space) => Promise<void>): Promise<InsideResult> {
  await using folder = await scratch()
  const storage = join(folder.path, 'alice')
  await using carol = new Skein({ storage: join(folder.path, 'carol'), name: 'carol' })
  await carol.ready()
  const alice = new Skein({ storage, name: 'alice' })
  const space = await alice.createSpace({ name: 'Bench' })
  await write(space)
  const { result: entries, ms: historyMs } = await timed(async () => {
    let count = 0
    for await (const { to, from } of space.history()) count += to > from ? 1 : 0
    return count
  })
  const { result: bundle, ms: exportMs } = await timed(async () => {
    const parts: Uint8Array[] = []
    for await (const part of space.export({ for: carol.introduction })) parts.push(part)
    return parts
  })
  const { result: imported, ms: importMs } = await timed(() => carol.import(from(bundle)))
  const documents = await Promise.all([textsOf(space), textsOf(imported.space)])
  const hashMs = await hashing(space)
  await alice.close()
  const { result: verified, ms: verifyMs } = await timed(async () => {
    const verification = Skein.verify({ storage })
    for (let problems = 0; ; problems++) {
      const next = await verification.next()
      if (next.done === true) return { problems, bytes: next.value.bytes }
    }
  })
  const bundleBytes = bundle.reduce((sum, { length }) => sum + length, 0)
  const agrees = documents[0] === documents[1]
  const times = { historyMs, verifyMs, exportMs, importMs, hashMs }
  return { entries, bundleBytes, agrees, ...verified, ...times }
}

/** The least: each block read once and hashed once. */
async function hashing(space: Space): Promise<number> {
  const blocks: Uint8Array[] = []
  for await (const { bytes } of space.history()) blocks.push(new Uint8Array(bytes))
  const startedMs = nowMs()
  for (const block of blocks) crypto.data(block)
  return nowMs() - startedMs
}

async function textsOf(space: Space): Promise<string> {
  const texts: string[] = []
  for (const name of space.documents().sort()) {
    const note = await space.open(name)
    texts.push(note.doc.getText('body').toString())
    await note.close()
  }
  return JSON.stringify(texts)
}

async function* from(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, void> {
  for (const part of parts) {
    await turn()
    yield part
  }
}

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; ms: number }> {
  const startedMs = nowMs()
  const result = await work()
  return { result, ms: nowMs() - startedMs }
}
