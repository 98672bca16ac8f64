/**
 * Tabs of one origin are one device: they edit through the one that leads, see each other live, and when it is closed,
 * crashes or freezes, another takes over in the middle of a word, with nothing lost and nothing twice.
 */
import type { Page } from 'playwright-core'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { launch, type Profile } from './chromium.ts'
import { serve, type Site } from './site.ts'

const tabs = suite('tabs')

let site: Site
let profile: Profile
tabs.before(async () => {
  site = await serve('test/browser/page.ts')
  profile = await launch({ keepsLeftPages: true })
})
tabs.after(async () => {
  await profile[Symbol.asyncDispose]()
  await site[Symbol.asyncDispose]()
})

interface InTab {
  readonly skein: import('skein').Skein
  readonly space: import('skein').Space
  readonly note: import('skein').Document
  typed: number
  saved: number
  stop: boolean
  typing: Promise<void>
}

/** A tab with the device of that name, and its note open. */
async function open(storage: string, errors?: string[], url = site.url): Promise<Page> {
  const tab = await profile.context.newPage()
  if (errors !== undefined)
    tab.on('pageerror', (error) => errors.push(error.stack ?? error.message))
  await tab.goto(url)
  await begin(tab, storage)
  return tab
}

async function begin(tab: Page, storage: string): Promise<void> {
  await tab.evaluate(async (storage) => {
    const skein = new skeinPage.Skein({ storage, name: storage })
    await skein.ready()
    const space = skein.spaces()[0] ?? (await skein.createSpace({ name: 'Notes' }))
    const note = await space.open('ideas')
    Object.assign(globalThis, { skein, space, note, typed: 0, saved: 0, stop: false })
  }, storage)
}

/** Types `mark`, a number and a space, over and over, until told to stop; counts what was saved. */
function type(tab: Page, mark: string): Promise<void> {
  return tab.evaluate((mark) => {
    const here = globalThis as unknown as InTab
    const text = here.note.doc.getText('body')
    const typing = async (): Promise<void> => {
      for (; !here.stop; here.typed++) {
        text.insert(text.length, `${mark}${here.typed} `)
        const { typed } = here
        void here.note.saved().then(() => (here.saved = Math.max(here.saved, typed + 1)))
        await new Promise((resolve) => setTimeout(resolve, 4))
      }
      await here.note.saved()
    }
    here.typing = typing()
  }, mark)
}

const text = (tab: Page): Promise<string> =>
  tab.evaluate(() => (globalThis as unknown as InTab).note.doc.getText('body').toString())

const saved = (tab: Page): Promise<number> =>
  tab.evaluate(() => (globalThis as unknown as InTab).saved)

const until = (tab: Page, more: number): Promise<unknown> =>
  tab.waitForFunction((more) => (globalThis as unknown as InTab).saved >= more, more)

async function stop(tab: Page): Promise<number> {
  return tab.evaluate(async () => {
    const here = globalThis as unknown as InTab
    here.stop = true
    await here.typing
    return here.typed
  })
}

/** Each of `mark`’s numbers stands there once, in order, up to what was promised at the least. */
function assertAll(text: string, mark: string, promised: number): void {
  const numbers = text
    .split(' ')
    .filter((word) => word.startsWith(mark))
    .map((word) => Number(word.slice(mark.length)))
  assert.equal(
    numbers,
    numbers.map((_, i) => i),
    mark
  )
  assert.ok(numbers.length >= promised, `${numbers.length} of ${mark}, ${promised} promised`)
}

tabs('two tabs are one device, and see each other write', async () => {
  const errors: string[] = []
  const first = await open('shared', errors)
  const second = await open('shared', errors)
  const ids = await Promise.all(
    [first, second].map((tab) =>
      tab.evaluate(() => {
        const { skein, space } = globalThis as unknown as InTab
        return [skein.id, space.id, space.role, space.members().length]
      })
    )
  )
  assert.equal(ids[0], ids[1])
  await first.evaluate(() => {
    const { note } = globalThis as unknown as InTab
    note.doc.getText('body').insert(0, 'Hello')
    note.awareness.setLocalState({ name: 'first' })
  })
  await second.waitForFunction(() => {
    const { note } = globalThis as unknown as InTab
    const present = [...note.awareness.getStates().values()].map((state) => state['name'] as string)
    return note.doc.getText('body').toString() === 'Hello' && present.includes('first')
  })
  const safety = await second.evaluate(async () => {
    const { note, space } = globalThis as unknown as InTab
    note.doc.getText('body').insert(5, ', tabs')
    await note.saved()
    await space.append('greeting', { from: 'second' })
    return note.safety
  })
  assert.equal(safety, { durable: true, devices: [] })
  await first.waitForFunction(() => {
    const { note } = globalThis as unknown as InTab
    return note.doc.getText('body').toString() === 'Hello, tabs'
  })
  const entries = await first.evaluate(async () => {
    const { space } = globalThis as unknown as InTab
    const values = []
    for await (const { value } of space.entries()) values.push(value)
    return values
  })
  assert.equal(entries, [{ from: 'second' }])
  // A space made in one tab is there in the other.
  const made = await second.evaluate(async () => {
    const { skein } = globalThis as unknown as InTab
    return (await skein.createSpace({ name: 'More' })).id
  })
  await first.waitForFunction(
    (id) => (globalThis as unknown as InTab).skein.spaces().some((space) => space.id === id),
    made
  )
  assert.equal(errors, [])
  await first.close()
  await second.close()
})

tabs(
  'a leader is closed, the next one crashes, in the middle of words: nothing is lost',
  async () => {
    const first = await open('handover')
    const [second, third] = [await open('handover'), await open('handover')]
    await type(first, 'a')
    await type(second, 'b')
    await type(third, 'c')
    await Promise.all([until(second, 20), until(third, 20), until(first, 20)])
    const promised = await saved(first)
    await first.close()
    const reached = await saved(third)
    await Promise.all([until(second, 40), until(third, reached + 20)])

    // One of the two leads now: the one that was first in line.
    const protocol = await profile.context.newCDPSession(second)
    const promisedB = await saved(second)
    const crashed = new Promise((resolve) => second.once('crash', resolve))
    void Promise.resolve(protocol.send('Page.crash')).catch(() => {}) // Nothing answers it.
    await crashed
    await until(third, (await saved(third)) + 20)
    const typed = await stop(third)
    const end = await text(third)
    assertAll(end, 'a', promised)
    assertAll(end, 'b', promisedB)
    assertAll(end, 'c', typed)
    await second.close()
    await third.close()

    const again = await open('handover')
    assert.is(await text(again), end)
    await again.close()
  }
)

tabs('a leader that is frozen loses the lead, and goes on as one of the others', async () => {
  const first = await open('frozen')
  const second = await open('frozen')
  await type(first, 'a')
  await type(second, 'b')
  await Promise.all([until(first, 10), until(second, 10)])
  const protocol = await profile.context.newCDPSession(first)
  await protocol.send('Page.setWebLifecycleState', { state: 'frozen' })
  await until(second, (await saved(second)) + 20)
  await protocol.send('Page.setWebLifecycleState', { state: 'active' })
  await until(first, (await saved(first)) + 20)
  const typed = await Promise.all([stop(first), stop(second)])
  await first.waitForFunction((text) => text !== '', await text(second))
  const [atFirst, atSecond] = [await text(first), await text(second)]
  assertAll(atSecond, 'b', typed[1])
  assertAll(atSecond, 'a', typed[0])
  assert.is(atFirst, atSecond)
  await first.close()
  await second.close()
})

tabs(
  'over plain http, where there are no Web Locks, the lead is handed over all the same',
  async () => {
    const url = site.url.replace('127.0.0.1', 'plain.skein.test')
    const first = await open('plain', undefined, url)
    const second = await open('plain', undefined, url)
    const has = await second.evaluate(() => [isSecureContext, 'locks' in navigator])
    assert.equal(has, [false, false])
    await type(first, 'a')
    await type(second, 'b')
    await Promise.all([until(first, 10), until(second, 10)])
    const promised = await saved(first)
    await first.close()
    await until(second, (await saved(second)) + 10)
    const typed = await stop(second)
    const end = await text(second)
    assertAll(end, 'a', promised)
    assertAll(end, 'b', typed)
    await second.close()
  }
)

/** Goes to another page, and comes back when `meanwhile` is done; true if the page is the one that was left. */
async function leave(tab: Page, meanwhile: () => Promise<unknown>): Promise<boolean> {
  await tab.evaluate(() => {
    addEventListener('pageshow', ({ persisted }) => Object.assign(globalThis, { persisted }))
  })
  await tab.goto(site.url.replace('127.0.0.1', 'localhost'))
  await meanwhile()
  // A page that was kept does not load.
  await tab.goBack({ waitUntil: 'commit' })
  await tab.waitForFunction(() => 'skeinPage' in globalThis)
  return tab.evaluate(() => (globalThis as { persisted?: boolean }).persisted === true)
}

tabs('the only tab is left in the middle of a word, comes back, and goes on', async () => {
  const errors: string[] = []
  const tab = await open('kept', errors)
  await type(tab, 'a')
  await until(tab, 20)
  for (let times = 0; times < 3; times++) {
    assert.ok(await leave(tab, () => Promise.resolve()), 'the browser kept it')
    await until(tab, (await saved(tab)) + 20)
  }
  const typed = await stop(tab)
  const end = await text(tab)
  assertAll(end, 'a', typed)
  await tab.close()
  const again = await open('kept', errors)
  assert.is(await text(again), end)
  assert.equal(errors, [])
  await again.close()
})

for (const who of ['leads', 'follows'] as const) {
  tabs(`a tab that ${who} is left, and comes back when another has written on`, async () => {
    const errors: string[] = []
    const storage = `left-${who}`
    const opened = [await open(storage, errors), await open(storage, errors)] as const
    const [left, other] = who === 'leads' ? opened : [opened[1], opened[0]]
    await type(left, 'a')
    await type(other, 'b')
    await Promise.all([until(left, 10), until(other, 10)])
    const promised = await saved(left)
    const isKept = await leave(left, async () => until(other, (await saved(other)) + 40))
    // Chromium keeps no page that is spoken to, or has a lock that another wants: it loads anew.
    if (!isKept) {
      await begin(left, storage)
      await type(left, 'c')
    }
    await until(left, (await saved(left)) + 20)
    await until(other, (await saved(other)) + 20)
    const typed = { left: await stop(left), other: await stop(other) }
    const end = await text(other)
    await left.waitForFunction(
      (end) => (globalThis as unknown as InTab).note.doc.getText('body').toString() === end,
      end
    )
    assertAll(end, 'a', isKept ? typed.left : promised)
    assertAll(end, 'b', typed.other)
    if (!isKept) assertAll(end, 'c', typed.left)
    assert.equal(errors, [])
    await left.close()
    await other.close()
  })
}

tabs.run()
