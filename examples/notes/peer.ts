/** The device behind `npm start`: a member like any other, which is always there. It serves browsers and meets others by the DHT. */
import { Skein, type Space, type Transport } from 'skein'
import { hyperswarm } from 'skein/adapters/hyperswarm'
import { websocket, type WebSocketPort } from 'skein/adapters/websocket'
import { samples } from './samples.ts'
import { listName, newNoteId, readList, writeNote } from './shared.ts'

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs

export interface PeerOptions {
  readonly folder: string
  /** Whose device the others see it as. */
  readonly person: string
  readonly port: WebSocketPort
  /** The DHT's nodes; undefined for the public one, null to leave the DHT alone. */
  readonly bootstrap: readonly string[] | undefined | null
}

export async function openPeer({ folder, person, port, bootstrap }: PeerOptions): Promise<Skein> {
  const transports: Transport[] = [websocket({ port })]
  if (bootstrap !== null) {
    transports.push(hyperswarm(bootstrap === undefined ? {} : { bootstrap }))
  }
  const skein = new Skein({ storage: folder, name: 'always on', person, transports })
  await skein.ready()
  return skein
}

/** The notebook of this device; one with sample notes where there is none yet. */
export async function openNotebook(skein: Skein): Promise<Space> {
  const space = skein.spaces()[0] ?? (await skein.createSpace({ name: 'Notes' }))
  const list = await space.open(listName)
  const samplesLeft = readList(list.doc).length > 0 ? [] : samples
  const now = Date.now()
  for (const [i, body] of samplesLeft.entries()) {
    const changedMs = now - i * i * dayMs - i * 47 * minuteMs
    await writeNote(space, list, { id: newNoteId(), body, changedMs })
  }
  await list.close()
  return space
}
