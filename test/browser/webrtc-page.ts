/** A page with everything that the WebRTC tests need, at hand for `page.evaluate`. */
import { Skein } from 'skein'
import { testTransport } from 'skein/adapters/testing'
import { webrtc } from 'skein/adapters/webrtc'
import { websocket } from 'skein/adapters/websocket'
import { hostTransport } from './transport-host.ts'

/** Runs the transport contract in this page; gives what failed. */
async function runContract(create: Parameters<typeof testTransport>[1]['create']) {
  const tests: [string, () => Promise<void>][] = []
  testTransport((name, run) => tests.push([name, run]), { create })
  const failed: string[] = []
  for (const [name, run] of tests) {
    try {
      await run()
    } catch (error) {
      failed.push(`${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return { passed: tests.length - failed.length, failed }
}

export const webrtcPage = { Skein, webrtc, websocket, runContract, hostTransport }

Object.assign(globalThis, { webrtcPage })
