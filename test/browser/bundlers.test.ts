/**
 * The package as it is packed works in apps that know nothing of it: plain esbuild, Vite and webpack, with no plugin, alias
 * or polyfill, opened in Chromium. And it stays small.
 */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brotliCompressSync } from 'node:zlib'
import * as esbuild from 'esbuild'
import type { Page } from 'playwright-core'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as vite from 'vite'
import webpack from 'webpack'
import { launch, type Profile } from './chromium.ts'
import { serveFiles, watch } from './site.ts'

const maxBrotliBytes = 250_000

const project = fileURLToPath(new URL('../../', import.meta.url))
const run = promisify(execFile)
const bundlers = suite('plain bundlers')

let folder: string
let app: string
let profile: Profile
bundlers.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skein-apps-'))
  app = join(folder, 'app')
  await makeApp(await pack())
  profile = await launch()
})
bundlers.after(async () => {
  await profile[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

bundlers('an app built by plain esbuild works', async () => {
  const out = join(app, 'out-esbuild')
  await esbuild.build({
    absWorkingDir: app,
    entryPoints: ['main.js'],
    bundle: true,
    outfile: join(out, 'main.js'),
    logLevel: 'silent'
  })
  await assertWorks(out)
})

bundlers('an app built by plain Vite works', async () => {
  await vite.build({
    root: app,
    configFile: false,
    logLevel: 'silent',
    build: { outDir: 'out-vite' }
  })
  await assertWorks(join(app, 'out-vite'))
})

bundlers('an app served by Vite while it is being written works', async () => {
  const server = await vite.createServer({
    root: app,
    configFile: false,
    logLevel: 'silent',
    server: { host: '127.0.0.1', port: 0, hmr: false, watch: null }
  })
  try {
    await server.listen()
    await assertRuns(`http://127.0.0.1:${(server.httpServer!.address() as { port: number }).port}/`)
  } finally {
    await server.close()
  }
})

bundlers('an app built by plain webpack works', async () => {
  const out = join(app, 'out-webpack')
  const compiler = webpack({
    context: app,
    mode: 'production',
    entry: './main.js',
    output: { path: out, filename: 'main.js' },
    performance: { hints: false }
  })
  const problems = await new Promise<string[]>((resolve, reject) => {
    compiler.run((error, stats) => {
      if (error) reject(error)
      else resolve([...stats!.compilation.errors, ...stats!.compilation.warnings].map(String))
    })
  })
  await new Promise((resolve) => compiler.close(resolve))
  assert.equal(problems, [])
  await assertWorks(out)
})

bundlers(`the whole peer has at most ${maxBrotliBytes} bytes in brotli`, async () => {
  const { outputFiles } = await esbuild.build({
    absWorkingDir: app,
    stdin: { contents: `export * from 'skein'`, resolveDir: app },
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

/** Makes the browser build of a copy of the project, and packs it; the name of the archive. */
async function pack(): Promise<string> {
  const copy = join(folder, 'project')
  await mkdir(copy)
  const parts = ['package.json', 'tsconfig.json', 'README.md', 'CHANGELOG.md', 'LICENSE']
  for (const part of [...parts, 'lib', 'adapters', 'build']) {
    await cp(join(project, part), join(copy, part), { recursive: true })
  }
  await symlink(join(project, 'node_modules'), join(copy, 'node_modules'))
  await run(process.execPath, ['--import', 'tsx', 'build/browser.ts'], { cwd: copy })
  const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', folder], {
    cwd: copy
  })
  return join(folder, stdout.trim())
}

/** A folder as `npm install` leaves it, with the package and what it imports in a page. */
async function makeApp(archive: string): Promise<void> {
  const modules = join(app, 'node_modules')
  await mkdir(join(modules, 'skein'), { recursive: true })
  await run('tar', ['-xf', archive, '-C', join(modules, 'skein'), '--strip-components=1'])
  for (const name of ['yjs', 'lib0', 'y-protocols', 'isomorphic.js']) {
    const from = join(project, 'node_modules', name)
    if (existsSync(from)) await cp(from, join(modules, name), { recursive: true })
  }
  await writeFile(join(app, 'package.json'), '{ "name": "app", "private": true, "type": "module" }')
  await writeFile(
    join(app, 'index.html'),
    '<!doctype html><title>App</title><script type="module" src="./main.js"></script>'
  )
  await writeFile(
    join(app, 'main.js'),
    `import { Skein } from 'skein'
import { memory, MemoryNetwork } from 'skein/adapters/memory'
import * as Y from 'yjs'

window.visit = async () => {
  const skein = new Skein({ storage: 'app', transports: [memory(new MemoryNetwork())] })
  await skein.ready()
  const space = skein.spaces()[0] ?? (await skein.createSpace({ name: 'Notes' }))
  const note = await space.open('ideas')
  const before = note.doc.getText('body').toString()
  note.doc.getText('body').insert(before.length, 'visit ')
  await note.saved()
  const isSameYjs = note.doc instanceof Y.Doc
  await skein.close()
  return { before, isSameYjs, globals: ['process', 'Buffer', 'global', 'setImmediate'].filter((name) => name in window) }
}
`
  )
}

async function assertWorks(out: string): Promise<void> {
  const files = new Map<string, Uint8Array>()
  for (const path of readdirSync(out, { recursive: true, encoding: 'utf8' })) {
    if (extname(path) !== '') files.set(`/${path}`, await readFile(join(out, path)))
  }
  // A bundler that makes no page of its own is opened by the app's.
  const page = files.get('/index.html') ?? (await readFile(join(app, 'index.html')))
  await using site = await serveFiles((path) => {
    if (path === '/') return { type: 'text/html', body: page }
    const body = files.get(path)
    return body === undefined ? null : { type: 'text/javascript', body }
  })
  await assertRuns(site.url)
}

async function assertRuns(url: string): Promise<void> {
  const tab = await profile.context.newPage()
  const errors = watch(tab)
  await tab.goto(url)
  assert.equal(await visit(tab), { before: '', isSameYjs: true, globals: [] })
  await tab.reload()
  assert.equal(await visit(tab), { before: 'visit ', isSameYjs: true, globals: [] })
  assert.equal(
    errors.filter((error) => !error.includes('favicon') && !error.includes('404')),
    []
  )
  await tab.close()
}

async function visit(tab: Page): Promise<unknown> {
  await tab.waitForFunction('window.visit !== undefined')
  return tab.evaluate('window.visit()')
}
