/** One device of a benchmark in a process of its own, driven over IPC; see `child.ts`. */
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Corestore from 'corestore'
import DHT from 'hyperdht'
import Hyperswarm from 'hyperswarm'
import Protomux from 'protomux'
import { Skein, type Document, type Space } from 'skein'
import type { DhtAddress } from 'skein/adapters/dht'
import { hyperswarm } from 'skein/adapters/hyperswarm'
import * as Y from 'yjs'
import { fromHex, toHex } from '../../lib/bytes.ts'
import { hash, signKeysFrom } from '../../lib/crypto.ts'
import type { Transport } from '../../lib/transport.ts'
import { serve } from './child.ts'
import { edit, paper } from './history.ts'
import { BareLinks, openCore, SkeinLink, type Link, type LinkName } from './links.ts'
import { blocksOf } from './log-size.ts'
import { nowMs, pause, turn } from './measure.ts'

export type Methods = typeof methods

interface Rendezvous {
  readonly bootstrap: readonly DhtAddress[]
}

/** What was counted on the connections of one process. */
interface Traffic {
  connectedAt: number
  bytes(): { received: number; sent: number }
}

let skein: Skein | null = null
let space: Space | null = null
let document: Document | null = null
let traffic: Traffic | null = null
let bare: BareLinks | null = null
let skeinLink: SkeinLink | null = null
const topic = hash('skein/bench/topic')
const bareKeys = signKeysFrom(randomBytes(32))

const methods = {
  // Writing and reopening

  /** A new device that has written the paper, and the final state beside its folder. */
  async write({ folder, limit }: { folder: string; limit: number }) {
    skein = new Skein({ storage: folder })
    await skein.ready()
    space = await skein.createSpace({ name: 'bench' })
    document = await space.open('paper')
    const text = document.doc.getText('text')
    for (const patch of (await paper(limit)).edits) {
      edit(text, patch)
      await turn()
    }
    await document.saved()
    await writeFile(folder + '.state', Y.encodeStateAsUpdate(document.doc))
    return { space: space.id, device: skein.id, length: text.length }
  },

  async close() {
    await skein?.close()
  },

  /** The first thing a process does. */
  async reopen({ folder, space: id }: { folder: string; space: string }) {
    const startedAt = nowMs()
    skein = new Skein({ storage: folder })
    await skein.ready()
    const readyAt = nowMs()
    document = await skein.space(id).open('paper')
    const text = document.doc.getText('text').toString()
    const ms = nowMs() - readyAt
    return { readyMs: readyAt - startedAt, ms, text: digest(text) }
  },

  /** The first thing a process does. */
  async applyState({ folder }: { folder: string }) {
    const state = await readFile(folder + '.state')
    const startedAt = nowMs()
    const doc = new Y.Doc()
    Y.applyUpdate(doc, state)
    const text = doc.getText('text').toString()
    return { ms: nowMs() - startedAt, text: digest(text) }
  },

  // Connected devices

  async meet({ folder, bootstrap, space: id }: Rendezvous & { folder: string; space?: string }) {
    const transport = hyperswarm({ bootstrap })
    traffic = trafficOf(transport)
    skein = new Skein({ storage: folder, transports: [transport] })
    await skein.ready()
    if (id !== undefined) space = skein.space(id)
    return skein.id
  },

  async create() {
    space = await skein!.createSpace({ name: 'bench' })
  },

  invite({ uses }: { uses: number }) {
    return space!.invite({ uses })
  },

  async join({ invite }: { invite: string }) {
    space = await skein!.join(invite)
  },

  /** A new device joins and waits for the paper; times from its connection on. */
  async fetchPaper({ invite, length }: { invite: string; length: number }) {
    space = await skein!.join(invite)
    const joinedAt = nowMs()
    document = await space.open('paper')
    const text = document.doc.getText('text')
    await new Promise<void>((resolve) => {
      const check = (): void => {
        if (text.length === length) resolve()
      }
      document!.doc.on('afterTransaction', check)
      check()
    })
    const ms = nowMs() - traffic!.connectedAt
    const bytes = traffic!.bytes()
    await document.whenSynced()
    const syncedMs = nowMs() - traffic!.connectedAt
    const joinedMs = joinedAt - traffic!.connectedAt
    return { joinedMs, ms, syncedMs, ...bytes, length: text.toString().length }
  },

  /** Serves the blocks of a closed device's content log from a bare hypercore. */
  async serveBare(place: Rendezvous & { folder: string; space: string; device: string }) {
    const blocks = await blocksOf(place)
    const store = new Corestore(place.folder + '-bare')
    const core = await openCore(store, 0, bareKeys.publicKey, bareKeys)
    await core.append(blocks)
    await bareSwarm(place, (stream) => core.core.replicator.attachTo(Protomux.from(stream)))
    return { key: toHex(bareKeys.publicKey), blocks: blocks.length, bytes: core.byteLength }
  },

  async fetchBare(what: Rendezvous & { folder: string; key: string; blocks: number }) {
    const store = new Corestore(what.folder)
    const core = await openCore(store, 0, fromHex(what.key))
    const complete = new Promise<void>((resolve) => {
      core.on('download', () => {
        if (core.contiguousLength === what.blocks) resolve()
      })
    })
    core.download({ start: 0, end: -1 })
    traffic = await bareSwarm(what, (stream) =>
      core.core.replicator.attachTo(Protomux.from(stream))
    )
    await complete
    return { ms: nowMs() - traffic.connectedAt, ...traffic.bytes() }
  },

  // Latency

  barePublicKey: () => toHex(bareKeys.publicKey),

  async linkBare({ bootstrap, folder, other }: Rendezvous & { folder: string; other: string }) {
    bare = await BareLinks.open(join(folder, 'bare'), bareKeys, fromHex(other))
    await bareSwarm({ bootstrap }, (stream) => bare!.replicate(stream))
  },

  async linkSkein() {
    document = await space!.open('live')
    skeinLink = new SkeinLink(document)
  },

  whenSynced: () => document!.whenSynced(),

  logBytes: () => space!.logBytes,

  saved: () => document!.saved(),

  setBlockBytes({ bytes }: { bytes: number }) {
    bare!.blockBytes = bytes
  },

  allowPush() {
    bare!.push.allowPush(true)
  },

  async type({ link: name, count, gapMs }: { link: LinkName; count: number; gapMs: number }) {
    const link = linkOf(name)
    for (let i = 0; i < count; i++) {
      link.write()
      await pause(gapMs)
    }
  },

  /** Writes `count` edits, each in answer to the other's; who begins writes first. */
  async pingPong({
    link: name,
    count,
    begins
  }: {
    link: LinkName
    count: number
    begins: boolean
  }) {
    const link = linkOf(name)
    let left = count
    await new Promise<void>((resolve) => {
      const write = (): void => {
        if (left-- > 0) link.write()
      }
      link.onArrival(() => {
        if (link.arrivals === count) resolve()
        // An app answers when the transaction that brought the edit is over.
        setImmediate(write)
      })
      if (begins) write()
    })
    await turn()
  },

  /** Waits until that many edits of the other have arrived. */
  async arrivals({ link: name, count }: { link: LinkName; count: number }) {
    const link = linkOf(name)
    if (link.arrivals < count) {
      await new Promise<void>((resolve) =>
        link.onArrival(() => link.arrivals === count && resolve())
      )
    }
  },

  take: ({ link }: { link: LinkName }) => linkOf(link).take()
}

serve(methods)

function linkOf(name: LinkName): Link {
  return name === 'skein' ? skeinLink! : bare![name]
}

function digest(text: string): string {
  return toHex(hash(text, new Uint8Array())).slice(0, 16) + ':' + text.length
}

interface CountingStream {
  readonly rawBytesRead: number
  readonly rawBytesWritten: number
}

function counter(): Traffic & { add(stream: unknown): void } {
  const streams: CountingStream[] = []
  const sum = (key: keyof CountingStream): number =>
    streams.reduce((total, stream) => total + stream[key], 0)
  return {
    connectedAt: 0,
    add(stream) {
      if (streams.length === 0) this.connectedAt = nowMs()
      streams.push(stream as CountingStream)
    },
    bytes: () => ({ received: sum('rawBytesRead'), sent: sum('rawBytesWritten') })
  }
}

function trafficOf(transport: Transport): Traffic {
  const count = counter()
  transport.on('connection', ({ stream }) => count.add(stream))
  return count
}

/** Meets the other process on a topic of its own, apart from Skein. */
async function bareSwarm(
  { bootstrap }: Rendezvous,
  onStream: (stream: unknown) => void
): Promise<Traffic> {
  const dht = new DHT({
    bootstrap: [...bootstrap],
    host: '127.0.0.1',
    ephemeral: true,
    firewalled: false
  })
  const swarm = new Hyperswarm({ dht, keyPair: signKeysFrom(randomBytes(32)) })
  const count = counter()
  swarm.on('connection', (stream) => {
    stream.on('error', () => {}) // The other process has ended.
    count.add(stream)
    onStream(stream)
  })
  await swarm.join(topic, { server: true, client: true }).flushed()
  return count
}
