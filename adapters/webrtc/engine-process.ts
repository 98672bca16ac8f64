/**
 * The process that has a WebRTC engine of native code, so that a crash of it takes nothing else down. It introduces, and
 * passes on what comes over the channels; who is at their other ends, and what is said, only the device's own process
 * knows. It ends with that one.
 */
import { pathToFileURL } from 'node:url'
import { SkeinError, type MessageMedium } from '../../lib/index.ts'
import type { RawStream } from './channel.ts'
import type { EngineSettings, FromEngine, ToEngine } from './engine-messages.ts'
import { Rooms } from './rooms.ts'
import { engineOr } from './rtc.ts'

/** At its regular end, an engine may crash: there is no need to let it. */
const end = (): void => void process.kill(process.pid, 'SIGKILL')
process.on('disconnect', end)
// Ctrl-C goes to the whole group; the device's own process says when this one ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})

const partingMs = 100

function tell(message: FromEngine): void {
  if (process.connected) process.send!(message, undefined, undefined, () => {})
}

/** The messages of one channel, for the stream in the other process. It need not wait: that one lends a window. */
class Relay implements RawStream {
  readonly id: number
  readonly #medium: MessageMedium
  readonly #onClose = new Set<() => void>()
  #isOver = false

  constructor(id: number, medium: MessageMedium) {
    this.id = id
    this.#medium = medium
  }

  send(message: Uint8Array | string): void {
    if (this.#isOver) return
    try {
      this.#medium.send(message)
    } catch {
      this.destroy() // The channel has just gone.
    }
  }

  receive(message: unknown): void {
    if (this.#isOver) return
    const isBytes = message instanceof ArrayBuffer
    if (isBytes) tell({ from: this.id, message: new Uint8Array(message) })
    else if (typeof message === 'string') tell({ from: this.id, message })
    else this.destroy()
  }

  ended(): void {
    this.destroy()
  }

  destroy(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#medium.close()
    tell({ from: this.id, message: null })
    for (const listener of this.#onClose) listener()
  }

  on(_: 'close', listener: () => void): void {
    this.#onClose.add(listener)
  }
}

const { engine: file, ...settings } = JSON.parse(process.argv[2]!) as EngineSettings
const relays = new Map<number, Relay>()
const calls = new Map<number, { close(): void; complete?(text: string): Promise<void> }>()
let streams = 0

try {
  const loaded = (await import(pathToFileURL(file).href)) as { default?: object }
  const engine = engineOr(loaded.default ?? loaded) ?? engineOr(loaded)
  if (engine === null) throw new TypeError('it has no RTCPeerConnection')
  const rooms = new Rooms({
    ...settings,
    engine,
    streamOver(medium) {
      const relay = new Relay(++streams, medium)
      relays.set(relay.id, relay)
      relay.on('close', () => relays.delete(relay.id))
      return relay
    },
    onStream: ({ id }, isInitiator) => tell({ stream: id, isInitiator })
  })
  await rooms.open()
  process.on('message', (message: ToEngine) => void receive(rooms, message))
  tell({ ready: true })
} catch (error) {
  tell({ failed: (error as Error).message })
}

async function receive(rooms: Rooms<Relay>, message: ToEngine): Promise<void> {
  switch (message.do) {
    case 'join':
      return rooms.join(message.topic, message.rendezvous)
    case 'leave':
      return rooms.leave(message.topic)
    case 'call':
      return answered(message.id, async () => keep(message.id, await rooms.call()))
    case 'answer':
      return answered(message.id, async () =>
        keep(message.id, await rooms.answer(message.text, message.timeoutMs))
      )
    case 'complete':
      return answered(message.id, async () => {
        await calls.get(message.call)?.complete?.(message.text)
        return ''
      })
    case 'end-call':
      calls.get(message.call)?.close()
      return
    case 'end':
      await rooms.close()
      for (const relay of [...relays.values()]) relay.destroy()
      // What tells the other ends is on its way once the engine's threads have had a moment.
      setTimeout(end, partingMs)
      return
    case 'send': {
      const relay = relays.get(message.stream)
      if (message.message === null) relay?.destroy()
      else relay?.send(message.message)
    }
  }
}

function keep(
  id: number,
  call: { text: string; close(): void; readonly ended: Promise<void> }
): string {
  calls.set(id, call)
  void call.ended.then(() => {
    calls.delete(id)
    tell({ ended: id })
  })
  return call.text
}

async function answered(id: number, work: () => Promise<string>): Promise<void> {
  try {
    tell({ answer: id, text: await work() })
  } catch (error) {
    const code = error instanceof SkeinError ? error.code : null
    tell({ refused: id, code, message: (error as Error).message })
  }
}
