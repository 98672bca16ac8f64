/** The page's libsodium gives the bytes that sodium-native gives, for every function that anything in the peer calls. */
import { createRequire } from 'node:module'
import { build } from 'esbuild'
import { readFile } from 'node:fs/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as pageSodium from '../../adapters/browser/sodium.ts'
import { pageSettings } from '../../build/browser.ts'
import { launch } from './chromium.ts'
import { serve } from './site.ts'
import { runCases, type Sodium } from './sodium-cases.ts'

const sodium = suite('libsodium in a page')
const require = createRequire(import.meta.url)
const native = require('sodium-universal') as Sodium

sodium('its WebAssembly gives what sodium-native gives', () => {
  const answers = runCases(native)
  assert.ok(Object.keys(answers).length > 15)
  assert.equal(runCases(pageSodium), answers)
})

sodium('so it does in Chromium', async () => {
  await using site = await serve('test/browser/storage-page.ts')
  await using profile = await launch()
  const tab = await profile.context.newPage()
  await tab.goto(site.url)
  assert.equal(await tab.evaluate(() => storagePage.sodium()), runCases(native))
})

sodium('every function is called by a case', () => {
  const called = new Set<string>()
  const watched = new Proxy(pageSodium, {
    get(target, name) {
      called.add(String(name))
      return Reflect.get(target, name) as unknown
    }
  })
  runCases(watched)
  const missing = Object.entries(pageSodium)
    .filter(([name, value]) => typeof value === 'function' && !called.has(name))
    .map(([name]) => name)
  assert.equal(missing, [])
})

sodium('whatever the peer’s packages name is there', async () => {
  const { metafile } = await build({
    ...pageSettings,
    entryPoints: ['lib/index.ts'],
    write: false,
    metafile: true,
    external: ['yjs', 'y-protocols/*', 'lib0/*']
  })
  const files = Object.keys(metafile.inputs).filter((path) => !path.startsWith('adapters/'))
  assert.ok(files.some((path) => path.includes('noise-handshake')))
  const missing = new Set<string>()
  for (const path of files) {
    const text = await readFile(new URL(`../../${path}`, import.meta.url), 'utf8')
    if (!text.includes('sodium-universal')) continue
    for (const [name] of text.matchAll(
      /\b(?:crypto_[a-z0-9]\w*|sodium_[a-z]\w+|randombytes_\w+)\b(?!')/g
    )) {
      if (!(name in pageSodium)) missing.add(`${name} in ${path}`)
    }
  }
  assert.equal([...missing], [])
})

sodium('arguments of the wrong length are refused, as sodium-native refuses them', () => {
  for (const implementation of [native, pageSodium]) {
    const short = new Uint8Array(8)
    const [key, nonce, message] = [new Uint8Array(32), new Uint8Array(24), new Uint8Array(10)]
    assert.throws(() => implementation.crypto_generichash(short, message))
    assert.throws(() => implementation.crypto_sign_detached(short, message, new Uint8Array(64)))
    assert.throws(() => implementation.crypto_sign_seed_keypair(key, new Uint8Array(64), short))
    assert.throws(() => implementation.crypto_secretbox_easy(message, message, nonce, key))
    assert.throws(() =>
      implementation.crypto_aead_xchacha20poly1305_ietf_encrypt(
        message,
        message,
        null,
        null,
        nonce,
        key
      )
    )
    assert.throws(() => implementation.crypto_box_seal(message, message, key))
  }
})

sodium.run()
