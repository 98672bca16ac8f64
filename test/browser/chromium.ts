/**
 * A real Chromium for tests, driven by playwright-core. It is looked for in CHROMIUM_PATH, then where distributions put
 * it; where there is none and this is Debian or Ubuntu and root, it is installed by apt. Where neither works, every test
 * that needs it fails and says what to do.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type BrowserContext } from 'playwright-core'

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // A name that is not localhost: a page from there over http has what browsers give to such pages, and no more.
  '--host-resolver-rules=MAP plain.skein.test 127.0.0.1'
]

const places = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome-stable',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'
]

export interface Profile extends AsyncDisposable {
  readonly context: BrowserContext
  /** The profile's folder: started again on it, a browser has what it had. */
  readonly folder: string
}

export interface LaunchOptions {
  readonly folder?: string
  /** Pages that are left are kept, and come back as they were: what users have, and playwright turns off. */
  readonly keepsLeftPages?: boolean
}

/** A browser of its own with a profile of its own, new or in the folder of one before. */
export async function launch(options: LaunchOptions = {}): Promise<Profile> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'skein-profile-')))
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: findChromium(),
    headless: true,
    args: flags,
    ...(options.keepsLeftPages === true
      ? { ignoreDefaultArgs: ['--disable-back-forward-cache'] }
      : {})
  })
  // The test runner's compiler names functions by it, also in those that are sent to a page.
  await context.addInitScript('globalThis.__name ??= (target) => target')
  return {
    context,
    folder,
    async [Symbol.asyncDispose]() {
      await context.close()
      // Its last processes write for a moment after it has gone.
      await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    }
  }
}

/** The processes of the browser whose profile lies there, and of no other. */
export function processesOf(folder: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder)
      } catch {
        return false // It has ended meanwhile.
      }
    })
    .map(Number)
    .filter((pid) => pid !== process.pid)
}

function findChromium(): string {
  const given = process.env['CHROMIUM_PATH']
  if (given !== undefined && given !== '') {
    if (existsSync(given)) return given
    throw new Error(`CHROMIUM_PATH names ${given}, which is not there`)
  }
  const found = places.find((path) => existsSync(path))
  if (found !== undefined) return found
  const why = installChromium()
  const installed = places.find((path) => existsSync(path))
  if (installed !== undefined) return installed
  throw new Error(
    `These tests need Chromium, and none was found (${places.join(', ')}); ${why}. ` +
      'Install it (Debian: apt-get install chromium) or name one in CHROMIUM_PATH.'
  )
}

/** Why that did not work, if it did not. */
function installChromium(): string {
  if (!existsSync('/usr/bin/apt-get')) return 'there is no apt-get to install it with'
  if (process.getuid?.() !== 0) return 'installing it with apt-get takes root'
  console.log('Installing Chromium with apt-get, once …')
  for (const args of [
    ['update', '-q'],
    ['install', '-y', '-q', '--no-install-recommends', 'chromium']
  ].map((args) => [...args, '-o', 'DPkg::Lock::Timeout=300'])) {
    // Another test file may be at it.
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    const { status, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8' })
    if (status !== 0) return `apt-get ${args[0]} failed: ${stderr.trim().split('\n').at(-1)}`
  }
  return 'apt-get installed something else'
}
