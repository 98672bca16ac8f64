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

fullPeer.run()
