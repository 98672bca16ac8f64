/** `skein dht`: runs one node of a private DHT, for networks that do not reach the public one. */
import { once } from 'node:events'
import { defineLocalCommand } from '../command.ts'
import { examples } from '../help.ts'
import { port } from '../words.ts'

export default defineLocalCommand({
  setUp: (command) =>
    command
      .option('-p, --port <port>', 'UDP port', port, 49_737)
      .option('--host <address>', "this machine's IPv4 address that the devices reach", '127.0.0.1')
      .addHelpText(
        'after',
        examples(
          ['skein dht', 'for this machine alone'],
          ['skein dht --host 192.168.1.5', 'for the network at home'],
          ['skein --bootstrap 192.168.1.5:49737 sync', 'on the devices']
        )
      ),
  async run({ out, signal }, _, options) {
    const { runDht } = await import('skein/adapters/dht')
    const dht = await runDht({ port: options.port, host: options.host })
    try {
      const address = `${dht.host}:${dht.port}`
      out.emit({ host: dht.host, port: dht.port }, () => address)
      out.note(
        `A DHT node runs at ${address}, until Ctrl-C. On the devices: --bootstrap ${address}`
      )
      if (!signal.aborted) await once(signal, 'abort')
    } finally {
      await dht.close()
    }
  }
})
