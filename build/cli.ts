/**
 * The `skein` command in `dist/skein/`: one file, and one for each command, with what they need of the packages put in.
 * From two hundred modules it would start in twice the time. What is native code stays outside.
 */
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const project = fileURLToPath(new URL('..', import.meta.url))

/** Packages that load native code from their own folder. */
const native = [
  'rocksdb-native',
  'sodium-native',
  'fs-native-extensions',
  'udx-native',
  'quickbit-native',
  'simdle-native',
  'device-file',
  '@parcel/watcher',
  'classic-level'
]

await build({
  absWorkingDir: project,
  entryPoints: { main: 'lib/cli/main.ts' },
  outdir: join(project, 'dist/skein'),
  chunkNames: 'parts/[name]-[hash]',
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  conditions: ['source'],
  external: [...native, 'bare-*'],
  // Packages in CommonJS ask for Node's modules by `require`.
  banner: {
    js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);"
  },
  legalComments: 'none',
  logLevel: 'warning'
})
chmodSync(join(project, 'dist/skein/main.js'), 0o755)
