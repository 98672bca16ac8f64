/** What the crash tests have in common: folders, seeded choices, and what must be in a document. */
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { platform } from '../../adapters/node/platform.ts'
import type { LogName } from '../../lib/log/log.ts'
import { LogStore } from '../../lib/log/store.ts'

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

  copy(): Acknowledged {
    const copy = new Acknowledged()
    for (const [document, tokens] of this.#tokensByDocument) {
      for (const token of tokens) copy.add(document, token)
    }
    return copy
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

/** A store's write-ahead files as they are now, or what of them a copy caught: each a prefix of what it will be. */
export class WriteAheadCopy {
  readonly #database: string
  readonly #bytesByName = new Map<string, Uint8Array>()

  /** `folder` is the device's. */
  constructor(folder: string) {
    this.#database = join(folder, 'store', 'db')
    for (const name of writeAheadFiles(this.#database)) {
      this.#bytesByName.set(name, readFileSync(join(this.#database, name)))
    }
  }

  /** Puts them in the place of those there are. The device must not be running. */
  restore(): void {
    for (const name of writeAheadFiles(this.#database)) rmSync(join(this.#database, name))
    for (const [name, bytes] of this.#bytesByName) writeFileSync(join(this.#database, name), bytes)
  }
}

/** Cuts every write-ahead file and outbox back to what was made durable, by the notes that `DeviceOptions` describes. */
export function loseUnsynced(folder: string, syncedFile: string): { bytesLost: number } {
  const durableBytesByPath = new Map<string, number>()
  const notes = existsSync(syncedFile) ? readFileSync(syncedFile, 'utf8') : ''
  for (const line of notes.split('\n').slice(0, -1)) {
    const [length = '', path = ''] = line.split(' ')
    durableBytesByPath.set(path, Number(length))
  }
  const database = join(folder, 'store', 'db')
  const outboxes = join(folder, 'outbox')
  const paths = [
    ...writeAheadFiles(database).map((name) => ['db', join(database, name)]),
    ...readdirSync(outboxes).map((name) => ['outbox', join(outboxes, name)])
  ] as const
  let bytesLost = 0
  for (const [parent, path] of paths) {
    const durableBytes = durableBytesByPath.get(`${parent}/${basename(path!)}`) ?? 0
    const { size } = statSync(path!)
    if (size <= durableBytes) continue
    // An outbox is made whole under another name, and synced there.
    if (parent === 'outbox' && durableBytes === 0) continue
    bytesLost += size - durableBytes
    truncateSync(path!, durableBytes)
  }
  return { bytesLost }
}

function writeAheadFiles(database: string): string[] {
  return readdirSync(database).filter((name) => /^\d+\.log$/.test(name))
}

/** The tree hash of a log at each length, from a device's folder that nobody uses. */
export async function treeHashesIn(folder: string, name: LogName): Promise<(string | null)[]> {
  const storage = await platform.openStorage(folder)
  const store = new LogStore(storage, platform.clock)
  try {
    await store.ready()
    const log = await store.open(name, null)
    const hashes: (string | null)[] = []
    for (let length = 1; length <= log.length; length++) hashes.push(await log.treeHashAt(length))
    return hashes
  } finally {
    await store.close()
    await storage.close()
  }
}
