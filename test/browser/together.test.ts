/**
 * Two browsers, the Node peer that bridges for them, and a Node peer that knows the DHT only, all from the packed package:
 * they write at once, each is cut off in turn, pages are reloaded and killed in the middle of words, the bridge is killed.
 * All end equal, and nothing is lost that anyone called saved.
 *
 * Environment: TOGETHER_ROUNDS how often all of that happens (1).
 */
import { join } from 'node:path'
import * as esbuild from 'esbuild'
import type { Page } from 'playwright-core'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Folder, Running, type UserHome } from '../cli/skein.ts'
import { deadline, eventually } from '../events.ts'
import { launch, type Profile } from './chromium.ts'
import { packedApp, serveBuilt, type PackedApp } from './packed-app.ts'
import type { Site } from './site.ts'

const rounds = Number(process.env['TOGETHER_ROUNDS'] ?? 1)
const waitMs = 60_000
const test = suite('two browsers, a bridge, and a peer on the DHT')

const main = `import { Skein } from 'skein'
import { webrtc } from 'skein/adapters/webrtc'
import { websocket } from 'skein/adapters/websocket'

window.begin = async ({ name, url, invite }) => {
  const transports = [webrtc(), websocket({ urls: [url] })]
  const skein = new Skein({ storage: name, name, transports })
  await skein.ready()
  const space = skein.spaces()[0] ?? (await skein.join(invite))
  window.space = space
  window.note = await space.open('ideas')
}
window.text = () => window.note.doc.getText('body').toString()
// Types the mark and numbers, from where it was.
window.type = (mark) => {
  let isStopped = false
  const typing = async () => {
    let next = window.text().split(' ').filter((word) => word.startsWith(mark)).length
    while (!isStopped) {
      const body = window.note.doc.getText('body')
      const number = next++
      body.insert(body.length, mark + number + ' ')
      window.note.saved().then(() => window.acknowledge(mark, number))
      await new Promise((resolve) => setTimeout(resolve, 40))
    }
    await window.note.saved()
  }
  const typed = typing()
  window.stop = () => {
    isStopped = true
    return typed
  }
}
window.check = async () => {
  const found = []
  for await (const problem of window.space.verify()) found.push(problem)
  return found
}
`

/** What of the page's globals is used from here. */
interface App {
  begin(options: { name: string; url: string; invite: string }): Promise<void>
  text(): string
  type(mark: string): void
  stop(): Promise<void>
  check(): Promise<object[]>
  cut(isCut: boolean): void
}

let app: PackedApp
let site: Site
test.before(async () => {
  app = await packedApp({ main, hasCommand: true })
  const out = join(app.path, 'out')
  await esbuild.build({
    absWorkingDir: app.path,
    entryPoints: ['main.js'],
    bundle: true,
    outfile: join(out, 'main.js'),
    logLevel: 'silent'
  })
  site = await serveBuilt(app, out)
})
test.after(async () => {
  await site[Symbol.asyncDispose]()
  await app[Symbol.asyncDispose]()
})

/** By who writes, the numbers that were called saved. */
const savedByMark = new Map(['a', 'b', 'n', 'd'].map((mark) => [mark, new Set<number>()]))
const saved = (mark: string): Set<number> => savedByMark.get(mark)!
const untilSaved = (mark: string, more: number): Promise<void> => {
  const enough = saved(mark).size + more
  const what = `${enough} words of ${mark}'s are saved`
  return eventually(() => saved(mark).size >= enough, { deadlineMs: waitMs, what })
}

/** A browser of its own, in which one person writes. */
class Writer implements AsyncDisposable {
  readonly mark: string
  readonly #options: { name: string; url: string; invite: string }
  readonly #profile: Profile
  readonly errors: string[] = []
  tab!: Page

  static async open(mark: string, options: Writer['begun']): Promise<Writer> {
    const profile = await launch()
    // So that it can be cut off: whatever it has open is closed, and so is what it opens meanwhile.
    await profile.context.addInitScript(() => {
      const open = new Set<{ close(): void }>()
      let isCut = false
      for (const name of ['RTCPeerConnection', 'WebSocket'] as const) {
        const Native = window[name] as new (...args: unknown[]) => { close(): void }
        const Watched = class extends Native {
          constructor(...args: unknown[]) {
            super(...args)
            open.add(this)
            if (isCut) setTimeout(() => this.close())
          }
        }
        Object.assign(window, { [name]: Watched })
      }
      Object.assign(window, {
        cut(is: boolean) {
          isCut = is
          if (is) for (const connection of open) connection.close()
        }
      })
    })
    await profile.context.exposeFunction('acknowledge', (by: string, number: number) =>
      saved(by).add(number)
    )
    const writer = new Writer(mark, options, profile)
    await writer.openTab()
    return writer
  }

  private constructor(mark: string, options: Writer['begun'], profile: Profile) {
    this.mark = mark
    this.#options = options
    this.#profile = profile
  }

  get begun(): { name: string; url: string; invite: string } {
    return this.#options
  }

  async openTab(): Promise<void> {
    this.tab = await this.#profile.context.newPage()
    this.tab.on('pageerror', (error) => this.errors.push(error.stack ?? error.message))
    await this.tab.goto(site.url)
    await this.begin()
  }

  async begin(): Promise<void> {
    await this.tab.waitForFunction(() => 'begin' in window)
    const begun = this.tab.evaluate(
      (options) => (window as unknown as App).begin(options),
      this.#options
    )
    await deadline(begun, waitMs, `${this.mark} is in`)
  }

  async type(): Promise<void> {
    await this.tab.evaluate((mark) => (window as unknown as App).type(mark), this.mark)
  }

  stop(): Promise<void> {
    return deadline(
      this.tab.evaluate(() => (window as unknown as App).stop()),
      waitMs,
      `what ${this.mark} wrote is saved`
    )
  }

  async cut(isCut: boolean): Promise<void> {
    await this.tab.evaluate((isCut) => (window as unknown as App).cut(isCut), isCut)
  }

  text(): Promise<string> {
    return this.tab.evaluate(() => (window as unknown as App).text())
  }

  async crash(): Promise<void> {
    const protocol = await this.#profile.context.newCDPSession(this.tab)
    const crashed = new Promise((resolve) => this.tab.once('crash', resolve))
    void Promise.resolve(protocol.send('Page.crash')).catch(() => {}) // Nothing answers it.
    await crashed
    await this.tab.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#profile[Symbol.asyncDispose]()
  }
}

/** Appends to the note by the command, over and over; the number counts as saved where the command ends well. */
function typeBy(home: UserHome, mark: string): { stop: () => Promise<void> } {
  let isStopped = false
  const typing = async (): Promise<void> => {
    for (let number = 0; !isStopped; number++) {
      const { code } = await home.end(['append', 'ideas'], `${mark}${number} `)
      if (code === 0) saved(mark).add(number)
    }
  }
  const typed = typing()
  return {
    stop() {
      isStopped = true
      return typed
    }
  }
}

function numbersOf(text: string, mark: string): number[] {
  const words = text.split(/\s+/).filter((word) => word.startsWith(mark))
  return words.map((word) => Number(word.slice(mark.length)))
}

test('they end equal, and nothing is lost that was called saved', async () => {
  await using folder = await Folder.make()
  const program = [process.execPath, join(app.path, 'node_modules/skein/dist/skein/main.js')]
  const endsWithinMs = (1 + rounds) * 60_000
  await using dht = new Running(['dht', '--port', '0', '--json'], { program, endsWithinMs })
  await dht.says('port')
  const { port } = JSON.parse(dht.stdout) as { port: number }
  const env = { SKEIN_BOOTSTRAP: `127.0.0.1:${port}` }
  const node = folder.home('node', { env, program, endsWithinMs })
  const dave = folder.home('dave', { env, program, endsWithinMs })
  await node.run(['init', '--name', 'node'])
  await dave.run(['init', '--name', 'dave'])
  await node.run(['create', 'Notes'])
  let serving = node.start(['serve', '--port', '0'])
  const address = /ws:\/\/127\.0\.0\.1:(\d+)/
  await serving.says(address)
  const [url, bridgePort] = address.exec(serving.stdout)! as unknown as [string, string]
  const { invite } = await node.json<{ invite: string }>(['invite', '--uses', '3'])
  await dave.run(['join', invite])
  await using syncing = dave.start(['sync'])
  await syncing.says('Keeping in step')

  await using alice = await Writer.open('a', { name: 'alice', url, invite })
  await using bob = await Writer.open('b', { name: 'bob', url, invite })
  const everyone = [...savedByMark.keys()]
  const goOn = (): Promise<unknown> =>
    Promise.all(everyone.map((mark) => untilSaved(mark, mark < 'c' ? 10 : 1)))
  const typing = [typeBy(node, 'n'), typeBy(dave, 'd')]
  try {
    await Promise.all([alice.type(), bob.type()])
    await goOn()
    for (let round = 0; round < rounds; round++) {
      for (const page of [alice, bob]) {
        await page.cut(true)
        await goOn()
        await page.cut(false)
        await goOn()
      }
      // In the middle of whatever it is at; the pages write on by themselves.
      await serving.interrupt('SIGKILL')
      await Promise.all(['a', 'b'].map((mark) => untilSaved(mark, 20)))
      serving = node.start(['serve', '--port', bridgePort])
      await serving.says(address)
      await goOn()
      await alice.tab.reload()
      await alice.begin()
      await alice.type()
      await goOn()
      await bob.crash()
      await untilSaved('a', 10)
      await bob.openTab()
      await bob.type()
      await goOn()
    }
    await Promise.all([alice.stop(), bob.stop(), ...typing.map(({ stop }) => stop())])

    const texts = async (): Promise<string[]> => [
      await alice.text(),
      await bob.text(),
      await node.run(['cat', 'ideas']),
      await dave.run(['cat', 'ideas'])
    ]
    const isEqual = async (): Promise<boolean> => new Set(await texts()).size === 1
    await eventually(isEqual, { deadlineMs: waitMs, everyMs: 200, what: 'all are equal' })
    const [end] = (await texts()) as [string]
    for (const mark of everyone) {
      const numbers = numbersOf(end, mark)
      assert.is(new Set(numbers).size, numbers.length, `nothing of ${mark}'s is there twice`)
      const lost = [...saved(mark)].filter((number) => !numbers.includes(number))
      assert.equal(lost, [], `of ${saved(mark).size} words of ${mark}'s that were called saved`)
    }
    const counts = everyone.map((mark) => `${mark} ${saved(mark).size}`)
    console.log(`called saved, and there at the end: ${counts.join(', ')}`)
    for (const { tab, errors } of [alice, bob]) {
      assert.equal(await tab.evaluate(() => (window as unknown as App).check()), [])
      assert.equal(errors, [])
    }
    for (const home of [node, dave]) {
      const verified = await home.end(['verify'])
      assert.is(verified.code, 0, verified.stdout)
    }
  } finally {
    for (const { stop } of typing) await stop()
    await serving.interrupt()
  }
})

test.run()
