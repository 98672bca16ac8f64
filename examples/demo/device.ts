/**
 * One device of the story, as a process of its own. It types what it is told to, and tells of all that happens on its
 * screen; it knows of no other device but through Skein.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Skein, type Document, type Space } from 'skein'
import type { DhtAddress } from 'skein/adapters/dht'
import { hyperswarm } from 'skein/adapters/hyperswarm'
import * as Y from 'yjs'
import { serve } from './channel.ts'

export interface OpenOptions {
  name: string
  storage: string
  /** The DHT to meet others by; null: no network at all. */
  bootstrap: DhtAddress[] | null
}

/** Where the typing starts, and what is deleted there before. `after` null: at the end. */
export interface Typing {
  after: string | null
  erase?: string
  text: string
  everyMs: number
}

/** A document as it is on this device. */
export interface Reading {
  text: string
  /** As a Yjs update. */
  state: Uint8Array
  /** Entries that are here and wait for something. */
  waiting: number
  /** Of all members' logs. */
  logBytes: number
}

export interface DeviceCalls {
  /** Opens the folder, and the document if a space is there already. */
  open(options: OpenOptions): Promise<void>
  createSpace(name: string): Promise<void>
  invite(argument: null): Promise<string>
  join(invite: string): Promise<void>
  /** Resolves when all is typed and acknowledged. */
  type(typing: Typing): Promise<void>
  /** Resolves when all is on the disks of so many others too. */
  saved(peers: number): Promise<void>
  read(argument: null): Promise<Reading>
  /** Closes the folder; it can be opened again. */
  close(argument: null): Promise<void>
}

export interface DeviceEvents {
  /** The document was opened, and holds this. */
  opened: { state: Uint8Array }
  /** The document changed. `atMs` is of a clock that all processes of this machine have in common. */
  update: { update: Uint8Array; isOwn: boolean; atMs: number }
  /** That many edits of this process so far are on disk: Skein has said so. */
  acknowledged: { edits: number }
  /** On how many others all of this device's edits are. */
  safety: { durable: boolean; devices: number }
  peers: { names: string[] }
  /** All members' logs, as far as they are here. */
  logs: { entries: number; bytes: number }
}

const backspace = '\b'

serve<DeviceCalls, DeviceEvents>((tell) => {
  let skein: Skein
  let space: Space
  let note: Document
  let edits = 0

  const text = (): Y.Text => note.doc.getText('body')

  const openNote = async (of: Space): Promise<void> => {
    space = of
    note = await space.open('trip')
    tell('opened', { state: Y.encodeStateAsUpdate(note.doc) })
    note.doc.on('update', (update: Uint8Array, origin: unknown) => {
      const isOwn = origin !== note
      if (isOwn) edits++
      tell('update', { update, isOwn, atMs: Number(process.hrtime.bigint()) / 1e6 })
      if (!isOwn) tellLogs()
    })
    note.on('safety', ({ durable, devices }) => {
      tell('safety', { durable, devices: devices.length })
      tellLogs()
    })
    const tellLogs = (): void => tell('logs', { entries: space.logLength, bytes: space.logBytes })
    const tellPeers = (): void => {
      const connected = space.members().filter(({ isConnected }) => isConnected)
      tell('peers', { names: connected.map(({ name }) => name).sort() })
    }
    space.on('peers', tellPeers)
    space.on('members', tellPeers)
    tellPeers()
  }

  /** One keystroke is one edit, and is told of as soon as Skein has it on disk. */
  const acknowledge = async (): Promise<void> => {
    const made = edits
    await note.saved()
    tell('acknowledged', { edits: made })
  }

  return {
    async open({ name, storage, bootstrap }) {
      const transports = bootstrap === null ? [] : [hyperswarm({ bootstrap })]
      skein = new Skein({ name, storage, transports })
      await skein.ready()
      const [known] = skein.spaces()
      if (known !== undefined) await openNote(known)
    },

    async createSpace(name) {
      await openNote(await skein.createSpace({ name }))
    },

    invite: () => space.invite(),

    async join(invite) {
      await openNote(await skein.join(invite))
    },

    async type({ after, erase = '', text: typed, everyMs }) {
      const acknowledged: Promise<void>[] = []
      const start = after === null ? text().length : text().toString().indexOf(after) + after.length
      // The cursor stays behind what was typed last, whatever others write meanwhile.
      let cursor = Y.createRelativePositionFromTypeIndex(text(), start + erase.length, -1)
      for (const character of backspace.repeat(erase.length) + typed) {
        const index = Y.createAbsolutePositionFromRelativePosition(cursor, note.doc)?.index ?? 0
        if (character === backspace) text().delete(index - 1, 1)
        else text().insert(index, character)
        const next = character === backspace ? index - 1 : index + 1
        cursor = Y.createRelativePositionFromTypeIndex(text(), next, -1)
        acknowledged.push(acknowledge())
        await sleep(everyMs)
      }
      await Promise.all(acknowledged)
    },

    saved: (peers) => note.saved({ peers }),

    async read() {
      const { waiting, logBytes } = space
      return { text: text().toString(), state: Y.encodeStateAsUpdate(note.doc), waiting, logBytes }
    },

    close: () => skein.close()
  }
})
