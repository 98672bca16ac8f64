/** The transport contract between a page in Chromium and Node, in both roles. */
import { suite } from 'uvu'
import { testTransport } from '../../adapters/testing.ts'
import { webrtc } from '../../adapters/webrtc.ts'
import { listen } from '../../adapters/websocket.ts'
import type { Transport } from '../../lib/transport.ts'
import { launch, type Profile } from './chromium.ts'
import { RemoteTransports } from './remote-transport.ts'
import { serve, type Site } from './site.ts'

let site: Site
let profile: Profile
let remote: RemoteTransports

for (const [name, inPage] of [
  ['alice in the page, bob in Node', [true, false, true]],
  ['alice in Node, bob in the page', [false, true, false]]
] as const) {
  const test = suite(`WebRTC, ${name}`)
  test.before(async () => {
    site = await serve('test/browser/webrtc-page.ts')
    profile = await launch()
    remote = await RemoteTransports.listen()
  })
  test.after(async () => {
    await profile[Symbol.asyncDispose]()
    await remote[Symbol.asyncDispose]()
    await site[Symbol.asyncDispose]()
  })
  testTransport(test, {
    async create() {
      const port = await listen()
      const tab = await profile.context.newPage()
      await tab.goto(site.url)
      const signalling = [port.url]
      const made: Transport[] = []
      for (const isInPage of inPage) {
        if (!isInPage) made.push(webrtc({ signalling, wrtc: '@roamhq/wrtc' }))
        else {
          const begin = (): Promise<void> =>
            tab.evaluate(
              ({ url, signalling }) =>
                webrtcPage.hostTransport(url, webrtcPage.webrtc({ signalling })),
              { url: remote.url, signalling }
            )
          made.push(await remote.next(begin))
        }
      }
      const [a, b, c] = made as [Transport, Transport, Transport]
      return {
        a,
        b,
        c,
        async end() {
          await tab.close()
          await port.close()
        }
      }
    }
  })
  test.run()
}
