/**
 * A process that hosts devices of a replay: one, or with many authors several, each with a folder, a key and connections
 * of its own; they meet through the DHT alone, also within one process.
 */
import { join } from 'node:path'
import { Skein, type Document, type Space } from 'skein'
import type { DhtAddress } from 'skein/adapters/dht'
import { hyperswarm } from 'skein/adapters/hyperswarm'
import { serve } from './channel.ts'
import { planTrace, readTrace, type Plan } from './trace.ts'
import { write } from './writer.ts'

export interface HostOptions {
  /** The trace file; null: its devices are only read. */
  path: string | null
  folder: string
  /** The DHT to meet others by; null: no network at all. */
  bootstrap: DhtAddress[] | null
  /** Connections that each device keeps at most. */
  maxPeers: number
  devices: Seat[]
}

/** A device of the replay. */
export interface Seat {
  /** Names its folder, and the device to others. */
  name: string
  /** Index into the plan's authors; null: it reads only. */
  author: number | null
}

export interface Holding {
  name: string
  text: string
  /** Entries that are there and wait for something. */
  waiting: number
  entries: number
  logBytes: number
}

export interface HostCalls {
  /** Opens all its devices, and the document of those that are in a space. */
  open(options: HostOptions): Promise<void>
  /** Its first device makes the space; gives an invite for so many others. */
  found(others: number): Promise<string>
  /** All its other devices join. */
  join(invite: string): Promise<void>
  /** Resolves when all its devices have everything. */
  play(argument: null): Promise<void>
  /** Their last device writes what is in no history. */
  spoil(argument: null): Promise<void>
  read(argument: null): Promise<Holding[]>
  close(argument: null): Promise<void>
}

export interface HostEvents {
  joined: { name: string }
  progress: { name: string; done: number; peers: number; entries: number }[]
}

/** Progress is told at most so often. */
const tellMs = 100

interface Device extends Seat {
  skein: Skein
  space: Space | null
  note: Document | null
  done: number
}

serve<HostCalls, HostEvents>((tell) => {
  let plan: Plan | null = null
  let devices: Device[] = []
  const changed = new Set<Device>()

  const tellSoon = (device: Device): void => {
    if (changed.size === 0) setTimeout(tellProgress, tellMs)
    changed.add(device)
  }
  const tellProgress = (): void => {
    const progress = [...changed].map(({ name, done, space }) => ({
      name,
      done,
      peers: space?.peers.length ?? 0,
      entries: space?.logLength ?? 0
    }))
    changed.clear()
    tell('progress', progress)
  }
  const enter = async (device: Device, space: Space): Promise<void> => {
    device.space = space
    device.note = await space.open('trace')
    space.on('peers', () => tellSoon(device))
    tellSoon(device)
  }

  return {
    async open({ path, folder, bootstrap, maxPeers, devices: seats }) {
      if (path !== null) plan = planTrace(await readTrace(path))
      for (const seat of seats) {
        const transports = bootstrap === null ? [] : [hyperswarm({ bootstrap, maxPeers })]
        const { name } = seat
        const skein = new Skein({ name, storage: join(folder, name), transports })
        const device: Device = { ...seat, skein, space: null, note: null, done: 0 }
        devices.push(device)
        await skein.ready()
        const [known] = skein.spaces()
        if (known !== undefined) await enter(device, known)
      }
    },

    async found(others) {
      const founder = devices[0]!
      await enter(founder, await founder.skein.createSpace({ name: 'Replay' }))
      return founder.space!.invite({ uses: Math.max(1, others) })
    },

    async join(invite) {
      for (const device of devices) {
        if (device.space !== null) continue
        await enter(device, await device.skein.join(invite))
        tell('joined', { name: device.name })
      }
    },

    async play() {
      await Promise.all(
        devices.map((device) =>
          write({
            note: device.note!,
            plan: plan!,
            author: device.author,
            onProgress(done) {
              device.done = done
              tellSoon(device)
            }
          })
        )
      )
    },

    async spoil() {
      const { note } = devices.at(-1)!
      note!.doc.getText('body').insert(0, 'spoiled ')
      await note!.saved()
    },

    async read() {
      return devices.map(({ name, space, note }) => ({
        name,
        text: note!.doc.getText('body').toString(),
        waiting: space!.waiting,
        entries: space!.logLength,
        logBytes: space!.logBytes
      }))
    },

    async close() {
      await Promise.all(devices.map(({ skein }) => skein.close()))
      devices = []
    }
  }
})
