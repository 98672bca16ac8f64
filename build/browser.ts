/**
 * The browser build: the package's entry points as ES modules in `dist/browser/`, with what a page lacks put in place, so
 * that an app needs no plugin, alias or polyfill. `package.json` names them under the condition `browser`. `yjs`,
 * `y-protocols` and `lib0` stay outside: an app has them already, and two copies of Yjs do not know each other.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type BuildOptions, type Plugin } from 'esbuild'

const project = fileURLToPath(new URL('..', import.meta.url))
const own = (path: string): string => join(project, 'adapters/browser', path)

/** What stands in for a module in a page. The rest of Node is not there, and asking for it fails the build. */
const replacements: Readonly<Record<string, string>> = {
  'sodium-universal': own('sodium-universal.ts'),
  'sodium-native': own('sodium-universal.ts'),
  'rocksdb-native': own('rocks.ts'),
  'quickbit-universal': own('quickbit.ts'),
  'which-runtime': own('shims/which-runtime.ts'),
  'device-file': own('shims/none.ts'),
  ws: own('shims/ws.ts'),
  fs: own('shims/none.ts'),
  path: own('shims/path.ts'),
  events: join(project, 'node_modules/events/events.js')
}

const replace: Plugin = {
  name: 'replace',
  setup(build) {
    const names = Object.keys(replacements).join('|')
    build.onResolve({ filter: new RegExp(`^(${names})$`) }, ({ path }) => ({
      path: replacements[path]!
    }))
    // Of hypercore, what nobody calls here: its encryption and streams, checks and descriptions of a log.
    const unused =
      /^\.\/(lib\/)?(audit|default-encryption|fully-remote-proof|info|inspect|streams)$/
    build.onResolve({ filter: unused }, ({ importer }) =>
      /node_modules\/hypercore\//.test(importer) ? { path: own('shims/none.ts') } : null
    )
    // No log in a page was ever of an older format.
    build.onResolve({ filter: /^\.\/migrations\/1$/ }, ({ importer }) =>
      importer.includes('hypercore-storage') ? { path: own('shims/none.ts') } : null
    )
    build.onResolve({ filter: /^\.\/migrations\/0$/ }, ({ importer }) =>
      importer.includes('hypercore-storage') ? { path: own('shims/first-opening.ts') } : null
    )
  }
}

/** Settings under which hypercore runs in a page; tests build their own pages with them. */
export const pageSettings = {
  bundle: true,
  platform: 'browser',
  format: 'esm',
  target: 'es2022',
  absWorkingDir: project,
  conditions: ['source', 'browser'],
  define: { global: 'globalThis', process: 'undefined' },
  inject: [own('immediate.ts')],
  plugins: [replace],
  logLevel: 'warning',
  legalComments: 'none'
} satisfies BuildOptions

/** A file, or one for pages and one for the rest. */
type Source = string | { browser: string }

interface Manifest {
  readonly exports: Record<string, { source?: Source; browser?: string | null } | string>
}

/** Builds every entry point that `package.json` names for browsers. */
export async function buildBrowser(): Promise<void> {
  const { exports } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as Manifest
  const entryPoints: Record<string, string> = {}
  for (const entry of Object.values(exports)) {
    if (typeof entry === 'string' || entry.source === undefined || entry.browser == null) continue
    const out = /^\.\/dist\/browser\/(.+)\.js$/.exec(entry.browser)?.[1]
    if (out === undefined) throw new Error(`${entry.browser} is not in dist/browser`)
    entryPoints[out] = typeof entry.source === 'string' ? entry.source : entry.source.browser
  }
  await build({
    ...pageSettings,
    entryPoints,
    outdir: join(project, 'dist/browser'),
    chunkNames: 'chunks/[name]-[hash]',
    splitting: true,
    minify: true,
    sourcemap: true,
    external: ['yjs', 'y-protocols/*', 'lib0/*']
  })
}

if (import.meta.url === `file://${process.argv[1]}`) await buildBrowser()
