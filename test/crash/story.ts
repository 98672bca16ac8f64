/** What the stories have in common: alice in this process, the others in processes of their own, on a private DHT. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runDht } from '../../adapters/dht.ts'
import { hyperswarm } from '../../adapters/hyperswarm.ts'
import { Skein, type Document, type Space } from '../../lib/index.ts'
import { until } from '../devices.ts'
import { RemoteDevice } from './remote-device.ts'

export async function write(document: Document, text: string): Promise<void> {
  const body = document.doc.getText('body')
  body.insert(body.length, text)
  await document.saved()
}

export function whenMembers(space: Space, count: number): Promise<void> {
  return until(
    (listener) => space.on('members', listener),
    () => space.members().length === count,
    `${count} members`
  )
}

class Stage implements AsyncDisposable {
  readonly folder: string
  readonly alice: Skein
  readonly dht: Awaited<ReturnType<typeof runDht>>

  constructor(folder: string, dht: Awaited<ReturnType<typeof runDht>>) {
    this.folder = folder
    this.dht = dht
    const transports = [hyperswarm({ bootstrap: dht.bootstrap })]
    this.alice = new Skein({ storage: join(folder, 'alice'), name: 'alice', transports })
  }

  /** A device in a process of its own; the same folder is the same device. */
  device(name: string, options: { person?: string; isOffline?: boolean } = {}): RemoteDevice {
    const { person, isOffline = false } = options
    return new RemoteDevice({
      folder: join(this.folder, name),
      name,
      ...(person === undefined ? {} : { person }),
      ...(isOffline ? {} : { bootstrap: this.dht.bootstrap })
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.alice.close()
    await this.dht.close()
    await rm(this.folder, { recursive: true })
  }
}

export async function stage(): Promise<Stage> {
  const made = new Stage(await mkdtemp(join(tmpdir(), 'skein-story-')), await runDht())
  await made.alice.ready()
  return made
}
