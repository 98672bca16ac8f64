/**
 * The notes app as its user has it: two people in two browsers join by links, write in one note at once, go offline and
 * merge, and open it again when its server is gone.
 */
import type { Server } from 'node:http'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Skein, type Space } from 'skein'
import { webrtc } from 'skein/adapters/webrtc'
import { listen, type WebSocketPort } from 'skein/adapters/websocket'
import type { Page } from 'playwright-core'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { pageSettings } from '../../build/browser.ts'
import { openNotebook, openPeer } from '../../examples/notes/peer.ts'
import { buildSite, serve, type Site } from '../../examples/notes/site.ts'
import { launch, type Profile } from './chromium.ts'

const notes = suite('the notes app')
const waitMs = 30_000

let site: Site
notes.before(async () => {
  site = await buildSite(pageSettings)
})

/** What `npm start` runs, in this process. */
class Host implements AsyncDisposable {
  readonly url: string
  readonly space: Space
  readonly #server: Server
  readonly #port: WebSocketPort
  readonly #skein: Skein
  readonly #folder: string

  static async open(): Promise<Host> {
    const folder = await mkdtemp(join(tmpdir(), 'skein-notes-'))
    const server = serve(site)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const port = await listen({ server })
    const skein = await openPeer({ folder, person: 'Home', port, bootstrap: null })
    return new Host({ folder, server, port, skein, space: await openNotebook(skein) })
  }

  private constructor(parts: {
    folder: string
    server: Server
    port: WebSocketPort
    skein: Skein
    space: Space
  }) {
    this.#folder = parts.folder
    this.#server = parts.server
    this.#port = parts.port
    this.#skein = parts.skein
    this.space = parts.space
    this.url = `http://localhost:${parts.port.port}/`
  }

  async invite(role: 'admin' | 'reader'): Promise<string> {
    return `${this.url}#${await this.space.invite({ role })}`
  }

  /** Nothing answers at its address from here on. */
  async stop(): Promise<void> {
    await this.#skein.close()
    await this.#port.close()
    this.#server.closeAllConnections()
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await rm(this.#folder, { recursive: true })
  }
}

/** One person at one browser. */
class User implements AsyncDisposable {
  readonly page: Page
  readonly #profile: Profile
  /** What the page did not catch; none is right. */
  readonly errors: string[] = []

  static async join(name: string, link: string): Promise<User> {
    const profile = await launch()
    const page = await profile.context.newPage()
    const user = new User(profile, page)
    await page.goto(link)
    await page.getByLabel('Your name').fill(name)
    await page.getByRole('button', { name: 'Join' }).click()
    await page.getByRole('navigation', { name: 'Notes' }).waitFor()
    return user
  }

  private constructor(profile: Profile, page: Page) {
    this.#profile = profile
    this.page = page
    page.setDefaultTimeout(waitMs)
    page.on('pageerror', (error) => this.errors.push(error.stack ?? error.message))
  }

  async openNote(title: string): Promise<void> {
    await this.page.getByRole('link', { name: title }).click()
    await this.page.locator('.cm-title').filter({ hasText: title }).waitFor()
  }

  /** Writes at the end of what the note is by then. */
  async write(text: string): Promise<void> {
    await this.page.getByRole('textbox', { name: 'Note', exact: true }).click()
    await this.page.keyboard.press('Control+End')
    await this.page.keyboard.type(text)
  }

  /** The note's text on the screen, but for the names at others' cursors. */
  async until(text: string[], lacking: string[] = []): Promise<string> {
    const shown = await this.page.waitForFunction(
      ({ text, lacking }) => {
        const content = document.querySelector('.cm-content')?.cloneNode(true)
        if (!(content instanceof HTMLElement)) return null
        for (const caret of content.querySelectorAll('.cm-ySelectionCaret')) caret.remove()
        const lines = [...content.querySelectorAll('.cm-line')].map((line) => line.textContent)
        const all = lines.join('\n')
        const fits =
          text.every((one) => all.includes(one)) && !lacking.some((one) => all.includes(one))
        return fits ? all : null
      },
      { text, lacking }
    )
    return (await shown.jsonValue())!
  }

  async switchNetwork(): Promise<void> {
    await this.page.locator('.switch').click()
  }

  async untilSafety(words: string): Promise<void> {
    await this.page.locator('.safety summary').getByText(words, { exact: true }).waitFor()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#profile[Symbol.asyncDispose]()
  }
}

notes(
  'two people join by links, write at once, part, merge, and open it without a server',
  async () => {
    await using host = await Host.open()
    await using alice = await User.join('Alice', await host.invite('admin'))

    // By the link that the app itself makes.
    await alice.page.getByRole('button', { name: 'Share' }).click()
    await alice.page.getByRole('button', { name: 'Make a link' }).click()
    await alice.page.getByRole('img', { name: 'QR code' }).locator('svg').waitFor()
    const link = await alice.page.getByRole('textbox', { name: 'Link' }).inputValue()
    await alice.page.keyboard.press('Escape')
    await using bob = await User.join('Bob', link)

    // One that is begun and left without a word stays in no list.
    const links = alice.page.locator('.note-link')
    const listed = await links.count()
    await alice.page.getByRole('button', { name: 'New note' }).click()
    await alice.page.getByRole('textbox', { name: 'Note', exact: true }).waitFor()
    assert.is(await links.count(), listed + 1)
    await alice.openNote('Bicycle')
    assert.is(await links.count(), listed)

    await alice.page.getByRole('button', { name: 'New note' }).click()
    await alice.page.locator('.cm-placeholder').waitFor()
    await alice.page.getByRole('textbox', { name: 'Note', exact: true }).waitFor()
    await alice.page.keyboard.type('Tents\n\nNumber:')
    await bob.openNote('Tents')

    await Promise.all([alice.write(' four of them'), bob.write(' nine of them')])
    // Each key went where its writer's cursor was: both ends are there, in whatever order.
    const both = await Promise.all([alice.until(['Tents\n']), bob.until(['Tents\n'])])
    assert.ok(both.every((text) => text.startsWith('Tents')))
    await alice.write('\nalice was here')
    await bob.until(['alice was here'])
    await bob.write('\nbob was here')
    const together = await alice.until(['alice was here', 'bob was here'])
    // Every key that either pressed is there once, wherever the other's fell.
    const sorted = (text: string): string => [...text].sort().join('')
    const typed = 'Tents\n\nNumber: four of them nine of them\nalice was here\nbob was here'
    assert.is(sorted(together), sorted(typed), together)

    for (const [user, other] of [
      [alice, 'Bob'],
      [bob, 'Alice']
    ] as const) {
      await user.page.locator('.cm-ySelectionInfo').getByText(other).waitFor()
      await user.page.getByRole('img', { name: `Also here: ${other}` }).waitFor()
      const caret = await user.page.locator('.cm-ySelectionCaret').getAttribute('style')
      assert.match(caret ?? '', /^background-color: hsl\(\d+ /)
    }
    await alice.untilSafety('Saved here · on 2 devices')

    await Promise.all([alice.switchNetwork(), bob.switchNetwork()])
    for (const { page } of [alice, bob]) await page.getByText('Switched off').waitFor()
    await Promise.all([alice.write('\nalone: alice'), bob.write('\nalone: bob')])
    await alice.untilSafety('Saved here')
    await bob.untilSafety('Saved here')
    await alice.until(['alone: alice'], ['alone: bob'])
    await bob.until(['alone: bob'], ['alone: alice'])

    await Promise.all([alice.switchNetwork(), bob.switchNetwork()])
    const [hers, his] = await Promise.all(
      [alice, bob].map((user) => user.until(['alone: alice', 'alone: bob']))
    )
    assert.is(hers, his)
    await alice.untilSafety('Saved here · on 2 devices')

    await alice.page.evaluate(async () => {
      await navigator.serviceWorker.ready
    })
    const devtools = await alice.page.context().newCDPSession(alice.page)
    const { installabilityErrors } = await devtools.send('Page.getInstallabilityErrors')
    assert.equal(installabilityErrors, [], 'the page can be installed')
    await host.stop()
    await alice.page.reload()
    assert.is(await alice.until(['alone: alice', 'alone: bob']), hers)
    await alice.write('\nwith no server')
    await alice.untilSafety('Saved here')
    await alice.page.reload()
    await alice.until(['with no server'])
    assert.equal([...alice.errors, ...bob.errors], [])
  }
)

notes('over plain http, as a phone in the same network has it, it works all the same', async () => {
  await using host = await Host.open()
  const link = await host.invite('admin')
  await using phone = await User.join('Pia', link.replace('localhost', 'plain.skein.test'))
  const { page } = phone
  await page.setViewportSize({ width: 390, height: 844 })
  const has = await page.evaluate(() => [isSecureContext, 'serviceWorker' in navigator])
  assert.equal(has, [false, false])
  await phone.openNote('Bicycle')
  await phone.write(' oil the chain')
  await phone.untilSafety('Saved here · on 1 device')
  await page.locator('.safety summary').click()
  await page.getByText('Over plain http this page itself is not kept').waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: 'All notes' }).click()
  await page.getByRole('button', { name: 'Share' }).click()
  await page.getByRole('button', { name: 'Make a link' }).click()
  await page.getByRole('button', { name: 'Copy' }).click()
  // There is no clipboard for pages either.
  await page.getByText('Press Ctrl C to copy').waitFor()
  await page.reload()
  await phone.openNote('Bicycle')
  await phone.until(['oil the chain'])
  assert.equal(phone.errors, [])
})

notes('a search finds what is in notes that are not open; a reader writes nothing', async () => {
  await using host = await Host.open()
  await using rita = await User.join('Rita', await host.invite('reader'))
  const { page } = rita
  await page.keyboard.press('Control+k')
  await page.keyboard.type('1.8 l of stock')
  await page.locator('.note-excerpt').getByText('1.8 l of stock').waitFor()
  assert.is(await page.locator('.note-link').count(), 1)
  await page.keyboard.press('Enter')
  await page.locator('.cm-title').filter({ hasText: 'Lentil soup for six' }).waitFor()

  assert.ok(await page.getByRole('button', { name: 'New note' }).isDisabled())
  await rita.untilSafety('You may read, not write')
  assert.is(await page.locator('.cm-content').getAttribute('contenteditable'), 'false')
  await page.getByRole('button', { name: '2 devices' }).click()
  const members = await page.locator('.members li').allInnerTexts()
  assert.equal(
    members.map((text) => text.split('\n').filter((line) => line !== '')),
    [
      ['H', 'Home', 'always on, connected', 'Owner'],
      ['R', 'Rita', 'Chrome on Linux, this device', 'May read']
    ]
  )
  assert.equal(rita.errors, [])
})

notes('a link is taken back, and a mirror keeps the notebook by its address', async () => {
  await using host = await Host.open()
  await using alice = await User.join('Alice', await host.invite('admin'))
  const { page } = alice
  const folder = await mkdtemp(join(tmpdir(), 'skein-shelf-'))
  await using shelf = new Skein({
    storage: folder,
    name: 'shelf',
    transports: [webrtc({ wrtc: '@roamhq/wrtc', signalling: [host.url.replace('http', 'ws')] })]
  })
  const address = await shelf.mirror()

  await page.getByRole('button', { name: 'Share' }).click()
  await page.getByRole('button', { name: 'Make a link' }).click()
  const link = await page.getByRole('textbox', { name: 'Link' }).inputValue()
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: 'Share' }).click()
  const open = page.getByRole('region', { name: 'Open links' })
  await open.getByText('To write, for one device').waitFor()
  await open.getByRole('button', { name: 'Take back' }).first().click()
  await open.waitFor({ state: 'detached' })
  // Whoever may answer hears of it.
  let left = await host.space.invites()
  while (left.length > 0) {
    await new Promise((resolve) => host.space.on('members', resolve))
    left = await host.space.invites()
  }
  assert.match(link, /#skein:/)

  await page.getByText('Keep it on a mirror').click()
  const field = page.getByRole('textbox', { name: 'The mirror’s address' })
  await field.fill(address.slice(0, -4))
  await page.getByRole('button', { name: 'Add', exact: true }).click()
  await page.getByRole('alert').getByText('This is no mirror’s address').waitFor()
  await field.fill(address)
  await page.getByRole('button', { name: 'Add', exact: true }).click()
  await page.getByText('shelf keeps this notebook from now on').waitFor()
  await page.keyboard.press('Escape')
  await alice.openNote('Bicycle')
  await alice.write(' oil the chain')
  await alice.untilSafety('Saved here · on 1 device · on your mirror')
  assert.is(shelf.spaces()[0]!.documents().length, 0)
  assert.equal(alice.errors, [])
  await shelf.close()
  await rm(folder, { recursive: true })
})

notes.run()
