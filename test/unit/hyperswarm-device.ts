/**
 * A device on a private DHT, for `hyperswarm-transport.test.ts`: in that test's process, or forked by it as one that can
 * be killed (arguments: name, bootstrap): it says hello over every connection, tells its parent when it has joined, and
 * ends with it.
 */
import { fileURLToPath } from 'node:url'
import sodium from 'sodium-universal'
import { hyperswarm } from '../../adapters/hyperswarm.ts'
import type { DeviceKeys, SecureStream, Transport } from '../../lib/transport.ts'

/** The same for the same name, so that a device comes back as itself. */
export function deviceKeys(name: string): DeviceKeys {
  const [publicKey, secretKey, seed] = [new Uint8Array(32), new Uint8Array(64), new Uint8Array(32)]
  sodium.crypto_generichash(seed, new TextEncoder().encode(name))
  sodium.crypto_sign_seed_keypair(publicKey, secretKey, seed)
  return { publicKey, secretKey }
}

/** Opens the transport as the device of that name, and joins the topic that all have in common. */
export async function joinAs(transport: Transport, name: string): Promise<void> {
  await transport.open(deviceKeys(name))
  await transport.join(new Uint8Array(32).fill(9))
}

const [path, name = '', bootstrap = ''] = process.argv.slice(1)
if (path === fileURLToPath(import.meta.url)) {
  process.on('disconnect', () => process.exit(1))
  const transport = hyperswarm({ bootstrap: JSON.parse(bootstrap) })
  transport.on('connection', ({ stream }) => {
    ;(stream as SecureStream & { write(message: Uint8Array): boolean }).write(Buffer.from('hello'))
  })
  await joinAs(transport, name)
  process.send?.('joined')
}
