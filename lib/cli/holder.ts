/**
 * The process that holds a home: opens it, and until its own command is done serves other processes' commands on it.
 * Then those that can begin anew elsewhere are told to; for the others, which are short, it waits.
 */
import { chmodSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { loadCommand } from './commands.ts'
import type { CommandModule } from './command.ts'
import { OpenHome } from './home.ts'
import { handover, run } from './run.ts'
import type { Settings } from './settings.ts'
import type { Terminal } from './terminal.ts'
import { messages, send, socketPath, type FromHolder, type Run, type ToHolder } from './wire.ts'

interface Guest {
  readonly restarts: boolean
  readonly ended: Promise<void>
  end(reason: symbol): void
}

export class Holder {
  readonly home: OpenHome
  readonly #settings: Settings
  readonly #version: string
  readonly #guests = new Set<Guest>()
  readonly #sockets = new Set<Socket>()
  #server: Server | null = null
  #isClosing = false

  constructor(settings: Settings, version: string) {
    this.#settings = settings
    this.#version = version
    this.home = new OpenHome(settings)
  }

  /** Fails as opening the home does. */
  async open(): Promise<void> {
    try {
      await this.home.ready()
    } catch (error) {
      await this.home.close().catch(() => {}) // What opening failed with says more.
      throw error
    }
    await this.#listen()
  }

  /** Waits for guests that cannot begin anew, sends the others off, and lets go of the home. */
  async close(): Promise<void> {
    this.#isClosing = true
    const listening = this.#server
    const unlistened = new Promise<void>((resolve) => {
      if (listening === null) resolve()
      else listening.close(() => resolve())
    })
    const guests = [...this.#guests]
    for (const guest of guests) if (guest.restarts) guest.end(handover)
    await Promise.all(guests.map(({ ended }) => ended))
    for (const socket of this.#sockets) socket.destroySoon()
    await unlistened
    await this.home.close()
  }

  async #listen(): Promise<void> {
    const path = socketPath(this.home.path)
    const server = createServer((socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => {}) // The guest is gone; 'close' tells.
      socket.on('close', () => this.#sockets.delete(socket))
      void this.#serve(socket)
    })
    // Who holds the home's lock is alone here: what lies there is of one that was killed.
    if (process.platform !== 'win32') rmSync(path, { force: true })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
    if (process.platform !== 'win32') chmodSync(path, 0o600)
    this.#server = server
  }

  async #serve(socket: Socket): Promise<void> {
    const guest = new GuestTerminal(socket)
    try {
      for await (const message of messages<ToHolder>(socket)) {
        if ('run' in message) await this.#begin(socket, guest, message.run)
        else guest.receive(message)
      }
    } finally {
      guest.gone()
    }
  }

  async #begin(socket: Socket, guest: GuestTerminal, asked: Run): Promise<void> {
    if (asked.version !== this.#version) {
      const message = `The home is held by skein ${this.#version} (process ${process.pid}), and this is ${asked.version}`
      return end(socket, { refused: message })
    }
    const module = await loadCommand(asked.command)
    // From here to the entry below in one turn: who is told that it has begun is waited for at closing.
    if (this.#isClosing) return end(socket, { handover: true })
    send<FromHolder>(socket, { begun: true })
    guest.traits = asked.traits
    const running = this.#run(socket, guest, asked, module)
    const entry: Guest = {
      restarts: module.restarts,
      ended: running,
      end: (reason) => guest.abort.abort(reason)
    }
    this.#guests.add(entry)
    void running.finally(() => this.#guests.delete(entry))
  }

  async #run(
    socket: Socket,
    guest: GuestTerminal,
    asked: Run,
    module: CommandModule
  ): Promise<void> {
    const { json, quiet, debug, space, bootstrap } = asked
    const settings = { ...this.#settings, json, quiet, debug, space, bootstrap }
    const { signal } = guest.abort
    if (String(bootstrap) !== String(this.home.bootstrap)) {
      const own = this.home.bootstrap?.join(', ') ?? 'the public DHT'
      const text = `warning: the process that holds the home uses ${own}; --bootstrap has no effect here\n`
      void guest.write('error', new TextEncoder().encode(text))
    }
    const code = await run({
      module,
      // One that was left out comes as null.
      args: asked.args.map((arg) => arg ?? undefined),
      options: asked.options,
      settings,
      terminal: guest,
      cwd: asked.cwd,
      signal,
      home: this.home.seenBy(settings, true),
      answer: (value) => send<FromHolder>(socket, { answer: value ?? null }),
      kept: asked.kept,
      keep: (key, value) => send<FromHolder>(socket, { keep: [key, value] })
    })
    const isHandedOver = signal.aborted && signal.reason === handover
    end(socket, isHandedOver ? { handover: true } : { exit: code })
  }
}

function end(socket: Socket, message: FromHolder): void {
  send(socket, message)
  socket.end()
}

/** The terminal of the user who typed the command, in the process at the other end. */
class GuestTerminal implements Terminal {
  traits!: Terminal['traits']
  /** Fires at Ctrl-C there, or when it is gone. */
  readonly abort = new AbortController()
  readonly #socket: Socket
  #room: (() => void)[] = []
  #pulled: ((data: Uint8Array | null) => void) | null = null
  #isGone = false

  constructor(socket: Socket) {
    this.#socket = socket
  }

  get input(): AsyncIterable<Uint8Array> {
    return this.#pull()
  }

  write(stream: 'out' | 'error', data: Uint8Array): Promise<void> {
    if (this.#isGone) return Promise.resolve()
    send<FromHolder>(this.#socket, { write: stream, data })
    return new Promise((resolve) => this.#room.push(resolve))
  }

  live(text: string): void {
    send<FromHolder>(this.#socket, { live: text })
  }

  receive(message: Exclude<ToHolder, { run: Run }>): void {
    if ('room' in message) this.#room.shift()?.()
    else if ('interrupt' in message) {
      this.abort.abort()
      this.#pulled?.(null)
    } else if ('data' in message) this.#pulled?.(message.data)
    else this.#pulled?.(null)
  }

  gone(): void {
    this.#isGone = true
    this.abort.abort()
    this.#pulled?.(null)
    for (const resolve of this.#room.splice(0)) resolve()
  }

  async *#pull(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const data = await new Promise<Uint8Array | null>((resolve) => {
        if (this.#isGone) return resolve(null)
        this.#pulled = resolve
        send<FromHolder>(this.#socket, { pull: true })
      })
      this.#pulled = null
      // What came so far is not what the user meant to give.
      this.abort.signal.throwIfAborted()
      if (data === null) return
      yield data
    }
  }
}
