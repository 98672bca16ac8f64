/**
 * In Chromium: a durable append against plain IndexedDB transactions, opening the paper against y-indexeddb, and what a
 * page that stays open for a long run of edits comes to hold.
 */
import { launch } from '../browser/chromium.ts'
import { serve, type Site } from '../browser/site.ts'
import type { History } from './history.ts'
import { median, spread, type Spread } from './measure.ts'

declare const benchPage: typeof import('./browser-page.ts').benchPage

export interface BrowserFigures {
  readonly appends: Record<'plain' | 'hypercore' | 'skein', Spread>
  readonly open: {
    readonly skeinMs: number
    readonly readyMs: number
    readonly otherMs: number
    readonly length: number
  }
  /** After each part of the long run: live heap and IndexedDB bytes. */
  readonly growth: readonly {
    readonly edits: number
    readonly heapBytes: number
    readonly storedBytes: number
  }[]
}

export async function browser(
  history: History,
  options: { rounds: number; appends: number; longEdits: number }
): Promise<BrowserFigures> {
  // Each has an origin to itself: what else lies in one slows the opening of its database.
  await using site = await serve('test/bench/browser-page.ts')
  await using skeins = await serve('test/bench/browser-page.ts')
  await using others = await serve('test/bench/browser-page.ts')
  const first = await launch()
  const { folder } = first
  let context = first.context
  const tab = await context.newPage()
  await tab.goto(site.url)
  const times = await tab.evaluate((count) => benchPage.append(count), options.appends)
  const fill = async (at: Site, into: 'skein' | 'other'): Promise<number> => {
    const page = await context.newPage()
    await page.goto(at.url)
    const length = await page.evaluate(
      ({ edits, group, which }) => benchPage.fill(edits, group, which),
      { edits: history.edits as (typeof history.edits)[number][], group: 100, which: into }
    )
    await page.close()
    return length
  }
  const length = await fill(skeins, 'skein')
  if ((await fill(others, 'other')) !== length) throw new Error('The texts differ')
  const growth = await grow(context, site, options.longEdits)

  const skein: number[] = []
  const ready: number[] = []
  const other: number[] = []
  for (let round = 0; round < options.rounds; round++) {
    for (const which of round % 2 === 0 ? ['skein', 'other'] : ['other', 'skein']) {
      // A browser of its own, so that nothing is warm that was not on the disk.
      await context.close()
      context = (await launch({ folder })).context
      const page = await context.newPage()
      await page.goto((which === 'skein' ? skeins : others).url)
      if (which === 'skein') {
        const opened = await page.evaluate(() => benchPage.openSkein())
        if (opened.length !== length) throw new Error('The texts differ')
        skein.push(opened.ms)
        ready.push(opened.parts[0]!)
      } else {
        const opened = await page.evaluate(() => benchPage.openOther())
        if (opened.length !== length) throw new Error('The texts differ')
        other.push(opened.ms)
      }
    }
  }
  await context.close()
  await first[Symbol.asyncDispose]()
  return {
    appends: {
      plain: spread(times.plain),
      hypercore: spread(times.hypercore),
      skein: spread(times.skein)
    },
    open: { skeinMs: median(skein), readyMs: median(ready), otherMs: median(other), length },
    growth
  }
}

async function grow(
  context: Awaited<ReturnType<typeof launch>>['context'],
  site: Site,
  edits: number
): Promise<BrowserFigures['growth']> {
  const tab = await context.newPage()
  await tab.goto(site.url)
  const protocol = await context.newCDPSession(tab)
  const growth: BrowserFigures['growth'][number][] = []
  const parts = 5
  for (let part = 1; part <= parts; part++) {
    await tab.evaluate((count) => benchPage.edit(count), Math.floor(edits / parts))
    await protocol.send('HeapProfiler.collectGarbage')
    const { usedSize } = await protocol.send('Runtime.getHeapUsage')
    const storedBytes = await tab.evaluate(() => benchPage.usedBytes())
    growth.push({ edits: Math.floor((edits / parts) * part), heapBytes: usedSize, storedBytes })
  }
  await tab.close()
  return growth
}
