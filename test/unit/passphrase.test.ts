/** Keys at rest: a passphrase seals the secrets file, and files of each format stay readable for ever. */
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { SkeinError } from '../../lib/index.ts'
import { SecretsFile } from '../../lib/secrets-file.ts'
import { decodeSecrets } from '../../lib/secrets.ts'
import { Skein } from '../../lib/index.ts'
import { device, rejects } from '../devices.ts'

const test = suite('passphrase')

const fixtures = new URL('../fixtures/', import.meta.url)

/** A file in memory. */
class Memory {
  bytes: Uint8Array | null

  constructor(bytes: Uint8Array | null = null) {
    this.bytes = bytes
  }

  readSecrets(): Promise<Uint8Array | null> {
    return Promise.resolve(this.bytes)
  }

  writeSecrets(bytes: Uint8Array): Promise<void> {
    this.bytes = bytes
    return Promise.resolve()
  }
}

function open(bytes: Uint8Array, passphrase?: string): Promise<Uint8Array | null> {
  const random = (length: number): Uint8Array => new Uint8Array(length).fill(9)
  return new SecretsFile(new Memory(bytes), passphrase, random).readSecrets()
}

test('secrets files of formats 1, 2 and 3 say what they said when they were written', async () => {
  const plain = new Uint8Array(await readFile(new URL('secrets-1.bin', fixtures)))
  const sealed = new Uint8Array(await readFile(new URL('secrets-2.bin', fixtures)))
  const secrets = {
    signSeed: new Uint8Array(32).fill(1),
    boxSeed: new Uint8Array(32).fill(2),
    name: 'laptop',
    person: 'alice',
    spaces: [{ spaceKey: new Uint8Array(32).fill(3), genesis: new Uint8Array(40).fill(4) }]
  }
  assert.equal(decodeSecrets((await open(plain))!), secrets)
  assert.equal(decodeSecrets((await open(sealed, 'open sesame'))!), secrets)
  const renewed = new Uint8Array(await readFile(new URL('secrets-3.bin', fixtures)))
  assert.equal(decodeSecrets((await open(renewed))!), {
    ...secrets,
    spaces: [{ ...secrets.spaces[0]!, epochKeys: [new Uint8Array(32).fill(5)] }],
    formerly: {
      device: new Uint8Array(32).fill(6),
      proof: new Uint8Array(64).fill(7),
      copy: new Uint8Array(16).fill(8)
    }
  })
})

test('a device with a passphrase opens with that one alone, and its file tells nothing', async () => {
  await using alice = await device('alice')
  const { id } = alice
  const space = await alice.skein.createSpace({ name: 'Secret notes' })
  const text = (await space.open('ideas')).doc.getText('body')
  text.insert(0, 'Hello')
  await space.saved()
  await alice.skein.close()
  const path = join(alice.folder, 'secrets')
  const plain = await readFile(path)
  // From now on it has one; the file is sealed when it is opened.
  const again = new Skein({ storage: alice.folder, passphrase: 'open sesame' })
  await again.ready()
  assert.is(again.id, id)
  await again.close()
  const sealed = await readFile(path)
  assert.is((await stat(path)).mode & 0o777, 0o600)
  assert.not(sealed.includes('Secret notes'))
  assert.not(sealed.includes(plain.subarray(1, 33)))
  for (const options of [{}, { passphrase: 'open says me' }]) {
    const stranger = new Skein({ storage: alice.folder, ...options })
    await rejects(stranger.ready(), 'PASSPHRASE_WRONG')
    await stranger.close()
  }
  assert.equal(await readFile(path), sealed)
  const back = new Skein({ storage: alice.folder, passphrase: 'open sesame' })
  await back.ready()
  const note = await back.spaces()[0]!.open('ideas')
  assert.is(note.doc.getText('body').toString(), 'Hello')
  await back.close()
  // So that the device that the test began with finds its file as it was.
  await writeFile(path, plain)
})

test('a sealed file in which a byte was changed is refused', async () => {
  const sealed = new Uint8Array(await readFile(new URL('secrets-2.bin', fixtures)))
  const costs = [17, 18, 19, 20]
  for (const at of [1, 9, 16, ...costs, 21, 40, 45, 60, sealed.length - 1]) {
    const changed = sealed.slice()
    changed[at]! ^= 1
    let code = ''
    await open(changed, 'open sesame').catch((error: unknown) => {
      if (!(error instanceof SkeinError)) throw error
      code = error.code
    })
    assert.ok(['PASSPHRASE_WRONG', 'BAD_ENCODING'].includes(code), `byte ${at}: ${code}`)
  }
  await rejects(open(sealed.subarray(0, 30), 'open sesame'), 'BAD_ENCODING')
})

test.run()
