/** Builds the page, as any app with a bundler would, and serves it from memory. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { basename, extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants } from 'node:zlib'
import { build, type BuildOptions } from 'esbuild'

interface SiteFile {
  readonly type: string
  readonly body: Uint8Array
  readonly compressed: Uint8Array | null
}

export type Site = ReadonlyMap<string, SiteFile>

const assets = [
  'app.webmanifest',
  'icon.svg',
  'icon-192.png',
  'icon-512.png',
  'icon-maskable-512.png'
] as const

const app = fileURLToPath(new URL('app/', import.meta.url))

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
  '.webmanifest': 'application/manifest+json'
}

/** No script but the app's own; CodeMirror brings its styles by script, and crypto is WebAssembly. */
const policy = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self' ws: wss:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join('; ')

/** `settings` add to what the page is built with; none are needed where the package is built. */
export async function buildSite(settings: BuildOptions = {}): Promise<Site> {
  const bodies = new Map<string, Uint8Array>()
  const { outputFiles } = await build({
    bundle: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
    // An import of Yjs for nothing but its effects, of which it has none.
    logOverride: { 'ignored-bare-import': 'silent' },
    ...settings,
    entryPoints: { app: `${app}main.tsx`, style: `${app}style.css` },
    outdir: '/',
    assetNames: '[name]',
    loader: { '.woff2': 'file' },
    jsx: 'automatic',
    jsxImportSource: 'preact',
    write: false
  })
  for (const { path, contents } of outputFiles) bodies.set(`/${basename(path)}`, contents)
  for (const name of assets) {
    bodies.set(`/${name}`, await readFile(app + name))
  }
  bodies.set('/', await readFile(`${app}index.html`))
  bodies.set('/service-worker.js', await serviceWorkerFor(bodies))
  return new Map([...bodies].map(([path, body]) => [path, fileOf(path, body)]))
}

/** It names every file and a digest of them all, so a changed page is another worker. */
async function serviceWorkerFor(bodies: ReadonlyMap<string, Uint8Array>): Promise<Uint8Array> {
  const digest = createHash('sha256')
  for (const [path, body] of bodies) digest.update(path).update(body)
  const names = { version: digest.digest('hex').slice(0, 16), files: [...bodies.keys()] }
  const worker = await readFile(`${app}service-worker.js`, 'utf8')
  return Buffer.from(`const site = ${JSON.stringify(names)}\n${worker}`)
}

function fileOf(path: string, body: Uint8Array): SiteFile {
  const type = types[path === '/' ? '.html' : extname(path)]!
  const isText = !/^font\/|png$/.test(type)
  const params = { [constants.BROTLI_PARAM_QUALITY]: 5 }
  return { type, body, compressed: isText ? brotliCompressSync(body, { params }) : null }
}

export function serve(site: Site): Server {
  return createServer((request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return end(response, 405)
    const file = site.get((request.url ?? '').replace(/[?#].*$/, ''))
    if (file === undefined) return end(response, 404)
    const takesBrotli = /\bbr\b/.test(String(request.headers['accept-encoding'] ?? ''))
    const isCompressed = takesBrotli && file.compressed !== null
    response.writeHead(200, {
      'content-type': file.type,
      'content-security-policy': policy,
      'cross-origin-opener-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      // The service worker keeps them; who has none asks each time.
      'cache-control': 'no-cache',
      vary: 'accept-encoding',
      ...(isCompressed ? { 'content-encoding': 'br' } : {})
    })
    response.end(request.method === 'HEAD' ? undefined : isCompressed ? file.compressed : file.body)
  })
}

function end(response: ServerResponse, status: number): void {
  response.writeHead(status, { 'content-type': 'text/plain' }).end(`${status}\n`)
}
