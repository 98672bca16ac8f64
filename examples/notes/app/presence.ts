/**
 * Whom an editor shows: presence as other members sent it, with nothing in it that an editor would stumble over, or that
 * would draw more than a cursor.
 */
import type { Document } from 'skein'
import * as Y from 'yjs'

type Awareness = Document['awareness']

export interface User {
  readonly name: string
  readonly color: string
  readonly colorLight: string
}

const hues = [12, 38, 95, 150, 185, 215, 255, 290, 325]

/** A colour that goes with a name, legible under white text. */
export function userOf(name: string): User {
  let sum = 0x81_1c_9d_c5
  for (const char of name) sum = Math.imul(sum ^ char.codePointAt(0)!, 0x01_00_01_93) >>> 0
  const hue = hues[((sum ^ (sum >>> 15)) >>> 0) % hues.length]!
  return { name, color: `hsl(${hue} 62% 32%)`, colorLight: `hsl(${hue} 80% 50% / 0.25)` }
}

/** Other sessions that are in the document. */
export function othersIn(awareness: Awareness): User[] {
  const names = new Set<string>()
  for (const [clientId, state] of awareness.getStates()) {
    if (clientId !== awareness.clientID) names.add(nameIn(state))
  }
  return [...names].sort().map(userOf)
}

/** What an editor binds to: the awareness itself, but for what it says of others. */
export function guarded(awareness: Awareness): Awareness {
  return new Proxy(awareness, {
    get(target, key) {
      if (key === 'getStates') return () => checkedStates(target)
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    }
  })
}

function checkedStates(awareness: Awareness): Map<number, Record<string, unknown>> {
  const states = new Map<number, Record<string, unknown>>()
  for (const [clientId, state] of awareness.getStates()) {
    const cursor = cursorIn(state, awareness.doc)
    if (cursor !== null) states.set(clientId, { cursor, user: userOf(nameIn(state)) })
  }
  return states
}

function nameIn(state: Record<string, unknown>): string {
  const user = state['user'] as { name?: unknown } | undefined
  return typeof user?.name === 'string' ? user.name.slice(0, 40) : 'Somebody'
}

function cursorIn(state: Record<string, unknown>, doc: Y.Doc): object | null {
  const cursor = state['cursor'] as { anchor?: unknown; head?: unknown } | null | undefined
  try {
    for (const end of [cursor?.anchor, cursor?.head]) {
      const position = Y.createRelativePositionFromJSON(end)
      if (Y.createAbsolutePositionFromRelativePosition(position, doc) === null) return null
    }
    return cursor ?? null
  } catch {
    return null // No position at all, whatever its sender meant by it.
  }
}
