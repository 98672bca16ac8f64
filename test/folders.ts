/** Folders for tests of folder sync: devices that keep one each, and what is in them. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { MemoryNetwork } from '../adapters/memory.ts'
import {
  FolderSync,
  type Change,
  type Conflict,
  type FolderSyncOptions
} from '../lib/cli/folder/folder-sync.ts'
import type { Space } from '../lib/index.ts'
import { deadline, eventually } from './events.ts'
import { device, joinAs, waitMs, type Device } from './devices.ts'

export class Folder implements AsyncDisposable {
  readonly path: string
  readonly device: Device
  readonly #options: Partial<FolderSyncOptions>
  sync!: FolderSync
  readonly changes: Change[] = []
  readonly conflicts: Conflict[] = []
  readonly errors: string[] = []

  constructor(path: string, device: Device, options: Partial<FolderSyncOptions>) {
    this.path = path
    this.device = device
    this.#options = options
  }

  async start(): Promise<void> {
    const { path, device } = this
    // Quick enough for a test, and slow enough for what it does between two steps of a save.
    const times = { settleMs: 30, graceMs: 200 }
    this.sync = new FolderSync({ space: device.space, folder: path, ...times, ...this.#options })
    this.sync.on('change', (change) => this.changes.push(change))
    this.sync.on('conflict', (conflict) => this.conflicts.push(conflict))
    this.sync.on('error', ({ path: file, error }) =>
      this.errors.push(`${file}: ${error.message} ${String(error.cause)}`)
    )
    await this.sync.ready()
  }

  async write(path: string, content: string | Uint8Array): Promise<void> {
    await mkdir(dirname(join(this.path, path)), { recursive: true })
    await writeFile(join(this.path, path), content)
  }

  async read(path: string): Promise<string> {
    return readFile(join(this.path, path), 'utf8')
  }

  absolute(path: string): string {
    return join(this.path, path)
  }

  /** By path, what is in the folder; of a folder, null. Without what sync keeps there. */
  async contents(): Promise<Record<string, string | null>> {
    return contentsOf(this.path)
  }

  async settled(): Promise<void> {
    await deadline(this.sync.whenSettled(), waitMs, `the folder of ${this.device.name} is settled`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sync.close()
    await this.device[Symbol.asyncDispose]()
    await rm(this.path, { recursive: true, force: true })
  }
}

async function contentsOf(folder: string): Promise<Record<string, string | null>> {
  const contents: Record<string, string | null> = {}
  const entries = await readdir(folder, { withFileTypes: true, recursive: true })
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name).slice(folder.length + 1)
    if (path === '.skein' || path.startsWith('.skein/')) continue
    contents[path] = entry.isFile() ? await readFile(join(folder, path), 'latin1') : null
  }
  return contents
}

/** Devices of one space, each with a folder; the folder of the first is in step before the second joins. */
export async function foldersOf(
  network: MemoryNetwork,
  names: readonly string[],
  options: Partial<FolderSyncOptions> & { start?: boolean } = {}
): Promise<Folder[]> {
  const { start = true, ...rest } = options
  const folders: Folder[] = []
  let space: Space | null = null
  for (const name of names) {
    const one = await device(name, network)
    if (space === null) space = await one.skein.createSpace({ name: 'Notes' })
    else await joinAs(space, one)
    const path = await mkdtemp(join(tmpdir(), `skein-folder-${name}-`))
    const folder = new Folder(path, one, rest)
    folders.push(folder)
    if (start) await folder.start()
  }
  return folders
}

/** Resolves once all folders hold the same, and returns it. */
export async function whenEqual(
  folders: readonly Folder[],
  check: (contents: Record<string, string | null>) => boolean = () => true,
  deadlineMs = waitMs
): Promise<Record<string, string | null>> {
  let contents: Record<string, string | null>[] = []
  await eventually(
    async () => {
      contents = await Promise.all(folders.map((folder) => folder.contents()))
      const [first, ...others] = contents.map((one) => JSON.stringify(sorted(one)))
      return others.every((one) => one === first) && check(contents[0]!)
    },
    { deadlineMs, everyMs: 50, what: 'equal folders' }
  ).catch((cause: unknown) => {
    const shown = contents.map((one) => JSON.stringify(sorted(one), null, 1).slice(0, 3_000))
    const errors = folders.flatMap(({ errors }) => errors).join('\n')
    throw new Error(`The folders are not equal:\n${shown.join('\n')}\n${errors}`, { cause })
  })
  return contents[0]!
}

function sorted<T>(record: Record<string, T>): [string, T][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1))
}
