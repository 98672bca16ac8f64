/**
 * A device with a folder, in a process of its own, which a test can end at any moment with SIGKILL. `FolderProcess` is the
 * test's side; forked, this file is the device itself. Devices find each other at a `Hub` in the test, which parts and
 * joins them.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { FolderSync } from '../../lib/cli/folder/folder-sync.ts'
import {
  Emitter,
  secureStream,
  Skein,
  type Connection,
  type DeviceKeys,
  type Space,
  type Transport
} from '../../lib/index.ts'
import { deadline } from '../events.ts'

export interface FolderDeviceOptions {
  readonly name: string
  /** The device's own. */
  readonly storage: string
  /** The one that is kept in step. */
  readonly folder: string
  readonly hub: number
}

type Request =
  | { do: 'create' }
  | { do: 'invite' }
  | { do: 'join'; invite: string }
  | { do: 'settle' }
  | { do: 'state' }
  | { do: 'close' }

type Report =
  | { kind: 'open' }
  | { kind: 'done' }
  | { kind: 'invite'; invite: string }
  | { kind: 'settled' }
  | { kind: 'state'; state: string }
  | { kind: 'error'; message: string }
  | { kind: 'conflict'; what: string; path: string }
  | { kind: 'change'; what: string }

/** Where two devices meet: what one sends, the other gets, while they are together. */
export class Hub implements AsyncDisposable {
  readonly #server: Server = createServer((socket) => this.#came(socket))
  #waiting: Socket[] = []
  readonly #sockets = new Set<Socket>()
  #isApart = false

  async open(): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  part(): void {
    this.#isApart = true
    for (const socket of this.#sockets) socket.destroy()
  }

  heal(): void {
    this.#isApart = false
    this.#pair()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #came(socket: Socket): void {
    this.#sockets.add(socket)
    this.#waiting.push(socket)
    socket.setNoDelay(true)
    socket.on('error', () => {}) // 'close' follows.
    socket.on('close', () => {
      this.#sockets.delete(socket)
      this.#waiting = this.#waiting.filter((one) => one !== socket)
    })
    this.#pair()
  }

  #pair(): void {
    const [a, b] = this.#waiting
    if (this.#isApart || a === undefined || b === undefined) return
    this.#waiting = this.#waiting.slice(2)
    for (const [one, other, role] of [
      [a, b, 1],
      [b, a, 0]
    ] as const) {
      one.write(new Uint8Array([role]))
      one.pipe(other)
      one.on('close', () => other.destroy())
    }
  }
}

class HubTransport extends Emitter<{ connection: Connection }> implements Transport {
  readonly name = 'hub'
  readonly #port: number
  #device!: DeviceKeys
  #socket: Socket | null = null
  #isJoined = false
  #isClosed = false

  constructor(port: number) {
    super()
    this.#port = port
  }

  async open(device: DeviceKeys): Promise<void> {
    this.#device = device
  }

  async join(): Promise<void> {
    if (this.#isJoined) return
    this.#isJoined = true
    this.#dial()
  }

  async leave(): Promise<void> {}

  async close(): Promise<void> {
    this.#isClosed = true
    this.#socket?.destroy()
  }

  #dial(): void {
    if (this.#isClosed) return
    const socket = connect(this.#port, '127.0.0.1')
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('error', () => {}) // 'close' follows.
    socket.on('close', () => setTimeout(() => this.#dial(), 50))
    socket.once('readable', () => void this.#meet(socket).catch(() => socket.destroy()))
  }

  async #meet(socket: Socket): Promise<void> {
    const role = socket.read(1) as Uint8Array | null
    if (role === null) return
    const stream = await secureStream(socket, { device: this.#device, isInitiator: role[0] === 1 })
    this.emit('connection', { stream })
  }
}

export class FolderProcess implements AsyncDisposable {
  readonly options: FolderDeviceOptions
  readonly errors: string[] = []
  readonly conflicts = new Map<string, number>()
  /** What it told, as it came. */
  onTold: (what: string) => void = () => {}
  readonly #listeners = new Set<(report: Report) => void>()
  #child: ChildProcess | null = null
  #exit: Promise<unknown> = Promise.resolve()

  constructor(options: FolderDeviceOptions) {
    this.options = options
  }

  start(): void {
    const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(this.options)])
    this.#child = child
    this.#exit = new Promise((resolve) => child.once('close', resolve))
    child.on('message', (report: Report) => {
      if (report.kind === 'error') this.errors.push(report.message)
      if (report.kind === 'conflict') {
        this.conflicts.set(report.what, (this.conflicts.get(report.what) ?? 0) + 1)
        this.onTold(`conflict: ${report.what} ${report.path}`)
      }
      if (report.kind === 'change') this.onTold(report.what)
      for (const listener of [...this.#listeners]) listener(report)
    })
    child.once('exit', (code) => {
      if (code !== null && code !== 0) this.errors.push(`the process ended with code ${code}`)
    })
  }

  async open(): Promise<void> {
    const opened = this.#next('open')
    this.start()
    await opened
  }

  async ask<K extends Report['kind']>(
    request: Request,
    kind: K,
    ms = 180_000
  ): Promise<Extract<Report, { kind: K }>> {
    const answer = this.#next(kind, ms)
    this.#child!.send(request)
    return answer
  }

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

  async #next<K extends Report['kind']>(
    kind: K,
    ms = 180_000
  ): Promise<Extract<Report, { kind: K }>> {
    let listener: (report: Report) => void = () => {}
    const report = new Promise<Extract<Report, { kind: K }>>((resolve) => {
      listener = (one) => {
        if (one.kind === kind) resolve(one as Extract<Report, { kind: K }>)
      }
      this.#listeners.add(listener)
    })
    try {
      return await deadline(report, ms, `'${kind}' of ${this.options.name}: ${this.errors.join()}`)
    } finally {
      this.#listeners.delete(listener)
    }
  }
}

async function run(options: FolderDeviceOptions): Promise<void> {
  const report = (message: Report): void => void process.send!(message)
  const fail = (error: unknown): void => {
    const message = error instanceof Error ? `${error.stack} ${String(error.cause)}` : String(error)
    report({ kind: 'error', message })
  }
  const skein = new Skein({
    storage: options.storage,
    name: options.name,
    transports: [new HubTransport(options.hub)]
  })
  skein.on('space-failed', ({ error }) => fail(error))
  let sync: FolderSync | null = null
  const begin = async (space: Space): Promise<void> => {
    space.on('peer-error', ({ error }) => fail(error))
    space.on('storage', ({ error }) => error !== null && fail(error))
    space.on('fork', () => fail(new Error('fork')))
    sync = new FolderSync({ space, folder: options.folder, settleMs: 20, graceMs: 250 })
    sync.on('error', ({ path, error }) => fail(new Error(`${path}`, { cause: error.stack })))
    sync.on('stopped', ({ error }) => fail(error))
    sync.on('conflict', ({ kind, path }) => report({ kind: 'conflict', what: kind, path }))
    sync.on('change', ({ direction, kind, path, from = '' }) =>
      report({ kind: 'change', what: `${direction} ${kind} ${from} ${path}` })
    )
    await sync.ready()
  }
  const handle = async (request: Request): Promise<void> => {
    if (request.do === 'create') {
      await begin(await skein.createSpace({ name: 'Notes' }))
      report({ kind: 'done' })
    } else if (request.do === 'invite') {
      report({ kind: 'invite', invite: await skein.spaces()[0]!.invite() })
    } else if (request.do === 'join') {
      await begin(await skein.join(request.invite))
      report({ kind: 'done' })
    } else if (request.do === 'settle') {
      await sync!.whenSettled()
      report({ kind: 'settled' })
    } else if (request.do === 'state') {
      const space = skein.spaces()[0]!
      const { peers, synced, logLength, waiting } = space
      const directory = await space.open('folder')
      const claims = directory.doc.getMap('paths').size
      const editCount = space.editCount('folder')
      const state = { peers: peers.length, synced, logLength, waiting, editCount, claims }
      report({ kind: 'state', state: JSON.stringify(state) })
    } else {
      await sync?.close()
      await skein.close()
      report({ kind: 'done' })
      process.disconnect()
    }
  }
  process.on('message', (request: Request) => void handle(request).catch(fail))
  process.on('unhandledRejection', fail)
  process.on('uncaughtException', fail)
  await skein.ready()
  const [space] = skein.spaces()
  if (space !== undefined) await begin(space)
  report({ kind: 'open' })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.on('disconnect', () => process.exit(0))
  run(JSON.parse(process.argv[2]!) as FolderDeviceOptions).catch((error: unknown) => {
    console.error(error)
    process.exit(1)
  })
}
