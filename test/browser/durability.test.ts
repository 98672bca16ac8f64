/**
 * What a page calls saved is on the disk, and what is not on the disk is told to nobody: with transactions held up, with
 * no room left, with the tab or the whole browser killed in the middle of a word.
 *
 * Environment: BROWSER_KILLS how often the browser is killed (1).
 */
import type { Page } from 'playwright-core'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { launch, processesOf, type Profile } from './chromium.ts'
import { serve, watch, type Site } from './site.ts'

const kills = Number(process.env['BROWSER_KILLS'] ?? 1)
const durability = suite('durability in a page')

let site: Site
let profile: Profile
durability.before(async () => {
  site = await serve('test/browser/page.ts')
  profile = await launch()
})
durability.after(async () => {
  await profile[Symbol.asyncDispose]()
  await site[Symbol.asyncDispose]()
})

durability('nothing is announced before its transaction is complete', async () => {
  const tab = await profile.context.newPage()
  const errors = watch(tab)
  await tab.goto(site.url)
  const seen = await tab.evaluate(async () => {
    const { Skein, memory, MemoryNetwork } = skeinPage
    const network = new MemoryNetwork()
    const device = (name: string) =>
      new Skein({ storage: name, name, transports: [memory(network)] })
    const [alice, bob] = [device('told-alice'), device('told-bob')]
    const space = await alice.createSpace({ name: 'Notes' })
    const note = await space.open('ideas')
    note.doc.getText('body').insert(0, 'before')
    const joined = await bob.join(await space.invite({ role: 'writer' }))
    const same = await joined.open('ideas')
    await same.whenSynced()
    await note.saved({ peers: 1 })

    // From here on alice's transactions do not complete, as far as the page is told.
    let hold = true
    const held: (() => void)[] = []
    // oxlint-disable-next-line typescript/unbound-method -- called with the database that it was called on
    const { transaction } = IDBDatabase.prototype
    IDBDatabase.prototype.transaction = function (this: IDBDatabase, ...args) {
      const made = transaction.apply(this, args)
      if (!this.name.includes('told-alice/logs') || args[1] !== 'readwrite') return made
      let handler: typeof made.oncomplete = null
      made.addEventListener('complete', (event) => {
        if (hold) held.push(() => handler?.call(made, event))
        else handler?.call(made, event)
      })
      Object.defineProperty(made, 'oncomplete', {
        set(given: typeof handler) {
          handler = given
        }
      })
      return made
    }
    let isSaved = false
    note.doc.getText('body').insert(6, ', after')
    const saved = note.saved().then(() => (isSaved = true))
    // What alice says now, on the same connection, bob hears after all that she has said before.
    const bobHears = new Promise<void>((resolve) => {
      same.awareness.on('change', () => {
        const said = [...same.awareness.getStates().values()].some(({ said }) => said === 'later')
        if (said) resolve()
      })
    })
    while (held.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    note.awareness.setLocalState({ said: 'later' })
    await bobHears
    const atBob = same.doc.getText('body').toString()
    const wasSaved = isSaved
    const safety = note.safety.durable

    const bobGets = new Promise<void>((resolve) => same.doc.once('update', () => resolve()))
    hold = false
    for (const complete of held) complete()
    await saved
    await bobGets
    const after = same.doc.getText('body').toString()
    IDBDatabase.prototype.transaction = transaction
    await Promise.all([alice.close(), bob.close()])
    return { atBob, wasSaved, safety, after }
  })
  assert.equal(seen, { atBob: 'before', wasSaved: false, safety: false, after: 'before, after' })
  assert.equal(errors, [])
  await tab.close()
})

durability('with no room left an edit is kept, told of, and saved when there is room', async () => {
  // Of an origin of its own: quotas are by origin, and Chromium looks at them when it first writes.
  await using site = await serve('test/browser/page.ts')
  const tab = await profile.context.newPage()
  const protocol = await profile.context.newCDPSession(tab)
  const quota = (quotaSize?: number) =>
    protocol.send('Storage.overrideQuotaForOrigin', {
      origin: new URL(site.url).origin,
      ...(quotaSize === undefined ? {} : { quotaSize })
    })
  await quota(2_000_000)
  await tab.goto(site.url)
  const full = await tab.evaluate(async () => {
    const skein = new skeinPage.Skein({ storage: 'quota' })
    const space = await skein.createSpace({ name: 'Notes' })
    const note = await space.open('ideas')
    const text = note.doc.getText('body')
    Object.assign(globalThis, { note, skein })
    for (let saved = 0; saved < 20; saved++) {
      text.insert(text.length, `${saved}${'x'.repeat(300_000)}`)
      try {
        await note.saved()
      } catch (error) {
        return { saved, code: (error as { code: string }).code, durable: note.safety.durable }
      }
    }
    return { saved: 20, code: null, durable: true }
  })
  assert.equal([full.code, full.durable], ['DISK_FULL', false])
  assert.ok(full.saved > 0)
  await quota()
  const length = await tab.evaluate(async () => {
    const { note, skein } = globalThis as unknown as Typing
    const text = note.doc.getText('body')
    text.insert(text.length, 'room')
    while (!note.safety.durable) {
      await new Promise<void>((resolve) => note.once('safety', () => resolve()))
    }
    await note.saved()
    const { length } = text
    await skein.close()
    return length
  })
  await tab.reload()
  const text = await textIn(tab, 'quota')
  assert.is(text.length, length)
  const numbers = Array.from({ length: full.saved + 1 }, (_, i) => i).join('')
  assert.is(text.replaceAll('x', ''), `${numbers}room`)
  await tab.close()
})

durability(
  'storage that the browser clears is told of, and begun anew at the next load',
  async () => {
    await using site = await serve('test/browser/page.ts')
    const tab = await profile.context.newPage()
    const errors = watch(tab)
    await tab.goto(site.url)
    const id = await tab.evaluate(async () => {
      const skein = new skeinPage.Skein({ storage: 'cleared' })
      const space = await skein.createSpace({ name: 'Notes' })
      const note = await space.open('ideas')
      note.doc.getText('body').insert(0, 'before')
      await note.saved()
      Object.assign(globalThis, { note, skein })
      return skein.id
    })
    const protocol = await profile.context.newCDPSession(tab)
    const { origin } = new URL(site.url)
    await protocol.send('Storage.clearDataForOrigin', { origin, storageTypes: 'indexeddb' })
    const told = await tab.evaluate(async () => {
      const { note } = globalThis as unknown as Typing
      note.doc.getText('body').insert(0, 'after, ')
      const code = await note.saved().catch((error: { code: string }) => error.code)
      return { code, durable: note.safety.durable }
    })
    // It may be seen first that nothing can be written, or that what was written is gone.
    assert.ok(['LOG_BEHIND', 'STORAGE_FAILED'].includes(String(told.code)), String(told.code))
    assert.is(told.durable, false)
    await tab.reload()
    const next = await tab.evaluate(async () => {
      const skein = new skeinPage.Skein({ storage: 'cleared' })
      await skein.ready()
      const { id } = skein
      const spaces = skein.spaces().length
      await skein.close()
      return { id, spaces }
    })
    assert.is(next.spaces, 0)
    assert.is.not(next.id, id)
    assert.equal(errors, [])
    await tab.close()
  }
)

durability(
  'a tab that crashes in the middle of a word loses nothing that it called saved',
  async () => {
    const tab = await profile.context.newPage()
    const acknowledged = await typeIn(tab, 'crash', 20)
    const protocol = await profile.context.newCDPSession(tab)
    const crashed = new Promise((resolve) => tab.once('crash', resolve))
    void Promise.resolve(protocol.send('Page.crash')).catch(() => {}) // Nothing answers it.
    await crashed
    const promised = acknowledged()
    await tab.close()
    const next = await profile.context.newPage()
    await next.goto(site.url)
    assertHolds(await textIn(next, 'crash'), promised)
    await next.close()
  }
)

durability(
  'a browser killed in the middle of a word loses nothing that it called saved',
  async () => {
    const first = await launch()
    const { folder } = first
    let context = first.context
    let promised = 0
    for (let kill = 0; kill < kills; kill++) {
      const tab = await context.newPage()
      const acknowledged = await typeIn(tab, 'killed', promised + 15)
      const closed = new Promise((resolve) => context.once('close', resolve))
      for (const pid of processesOf(folder)) {
        try {
          process.kill(pid, 'SIGKILL')
        } catch {
          // It went with one of the others.
        }
      }
      await closed
      promised = acknowledged()
      const again = await launch({ folder })
      context = again.context
      const next = await context.newPage()
      await next.goto(site.url)
      assertHolds(await textIn(next, 'killed'), promised)
      await next.close()
    }
    // It was killed: only its folder is left to be removed, when the last one on it has gone.
    await context.close()
  }
)

durability.run()

interface Typing {
  readonly note: import('skein').Document
  readonly skein: import('skein').Skein
}

/** Types numbers in a page without an end; resolves when so many are acknowledged. The result says how many are now. */
async function typeIn(tab: Page, storage: string, count: number): Promise<() => number> {
  let last = -1
  let reached = (): void => {}
  const enough = new Promise<void>((resolve) => (reached = resolve))
  await tab.exposeFunction('acknowledge', (number: number) => {
    last = number
    if (last >= count) reached()
  })
  await tab.goto(site.url)
  await tab.evaluate((storage) => {
    const type = async (): Promise<void> => {
      const skein = new skeinPage.Skein({ storage })
      await skein.ready()
      const space = skein.spaces()[0] ?? (await skein.createSpace({ name: 'Notes' }))
      const note = await space.open('ideas')
      const text = note.doc.getText('body')
      const { acknowledge } = globalThis as unknown as { acknowledge: (number: number) => void }
      for (let i = text.toString().split(' ').length - 1; ; i++) {
        text.insert(text.length, `${i} `)
        await note.saved()
        acknowledge(i)
      }
    }
    void type()
  }, storage)
  await enough
  return () => last
}

function textIn(tab: Page, storage: string): Promise<string> {
  return tab.evaluate(async (storage) => {
    const skein = new skeinPage.Skein({ storage })
    await skein.ready()
    const note = await skein.spaces()[0]!.open('ideas')
    const text = note.doc.getText('body').toString()
    // It can be written on.
    note.doc.getText('more').insert(0, 'x')
    await note.saved()
    await skein.close()
    return text
  }, storage)
}

function assertHolds(text: string, promised: number): void {
  const numbers = text.trim().split(' ').map(Number)
  assert.equal(
    numbers,
    numbers.map((_, i) => i)
  )
  assert.ok(
    numbers.length > promised,
    `${numbers.length} numbers are there, ${promised + 1} promised`
  )
}
