/**
 * What it costs not to trust an edit: opening its block, validating it, and placing it, against Yjs applying the same updates
 * without a look. And sealing them, and telling what is visible in the end.
 */
import { platform } from '#platform'
import * as Y from 'yjs'
import { kinds, openBlock, sealEntry, EntryAssembler } from '../../lib/log/entry.ts'
import { Changes } from '../../lib/log/changes.ts'
import { Applier, type IncomingEdit } from '../../lib/views/applier.ts'
import { visibleHash } from '../../lib/views/visible.ts'
import { edit, type History } from './history.ts'
import { median, nowMs } from './measure.ts'

export interface ApplyResult {
  readonly updates: number
  /** Medians over the rounds. */
  readonly yjsMs: number
  readonly validatedMs: number
  readonly openedMs: number
  readonly sealedMs: number
  /** Of validating, placing, and opening, and of those and sealing, over Yjs alone: medians of the ratios of each round. */
  readonly receivingRatio: number
  readonly ratio: number
  readonly visibleMs: number
  readonly items: number
  readonly texts: readonly string[]
}

const clientId = 7
const place = {
  space: new Uint8Array(32),
  device: new Uint8Array(32).fill(1),
  core: 'content/0'
} as const

/** Edits in groups of `groupSize`, as they come in entries: each applied in a transaction of its own. */
export function applying({ edits }: History, groupSize: number, rounds: number): ApplyResult {
  const updates = updatesOf(edits, groupSize)
  const key = platform.randomBytes(32)
  const times = {
    yjs: [] as number[],
    validated: [] as number[],
    opened: [] as number[],
    sealed: [] as number[]
  }
  const ratios: number[] = []
  const receivingRatios: number[] = []
  const texts = new Set<string>()
  let visibleMs = 0
  let items = 0
  // The first round finds the code compiled for the others.
  for (let round = -1; round < rounds; round++) {
    const plain = new Y.Doc()
    const yjs = timed(() => {
      for (const update of updates) Y.applyUpdate(plain, update, place)
    })
    const blocks: Uint8Array[] = []
    const sealed = timed(() => {
      updates.forEach((body, seq) => {
        const entry = { kind: kinds.edit, timeMs: 1, deps: [], body }
        blocks.push(...sealEntry(entry, { ...place, seq }, key, (n) => platform.randomBytes(n)))
      })
    })
    const bodies: Uint8Array[] = []
    const opened = timed(() => {
      const assembler = new EntryAssembler()
      blocks.forEach((block, seq) => {
        const entry = assembler.add(openBlock(block, { ...place, seq }, key))
        if (entry !== null) bodies.push(entry.body)
      })
    })
    const doc = new Y.Doc()
    const applier = new Applier({
      doc,
      origin: place,
      clientIdsOf: () => [clientId],
      onRefused: (_, error) => {
        throw error
      }
    })
    const validated = timed(() => {
      bodies.forEach((update, i) => applier.apply(null, [incoming(update, i)]))
    })
    texts.add(plain.getText('text').toString()).add(doc.getText('text').toString())
    if (round < 0) continue
    visibleMs = timed(() => visibleHash(doc))
    items = [...doc.store.clients.values()].reduce((sum, structs) => sum + structs.length, 0)
    times.yjs.push(yjs)
    times.validated.push(validated)
    times.opened.push(opened)
    times.sealed.push(sealed)
    receivingRatios.push((validated + opened) / yjs)
    ratios.push((validated + opened + sealed) / yjs)
  }
  return {
    updates: updates.length,
    yjsMs: median(times.yjs),
    validatedMs: median(times.validated),
    openedMs: median(times.opened),
    sealedMs: median(times.sealed),
    receivingRatio: median(receivingRatios),
    ratio: median(ratios),
    visibleMs,
    items,
    texts: [...texts]
  }
}

function updatesOf(edits: History['edits'], groupSize: number): Uint8Array[] {
  const doc = new Y.Doc()
  const changes = new Changes(doc, { clientId, origin: place })
  const text = doc.getText('text')
  const updates: Uint8Array[] = []
  const take = (): void => {
    for (let update = changes.take(); update !== null; update = changes.take()) updates.push(update)
  }
  edits.forEach((patch, i) => {
    edit(text, patch)
    if ((i + 1) % groupSize === 0) take()
  })
  take()
  return updates
}

function incoming(update: Uint8Array, i: number): IncomingEdit {
  return { device: 'alice', clientCounter: 0, update, ref: { log: 'alice', from: i, to: i + 1 } }
}

function timed(run: () => void): number {
  const startedAt = nowMs()
  run()
  return nowMs() - startedAt
}
