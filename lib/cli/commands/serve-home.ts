/** Serves a port with the device of this home, in the process that holds it: for `skein serve`. */
import { once } from 'node:events'
import { defineCommand } from '../command.ts'
import { counted } from '../words.ts'

export default defineCommand({
  restarts: true,
  setUp: (command) =>
    command.requiredOption('--port <port>', '', Number).requiredOption('--host <address>', ''),
  async run({ home, out, signal }, _, options) {
    const served = await home.listen({ port: options.port, host: options.host })
    try {
      out.emit({ url: served.url, port: served.port, introducesOnly: false }, () => served.url)
      const spaces = counted(home.skein.spaces().length, 'space')
      out.note(`Serves ${spaces} and introduces browsers, until Ctrl-C.`)
      // Looking on the DHT too: the port bridges between both.
      await home.online()
      if (!signal.aborted) await once(signal, 'abort')
    } finally {
      await served.close()
    }
  }
})
