/** A page is a full peer: it makes spaces, writes, and finds again what it had saved. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { launch } from './chromium.ts'
import { serve, watch } from './site.ts'

const fullPeer = suite('a full peer in a page')

fullPeer('what alice saved in a page is there when she reloads it', async () => {
  await using site = await serve('test/browser/page.ts')
  await using alice = await launch()
  const tab = await alice.context.newPage()
  const errors = watch(tab)
  await tab.goto(site.url)
  const before = await tab.evaluate(async () => {
    const skein = new skeinPage.Skein({ storage: 'alice', name: 'alice' })
    const space = await skein.createSpace({ name: 'Notes' })
    const note = await space.open('ideas')
    note.doc.getText('body').insert(0, 'Hello from a page')
    await note.saved()
    await space.append('expense', { euros: 12 })
    return { id: skein.id, space: space.id, role: space.role }
  })
  assert.is(before.role, 'owner')

  await tab.reload()
  const after = await tab.evaluate(async () => {
    const skein = new skeinPage.Skein({ storage: 'alice' })
    await skein.ready()
    const [space] = skein.spaces()
    const note = await space!.open('ideas')
    const entries = []
    for await (const { type, value } of space!.entries()) entries.push({ type, value })
    const text = note.doc.getText('body').toString()
    await skein.close()
    return { id: skein.id, name: skein.name, space: space!.id, text, entries }
  })
  assert.is(after.text, 'Hello from a page')
  assert.equal([after.id, after.space, after.name], [before.id, before.space, 'alice'])
  assert.equal(after.entries, [{ type: 'expense', value: { euros: 12 } }])
  assert.equal(errors, [])
})

fullPeer('a page with a passphrase opens with that one alone', async () => {
  await using site = await serve('test/browser/page.ts')
  await using alice = await launch()
  const tab = await alice.context.newPage()
  const errors = watch(tab)
  await tab.goto(site.url)
  await tab.evaluate(async () => {
    const skein = new skeinPage.Skein({ storage: 'alice', passphrase: 'open sesame' })
    const space = await skein.createSpace({ name: 'Notes' })
    const note = await space.open('ideas')
    note.doc.getText('body').insert(0, 'Hello from a page')
    await note.saved()
    await skein.close()
  })
  await tab.reload()
  const { codes, text } = await tab.evaluate(async () => {
    const codes: unknown[] = []
    for (const options of [{}, { passphrase: 'open says me' }]) {
      const skein = new skeinPage.Skein({ storage: 'alice', ...options })
      codes.push(await skein.ready().catch((error: { code: string }) => error.code))
      await skein.close()
    }
    const skein = new skeinPage.Skein({ storage: 'alice', passphrase: 'open sesame' })
    await skein.ready()
    const note = await skein.spaces()[0]!.open('ideas')
    return { codes, text: note.doc.getText('body').toString() }
  })
  assert.equal(codes, ['PASSPHRASE_WRONG', 'PASSPHRASE_WRONG'])
  assert.is(text, 'Hello from a page')
  assert.equal(errors, [])
})

fullPeer('two devices in a page sync over a transport', async () => {
  await using site = await serve('test/browser/page.ts')
  await using profile = await launch()
  const tab = await profile.context.newPage()
  const errors = watch(tab)
  await tab.goto(site.url)
  const text = await tab.evaluate(async () => {
    const { Skein, memory, MemoryNetwork } = skeinPage
    const network = new MemoryNetwork()
    const device = (name: string) =>
      new Skein({ storage: name, name, transports: [memory(network)] })
    const [alice, bob] = [device('alice'), device('bob')]
    const space = await alice.createSpace({ name: 'Notes' })
    const note = await space.open('ideas')
    note.doc.getText('body').insert(0, 'Hello')
    const joined = await bob.join(await space.invite({ role: 'writer' }))
    const same = await joined.open('ideas')
    await same.whenSynced()
    same.doc.getText('body').insert(5, ', alice')
    await same.saved({ peers: 1 })
    const text = note.doc.getText('body').toString()
    await Promise.all([alice.close(), bob.close()])
    return text
  })
  assert.is(text, 'Hello, alice')
  assert.equal(errors, [])
})

fullPeer('a bundle that a page made lets a device in, and a page takes one in', async () => {
  await using site = await serve('test/browser/page.ts')
  await using profile = await launch()
  const tab = await profile.context.newPage()
  const errors = watch(tab)
  await tab.goto(site.url)
  const seen = await tab.evaluate(async () => {
    const { Skein } = skeinPage
    const alice = new Skein({ storage: 'alice', name: 'alice' })
    const bob = new Skein({ storage: 'bob', name: 'bob' })
    await bob.ready()
    const space = await alice.createSpace({ name: 'Notes' })
    const note = await space.open('ideas')
    note.doc.getText('body').insert(0, 'By post')
    const bundle = space.export({ for: bob.introduction, role: 'writer' })
    const { space: his, isNew } = await bob.import(bundle)
    const same = await his.open('ideas')
    const text = same.doc.getText('body').toString()
    same.doc.getText('body').insert(7, ', and back')
    await same.saved()
    const since = await his.contentsOf(space.export({ contentsOnly: true }))
    const { blocks } = await alice.import(his.export({ since }))
    const back = note.doc.getText('body').toString()
    await Promise.all([alice.close(), bob.close()])
    return { isNew, text, blocks: blocks > 0, back }
  })
  assert.equal(seen, { isNew: true, text: 'By post', blocks: true, back: 'By post, and back' })
  assert.equal(errors, [])
})

fullPeer('a page checks what lies in its logs, and finds what is wrong there', async () => {
  await using site = await serve('test/browser/page.ts')
  await using profile = await launch()
  const tab = await profile.context.newPage()
  await tab.goto(site.url)
  const seen = await tab.evaluate(async () => {
    const skein = new skeinPage.Skein({ storage: 'checked', name: 'alice' })
    const space = await skein.createSpace({ name: 'Notes' })
    const note = await space.open('ideas')
    const problems = async (): Promise<string[]> => {
      const found: string[] = []
      for await (const { severity, code } of space.verify()) found.push(`${severity} ${code}`)
      return found
    }
    for (const word of ['one ', 'two ', 'three ']) {
      note.doc.getText('body').insert(0, word)
      await note.saved()
    }
    const whole = await problems()
    // One bit of one block, behind the peer's back.
    const database = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open('skein/checked/logs')
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error!)
    })
    const transaction = database.transaction('corestore', 'readwrite')
    const table = transaction.objectStore('corestore')
    const keys = table.getAllKeys()
    await new Promise((resolve) => (keys.onsuccess = resolve))
    let last: IDBValidKey | undefined
    for (const key of keys.result) {
      const [kind, , what] = new Uint8Array(key as ArrayBuffer)
      // Of a log's data, its blocks: 4, the log's number, 3, the block's number.
      if (kind === 4 && what === 3) last = key
    }
    const got = table.get(last!)
    await new Promise((resolve) => (got.onsuccess = resolve))
    const block = (got.result as Uint8Array).slice()
    block[block.length - 1]! ^= 1
    table.put(block, last)
    await new Promise((resolve) => (transaction.oncomplete = resolve))
    database.close()
    const damaged = await problems()
    await skein.close()
    return { whole, damaged }
  })
  assert.equal(seen.whole, [])
  assert.ok(
    seen.damaged.some((one) => one.startsWith('damage ')),
    seen.damaged.join()
  )
})

fullPeer.run()
