/**
 * `skein serve` between browsers and the DHT, as a member, as a mirror that reads nothing, and as an introducer that is
 * no device: in each way what a browser writes reaches a Node peer that knows the DHT only, and the other way round.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { runDht } from '../../adapters/dht.ts'
import { hyperswarm } from '../../adapters/hyperswarm.ts'
import { webrtc } from '../../adapters/webrtc.ts'
import { Skein, type Document, type Transport } from '../../lib/index.ts'
import { Folder, type Running } from '../cli/skein.ts'
import { deadline, eventually } from '../events.ts'
import { launch, type Profile } from './chromium.ts'
import { serve as servePage, watch, type Site } from './site.ts'

const test = suite('skein serve, and browsers')
const waitMs = 30_000

let site: Site
let profiles: [Profile, Profile]
let dht: Awaited<ReturnType<typeof runDht>>
let bootstrap: string
test.before(async () => {
  site = await servePage('test/browser/webrtc-page.ts')
  profiles = [await launch(), await launch()]
  dht = await runDht()
  bootstrap = dht.bootstrap.map(({ host, port }) => `${host}:${port}`).join()
})
test.after(async () => {
  for (const profile of profiles) await profile[Symbol.asyncDispose]()
  await dht.close()
  await site[Symbol.asyncDispose]()
})

interface InPage {
  readonly skein: import('skein').Skein
  readonly space: import('skein').Space
  readonly note: import('skein').Document
}

/** A page with a device that reaches the port alone: it dials it, or is introduced by it. */
async function openPage(
  profile: Profile,
  { url, by, name }: { url: string; by: 'dialling' | 'introduction'; name: string }
): Promise<{ tab: Page; errors: string[] }> {
  const tab = await profile.context.newPage()
  const errors = watch(tab)
  await tab.goto(site.url)
  await tab.evaluate(
    async ({ url, by, name }) => {
      const { Skein, webrtc, websocket } = webrtcPage
      const transports =
        by === 'dialling' ? [websocket({ urls: [url] })] : [webrtc({ signalling: [url] })]
      const storage = `${name} ${url}`
      const skein = new Skein({ storage, name, transports })
      await skein.ready()
      Object.assign(globalThis, { skein })
    },
    { url, by, name }
  )
  return { tab, errors }
}

/** Joins by an invite, or makes a space; its note is open from then on. */
function begin(tab: Page, invite: string | null): Promise<void> {
  return tab.evaluate(async (invite) => {
    const { skein } = globalThis as unknown as InPage
    const space =
      invite === null ? await skein.createSpace({ name: 'Notes' }) : await skein.join(invite)
    Object.assign(globalThis, { space, note: await space.open('ideas') })
  }, invite)
}

function writeIn(tab: Page, word: string): Promise<void> {
  return tab.evaluate(async (word) => {
    const { note } = globalThis as unknown as InPage
    const text = note.doc.getText('body')
    text.insert(text.length, word)
    await note.saved()
  }, word)
}

async function write(note: Document, word: string): Promise<void> {
  const text = note.doc.getText('body')
  text.insert(text.length, word)
  await note.saved()
}

/** Resolves when the page and the note have each of the words once, and the same text. */
async function inStep(tabs: Page[], note: Document, words: string[]): Promise<void> {
  await eventually(
    async () => {
      const texts = [note.doc.getText('body').toString()]
      for (const tab of tabs)
        texts.push(
          await tab.evaluate(() =>
            (globalThis as unknown as InPage).note.doc.getText('body').toString()
          )
        )
      assert.equal(
        texts.map((text) => text.split(' ').filter(Boolean).sort()),
        texts.map(() => [...words].sort())
      )
      return new Set(texts).size === 1
    },
    { deadlineMs: waitMs, everyMs: 50 }
  )
}

async function urlOf(serving: Running): Promise<string> {
  const address = /ws:\/\/127\.0\.0\.1:\d+/
  await serving.says(address)
  return address.exec(serving.stdout)![0]
}

/** A device in Node that knows the DHT only, or the DHT and who introduces. */
class NodeDevice {
  readonly #name: string
  readonly #signalling: string | undefined
  #storage = ''
  skein!: Skein

  static async open(name: string, signalling?: string): Promise<NodeDevice> {
    const device = new NodeDevice(name, signalling)
    device.#storage = await mkdtemp(join(tmpdir(), `skein-${name}-`))
    await device.start()
    return device
  }

  private constructor(name: string, signalling: string | undefined) {
    this.#name = name
    this.#signalling = signalling
  }

  async start(): Promise<void> {
    const transports: Transport[] = [hyperswarm({ bootstrap: dht.bootstrap })]
    if (this.#signalling !== undefined)
      transports.push(webrtc({ wrtc: '@roamhq/wrtc', signalling: [this.#signalling] }))
    this.skein = new Skein({ storage: this.#storage, name: this.#name, transports })
    await this.skein.ready()
  }

  async close(): Promise<void> {
    await this.skein.close()
    await rm(this.#storage, { recursive: true })
  }
}

test('as a member: it lets both in, and passes on what they write', async () => {
  await using folder = await Folder.make()
  const home = folder.home('bridge')
  await home.run(['init', '--name', 'bridge'])
  await home.run(['create', 'Notes'])
  const serving = home.start(['--bootstrap', bootstrap, 'serve', '--port', '0'])
  const url = await urlOf(serving)
  const { tab, errors } = await openPage(profiles[0], { url, by: 'dialling', name: 'alice' })
  await begin(tab, (await home.run(['invite'])).trim())
  const bob = await NodeDevice.open('bob')
  try {
    const atBob = await (await bob.skein.join((await home.run(['invite'])).trim())).open('ideas')
    await writeIn(tab, 'alice ')
    await write(atBob, 'bob ')
    await inStep([tab], atBob, ['alice', 'bob'])
    const text = await home.run(['cat', 'ideas'])
    assert.is(text, atBob.doc.getText('body').toString(), 'the bridge reads it too')
    assert.equal(errors, [])
  } finally {
    await tab.close()
    await bob.close()
    await serving.interrupt()
  }
})

test('as a mirror: it keeps and passes on what it cannot read', async () => {
  await using folder = await Folder.make()
  const home = folder.home('shelf')
  await home.run(['init', '--name', 'shelf'])
  const serving = home.start(['--bootstrap', bootstrap, 'serve', '--mirror', '--port', '0'])
  const url = await urlOf(serving)
  await serving.says(/skein-mirror:[\w-]+\n/)
  const [address] = /skein-mirror:[\w-]+/.exec(serving.stdout)!
  const { tab, errors } = await openPage(profiles[0], { url, by: 'dialling', name: 'alice' })
  await begin(tab, null)
  const bob = await NodeDevice.open('bob')
  try {
    await writeIn(tab, 'alice ')
    // By a bundle: a mirror lets nobody in, and there is no other way between the two.
    const bundle = await tab.evaluate(
      async ({ address, introduction }) => {
        const { space } = globalThis as unknown as InPage
        await space.addMirror(address)
        const pieces: number[][] = []
        for await (const piece of space.export({ for: introduction, role: 'writer' }))
          pieces.push([...piece])
        return pieces
      },
      { address, introduction: bob.skein.introduction }
    )
    const { space } = await bob.skein.import(
      (async function* () {
        for (const piece of bundle) yield Uint8Array.from(piece)
      })()
    )
    const atBob = await space.open('ideas')
    await write(atBob, 'bob ')
    await inStep([tab], atBob, ['alice', 'bob'])
    await writeIn(tab, 'more ')
    await deadline(
      tab.evaluate(() => (globalThis as unknown as InPage).note.saved({ mirrors: 1 })),
      waitMs,
      'the mirror has it'
    )
    await inStep([tab], atBob, ['alice', 'bob', 'more'])
    assert.equal(await home.json(['documents']), [], 'the mirror reads no names')
    assert.equal(errors, [])
    // One after the other: what the page writes while bob is away, he has from the mirror when the page is gone.
    await bob.skein.close()
    await writeIn(tab, 'alone ')
    await deadline(
      tab.evaluate(() => (globalThis as unknown as InPage).note.saved({ mirrors: 1 })),
      waitMs,
      'the mirror has that'
    )
    await tab.close()
    await bob.start()
    await inStep([], await bob.skein.spaces()[0]!.open('ideas'), ['alice', 'bob', 'more', 'alone'])
  } finally {
    await tab.close()
    await bob.close()
    await serving.interrupt()
  }
})

test('as an introducer only: browsers find each other, and a member in Node that goes on to the DHT', async () => {
  await using folder = await Folder.make()
  const serving = folder.home('nobody').start(['serve', '--introduce-only', '--port', '0'])
  const url = await urlOf(serving)
  const carol = await NodeDevice.open('carol', url)
  const bob = await NodeDevice.open('bob')
  const tabs: Page[] = []
  try {
    const space = await carol.skein.createSpace({ name: 'Notes' })
    const atBob = await (await bob.skein.join(await space.invite())).open('ideas')
    const problems: string[][] = []
    for (const [i, profile] of profiles.entries()) {
      const name = `page ${i}`
      const { tab, errors } = await openPage(profile, { url, by: 'introduction', name })
      await begin(tab, await space.invite())
      tabs.push(tab)
      problems.push(errors)
    }
    await writeIn(tabs[0]!, 'one ')
    await writeIn(tabs[1]!, 'other ')
    await write(atBob, 'bob ')
    await inStep(tabs, atBob, ['one', 'other', 'bob'])
    assert.equal(problems, [[], []])
  } finally {
    for (const tab of tabs) await tab.close()
    await Promise.all([carol.close(), bob.close()])
    await serving.interrupt()
  }
})

test.run()
