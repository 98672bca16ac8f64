/** A secure stream over messages stays open where one end's timers are held up, as in a page that is hidden for minutes. */
import { clock } from '../shifted-clock.ts'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MessageStream } from '../../lib/message-stream.ts'
import { secureStream } from '../../lib/secure-stream.ts'
import { deviceKeys } from './hyperswarm-device.ts'

const test = suite('a secure stream over messages')

test('an end whose timers do not come says that it is there when it hears of the other', async () => {
  const ends: MessageStream[] = []
  const end = (other: number): MessageStream =>
    new MessageStream({
      send(message) {
        const copy = typeof message === 'string' ? message : message.slice()
        setImmediate(() => ends[other]!.receive(copy))
      },
      close: () => setImmediate(() => ends[other]!.ended())
    })
  ends.push(end(1), end(0))
  const [hidden, other] = await Promise.all([
    secureStream(ends[0]!, { device: deviceKeys('hidden'), isInitiator: true }),
    secureStream(ends[1]!, { device: deviceKeys('other'), isInitiator: false })
  ])
  // It takes what says nothing for what it is, and sends none by itself.
  hidden.setKeepAlive(2 ** 31 - 1)
  for (const stream of [hidden, other]) (stream as unknown as { resume(): void }).resume()
  other.setKeepAlive(20)
  other.setTimeout(400)
  let ticking: ReturnType<typeof setInterval> | undefined
  const lasts = new Promise<string>((resolve) => {
    other.on('close', () => resolve('the other end took it for gone'))
    let ticks = 0
    ticking = setInterval(() => {
      clock.aheadMs += 5_000
      if (++ticks === 60) resolve('it lasts')
    }, 20)
  })
  assert.is(await lasts, 'it lasts')
  clearInterval(ticking)
  hidden.destroy()
  other.destroy()
})

test.run()
