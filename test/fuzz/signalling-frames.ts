/** Frames that a signalling server, or one of its clients, must survive: seeded, so that a failure can be repeated. */

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

type Random = () => number

const texts = ['', 'x', 'nobody', '__proto__', 'constructor', 'AAAA', '!!!', 'null', '\u{1F9F6}']
const types = ['publish', 'subscribe', 'unsubscribe', 'ping', 'pong', 'announce', 'signal', 'x']
const sdps = ['offer', 'answer', 'candidate', 'renegotiate', 'transceiverRequest', 'rollback', 'x']

/** One frame: no JSON, JSON that is no message, or a message of the protocol with wrong parts, in or about `topic`. */
export function hostileFrame(random: Random, topic: string): string | Uint8Array {
  const kind = random()
  if (kind < 0.1) return Uint8Array.from({ length: random() * 200 }, () => random() * 256)
  if (kind < 0.2) return pick(random, ['', '{', '[', 'undefined', '{"type":', '\u0000', '"', 'NaN'])
  if (kind < 0.21) return `"${'x'.repeat(66_000)}"`
  if (kind < 0.4) return JSON.stringify(anything(random, 3)) ?? ''
  const message: Record<string, unknown> = { type: pick(random, types) }
  if (random() < 0.9) message['topic'] = random() < 0.8 ? topic : anything(random, 1)
  if (random() < 0.5) message['topics'] = random() < 0.5 ? [topic] : anything(random, 2)
  message['data'] = hostileData(random)
  return JSON.stringify(message)
}

/** What a member of the room could send: the content of a message, of the right shape more or less. */
export function hostileData(random: Random): unknown {
  if (random() < 0.3) return anything(random, 3)
  const data: Record<string, unknown> = { type: pick(random, types) }
  if (random() < 0.9) data['from'] = random() < 0.8 ? pick(random, texts) : anything(random, 1)
  if (random() < 0.6) data['to'] = random() < 0.5 ? pick(random, texts) : anything(random, 1)
  if (random() < 0.5) data['token'] = anything(random, 0)
  if (random() < 0.9) data['signal'] = random() < 0.7 ? hostileSignal(random) : anything(random, 2)
  return data
}

function hostileSignal(random: Random): unknown {
  const signal: Record<string, unknown> = { type: pick(random, sdps) }
  if (random() < 0.7) signal['sdp'] = random() < 0.7 ? pick(random, texts) : anything(random, 1)
  if (random() < 0.7) signal['candidate'] = anything(random, 2)
  return signal
}

function anything(random: Random, depth: number): unknown {
  const kind = Math.floor(random() * (depth > 0 ? 8 : 6))
  if (kind === 0) return null
  if (kind === 1) return random() < 0.5
  if (kind === 2) return pick(random, [0, -1, 1e308, 0.5, 2 ** 53])
  if (kind <= 5) return pick(random, texts)
  const parts = Array.from({ length: random() * 4 }, () => anything(random, depth - 1))
  return kind === 6 ? parts : Object.fromEntries(parts.map((part) => [pick(random, texts), part]))
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)]!
}
