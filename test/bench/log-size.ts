/** How much a closed device's folder holds in its logs of a space. */
import { platform } from '#platform'
import { fromHex } from '../../lib/bytes.ts'
import type { Log } from '../../lib/log/log.ts'
import { LogStore } from '../../lib/log/store.ts'

export interface LogPlace {
  readonly folder: string
  /** The space's id in hex. */
  readonly space: string
  /** The author's key in hex. */
  readonly device: string
}

export interface LogSize {
  /** Blocks of the content log; an edit is one block, unless it is larger than 1 MiB. */
  readonly entries: number
  /** Bytes of the content log. */
  readonly bytes: number
  readonly controlBytes: number
}

export function logSize(place: LogPlace): Promise<LogSize> {
  return withLogs(place, async (content, control) => ({
    entries: content.length,
    bytes: content.byteLength,
    controlBytes: control.byteLength
  }))
}

/** The blocks of the content log, as they are. */
export function blocksOf(place: LogPlace): Promise<Uint8Array[]> {
  return withLogs(place, async (content) => {
    const blocks: Uint8Array[] = []
    for (let index = 0; index < content.length; index++) blocks.push((await content.get(index))!)
    return blocks
  })
}

async function withLogs<T>(
  { folder, space, device }: LogPlace,
  look: (content: Log, control: Log) => Promise<T>
): Promise<T> {
  const storage = await platform.openStorage(folder)
  const store = new LogStore(storage, platform.clock)
  await store.ready()
  try {
    const name = { space: fromHex(space), device: fromHex(device) }
    const content = await store.open({ ...name, core: 'content/0' }, null)
    const control = await store.open({ ...name, core: 'control' }, null)
    const result = await look(content, control)
    await store.closeLog(content)
    await store.closeLog(control)
    return result
  } finally {
    await store.close()
    await storage.close()
  }
}
