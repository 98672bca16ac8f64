/**
 * Between two browsers: what a data channel carries while a space is replicated over it, against the bare channel, and how
 * long a letter takes from the one keyboard to the other screen.
 */
import type { Page } from 'playwright-core'
import { launch } from '../browser/chromium.ts'
import { serve } from '../browser/site.ts'
import { median, spread, type Spread } from './measure.ts'

declare const webrtcBench: typeof import('./webrtc-page.ts').webrtcBench

export interface WebRtcFigures {
  /** Bytes a second. */
  readonly bare: number
  readonly replicating: number
  readonly typing: Spread
}

export async function webrtcFigures(options: {
  readonly rounds: number
  readonly megabytes: number
  readonly letters: number
}): Promise<WebRtcFigures> {
  const { rounds, megabytes, letters } = options
  const bytes = megabytes * 1024 * 1024
  await using site = await serve('test/bench/webrtc-page.ts')
  await using one = await launch()
  await using other = await launch()
  const [alice, bob] = [await one.context.newPage(), await other.context.newPage()]
  for (const page of [alice, bob]) await page.goto(site.url)

  await alice.evaluate(() => webrtcBench.open('alice'))
  await bob.evaluate(() => webrtcBench.open('bob'))
  const invite = await alice.evaluate(() => webrtcBench.create())
  const joined = bob.evaluate((text) => webrtcBench.join(text), invite)
  await meet(alice, bob)
  await joined

  const offer = await alice.evaluate(() => webrtcBench.bareOffer())
  const answer = await bob.evaluate((sdp) => webrtcBench.bareAnswer(sdp), offer)
  await alice.evaluate((sdp) => webrtcBench.bareComplete(sdp), answer)

  const bare: number[] = []
  const replicating: number[] = []
  for (let round = 0; round < rounds; round++) {
    const received = bob.evaluate((size) => webrtcBench.bareReceive(size), bytes)
    await alice.evaluate((size) => webrtcBench.bareSend(size), bytes)
    bare.push((bytes / (await received)) * 1_000)

    await alice.evaluate(() => webrtcBench.isolated())
    await alice.evaluate((count) => webrtcBench.fill(count, 512 * 1024), 2 * megabytes)
    const synced = bob.evaluate(() => webrtcBench.received())
    await meet(alice, bob)
    const { bytes: came, ms } = await synced
    if (came < bytes) throw new Error(`${came} bytes came of ${bytes}`)
    replicating.push((came / ms) * 1_000)
  }
  for (const page of [alice, bob]) await page.evaluate(() => webrtcBench.openNote())
  await bob.evaluate(() => webrtcBench.echo())
  const times = await alice.evaluate((count) => webrtcBench.type(count), letters)
  return { bare: median(bare), replicating: median(replicating), typing: spread(times) }
}

async function meet(alice: Page, bob: Page): Promise<void> {
  const call = await alice.evaluate(() => webrtcBench.call())
  const answer = await bob.evaluate((text) => webrtcBench.answer(text), call)
  await alice.evaluate((text) => webrtcBench.complete(text), answer)
}
