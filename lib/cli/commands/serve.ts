/** `skein serve`: a port for devices that cannot listen themselves, browsers above all. */
import { once } from 'node:events'
import { defineLocalCommand, exitCodes, Failure } from '../command.ts'
import { examples } from '../help.ts'
import { port } from '../words.ts'

export default defineLocalCommand({
  setUp: (command) =>
    command
      .option('-p, --port <port>', 'TCP port; 0 picks one', port, 4_444)
      .option('--host <address>', "this machine's address that the others reach", '127.0.0.1')
      .option('--mirror', 'keep the spaces of those who have the address that is printed, unread')
      .option('--introduce-only', 'open no device: bring browsers together, and nothing else')
      .addHelpText(
        'after',
        `
Browsers dial this port and sync with this device, as the member or mirror that it is; what they write goes on to whoever it
meets, by the DHT too, and what others write comes back. The same port introduces browsers to each other (it speaks
y-webrtc's signalling protocol), so that they connect directly. Nobody needs to be let in for that: what is said through
the port is sealed, and the port sees addresses and rooms of random names.

A page served over https dials wss:// only, so put TLS before the port (any reverse proxy for WebSockets does).
${examples(
  ['skein serve', 'for browsers on this machine'],
  ['skein serve --host 0.0.0.0', 'for the network'],
  ['skein serve --mirror', 'as a mirror: for spaces that this device cannot read'],
  ['skein serve --introduce-only', 'for anyone, with no device here']
)}`
      ),
  async run({ out, signal, call }, _, options) {
    const { port: wanted, host } = options
    if (options.introduceOnly === true && options.mirror === true) {
      throw new Failure('Who only introduces keeps nothing: --mirror or --introduce-only', {
        exitCode: exitCodes.usage
      })
    }
    if (options.introduceOnly !== true) {
      await call('serve-home', [], { port: wanted, host, mirror: options.mirror === true })
      return exitCodes.done
    }
    const { listen } = await import('skein/adapters/websocket')
    const opened = await listen({ port: wanted, host })
    try {
      out.emit({ url: opened.url, port: opened.port, introducesOnly: true }, () => opened.url)
      out.note('Introduces browsers to each other, until Ctrl-C.')
      if (!signal.aborted) await once(signal, 'abort')
    } finally {
      await opened.close()
    }
    return exitCodes.done
  }
})
