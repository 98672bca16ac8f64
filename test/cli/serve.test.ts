// `skein serve` as a bridge: a device that only knows its port, and one that only knows the DHT, are in step.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { WebSocket } from 'ws'
import { runDht } from '../../adapters/dht.ts'
import { hyperswarm } from '../../adapters/hyperswarm.ts'
import { websocket } from '../../adapters/websocket.ts'
import { Skein } from '../../lib/index.ts'
import { deadline, eventually } from '../events.ts'
import { Folder } from './skein.ts'

const test = suite('skein serve')

const address = /ws:\/\/127\.0\.0\.1:\d+/

test('a device that dials the port and one on the DHT are in step through it', async () => {
  await using folder = await Folder.make()
  const dht = await runDht()
  const bootstrap = dht.bootstrap.map(({ host, port }) => `${host}:${port}`)
  const home = folder.home('bridge')
  await home.run(['init', '--name', 'bridge'])
  await home.run(['create', 'Notes'])
  const serving = home.start(['--bootstrap', bootstrap.join(), 'serve', '--port', '0'])
  await serving.says(address)
  const [url] = address.exec(serving.stdout)!
  // Another command on the same home, while it serves.
  const [browserInvite, dhtInvite] = [await home.run(['invite']), await home.run(['invite'])]
  const storage = await mkdtemp(join(tmpdir(), 'skein-serve-'))
  const alice = new Skein({
    storage: join(storage, 'alice'),
    name: 'alice',
    transports: [websocket({ urls: [url] })]
  })
  const bob = new Skein({
    storage: join(storage, 'bob'),
    name: 'bob',
    transports: [hyperswarm({ bootstrap: dht.bootstrap })]
  })
  try {
    const atAlice = await (await alice.join(browserInvite.trim())).open('ideas')
    const atBob = await (await bob.join(dhtInvite.trim())).open('ideas')
    atAlice.doc.getText('body').insert(0, 'from alice ')
    await deadline(
      eventually(() => atBob.doc.getText('body').toString() === 'from alice ', {
        deadlineMs: 20_000
      }),
      20_000,
      "alice's words at bob's"
    )
    atBob.doc.getText('body').insert(0, 'from bob ')
    await eventually(() => atAlice.doc.getText('body').toString() === 'from bob from alice ', {
      deadlineMs: 20_000
    })
    assert.is((await serving.interrupt()).code, 130)
  } finally {
    await Promise.all([alice.close(), bob.close()])
    await rm(storage, { recursive: true })
    await dht.close()
  }
})

test('an introducer needs no device, and introduces', async () => {
  await using folder = await Folder.make()
  const serving = folder.home('nobody').start(['serve', '--introduce-only', '--port', '0'])
  await serving.says(address)
  const [url] = address.exec(serving.stdout)!
  const socket = new WebSocket(url)
  const pong = new Promise((resolve) => socket.on('message', (data) => resolve(String(data))))
  socket.on('open', () => socket.send('{"type":"ping"}'))
  assert.is(await deadline(pong, 10_000, 'a pong'), '{"type":"pong"}')
  // Nobody is a peer here.
  const peer = new WebSocket(url, ['skein.1'])
  await deadline(new Promise((resolve) => peer.on('close', resolve)), 10_000, 'a refusal')
  socket.terminate()
  assert.is((await serving.interrupt()).code, 130)
})

test.run()
