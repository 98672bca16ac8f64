/**
 * A home, opened by this process: the device, its spaces, and what commands share. In the folder:
 *
 *     config.json    what `init` wrote, and the user may edit
 *     device/        the library's own: keys, logs, views; held by one process at a time
 *     socket         where that process serves the others (see `wire.ts`)
 */
import { existsSync } from 'node:fs'
import { Skein, SkeinError, type Document, type Space } from 'skein'
import type { ListenOptions, WebSocketPort } from 'skein/adapters/websocket'
import type { Home, Served } from './command.ts'
import { exitCodes, Failure } from './exit.ts'
import { SleepingTransport } from './network.ts'
import { deviceFolder, type Settings } from './settings.ts'
import { shortId } from './words.ts'

export class OpenHome {
  readonly path: string
  readonly skein: Skein
  readonly bootstrap: readonly string[] | null
  readonly broken: { space: string; error: SkeinError }[] = []
  readonly #transport: SleepingTransport
  readonly #served: SleepingTransport
  #port: WebSocketPort | null = null
  readonly #openings = new Map<string, { document: Promise<Document>; users: number }>()

  constructor(settings: Settings) {
    const { home, bootstrap, name, person, passphrase } = settings
    this.path = home
    this.bootstrap = bootstrap
    if (!existsSync(deviceFolder(home))) {
      throw new Failure(`There is no device in ${home} yet`, {
        exitCode: exitCodes.unknown,
        advice: 'Make one with `skein init --name NAME`, or name another folder with --home.'
      })
    }
    this.#transport = new SleepingTransport('hyperswarm', async () => {
      const { hyperswarm } = await import('skein/adapters/hyperswarm')
      return hyperswarm(bootstrap === null ? {} : { bootstrap })
    })
    this.#served = new SleepingTransport('websocket', async () => {
      const { websocket } = await import('skein/adapters/websocket')
      return websocket({ port: this.#port! })
    })
    this.skein = new Skein({
      storage: deviceFolder(home),
      ...(name === null ? {} : { name }),
      ...(person === null ? {} : { person }),
      ...(passphrase === null ? {} : { passphrase }),
      transports: [this.#transport, this.#served]
    })
    this.skein.on('space-failed', (broken) => this.broken.push(broken))
  }

  get isOnline(): boolean {
    return this.#transport.isAwake
  }

  /** Fails as `Skein.ready()` does; with `STORAGE_LOCKED` while another process holds the home. */
  ready(): Promise<void> {
    return this.skein.ready()
  }

  close(): Promise<void> {
    return this.skein.close()
  }

  online(): Promise<void> {
    return this.#transport.wake()
  }

  /** Listens for devices that dial, until the port that it gives is closed. One at a time. */
  async listen(options: ListenOptions): Promise<Served> {
    if (this.#port !== null) {
      throw new Failure(`This device listens already, at ${this.#port.url}`, {
        advice: 'Stop that `skein serve` first.'
      })
    }
    const { listen } = await import('skein/adapters/websocket')
    const port = await listen(options)
    this.#port = port
    await this.#served.wake()
    return {
      url: port.url,
      port: port.port,
      close: async () => {
        await this.#served.sleep()
        await port.close()
        this.#port = null
      }
    }
  }

  /** As one command sees it: with the space that is meant there where none is named. */
  seenBy({ space: configured }: Settings, isGuest = false): Home {
    const isOnline = (): boolean => this.isOnline
    return {
      path: this.path,
      skein: this.skein,
      bootstrap: this.bootstrap,
      broken: this.broken,
      get isOnline() {
        return isOnline()
      },
      online: () => this.online(),
      renew: (name) => this.#renew(name, isGuest),
      listen: (options) => this.listen(options),
      space: (wanted) => this.#space(wanted ?? configured ?? undefined),
      document: (space, name) => this.#document(space, name)
    }
  }

  async #renew(name: string | undefined, isGuest: boolean): Promise<void> {
    if (isGuest) {
      throw new Failure('Another command works with this home', {
        exitCode: exitCodes.busy,
        advice: 'Stop the `skein sync`, or what else runs here, and repeat it.'
      })
    }
    await this.skein.becomeOwnDevice(name === undefined ? {} : { name })
  }

  #space(wanted: string | undefined): Space {
    const spaces = this.skein.spaces()
    if (wanted === undefined) {
      if (spaces.length === 1) return spaces[0]!
      if (spaces.length === 0) {
        throw new Failure('This device is in no space yet', {
          exitCode: exitCodes.unknown,
          advice: '`skein create NAME` makes one, `skein join INVITE` joins one.'
        })
      }
      throw ambiguous('This device is in several spaces', spaces)
    }
    const named = spaces.filter((space) => space.name === wanted || space.id === wanted)
    const meant = named.length > 0 ? named : spaces.filter(({ id }) => isBeginning(wanted, id))
    if (meant.length === 1) return meant[0]!
    if (meant.length > 1) throw ambiguous(`More than one space is meant by "${wanted}"`, meant)
    const broken = this.broken.find(({ space }) => isBeginning(wanted, space))
    if (broken !== undefined) throw broken.error
    throw new SkeinError('SPACE_UNKNOWN', `No space "${wanted}" on this device`)
  }

  async #document(
    space: Space,
    name: string
  ): Promise<{ document: Document; release: () => Promise<void> }> {
    const key = `${space.id}/${name}`
    let opening = this.#openings.get(key)
    if (opening === undefined) {
      opening = { document: space.open(name), users: 0 }
      this.#openings.set(key, opening)
    }
    opening.users++
    let isReleased = false
    const release = async (): Promise<void> => {
      if (isReleased) return
      isReleased = true
      if (--opening.users > 0) return
      if (this.#openings.get(key) === opening) this.#openings.delete(key)
      await (await opening.document).close()
    }
    try {
      return { document: await opening.document, release }
    } catch (error) {
      // Nothing was opened, so there is nothing to close.
      isReleased = true
      if (--opening.users === 0) this.#openings.delete(key)
      throw error
    }
  }
}

function isBeginning(wanted: string, id: string): boolean {
  return wanted.length >= 4 && id.startsWith(wanted.toLowerCase())
}

function ambiguous(message: string, spaces: readonly Space[]): Failure {
  const names = spaces.map((space) => `${shortId(space.id)} (${space.name})`).join(', ')
  return new Failure(`${message}: ${names}`, {
    exitCode: exitCodes.usage,
    advice: 'Name one with --space and its id, or the beginning of it.'
  })
}
