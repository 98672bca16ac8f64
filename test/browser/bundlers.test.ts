/**
 * The package as it is packed works in apps that know nothing of it: plain esbuild and Vite (webpack has a file of its own), with no plugin, alias
 * or polyfill, opened in Chromium. And it stays small.
 */
import { join } from 'node:path'
import { brotliCompressSync } from 'node:zlib'
import * as esbuild from 'esbuild'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as vite from 'vite'
import { launch, type Profile } from './chromium.ts'
import { assertRuns, assertWorks, packedApp, type PackedApp } from './packed-app.ts'

const maxBrotliBytes = 250_000

const bundlers = suite('plain bundlers')

let app: PackedApp
let profile: Profile
bundlers.before(async () => {
  app = await packedApp()
  profile = await launch()
})
bundlers.after(async () => {
  await profile[Symbol.asyncDispose]()
  await app[Symbol.asyncDispose]()
})

bundlers('an app built by plain esbuild works', async () => {
  const out = join(app.path, 'out-esbuild')
  await esbuild.build({
    absWorkingDir: app.path,
    entryPoints: ['main.js'],
    bundle: true,
    outfile: join(out, 'main.js'),
    logLevel: 'silent'
  })
  await assertWorks(profile, app, out)
})

bundlers('an app built by plain Vite works', async () => {
  await vite.build({
    root: app.path,
    configFile: false,
    logLevel: 'silent',
    build: { outDir: 'out-vite' }
  })
  await assertWorks(profile, app, join(app.path, 'out-vite'))
})

bundlers('an app served by Vite while it is being written works', async () => {
  const server = await vite.createServer({
    root: app.path,
    configFile: false,
    logLevel: 'silent',
    server: { host: '127.0.0.1', port: 0, hmr: false, watch: null }
  })
  try {
    await server.listen()
    await assertRuns(
      profile,
      `http://127.0.0.1:${(server.httpServer!.address() as { port: number }).port}/`
    )
  } finally {
    await server.close()
  }
})

bundlers(`the whole peer has at most ${maxBrotliBytes} bytes in brotli`, async () => {
  const { outputFiles } = await esbuild.build({
    absWorkingDir: app.path,
    stdin: { contents: `export * from 'skein'`, resolveDir: app.path },
    bundle: true,
    minify: true,
    format: 'esm',
    write: false,
    external: ['yjs'],
    logLevel: 'silent'
  })
  const { length } = brotliCompressSync(outputFiles[0]!.contents)
  console.log(`${length} bytes in brotli`)
  assert.ok(length <= maxBrotliBytes, `${length} bytes`)
})

bundlers.run()
