/** Devices for tests: each has a temporary folder of its own on a memory network, and all of it goes at the end. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import Protomux from 'protomux'
import type * as Y from 'yjs'
import { memory, MemoryNetwork } from '../adapters/memory.ts'
import { platform as nodePlatform } from '../adapters/node/platform.ts'
import {
  Skein,
  SkeinError,
  type ErrorCode,
  type InviteOptions,
  type Platform,
  type SecureStream,
  type Space,
  type Transport
} from '../lib/index.ts'
import { fromHex } from '../lib/bytes.ts'
import { deadline } from './events.ts'

/** Generous: the machine that runs the tests may be busy. */
export const waitMs = 20_000

/** A protomux channel, as far as tests look into it. */
export interface MuxChannel {
  /** 'skein/space/1', 'skein/pair/1', or 'hypercore/alpha': one for each log. */
  readonly protocol: string
  /** By both sides. */
  readonly opened: boolean
  readonly closed: boolean
  /** Of a log's channel, hypercore's peer. */
  readonly userData: object | null
  readonly messages: { send(bytes: Uint8Array): boolean; onmessage(bytes: Uint8Array): void }[]
}

export class Device implements AsyncDisposable {
  readonly name: string
  readonly network: MemoryNetwork
  readonly folder: string
  readonly #platform: Platform
  readonly #streamsByDevice = new Map<string, SecureStream>()
  skein!: Skein
  /** Sees each connection before Skein does. */
  onStream: (stream: SecureStream) => void = () => {}

  constructor(name: string, network: MemoryNetwork, folder: string, platform: Platform) {
    this.name = name
    this.network = network
    this.folder = folder
    this.#platform = platform
  }

  async start(): Promise<void> {
    this.skein = new Skein({
      storage: this.folder,
      name: this.name,
      transports: [this.#recorded(memory(this.network))],
      platform: this.#platform
    })
    await this.skein.ready()
  }

  /** Closes it and starts it again on the same folder; its spaces are new objects. */
  async restart(): Promise<void> {
    await this.skein.close()
    await this.start()
  }

  get id(): string {
    return this.skein.id
  }

  get key(): Uint8Array {
    return fromHex(this.id)
  }

  /** The one space it has. */
  get space(): Space {
    return this.skein.spaces()[0]!
  }

  /** The newest connection to another device. */
  streamTo(other: Device): SecureStream {
    const stream = this.#streamsByDevice.get(other.id)
    if (stream === undefined) throw new Error(`${this.name} was never connected to ${other.name}`)
    return stream
  }

  /** The channels to another device, those too that only this side has opened. */
  channelsTo(other: Device): MuxChannel[] {
    const channels = Protomux.from(this.streamTo(other)) as unknown as Iterable<MuxChannel>
    return [...channels].filter((channel) => !channel.closed)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.skein.close()
    await rm(this.folder, { recursive: true })
  }

  #recorded(transport: Transport): Transport {
    transport.on('connection', ({ stream }) => {
      this.onStream(stream)
      this.#streamsByDevice.set(Buffer.from(stream.remotePublicKey).toString('hex'), stream)
    })
    return transport
  }
}

/** A device that is ready. `platform` stands in for parts of Node's. */
export async function device(
  name: string,
  network = new MemoryNetwork(),
  platform: Partial<Platform> = {}
): Promise<Device> {
  const folder = await mkdtemp(joinPath(tmpdir(), `skein-${name}-`))
  const made = new Device(name, network, folder, { ...nodePlatform, ...platform })
  await made.start()
  return made
}

/** A space of the first device that the others have joined. */
export async function spaceOf(founder: Device, ...others: Device[]): Promise<Space> {
  const space = await founder.skein.createSpace({ name: 'Notes' })
  for (const other of others) await joinAs(space, other)
  return space
}

export async function joinAs(
  space: Space,
  newcomer: Device,
  options: InviteOptions = {}
): Promise<Space> {
  const joined = newcomer.skein.join(await space.invite(options), { timeoutMs: waitMs })
  return deadline(joined, waitMs, `${newcomer.name} joins`)
}

/** Resolves once `check` holds: looks now, and at each call of the listener that `subscribe` is given. */
export async function until(
  subscribe: (listener: () => void) => () => void,
  check: () => boolean,
  what = check.toString()
): Promise<void> {
  let stop = (): void => {}
  const holds = new Promise<void>((resolve) => {
    const look = (): void => {
      if (check()) resolve()
    }
    stop = subscribe(look)
    look()
  })
  try {
    await deadline(holds, waitMs, what)
  } finally {
    stop()
  }
}

/** Resolves once a `Y.Doc` is as `check` says. */
export function whenDoc(doc: Y.Doc, check: () => boolean, what?: string): Promise<void> {
  const subscribe = (listener: () => void): (() => void) => {
    doc.on('update', listener)
    return () => doc.off('update', listener)
  }
  return until(subscribe, check, what)
}

/** Resolves once the text `body` of a document reads so. */
export function whenText(doc: Y.Doc, text: string): Promise<void> {
  const body = doc.getText('body')
  return whenDoc(
    doc,
    () => body.toString() === text,
    `the text ${JSON.stringify(text.slice(0, 60))}`
  )
}

/** Resolves once two devices are connected in a space, or no longer are. */
export function whenPeer(space: Space, other: Device, isConnected = true): Promise<void> {
  return until(
    (listener) => space.on('peers', listener),
    () => space.peers.includes(other.id) === isConnected,
    `${other.name} is ${isConnected ? '' : 'not '}connected`
  )
}

/** Resolves once a space has everything its peers hold. */
export function whenSynced(space: Space): Promise<void> {
  return until(
    (listener) => space.on('synced', listener),
    () => space.synced,
    'the space is synced'
  )
}

/** Those of the words that stand in a file of the folder. */
export async function wordsIn(folder: string, words: readonly string[]): Promise<string[]> {
  const files = await readdir(folder, { recursive: true, withFileTypes: true })
  const contents = await Promise.all(
    files
      .filter((file) => file.isFile())
      .map((file) => readFile(joinPath(file.parentPath, file.name)))
  )
  return words.filter((word) => contents.some((bytes) => bytes.includes(word)))
}

/** Fails unless the promise is rejected with an error of that code: all that a caller goes by. */
export async function rejects(promise: Promise<unknown>, code: ErrorCode): Promise<void> {
  try {
    await deadline(promise, waitMs, code)
  } catch (error) {
    if (error instanceof SkeinError && error.code === code) return
    throw new Error(`It did not fail with ${code}`, { cause: error })
  }
  throw new Error(`It did not fail with ${code}`)
}
