/**
 * A new device joins over a private DHT on loopback and gets the paper: from its connection to the text being there,
 * with everything that comes in between (pairing, the grant, decoding, validation, storing). Beside it, bare hypercore
 * downloading the same blocks. Interleaved, a process for each.
 */
import { join } from 'node:path'
import { runDht } from 'skein/adapters/dht'
import { Child } from './child.ts'
import { median, scratch } from './measure.ts'

export interface ColdSyncResult {
  readonly blocks: number
  readonly blockBytes: number
  readonly bareMs: number
  readonly bareBytes: number
  /** From the connection until the invite was answered. */
  readonly joinedMs: number
  /** Until the text was there. */
  readonly skeinMs: number
  readonly skeinBytes: number
  readonly ratio: number
  readonly texts: readonly number[]
}

export async function coldSync(limit: number, rounds: number): Promise<ColdSyncResult> {
  await using folder = await scratch()
  const dht = await runDht()
  try {
    const place = { folder: join(folder.path, 'alice'), bootstrap: dht.bootstrap }
    await using writer = new Child()
    const written = await writer.call('write', { folder: place.folder, limit })
    await writer.call('close')
    await using alice = new Child()
    const served = await alice.call('serveBare', { ...place, ...written })
    await alice.call('meet', { ...place, space: written.space })
    const invite = await alice.call('invite', { uses: rounds })
    const bare: { ms: number; received: number }[] = []
    const skein: { ms: number; joinedMs: number; received: number }[] = []
    const lengths = new Set<number>([written.length])
    for (let round = 0; round < rounds; round++) {
      {
        await using bob = new Child()
        const what = { bootstrap: dht.bootstrap, folder: join(folder.path, `bare-${round}`) }
        bare.push(await bob.call('fetchBare', { ...what, ...served }))
      }
      await using bob = new Child()
      await bob.call('meet', {
        bootstrap: dht.bootstrap,
        folder: join(folder.path, `bob-${round}`)
      })
      const fetched = await bob.call('fetchPaper', { invite, length: written.length })
      skein.push(fetched)
      lengths.add(fetched.length)
    }
    const bareMs = median(bare.map(({ ms }) => ms))
    const skeinMs = median(skein.map(({ ms }) => ms))
    return {
      blocks: served.blocks,
      blockBytes: served.bytes,
      bareMs,
      bareBytes: median(bare.map(({ received }) => received)),
      joinedMs: median(skein.map(({ joinedMs }) => joinedMs)),
      skeinMs,
      skeinBytes: median(skein.map(({ received }) => received)),
      ratio: skeinMs / bareMs,
      texts: [...lengths]
    }
  } finally {
    await dht.close()
  }
}
