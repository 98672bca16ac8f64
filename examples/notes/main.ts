/**
 * `npm start`: a notebook in the browser, and the device in Node that serves its page, keeps its notes, introduces
 * browsers to each other and passes on to the DHT what they write. `npm start -- --trace FILE` replays a recorded history
 * in the terminal instead, as `npm run demo` does.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Server } from 'node:http'
import { hostname, networkInterfaces } from 'node:os'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import pc from 'picocolors'
import { listen } from 'skein/adapters/websocket'
import { renderUnicodeCompact } from 'uqr'
import { openNotebook, openPeer } from './peer.ts'
import { buildSite, serve } from './site.ts'

const help = `Notes: a notebook in the browser that works offline and has no server behind it.

  npm start                      serve the page, and be a device that is always there
  npm start -- --host 0.0.0.0    for phones and computers in the same network too
  npm start -- --trace FILE      replay a recorded history in the terminal: npm run demo -- --trace FILE

  --port N          TCP port (4400; another one where that is taken)
  --host ADDRESS    where to listen (127.0.0.1: this machine alone)
  --data DIR        where the notes are kept (notes-data)
  --bootstrap H:P   a private DHT's node; may be given again
  --no-dht          meet nobody but by this port
  --help            this
`

const defaultPort = 4_400
const uses = 8
const dayMs = 86_400_000

const args = process.argv.slice(2)
if (args.some((arg) => arg === '--trace' || arg.startsWith('--trace='))) {
  process.exit(await demonstrate(args))
}
const options = readOptions()
if (options === null) process.exit(2)
if (options.help) {
  console.log(help)
  process.exit(0)
}
try {
  await run(options)
} catch (error) {
  console.error(` ✗ ${(error as Error).message}`)
  process.exit(1)
}

async function run(options: NonNullable<ReturnType<typeof readOptions>>): Promise<void> {
  const server = serve(await buildSite())
  await bind(server, options.port, options.host)
  const port = await listen({ server })
  // npm changes to the project's folder, and says where it was called.
  const folder = resolve(process.env['INIT_CWD'] ?? '.', options.data)
  const skein = await openPeer({ folder, person: hostname(), port, bootstrap: options.bootstrap })
  const space = await openNotebook(skein)
  const invite = await space.invite({ role: 'admin', uses, expiresInMs: dayMs })
  const links = addressesOf(options.host).map((host) => `http://${host}:${port.port}/#${invite}`)

  console.log(`
 ${pc.bold('Notes')}  the notebook “${space.name}”, ${space.documents().length - 1} notes, in ${folder}

 ${pc.bold('Open it in a browser')}, and in a second one beside it:

   ${pc.cyan(links[0]!)}
${links.length > 1 ? phoneHelp(links[1]!) : ''}
 The link lets up to ${uses} devices in, for a day. A browser that is in keeps the notebook, and opens
 http://${addressesOf(options.host)[0]}:${port.port}/ from then on, without this process too.
 ${options.host === '127.0.0.1' ? 'For phones in the same network: npm start -- --host 0.0.0.0' : ''}
 No browser on this machine? This process needs none: it is a device of the notebook by itself.
 npm run demo shows three such devices at work in the terminal.

 ${pc.dim('Ctrl-C stops it.')}
`)
  skein.on('connection', ({ device }) => console.log(` ${timeNow()}  ${nameOf(device)} is here`))
  skein.on('disconnection', ({ device }) => console.log(` ${timeNow()}  ${nameOf(device)} left`))
  const known = new Set(space.members().map(({ device }) => device))
  space.on('members', ({ members }) => {
    for (const { device, role } of members) {
      if (known.has(device)) continue
      known.add(device)
      console.log(` ${timeNow()}  ${nameOf(device)} joined as ${role}`)
    }
  })
  function nameOf(device: string): string {
    const member = space.members().find((one) => one.device === device)
    if (member === undefined) return 'A device'
    return member.person === member.name ? member.name : `${member.person} (${member.name})`
  }

  await Promise.race(['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => once(process, signal)))
  await skein.close()
  await port.close()
  server.closeAllConnections()
  server.close()
}

/** The terminal demonstration, with the same arguments; its exit code. */
async function demonstrate(args: readonly string[]): Promise<number> {
  const main = fileURLToPath(new URL('../demo/main.ts', import.meta.url))
  const child = spawn(process.execPath, [...process.execArgv, main, ...args], { stdio: 'inherit' })
  // Ctrl-C reaches it as well; it ends first, and says how.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => child.kill(signal))
  }
  const [code] = (await once(child, 'exit')) as [number | null]
  return code ?? 1
}

/** Where the port is taken and none was asked for, another one. */
async function bind(server: Server, port: number | null, host: string): Promise<void> {
  try {
    server.listen(port ?? defaultPort, host)
    await once(server, 'listening')
  } catch (error) {
    if (port !== null || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    console.log(` Port ${defaultPort} is taken: another one it is.`)
    server.listen(0, host)
    await once(server, 'listening')
  }
}

function addressesOf(host: string): string[] {
  if (host === '127.0.0.1') return ['localhost']
  if (host !== '0.0.0.0' && host !== '::') return [host.includes(':') ? `[${host}]` : host]
  const reached = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
  return ['localhost', ...reached.map(({ address }) => address)]
}

function phoneHelp(link: string): string {
  return `
 … or on a phone in the same network:

   ${pc.cyan(link)}

${renderUnicodeCompact(link).replace(/^/gm, '   ')}
`
}

function timeNow(): string {
  return pc.dim(new Date().toTimeString().slice(0, 8))
}

function readOptions() {
  try {
    const { values } = parseArgs({
      args,
      options: {
        port: { type: 'string' },
        host: { type: 'string', default: '127.0.0.1' },
        data: { type: 'string', default: 'notes-data' },
        bootstrap: { type: 'string', multiple: true },
        'no-dht': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false }
      }
    })
    const port = values.port === undefined ? null : Number(values.port)
    if (port !== null && !(Number.isInteger(port) && port >= 0 && port < 65_536)) {
      throw new TypeError(`No TCP port: ${values.port}`)
    }
    const bootstrap = values['no-dht'] ? null : values.bootstrap
    return { port, host: values.host, data: values.data, bootstrap, help: values.help }
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${help}`)
    return null
  }
}
