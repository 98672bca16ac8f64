/**
 * A device in a process of its own, which the crash tests can end at any moment with SIGKILL. `DeviceProcess` is the
 * test's side; forked, this file is the device itself, does what it is asked over IPC, and ends with its parent's
 * channel.
 *
 * Once told to write it goes on as fast as it can: one writer a document, each reporting an edit only after `saved()`
 * resolved, and making the next one only after the report has left. Every edit is the insertion of `<run>.<n>;`, so that
 * a missing one shows, and a doubled one too.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hyperswarm } from '../../adapters/hyperswarm.ts'
import { nodeDisk, type Disk, type DiskFile } from '../../adapters/node/disk.ts'
import { openFolder } from '../../adapters/node/folder.ts'
import { platform } from '../../adapters/node/platform.ts'
import { Skein, type Space } from '../../lib/index.ts'
import { deadline } from '../events.ts'

export interface DeviceOptions {
  readonly folder: string
  readonly name: string
  readonly documents: readonly string[]
  /** Where to find peers; null: nowhere. */
  readonly bootstrap: readonly { readonly host: string; readonly port: number }[] | null
  /** Notes in this file each length up to which a file of the folder was made durable: `length path`, a line each. */
  readonly syncedFile?: string
}

type Request =
  | { do: 'create' }
  | { do: 'join'; invite: string }
  | { do: 'invite' }
  | { do: 'write'; run: number; padding: number }
  | { do: 'rest' }
  | { do: 'texts' }
  | { do: 'close' }

export type Report =
  /** A folder has been taken, and opening goes on. */
  | { kind: 'opening' }
  /** It is open; what is in the documents. */
  | { kind: 'open'; id: string; spaces: number; texts: Record<string, string>; readOnly: boolean }
  | { kind: 'invite'; invite: string }
  | { kind: 'texts'; texts: Record<string, string> }
  | { kind: 'saved'; document: string; token: string }
  | { kind: 'done' }
  | { kind: 'fork' }
  | { kind: 'failed'; message: string }

export class DeviceProcess {
  readonly #options: DeviceOptions
  readonly #listeners = new Set<(report: Report) => void>()
  #child: ChildProcess | null = null
  #exit: Promise<unknown> = Promise.resolve()
  /** What went wrong in the device, in all its processes. */
  readonly failures: string[] = []

  constructor(options: DeviceOptions) {
    this.#options = options
  }

  /** Starts the process. Its reports come later than this turn. */
  start(): void {
    const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(this.#options)])
    this.#child = child
    this.#exit = new Promise((resolve) => child.once('close', resolve))
    child.on('message', (report: Report) => {
      if (report.kind === 'fork') this.failures.push('fork')
      if (report.kind === 'failed') this.failures.push(report.message)
      for (const listener of this.#listeners) listener(report)
    })
    child.once('exit', (code) => {
      if (code !== null && code !== 0) this.failures.push(`the process ended with code ${code}`)
    })
  }

  on(listener: (report: Report) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The next report of that kind. A failure of the device, or its end, ends the wait. */
  async next<K extends Report['kind']>(
    kind: K,
    ms = 30_000
  ): Promise<Extract<Report, { kind: K }>> {
    let stop = (): void => {}
    const report = new Promise<Extract<Report, { kind: K }>>((resolve, reject) => {
      stop = this.on((report) => {
        if (report.kind === kind) resolve(report as Extract<Report, { kind: K }>)
        if (report.kind === 'failed') reject(new Error(report.message))
      })
      void this.#exit.then(() => reject(new Error(`The device ended before '${kind}'`)))
    })
    try {
      return await deadline(report, ms, `'${kind}' of ${this.#options.name}`)
    } finally {
      stop()
    }
  }

  /** Starts the process and waits until the device is open. */
  async open(): Promise<Extract<Report, { kind: 'open' }>> {
    this.start()
    return this.next('open')
  }

  async ask<K extends Report['kind']>(
    request: Request,
    kind: K
  ): Promise<Extract<Report, { kind: K }>> {
    const answer = this.next(kind)
    this.#child!.send(request)
    return answer
  }

  /** Asks without waiting for an answer. */
  tell(request: Request): void {
    this.#child!.send(request)
  }

  /** SIGKILL; resolves when the process is gone and all it had reported has come. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL')
    await this.#exit
  }

  async close(): Promise<void> {
    await this.ask({ do: 'close' }, 'done')
    await this.#exit
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }
}

/** The system's disk, noting up to where each file is durable. The note is in the system's hands before `sync` returns. */
function notingDisk(note: (length: number, path: string) => void): Disk {
  const noting = (file: DiskFile, path: string): DiskFile => ({
    size: () => file.size(),
    read: () => file.read(),
    write: (bytes, position) => file.write(bytes, position),
    truncate: (length) => file.truncate(length),
    close: () => file.close(),
    async sync() {
      const length = await file.size()
      await file.sync()
      note(length, path)
    }
  })
  return {
    ...nodeDisk,
    async open(path) {
      const file = await nodeDisk.open(path)
      return file === null ? null : noting(file, path)
    },
    make: async (path) => noting(await nodeDisk.make(path), path)
  }
}

async function run(options: DeviceOptions): Promise<void> {
  const { folder, name, documents, bootstrap, syncedFile } = options
  const report = (message: Report): Promise<void> =>
    new Promise((resolve) => process.send!(message, undefined, undefined, () => resolve()))
  const fail = (error: unknown): void => {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    void report({ kind: 'failed', message })
  }
  const randomBytes = (length: number): Uint8Array => platform.randomBytes(length)
  const note = (length: number, path: string): void =>
    appendFileSync(syncedFile!, `${length} ${basename(join(path, '..'))}/${basename(path)}\n`)
  const skein = new Skein({
    storage: folder,
    name,
    transports: bootstrap === null ? [] : [hyperswarm({ bootstrap })],
    platform: {
      ...platform,
      openStorage: (location) =>
        syncedFile === undefined
          ? platform.openStorage(location)
          : openFolder(location, { randomBytes, disk: notingDisk(note) })
    }
  })
  // A space that does not open is a failure here, whatever else is open.
  skein.on('space-failed', ({ error }) => {
    fail(error)
    console.error(error)
  })
  const texts = async (space: Space): Promise<Record<string, string>> => {
    const found: Record<string, string> = {}
    for (const document of documents) {
      found[document] = (await space.open(document)).doc.getText().toJSON()
    }
    return found
  }
  let isWriting = false
  let writers: Promise<unknown> = Promise.resolve()
  const write = async (space: Space, document: string, run: number, padding: number) => {
    const { doc } = await space.open(document)
    const text = doc.getText()
    for (let n = 0; isWriting; n++) {
      const token = `${run}.${document}.${n}`
      text.insert(text.length, `${token}${'-'.repeat(padding)};`)
      await (await space.open(document)).saved()
      await report({ kind: 'saved', document, token })
    }
  }

  const handle = async (request: Request): Promise<void> => {
    const space = skein.spaces()[0]!
    if (request.do === 'create') {
      watch(await skein.createSpace({ name: 'crash' }))
      await report({ kind: 'done' })
    } else if (request.do === 'join') {
      watch(await skein.join(request.invite))
      await report({ kind: 'done' })
    } else if (request.do === 'invite') {
      await report({ kind: 'invite', invite: await space.invite({ role: 'writer' }) })
    } else if (request.do === 'write') {
      isWriting = true
      const { run, padding } = request
      writers = Promise.all(documents.map((document) => write(space, document, run, padding)))
      await writers
    } else if (request.do === 'rest') {
      isWriting = false
      await writers
      await report({ kind: 'done' })
    } else if (request.do === 'texts') {
      await report({ kind: 'texts', texts: await texts(space) })
    } else {
      await skein.close()
      await report({ kind: 'done' })
      process.disconnect()
    }
  }
  const watch = (space: Space): void => {
    space.on('fork', () => void report({ kind: 'fork' }))
    space.on('peer-error', ({ error }) => fail(error))
    space.on('storage', ({ error }) => error !== null && fail(error))
  }

  process.on('message', (request: Request) => void handle(request).catch(fail))
  process.on('unhandledRejection', fail)
  process.on('uncaughtException', fail)
  await report({ kind: 'opening' })
  await skein.ready()
  for (const space of skein.spaces()) watch(space)
  const space = skein.spaces()[0]
  await report({
    kind: 'open',
    id: skein.id,
    spaces: skein.spaces().length,
    texts: space === undefined ? {} : await texts(space),
    readOnly: space?.readOnly ?? false
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.on('disconnect', () => process.exit(0))
  run(JSON.parse(process.argv[2]!) as DeviceOptions).catch((error: unknown) => {
    console.error(error)
    process.exit(1)
  })
}
