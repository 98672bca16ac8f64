/** A copy of a device's folder that nobody has open, to be damaged through the storage layer or in its files. */
import { cp, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import DeviceFile from 'device-file'
import HypercoreStorage from 'hypercore-storage'
import crypto, { type TreeNode } from 'hypercore-crypto'
import type { CoreRecords, StoredAuth, StoredHead } from 'hypercore-storage'
import { decodeGeneration, encodeGeneration } from '../adapters/node/outbox-format.ts'
import type { CoreName } from '../lib/log/entry.ts'
import { logKeyOf } from '../lib/log/log.ts'
import { decodeSecrets, encodeSecrets, type Secrets } from '../lib/secrets.ts'
import { spaceIdOf } from '../lib/trust/control.ts'

/** Writes to a core's records: only what is used here of hypercore-storage's. */
export interface Writer {
  putBlock(index: number, block: Uint8Array): void
  deleteBlock(index: number): void
  deleteBlockRange(from: number, to: number): void
  putTreeNode(node: TreeNode): void
  deleteTreeNode(index: number): void
  setHead(head: StoredHead & { timestamp?: number }): void
  deleteHead(): void
  setHints(hints: object): void
  setAuth(auth: StoredAuth): void
  putBitfieldPage(index: number, page: Uint8Array): void
  deleteBitfieldPage(index: number): void
  flush(): Promise<unknown>
}

/** Whole numbers below a bound, from a seed: the same every time. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

/** A copy of a device's folder that opens as the original does. */
export class DamagedHome implements AsyncDisposable {
  readonly folder: string
  readonly random: (below: number) => number
  /** The devices whose logs are in it, by name: their signing keys. */
  readonly devices: Readonly<Record<string, Uint8Array>>

  private constructor(
    folder: string,
    devices: Readonly<Record<string, Uint8Array>>,
    random: (below: number) => number
  ) {
    this.folder = folder
    this.devices = devices
    this.random = random
  }

  static async copy(
    original: string,
    devices: Readonly<Record<string, Uint8Array>>,
    seed: number
  ): Promise<DamagedHome> {
    const folder = await mkdtemp(join(tmpdir(), 'skein-damaged-'))
    const filter = (path: string): boolean => !/[/\\](reserve|lock|CORESTORE)$/.test(path)
    await cp(original, folder, { recursive: true, filter })
    // It knows the file that it was made as.
    const file = new DeviceFile(join(folder, 'store', 'CORESTORE'), { lock: false })
    await file.ready()
    await file.close()
    return new DamagedHome(folder, devices, randomFrom(seed))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true })
  }

  async secrets(): Promise<Secrets> {
    return decodeSecrets(new Uint8Array(await readFile(join(this.folder, 'secrets'))))
  }

  async writeSecrets(change: (secrets: Secrets) => Secrets): Promise<void> {
    await writeFile(join(this.folder, 'secrets'), encodeSecrets(change(await this.secrets())))
  }

  async space(): Promise<Uint8Array> {
    return spaceIdOf((await this.secrets()).spaces[0]!.genesis)
  }

  /** Opens the store beneath everything. */
  async store<T>(work: (storage: HypercoreStorage) => Promise<T>): Promise<T> {
    const storage = new HypercoreStorage(join(this.folder, 'store'), {})
    try {
      await storage.db.ready()
      return await work(storage)
    } finally {
      await storage.close()
    }
  }

  /** Changes the records of one log; `where` is `alice:content`. */
  core(
    where: string,
    change: (records: CoreRecords, writer: Writer) => Promise<void> | void
  ): Promise<void> {
    return this.store(async (storage) => {
      const records = await this.records(storage, where)
      const writer = (records as unknown as { write(): Writer }).write()
      await change(records, writer)
      await writer.flush()
      await records.close()
    })
  }

  async records(storage: HypercoreStorage, where: string): Promise<CoreRecords> {
    const [name, core] = where.split(':') as [string, string]
    const logName = {
      space: await this.space(),
      device: this.devices[name]!,
      core: (core === 'content' ? 'content/0' : core) as CoreName
    }
    return (await storage.resumeCore(crypto.discoveryKey(logKeyOf(logName))))!
  }

  /** Changes a record of the views, by its table's letter; `change` gives the new value, or null to remove it. */
  view(
    table: string,
    change: (value: Uint8Array, key: Uint8Array) => Uint8Array | null,
    pick: (count: number) => number = (count) => this.random(count)
  ): Promise<void> {
    return this.store(async (storage) => {
      const database = storage.rocks.session()
      const gte = new Uint8Array([table.charCodeAt(0), ...(await this.space())])
      const lt = new Uint8Array([...gte, ...new Uint8Array(16).fill(255)])
      const all: { key: Uint8Array; value: Uint8Array }[] = []
      for await (const { key, value } of database.iterator({ gte, lt })) {
        all.push({ key: new Uint8Array(key), value: new Uint8Array(value) })
      }
      const { key, value } = all[pick(all.length)]!
      const changed = change(new Uint8Array(value), key)
      const batch = database.write({ autoDestroy: true })
      if (changed === null) batch.tryDeleteRange(key, new Uint8Array([...key, 0]))
      else batch.tryPut(key, changed)
      await batch.flush()
      await database.close()
    })
  }

  /** Changes the outbox's records, checksums made anew. */
  async outbox(
    change: (records: ReturnType<typeof decodeGeneration>['records']) => typeof records
  ): Promise<void> {
    const file = await this.outboxFile()
    const number = Number(/\.(\d+)$/.exec(file)![1])
    const { records } = decodeGeneration(new Uint8Array(await readFile(file)), number, file)
    await writeFile(file, encodeGeneration(number, change(records)).bytes)
  }

  async outboxFile(): Promise<string> {
    const names = (await readdir(join(this.folder, 'outbox'))).sort()
    return join(this.folder, 'outbox', names.at(-1)!)
  }

  /** The database's files of that ending, the largest first. */
  async files(ending: string): Promise<string[]> {
    const folder = join(this.folder, 'store', 'db')
    const names = (await readdir(folder)).filter((name) => name.endsWith(ending))
    const sized = await Promise.all(
      names.map(async (name) => ({
        path: join(folder, name),
        size: (await stat(join(folder, name))).size
      }))
    )
    return sized.sort((a, b) => b.size - a.size).map(({ path }) => path)
  }

  /** Flips a bit somewhere in [from, to) of a file; both are parts of its length. */
  async flip(path: string, from = 0, to = 1): Promise<void> {
    const bytes = await readFile(path)
    const first = Math.floor(bytes.length * from)
    const at = first + this.random(Math.max(1, Math.floor(bytes.length * to) - first))
    bytes[at]! ^= 1 << this.random(8)
    await writeFile(path, bytes)
  }

  async cut(path: string, part: number): Promise<void> {
    await truncate(path, Math.floor((await stat(path)).size * part))
  }

  /** A copy with one bit changed. */
  flipped(bytes: Uint8Array, from = 0): Uint8Array {
    const copy = new Uint8Array(bytes)
    copy[from + this.random(copy.length - from)]! ^= 1 << this.random(8)
    return copy
  }
}

/** Puts a device's whole store into tables, as it comes to lie there in time. */
export async function flushStore(folder: string): Promise<void> {
  const storage = new HypercoreStorage(join(folder, 'store'), {})
  await storage.db.ready()
  const flushable = storage as unknown as { db: { flush(): Promise<void> } }
  await flushable.db.flush()
  await storage.flush()
  await storage.close()
}
