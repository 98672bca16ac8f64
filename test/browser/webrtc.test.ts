/** WebRTC in real Chromium: the contract, and pages and Node in step, introduced by a Node peer's port or by hand. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Skein } from '../../lib/index.ts'
import { webrtc } from '../../adapters/webrtc.ts'
import { listen, websocket } from '../../adapters/websocket.ts'
import { deadline, once } from '../events.ts'
import { launch, processesOf } from './chromium.ts'
import { serve, watch } from './site.ts'

/** What is used of a Y.Text. */
interface Text {
  insert(index: number, text: string): void
  toString(): string
}

const pages = suite('WebRTC between pages and Node')

pages('the transport contract holds between transports in Chromium', async () => {
  await using site = await serve('test/browser/webrtc-page.ts')
  await using profile = await launch()
  const port = await listen()
  const tab = await profile.context.newPage()
  const errors = watch(tab)
  await tab.goto(site.url)
  const result = await tab.evaluate(
    (url) =>
      webrtcPage.runContract(() => {
        const device = () => webrtcPage.webrtc({ signalling: [url] })
        return Promise.resolve({ a: device(), b: device(), c: device() })
      }),
    port.url
  )
  assert.equal(result.failed, [])
  assert.ok(result.passed > 15)
  assert.equal(errors, [])
  await port.close()
})

pages('two browsers and a Node peer are in step, introduced by its port', async () => {
  await using site = await serve('test/browser/webrtc-page.ts')
  await using one = await launch()
  await using other = await launch()
  const folder = await mkdtemp(join(tmpdir(), 'skein-webrtc-'))
  const port = await listen()
  const carol = new Skein({
    storage: join(folder, 'carol'),
    name: 'carol',
    transports: [webrtc({ wrtc: '@roamhq/wrtc', signalling: [port.url] })]
  })
  try {
    const space = await carol.createSpace({ name: 'Notes' })
    const note = await space.open('ideas')
    note.doc.getText('body').insert(0, 'carol ')
    const invite = await space.invite({ role: 'writer', uses: 2 })
    const [alice, bob] = [await one.context.newPage(), await other.context.newPage()]
    const errors = [watch(alice), watch(bob)]
    for (const [tab, name] of [
      [alice, 'alice'],
      [bob, 'bob']
    ] as const) {
      await tab.goto(site.url)
      await tab.evaluate(
        async ({ name, invite, url }) => {
          const { Skein, webrtc } = webrtcPage
          const transports = [webrtc({ signalling: [url] })]
          const skein = new Skein({ storage: name, name, transports })
          const space = await skein.join(invite)
          const note = await space.open('ideas')
          await note.whenSynced()
          const body = note.doc.getText('body')
          body.insert(body.length, `${name} `)
          Object.assign(globalThis, { body, skein })
        },
        { name, invite, url: port.url }
      )
    }
    const all = (): Promise<string[]> =>
      Promise.all([
        Promise.resolve(note.doc.getText('body').toString()),
        ...[alice, bob].map((tab) =>
          tab.evaluate(() =>
            (globalThis as unknown as { body: { toString(): string } }).body.toString()
          )
        )
      ])
    const equal = async (): Promise<void> => {
      for (;;) {
        const texts = await all()
        const isWhole = ['alice ', 'bob ', 'carol '].every((part) => texts[0]!.includes(part))
        if (isWhole && new Set(texts).size === 1) return
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
    await deadline(equal(), 60_000, 'the same text at all three')
    assert.equal(errors, [[], []])
  } finally {
    await carol.close()
    await port.close()
    await rm(folder, { recursive: true })
  }
})

pages('two browsers introduced by pasted texts sync, with no server running', async () => {
  await using site = await serve('test/browser/webrtc-page.ts')
  await using one = await launch()
  await using other = await launch()
  const [alice, bob] = [await one.context.newPage(), await other.context.newPage()]
  await alice.goto(site.url)
  await bob.goto(site.url)
  const { invite, call } = await alice.evaluate(async () => {
    const { Skein, webrtc } = webrtcPage
    const transport = webrtc()
    const skein = new Skein({ storage: 'alice', name: 'alice', transports: [transport] })
    const space = await skein.createSpace({ name: 'Notes' })
    const note = await space.open('ideas')
    note.doc.getText('body').insert(0, 'Hello from alice')
    const call = await transport.call()
    Object.assign(globalThis, { call, skein })
    return { invite: await space.invite(), call: call.text }
  })
  const answer = await bob.evaluate(
    async ({ invite, call }) => {
      const { Skein, webrtc } = webrtcPage
      const transport = webrtc()
      const skein = new Skein({ storage: 'bob', name: 'bob', transports: [transport] })
      await skein.ready()
      const joined = skein.join(invite).then(async (space) => {
        const note = await space.open('ideas')
        await note.whenSynced()
        return note.doc.getText('body').toString()
      })
      Object.assign(globalThis, { joined, skein })
      return transport.answer(call)
    },
    { invite, call }
  )
  const lengths = [call.length, answer.length]
  assert.ok(Math.max(...lengths) < 250, `lines of ${lengths.join(' and ')} characters`)
  await alice.evaluate(
    (answer) =>
      (globalThis as unknown as { call: { complete(text: string): Promise<void> } }).call.complete(
        answer
      ),
    answer
  )
  const text = await deadline(
    bob.evaluate(() => (globalThis as unknown as { joined: Promise<string> }).joined),
    30_000,
    "alice's note at bob's"
  )
  assert.is(text, 'Hello from alice')
})

pages(
  'two browsers that dial one Node peer connect directly, and sync on when it goes',
  async () => {
    await using site = await serve('test/browser/webrtc-page.ts')
    await using one = await launch()
    await using other = await launch()
    const folder = await mkdtemp(join(tmpdir(), 'skein-introduced-'))
    const port = await listen()
    const transports = [websocket({ port })]
    const carol = new Skein({ storage: join(folder, 'carol'), name: 'carol', transports })
    try {
      const space = await carol.createSpace({ name: 'Notes' })
      const invite = await space.invite({ role: 'writer', uses: 2 })
      const tabs = [await one.context.newPage(), await other.context.newPage()]
      for (const [i, tab] of tabs.entries()) {
        await tab.goto(site.url)
        await tab.evaluate(
          async ({ name, invite, url }) => {
            const { Skein, webrtc, websocket } = webrtcPage
            const transports = [webrtc(), websocket({ urls: [url] })]
            const skein = new Skein({ storage: name, name, transports })
            const isDirect = new Promise<void>((resolve) => {
              skein.on('connection', ({ transport }) => transport === 'webrtc' && resolve())
            })
            const note = await (await skein.join(invite)).open('ideas')
            Object.assign(globalThis, { skein, isDirect, body: note.doc.getText('body') })
          },
          { name: `page ${i}`, invite, url: port.url }
        )
      }
      const introduced = Promise.all(
        tabs.map((tab) =>
          tab.evaluate(() => (globalThis as unknown as { isDirect: Promise<void> }).isDirect)
        )
      )
      await deadline(introduced, 30_000, 'a direct connection')
      await carol.close()
      await port.close()
      await tabs[0]!.evaluate(() =>
        (globalThis as unknown as { body: Text }).body.insert(0, 'with nobody between us')
      )
      const arrived = tabs[1]!.waitForFunction(
        () => (globalThis as unknown as { body: Text }).body.toString() === 'with nobody between us'
      )
      await deadline(arrived, 30_000, 'the text at the other page')
    } finally {
      await carol.close()
      await port.close()
      await rm(folder, { recursive: true })
    }
  }
)

pages('a computer that sleeps is in step again when it wakes', async () => {
  await using site = await serve('test/browser/webrtc-page.ts')
  await using profile = await launch()
  const folder = await mkdtemp(join(tmpdir(), 'skein-sleep-'))
  const port = await listen()
  const carol = new Skein({
    storage: join(folder, 'carol'),
    name: 'carol',
    transports: [webrtc({ wrtc: '@roamhq/wrtc', signalling: [port.url] })]
  })
  const signal = (name: 'SIGSTOP' | 'SIGCONT'): void => {
    for (const pid of processesOf(profile.folder)) process.kill(pid, name)
  }
  try {
    const space = await carol.createSpace({ name: 'Notes' })
    const note = await space.open('ideas')
    const tab = await profile.context.newPage()
    const errors = watch(tab)
    await tab.goto(site.url)
    await tab.evaluate(
      async ({ invite, url }) => {
        const { Skein, webrtc } = webrtcPage
        const transports = [webrtc({ signalling: [url] })]
        const skein = new Skein({ storage: 'alice', name: 'alice', transports })
        const note = await (await skein.join(invite)).open('ideas')
        await note.whenSynced()
        Object.assign(globalThis, { skein, note, body: note.doc.getText('body') })
      },
      { invite: await space.invite(), url: port.url }
    )
    signal('SIGSTOP')
    // Nothing tells of it but the silence.
    await once((listener) => carol.on('disconnection', listener), 60_000, 'carol notices')
    const body = note.doc.getText('body')
    body.insert(0, 'while you slept')
    await note.saved()
    signal('SIGCONT')
    const arrived = tab.waitForFunction(
      () => (globalThis as unknown as { body: Text }).body.toString() === 'while you slept'
    )
    await deadline(arrived, 30_000, 'what carol wrote')
    await tab.evaluate(() =>
      (globalThis as unknown as { body: Text }).body.insert(15, ', good morning')
    )
    const answered = new Promise<void>((resolve) => {
      const look = (): void => {
        if (body.toString() === 'while you slept, good morning') resolve()
      }
      body.observe(look)
      look()
    })
    await deadline(answered, 30_000, 'what alice answers')
    assert.equal(
      errors.filter((error) => !error.includes('WebSocket')),
      []
    )
  } finally {
    signal('SIGCONT')
    await carol.close()
    await port.close()
    await rm(folder, { recursive: true })
  }
})

pages('a page reaches a Node peer by WebSocket', async () => {
  await using site = await serve('test/browser/webrtc-page.ts')
  await using profile = await launch()
  const folder = await mkdtemp(join(tmpdir(), 'skein-websocket-'))
  const port = await listen()
  const transports = [websocket({ port })]
  const carol = new Skein({ storage: join(folder, 'carol'), name: 'carol', transports })
  try {
    const space = await carol.createSpace({ name: 'Notes' })
    const note = await space.open('ideas')
    note.doc.getText('body').insert(0, 'Hello from Node')
    const tab = await profile.context.newPage()
    await tab.goto(site.url)
    const text = await tab.evaluate(
      async ({ invite, url }) => {
        const { Skein, websocket } = webrtcPage
        const transports = [websocket({ urls: [url] })]
        const skein = new Skein({ storage: 'alice', name: 'alice', transports })
        const note = await (await skein.join(invite)).open('ideas')
        await note.whenSynced()
        return note.doc.getText('body').toString()
      },
      { invite: await space.invite(), url: port.url }
    )
    assert.is(text, 'Hello from Node')
  } finally {
    await carol.close()
    await port.close()
    await rm(folder, { recursive: true })
  }
})

pages.run()
