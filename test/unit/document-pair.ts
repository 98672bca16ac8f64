/** Two devices with one document open, as tests of documents begin. */
import * as Y from 'yjs'
import { MemoryNetwork } from '../../adapters/memory.ts'
import { platform as nodePlatform } from '../../adapters/node/platform.ts'
import type { Document, DocumentEvents, Outbox, OutboxRecord, Platform } from '../../lib/index.ts'
import { eventually, once } from '../events.ts'
import { device, spaceOf, waitMs, whenSynced, type Device } from '../devices.ts'

/** Alice and bob, connected, with the same document open. */
export class Pair implements AsyncDisposable {
  readonly network = new MemoryNetwork()
  readonly logged: Record<'alice' | 'bob', OutboxRecord[]> = { alice: [], bob: [] }
  alice!: Device
  bob!: Device
  note!: Document
  copy!: Document

  static async open(): Promise<Pair> {
    const pair = new Pair()
    const { network, logged } = pair
    pair.alice = await device(
      'alice',
      network,
      watched((record) => logged.alice.push(record))
    )
    pair.bob = await device(
      'bob',
      network,
      watched((record) => logged.bob.push(record))
    )
    const space = await spaceOf(pair.alice, pair.bob)
    pair.note = await space.open('ideas')
    pair.copy = await pair.bob.space.open('ideas')
    await whenSynced(pair.bob.space)
    return pair
  }

  part(): void {
    this.network.partition([[this.alice.key], [this.bob.key]])
  }

  /** Resolves once both documents hold the same. */
  async same(): Promise<void> {
    const state = ({ doc }: Document): string =>
      Buffer.from(Y.encodeStateVector(doc)).toString('hex')
    const deletes = ({ doc }: Document): string => JSON.stringify(Y.snapshot(doc).ds.clients.size)
    const isSame = (): boolean =>
      state(this.note) === state(this.copy) && deletes(this.note) === deletes(this.copy)
    await eventually(isSame, { deadlineMs: waitMs, what: 'the same state' })
  }

  /** How many blocks of content each has logged. */
  get contentBlocks(): [number, number] {
    const count = (records: OutboxRecord[]): number =>
      records.filter(({ kind }) => kind === 1).length
    return [count(this.logged.alice), count(this.logged.bob)]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.alice[Symbol.asyncDispose]()
    await this.bob[Symbol.asyncDispose]()
  }
}

/** Node's platform whose outboxes show what is appended; what `see` returns false for never gets there. */
export function watched(see: (record: OutboxRecord) => unknown): Partial<Platform> {
  const watch = (outbox: Outbox): Outbox =>
    Object.assign(Object.create(outbox) as Outbox, {
      append: (records: OutboxRecord[]) =>
        outbox.append(records.filter((one) => see(one) !== false)),
      read: () => outbox.read(),
      trim: (first: OutboxRecord[]) => outbox.trim(first),
      close: () => outbox.close()
    })
  return {
    openStorage: async (location) => {
      const storage = await nodePlatform.openStorage(location)
      const openOutbox = storage.openOutbox.bind(storage)
      storage.openOutbox = async (name) => watchByteLength(await openOutbox(name))
      return storage
    }
  }
  function watchByteLength(outbox: Outbox): Outbox {
    return Object.defineProperty(watch(outbox), 'byteLength', { get: () => outbox.byteLength })
  }
}

export function bodyOf(document: Document): Y.Text {
  return document.doc.getText('body')
}

export function nextError(document: Document): Promise<DocumentEvents['error']> {
  return once((listener) => document.on('error', listener), waitMs, 'an error')
}
