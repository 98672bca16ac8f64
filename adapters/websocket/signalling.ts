/**
 * y-webrtc's signalling protocol, the server's part: rooms named by their members, in which each message goes to all.
 *
 *     { type: 'subscribe' | 'unsubscribe', topics: string[] }
 *     { type: 'publish', topic: string, … }  → the same with `clients`, their number, to all in the room, sender included
 *     { type: 'ping' }                       → { type: 'pong' }
 *
 * Bounded for each client. A message that is none is passed over; who sends too many, or does not read, is let go.
 */
import type { WebSocket } from 'ws'

const maxRooms = 256
const maxNameChars = 256
/** Messages a client may send: so many at once, and then so many a second. */
const burst = 500
const perSecond = 100
/** What may wait for a client that does not read. */
const maxWaitingBytes = 1024 * 1024

interface Client {
  readonly socket: WebSocket
  readonly rooms: Set<string>
  allowance: number
  heardAt: number
}

export class SignallingRooms {
  readonly #clientsByRoom = new Map<string, Set<Client>>()
  readonly #clients = new Set<Client>()

  get size(): number {
    return this.#clients.size
  }

  add(socket: WebSocket): void {
    const client: Client = { socket, rooms: new Set(), allowance: burst, heardAt: Date.now() }
    this.#clients.add(client)
    socket.on('message', (data) => {
      if (!takes(client)) return socket.terminate()
      // ws gives text as bytes, and like y-webrtc's own server this takes either kind of frame.
      this.#receive(client, parsed(String(data as Buffer)))
    })
    socket.on('close', () => {
      this.#clients.delete(client)
      for (const room of client.rooms) this.#leave(client, room)
    })
  }

  #receive(client: Client, message: Message | null): void {
    switch (message?.type) {
      case 'subscribe':
        for (const room of namesIn(message['topics'])) this.#join(client, room)
        break
      case 'unsubscribe':
        for (const room of namesIn(message['topics'])) this.#leave(client, room)
        break
      case 'publish': {
        const { topic } = message
        if (typeof topic !== 'string') return
        const clients = this.#clientsByRoom.get(topic)
        if (clients === undefined) return
        const text = JSON.stringify({ ...message, clients: clients.size })
        for (const other of clients) send(other, text)
        break
      }
      case 'ping':
        send(client, '{"type":"pong"}')
    }
  }

  #join(client: Client, room: string): void {
    if (client.rooms.size >= maxRooms) return
    client.rooms.add(room)
    let clients = this.#clientsByRoom.get(room)
    if (clients === undefined) this.#clientsByRoom.set(room, (clients = new Set()))
    clients.add(client)
  }

  #leave(client: Client, room: string): void {
    client.rooms.delete(room)
    const clients = this.#clientsByRoom.get(room)
    clients?.delete(client)
    if (clients?.size === 0) this.#clientsByRoom.delete(room)
  }
}

type Message = { readonly type: unknown; readonly topic?: unknown; readonly [key: string]: unknown }

function takes(client: Client): boolean {
  const now = Date.now()
  const earned = (Math.max(0, now - client.heardAt) / 1000) * perSecond
  client.allowance = Math.min(burst, client.allowance + earned) - 1
  client.heardAt = now
  return client.allowance >= 0
}

function send({ socket }: Client, text: string): void {
  if (socket.readyState !== socket.OPEN) return
  if (socket.bufferedAmount > maxWaitingBytes) return socket.terminate()
  socket.send(text)
}

function parsed(text: string): Message | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Message) : null
  } catch {
    return null // Passed over, as a stock server's clients expect.
  }
}

function namesIn(topics: unknown): string[] {
  if (!Array.isArray(topics)) return []
  return topics
    .slice(0, maxRooms)
    .filter((name): name is string => typeof name === 'string' && name.length <= maxNameChars)
}
