/** An app that has the package as it is packed, and nothing that knows of it; and a look whether what it is built to works. */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import * as assert from 'uvu/assert'
import type { Profile } from './chromium.ts'
import { serveFiles, watch, type Site } from './site.ts'

const project = fileURLToPath(new URL('../../', import.meta.url))
const run = promisify(execFile)

/** A folder as `npm install` leaves it, with a page and a module to be built. */
export interface PackedApp extends AsyncDisposable {
  readonly path: string
}

/** `main`: the module's text, in place of one that only visits. `hasCommand`: with the `skein` command, to be run by Node. */
export async function packedApp(
  options: { main?: string; hasCommand?: boolean } = {}
): Promise<PackedApp> {
  const { main = visitor, hasCommand = false } = options
  const folder = await mkdtemp(join(tmpdir(), 'skein-apps-'))
  const path = join(folder, 'app')
  await makeApp(path, await pack(folder, hasCommand), main)
  // What the command needs of other packages; a folder above, where an app's bundler finds its own first.
  if (hasCommand) await symlink(join(project, 'node_modules'), join(folder, 'node_modules'))
  return { path, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) }
}

/** Makes the browser build of a copy of the project, and packs it; the name of the archive. */
async function pack(folder: string, hasCommand: boolean): Promise<string> {
  const copy = join(folder, 'project')
  await mkdir(copy)
  const parts = ['package.json', 'tsconfig.json', 'README.md', 'CHANGELOG.md', 'LICENSE']
  for (const part of [...parts, 'lib', 'adapters', 'build']) {
    await cp(join(project, part), join(copy, part), { recursive: true })
  }
  await symlink(join(project, 'node_modules'), join(copy, 'node_modules'))
  for (const part of hasCommand ? ['browser', 'cli'] : ['browser'])
    await run(process.execPath, ['--import', 'tsx', `build/${part}.ts`], { cwd: copy })
  const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', folder], {
    cwd: copy
  })
  return join(folder, stdout.trim())
}

/** A folder as `npm install` leaves it, with the package and what it imports in a page. */
async function makeApp(app: string, archive: string, main: string): Promise<void> {
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
  await writeFile(join(app, 'main.js'), main)
}

const visitor = `import { Skein } from 'skein'
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

export async function assertWorks(profile: Profile, app: PackedApp, out: string): Promise<void> {
  await using site = await serveBuilt(app, out)
  await assertRuns(profile, site.url)
}

/** Serves what a bundler has made of the app. */
export async function serveBuilt(app: PackedApp, out: string): Promise<Site> {
  const files = new Map<string, Uint8Array>()
  for (const path of readdirSync(out, { recursive: true, encoding: 'utf8' })) {
    if (extname(path) !== '') files.set(`/${path}`, await readFile(join(out, path)))
  }
  // A bundler that makes no page of its own is opened by the app's.
  const page = files.get('/index.html') ?? (await readFile(join(app.path, 'index.html')))
  return serveFiles((path) => {
    if (path === '/') return { type: 'text/html', body: page }
    const body = files.get(path)
    return body === undefined ? null : { type: 'text/javascript', body }
  })
}

export async function assertRuns(profile: Profile, url: string): Promise<void> {
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
