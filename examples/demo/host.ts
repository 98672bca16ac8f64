/**
 * A process that hosts devices of a replay: one, or with many authors several, each with a folder and keys of its own.
 * The first is on the DHT; the others of the process meet it, and through it all devices, in memory: some hundreds of
 * nodes on the DHT, all connected to all, would be more than one machine can bear.
 */
import { join } from 'node:path'
import { Skein, type Document, type Space, type Transport } from 'skein'
import type { DhtAddress } from 'skein/adapters/dht'
import { hyperswarm } from 'skein/adapters/hyperswarm'
import { memory, MemoryNetwork } from 'skein/adapters/memory'
import { serve } from './channel.ts'
import { planTrace, type Plan } from './plan.ts'
import { readTrace } from './trace.ts'
import { write } from './writer.ts'

export interface HostOptions {
  /** The trace file; null: its devices are only read. */
  path: string | null
  folder: string
  /** The DHT to meet others by; null: no network at all. */
  bootstrap: DhtAddress[] | null
  devices: Seat[]
}

/** A device of the replay. */
export interface Seat {
  /** Names its folder, and the device to others. */
  name: string
  /** Index into the plan's authors; null: it reads only. */
  author: number | null
}

export interface Invites {
  first: string
  other: string
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
  /** Its first device makes the space; gives invites for the first devices of other processes, and for all others. */
  found(count: { firsts: number; others: number }): Promise<Invites>
  /** All its devices join that have not. */
  join(invites: Invites): Promise<void>
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
/** Hundreds of devices on one machine take their time. */
const joinMs = 300_000

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
    async open({ path, folder, bootstrap, devices: seats }) {
      if (path !== null) plan = planTrace(await readTrace(path))
      const transports = seats.map((): Transport[] => [])
      if (bootstrap !== null) {
        transports[0]!.push(hyperswarm({ bootstrap }))
        for (const others of transports.slice(1)) {
          const network = new MemoryNetwork()
          transports[0]!.push(memory(network))
          others.push(memory(network))
        }
      }
      for (const [index, seat] of seats.entries()) {
        const { name } = seat
        const storage = join(folder, name)
        const skein = new Skein({ name, storage, transports: transports[index]! })
        const device: Device = { ...seat, skein, space: null, note: null, done: 0 }
        devices.push(device)
        await skein.ready()
        const [known] = skein.spaces()
        if (known !== undefined) await enter(device, known)
      }
    },

    async found({ firsts, others }) {
      const founder = devices[0]!
      const space = await founder.skein.createSpace({ name: 'Replay' })
      await enter(founder, space)
      return {
        // The first of a process lets its others in.
        first: await space.invite({ role: 'admin', uses: Math.max(1, firsts) }),
        other: await space.invite({ uses: Math.max(1, others) })
      }
    },

    async join({ first, other }) {
      const [hub, ...others] = devices as [Device, ...Device[]]
      const joinBy = async (device: Device, invite: string): Promise<void> => {
        if (device.space !== null) return
        await enter(device, await device.skein.join(invite, { timeoutMs: joinMs }))
        tell('joined', { name: device.name })
      }
      await joinBy(hub, first)
      for (const device of others) await joinBy(device, other)
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
