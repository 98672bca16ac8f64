/** Pages for tests: a module built with the settings of the browser build, served on loopback. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { build } from 'esbuild'
import type { Page } from 'playwright-core'
import { pageSettings } from '../../build/browser.ts'

export interface Site extends AsyncDisposable {
  readonly url: string
}

/** Serves one page, at `/`, that runs the module `entry` (a path from the project's root). */
export async function serve(entry: string, host = '127.0.0.1'): Promise<Site> {
  const { outputFiles } = await build({
    ...pageSettings,
    entryPoints: [entry],
    write: false,
    sourcemap: 'inline',
    outdir: 'out'
  })
  const script = outputFiles[0]!.contents
  return serveFiles(
    (path) =>
      path === '/page.js'
        ? { type: 'text/javascript', body: script }
        : { type: 'text/html', body: page },
    host
  )
}

interface ServedFile {
  readonly type: string
  readonly body: Uint8Array | string
}

export async function serveFiles(
  find: (path: string) => ServedFile | null,
  host = '127.0.0.1'
): Promise<Site> {
  const server = createServer((request, response) => {
    const file = find(new URL(request.url ?? '/', 'http://localhost').pathname)
    if (file === null) response.writeHead(404).end()
    else response.writeHead(200, { 'content-type': `${file.type}; charset=utf-8` }).end(file.body)
  })
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${host}:${port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }
}

const page = '<!doctype html><title>Skein</title><script type="module" src="/page.js"></script>'

/** Errors that a page did not catch, for a test to look at; none is right. */
export function watch(tab: Page): string[] {
  const errors: string[] = []
  tab.on('pageerror', (error) => errors.push(error.stack ?? error.message))
  tab.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text())
  })
  return errors
}
