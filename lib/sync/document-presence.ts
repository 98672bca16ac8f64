/**
 * Who is present in one document: the awareness that editors bind to, with one state a session: a
 * device may have several tabs. Presence never enters a
 * log; it travels beside it.
 */
import {
  Awareness,
  applyAwarenessUpdate,
  encodeAwarenessUpdate,
  removeAwarenessStates
} from 'y-protocols/awareness'
import type * as Y from 'yjs'
import type { DeviceId } from '../trust/members.ts'

/** Whose a state is. */
export interface PresenceSession {
  readonly device: DeviceId
  readonly clientCounter: number
  /** One of that device's, by that counter. */
  readonly clientId: number
}

const maxSessionsOfDevice = 64

export class DocumentPresence {
  readonly awareness: Awareness
  /** By device, its client ids by client counter. */
  readonly #sessionsByDevice = new Map<DeviceId, Map<number, number>>()
  #isReplaced = false

  /**
   * `send` is given this device's state whenever it changes. Make it once `doc` has its client id. Who is present in the
   * one that it takes the place of is present here.
   */
  constructor(
    doc: Y.Doc,
    send: (update: Uint8Array) => void,
    before: DocumentPresence | null = null
  ) {
    this.awareness = new Awareness(doc)
    if (before !== null) this.#replace(before)
    this.awareness.on(
      'update',
      (changed: Record<'added' | 'updated' | 'removed', number[]>, origin: unknown) => {
        const clients = [...changed.added, ...changed.updated, ...changed.removed]
        if (origin === this || this.#isReplaced || !clients.includes(this.awareness.clientID))
          return
        send(encodeAwarenessUpdate(this.awareness, [this.awareness.clientID]))
      }
    )
  }

  /** This device's state, for one that has just come; null if there is none. */
  get own(): Uint8Array | null {
    if (this.awareness.getLocalState() === null) return null
    return encodeAwarenessUpdate(this.awareness, [this.awareness.clientID])
  }

  /** Takes the state of a session. */
  receive({ device, clientCounter, clientId }: PresenceSession, update: Uint8Array): void {
    let sessions = this.#sessionsByDevice.get(device)
    if (sessions === undefined) this.#sessionsByDevice.set(device, (sessions = new Map()))
    const before = sessions.get(clientCounter)
    if (before !== undefined && before !== clientId) this.#forget(before)
    sessions.delete(clientCounter)
    sessions.set(clientCounter, clientId)
    applyAwarenessUpdate(this.awareness, update, this)
    // Those that were not heard of for the longest time.
    for (const [counter, id] of [...sessions].slice(0, -maxSessionsOfDevice)) {
      sessions.delete(counter)
      this.#forget(id)
    }
  }

  /** A device is gone. */
  remove(device: DeviceId): void {
    for (const clientId of this.#sessionsByDevice.get(device)?.values() ?? [])
      this.#forget(clientId)
    this.#sessionsByDevice.delete(device)
  }

  #forget(clientId: number): void {
    removeAwarenessStates(this.awareness, [clientId], this)
    // The same state comes again when the device does, under the same clock.
    this.awareness.meta.delete(clientId)
  }

  #replace(before: DocumentPresence): void {
    const { awareness } = before
    for (const [device, sessions] of before.#sessionsByDevice) {
      this.#sessionsByDevice.set(device, sessions)
      const present = [...sessions.values()].filter((clientId) => awareness.states.has(clientId))
      applyAwarenessUpdate(this.awareness, encodeAwarenessUpdate(awareness, present), this)
    }
    const { clientID } = awareness
    const meta = awareness.meta.get(clientID)
    // Others know this device's state under that clock, and take only newer ones.
    if (meta !== undefined && clientID === this.awareness.clientID) {
      this.awareness.meta.set(clientID, { ...meta })
      this.awareness.states.set(clientID, awareness.getLocalState() ?? {})
      if (awareness.getLocalState() === null) this.awareness.states.delete(clientID)
    }
    before.#isReplaced = true
    awareness.destroy()
  }

  destroy(): void {
    this.awareness.destroy()
  }
}
