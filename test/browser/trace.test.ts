/**
 * Recorded and generated concurrent histories, with one author in Chromium and the others in Node, over WebRTC: each edit
 * is made against exactly what its author had seen, and all devices end in the recording's text, after a reload too. Long
 * form: TRACE=file replays that recording.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { planTrace, type Plan } from '../../examples/demo/plan.ts'
import { parseTrace, readTrace } from '../../examples/demo/trace.ts'
import { write } from '../../examples/demo/writer.ts'
import { webrtc } from '../../adapters/webrtc.ts'
import { listen } from '../../adapters/websocket.ts'
import { Skein } from '../../lib/index.ts'
import { deadline } from '../events.ts'
import { generateHistory } from '../fixtures/concurrent-traces.ts'
import { launch } from './chromium.ts'
import { serve, watch } from './site.ts'

const playMs = 120_000

const traces = suite('histories with an author in Chromium')

const { TRACE = 'test/fixtures/friendsforever.json.gz' } = process.env

traces(`${TRACE} ends in its text, one author in Chromium`, async () => {
  await replay(planTrace(await readTrace(TRACE)))
})

for (const kind of ['live', 'git'] as const) {
  traces(`a ${kind} history by four ends in its text, one author in Chromium`, async () => {
    const history = generateHistory(7, { kind, authors: 4, transactions: 400 })
    await replay(planTrace(parseTrace(history)))
  })
}

async function replay(plan: Plan): Promise<void> {
  await using site = await serve('test/browser/trace-page.ts')
  await using profile = await launch()
  const folder = await mkdtemp(join(tmpdir(), 'skein-trace-'))
  const port = await listen()
  const devices = plan.authors.slice(1).map(
    ({ agent }) =>
      new Skein({
        storage: join(folder, `${agent}`),
        name: `author ${agent}`,
        transports: [webrtc({ wrtc: '@roamhq/wrtc', signalling: [port.url] })]
      })
  )
  try {
    const space = await devices[0]!.createSpace({ name: 'Replay' })
    const invite = await space.invite({ uses: plan.authors.length - 1 })
    const tab = await profile.context.newPage()
    const errors = watch(tab)
    await tab.goto(site.url)
    await tab.evaluate(
      async ({ invite, url }) => {
        const { Skein, webrtc } = tracePage
        const transports = [webrtc({ signalling: [url] })]
        const skein = new Skein({ storage: 'author', name: 'in the page', transports })
        const note = await (await skein.join(invite)).open('trace')
        Object.assign(globalThis, { skein, note })
      },
      { invite, url: port.url }
    )
    const notes = await Promise.all(
      devices.map(async (device, i) =>
        (await (i === 0 ? space : device.join(invite))) === space
          ? space.open('trace')
          : device.spaces()[0]!.open('trace')
      )
    )
    const playing = [
      tab.evaluate(
        ({ plan }) =>
          tracePage.write({
            note: (globalThis as unknown as { note: Parameters<typeof tracePage.write>[0]['note'] })
              .note,
            plan,
            author: 0,
            onProgress: () => {}
          }),
        { plan }
      ),
      ...notes.map((note, i) => write({ note, plan, author: i + 1, onProgress: () => {} }))
    ]
    await deadline(Promise.all(playing), playMs, 'everyone to have everything')
    for (const note of notes) assert.is(note.doc.getText('body').toString(), plan.endContent)

    // Nobody else is there now: it is what the page has on its disk.
    await Promise.all(devices.map((device) => device.close()))
    await tab.reload()
    const text = await tab.evaluate(async () => {
      const skein = new tracePage.Skein({ storage: 'author' })
      await skein.ready()
      const [space] = skein.spaces()
      const note = await space!.open('trace')
      await note.saved()
      return note.doc.getText('body').toString()
    })
    assert.is(text, plan.endContent)
    assert.equal(errors, [])
  } finally {
    await Promise.all(devices.map((device) => device.close()))
    await port.close()
    await rm(folder, { recursive: true })
  }
}

traces.run()
