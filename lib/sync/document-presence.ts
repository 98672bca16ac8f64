/**
 * Who is present in one document: the awareness that editors bind to, with one state a device. Presence never enters a
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

export class DocumentPresence {
  readonly awareness: Awareness
  readonly #clientByDevice = new Map<DeviceId, number>()
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

  /** Takes the state of a device: one, of a client id of its own. */
  receive(device: DeviceId, clientId: number, update: Uint8Array): void {
    const before = this.#clientByDevice.get(device)
    if (before !== undefined && before !== clientId) {
      removeAwarenessStates(this.awareness, [before], this)
    }
    this.#clientByDevice.set(device, clientId)
    applyAwarenessUpdate(this.awareness, update, this)
  }

  /** A device is gone. */
  remove(device: DeviceId): void {
    const clientId = this.#clientByDevice.get(device)
    if (clientId === undefined) return
    this.#clientByDevice.delete(device)
    removeAwarenessStates(this.awareness, [clientId], this)
    // The same state comes again when the device does, under the same clock.
    this.awareness.meta.delete(clientId)
  }

  #replace(before: DocumentPresence): void {
    const { awareness } = before
    for (const [device, clientId] of before.#clientByDevice) {
      this.#clientByDevice.set(device, clientId)
      if (awareness.states.has(clientId))
        applyAwarenessUpdate(this.awareness, encodeAwarenessUpdate(awareness, [clientId]), this)
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
