/** Serves a port with the device of this home, in the process that holds it: for `skein serve`. */
import { once } from 'node:events'
import { defineCommand } from '../command.ts'
import { counted } from '../words.ts'

export default defineCommand({
  restarts: true,
  setUp: (command) =>
    command
      .requiredOption('--port <port>', '', Number)
      .requiredOption('--host <address>', '')
      .option('--mirror', ''),
  async run({ home, out, signal }, _, options) {
    const served = await home.listen({ port: options.port, host: options.host })
    try {
      const hints = home.bootstrap === null ? {} : { hints: home.bootstrap.slice(0, 16) }
      const address = options.mirror === true ? await home.skein.mirror(hints) : null
      out.emit(
        {
          url: served.url,
          port: served.port,
          introducesOnly: false,
          ...(address === null ? {} : { mirror: address })
        },
        () => (address === null ? served.url : `${served.url}\n${address}`)
      )
      const spaces = counted(home.skein.spaces().length, 'space')
      const keeps = address === null ? '' : ', keeps those of whoever has its address, unread,'
      out.note(`Serves ${spaces}${keeps} and introduces browsers, until Ctrl-C.`)
      // Looking on the DHT too: the port bridges between both.
      await home.online()
      if (!signal.aborted) await once(signal, 'abort')
    } finally {
      await served.close()
    }
  }
})
