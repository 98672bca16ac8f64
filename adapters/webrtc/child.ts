/** Introductions by a WebRTC engine in a process of its own, which is begun anew when it crashes. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MessageStream, SkeinError, type Introduction, type Rendezvous } from '../../lib/index.ts'
import type { EngineSettings, FromEngine, ToEngine } from './engine-messages.ts'
import type { Introducing, RoomsSettings } from './rooms.ts'

/** Waits before it is begun anew: doubling from the first to the last; after a time without a crash, the first again. */
const firstWaitMs = 100
const lastWaitMs = 30_000
const steadyMs = 60_000
/** One that does not end by itself is killed. */
const endingMs = 2_000

// The same file as source and as built.
const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'))
const program = fileURLToPath(new URL(`./engine-process${extension}`, import.meta.url))

export interface RtcChildOptions extends RoomsSettings {
  /** The engine's package, or the path of its file. */
  readonly engine: string
  readonly onStream: (stream: MessageStream, isInitiator: boolean) => void
}

interface Asked {
  resolve(text: string): void
  reject(error: unknown): void
}

export class RtcChild implements Introducing {
  readonly #options: RtcChildOptions
  readonly #topics = new Map<string, { topic: Uint8Array; rendezvous: Rendezvous }>()
  readonly #streams = new Map<number, MessageStream>()
  readonly #asked = new Map<number, Asked>()
  readonly #ended = new Map<number, () => void>()
  #child: ChildProcess | null = null
  #ids = 0
  #waitMs = firstWaitMs
  #timer: NodeJS.Timeout | null = null
  #isClosed = false

  constructor(options: RtcChildOptions) {
    this.#options = options
  }

  /** Fails with `TRANSPORT_FAILED` where the engine cannot be found or loaded. */
  async open(): Promise<void> {
    await this.#start(this.#engineFile())
  }

  async join(topic: Uint8Array, rendezvous: Rendezvous): Promise<void> {
    this.#topics.set(topic.join(), { topic, rendezvous })
    this.#tell({ do: 'join', topic, rendezvous })
  }

  async leave(topic: Uint8Array): Promise<void> {
    this.#topics.delete(topic.join())
    this.#tell({ do: 'leave', topic })
  }

  async call(): Promise<Introduction> {
    const id = ++this.#ids
    const begun = await this.#introduced(id, { do: 'call', id })
    return {
      ...begun,
      complete: async (text) => {
        const request = ++this.#ids
        await this.#ask(request, { do: 'complete', id: request, call: id, text })
      }
    }
  }

  async answer(text: string, timeoutMs: number): Promise<Omit<Introduction, 'complete'>> {
    const id = ++this.#ids
    return this.#introduced(id, { do: 'answer', id, text, timeoutMs })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    const child = this.#child
    this.#tell({ do: 'end' })
    this.#lost()
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const late = setTimeout(() => child.kill('SIGKILL'), endingMs)
    await once(child, 'exit')
    clearTimeout(late)
  }

  async #start(engine: string): Promise<void> {
    const { urls, iceServers, maxPeers } = this.#options
    const settings: EngineSettings = { urls, iceServers, maxPeers, engine }
    const child = fork(program, [JSON.stringify(settings)], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: ownFlags(process.execArgv)
    })
    this.#child = child
    const startedAtMs = performance.now()
    const ready = new Promise<void>((resolve, reject) => {
      child.on('message', (message: FromEngine) => {
        if ('ready' in message) resolve()
        else if ('failed' in message) reject(notLoaded(this.#options.engine, message.failed))
        else this.#receive(message)
      })
      child.once('error', (cause) => reject(notLoaded(this.#options.engine, cause.message)))
      child.once('exit', (code, signal) => {
        reject(notLoaded(this.#options.engine, `its process ended (${signal ?? code})`))
      })
    })
    try {
      await ready
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    }
    for (const joined of this.#topics.values()) this.#tell({ do: 'join', ...joined })
    const gone = (): void => {
      if (this.#child !== child) return
      if (performance.now() - startedAtMs >= steadyMs) this.#waitMs = firstWaitMs
      this.#lost()
      this.#startLater(engine)
    }
    // It may have gone just now.
    if (child.exitCode !== null || child.signalCode !== null) gone()
    else child.once('exit', gone)
  }

  #startLater(engine: string): void {
    if (this.#isClosed) return
    this.#timer = setTimeout(() => {
      this.#timer = null
      // One that fails to start is tried again, later.
      this.#start(engine).catch(() => this.#startLater(engine))
    }, this.#waitMs)
    this.#waitMs = Math.min(2 * this.#waitMs, lastWaitMs)
  }

  /** With the process all that it had is gone. */
  #lost(): void {
    this.#child = null
    const error = new SkeinError('TRANSPORT_FAILED', 'The process with the WebRTC engine ended')
    for (const asked of this.#asked.values()) asked.reject(error)
    this.#asked.clear()
    for (const stream of this.#streams.values()) stream.ended()
    this.#streams.clear()
    for (const end of this.#ended.values()) end()
    this.#ended.clear()
  }

  #receive(message: FromEngine): void {
    if ('stream' in message) this.#opened(message.stream, message.isInitiator)
    else if ('from' in message) {
      const stream = this.#streams.get(message.from)
      if (message.message === null) stream?.ended()
      else stream?.receive(message.message)
    } else if ('answer' in message) this.#take(message.answer)?.resolve(message.text)
    else if ('refused' in message) {
      const { code, message: text } = message
      const error = new SkeinError(code ?? 'TRANSPORT_FAILED', text)
      this.#take(message.refused)?.reject(error)
    } else if ('ended' in message) {
      this.#ended.get(message.ended)?.()
      this.#ended.delete(message.ended)
    }
  }

  #opened(id: number, isInitiator: boolean): void {
    const stream = new MessageStream({
      send: (message) => this.#tell({ do: 'send', stream: id, message }),
      close: () => this.#tell({ do: 'send', stream: id, message: null })
    })
    this.#streams.set(id, stream)
    stream.on('close', () => this.#streams.delete(id))
    this.#options.onStream(stream, isInitiator)
  }

  async #introduced(id: number, message: ToEngine): Promise<Omit<Introduction, 'complete'>> {
    const ended = new Promise<void>((resolve) => this.#ended.set(id, resolve))
    try {
      const text = await this.#ask(id, message)
      return { text, ended, close: () => this.#tell({ do: 'end-call', call: id }) }
    } catch (error) {
      this.#ended.delete(id)
      throw error
    }
  }

  #ask(id: number, message: ToEngine): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#child?.connected !== true) {
        reject(new SkeinError('TRANSPORT_FAILED', 'The WebRTC engine is being started anew'))
        return
      }
      this.#asked.set(id, { resolve, reject })
      this.#tell(message)
    })
  }

  #take(id: number): Asked | undefined {
    const asked = this.#asked.get(id)
    this.#asked.delete(id)
    return asked
  }

  /** Nothing is lost where it cannot be sent: then the process has ended, and with it what this is about. */
  #tell(message: ToEngine): void {
    const child = this.#child
    if (child?.connected === true) child.send(message, undefined, undefined, () => {})
  }

  /** Where the app's own modules are looked for, then those here. */
  #engineFile(): string {
    const { engine } = this.#options
    if (engine.startsWith('file:')) return fileURLToPath(engine)
    const bases = [process.argv[1], join(process.cwd(), 'app.js'), fileURLToPath(import.meta.url)]
    let cause: unknown
    for (const base of bases) {
      try {
        if (base !== undefined) return createRequire(base).resolve(engine)
      } catch (error) {
        cause = error
      }
    }
    throw new SkeinError('TRANSPORT_FAILED', `There is no WebRTC engine ${engine}: install it`, {
      cause
    })
  }
}

/** What Node was started with, less what says which program to run, and debuggers, of which each process wants its own. */
function ownFlags(flags: readonly string[]): string[] {
  const own: string[] = []
  for (let at = 0; at < flags.length; at++) {
    const flag = flags[at]!
    if (['-e', '--eval', '-p', '--print', '-pe'].includes(flag)) at++
    else if (!/^--(eval|print|input-type|inspect|test)\b/.test(flag)) own.push(flag)
  }
  return own
}

function notLoaded(engine: string, why: string): SkeinError {
  return new SkeinError('TRANSPORT_FAILED', `The WebRTC engine ${engine} cannot be used: ${why}`)
}
