/**
 * The `skein` command, as it is built: how long `skein status` takes, and a first `sync --once` of a space with many
 * documents, on a terminal: when progress is shown, and how much memory it takes at the most.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runDht } from 'skein/adapters/dht'
import { Skein } from 'skein'
import { median, nowMs, scratch } from './measure.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const lookMs = 20

export interface CommandFigures {
  readonly statusMs: number
  /** Where the space has all the documents. */
  readonly fullStatusMs: number
  readonly documents: number
  readonly firstProgressMs: number
  readonly syncMs: number
  /** The most that was resident. */
  readonly peakBytes: number
}

export async function command(documents: number, rounds: number): Promise<CommandFigures> {
  await using place = await scratch()
  await once(spawn(process.execPath, ['--import', 'tsx', 'build/cli.ts'], { cwd: root }), 'exit')
  const main = join(root, 'dist/skein/main.js')
  const dht = await runDht()
  const bootstrap = dht.bootstrap.map(({ host, port }) => `${host}:${port}`).join()
  const [alice, bob] = [join(place.path, 'alice'), join(place.path, 'bob')]
  const run = (home: string, args: string[]): ChildProcess =>
    spawn(process.execPath, [main, ...args], {
      env: { ...process.env, SKEIN_HOME: home, SKEIN_BOOTSTRAP: bootstrap, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'inherit']
    })
  try {
    for (const home of [alice, bob]) await end(run(home, ['init', '-q']))
    await end(run(alice, ['create', 'Notes']))
    const joining = run(alice, ['sync', '-q'])
    const { invite } = JSON.parse(await end(run(alice, ['invite', '--json', '-q']))) as {
      invite: string
    }
    await end(run(bob, ['join', invite]))
    await end(run(bob, ['sync', '--once']))
    joining.kill('SIGINT')
    await once(joining, 'exit')
    const status = async (): Promise<number> => {
      const times: number[] = []
      for (let round = 0; round < rounds; round++) {
        const begunMs = nowMs()
        await end(run(alice, ['status']))
        times.push(nowMs() - begunMs)
      }
      return median(times)
    }
    const statusMs = await status()
    await fill(join(alice, 'device'), documents)
    const fullStatusMs = await status()
    const serving = run(alice, ['sync', '-q'])
    try {
      const synced = await firstSync(main, { SKEIN_HOME: bob, SKEIN_BOOTSTRAP: bootstrap })
      const listed = (await end(run(bob, ['documents']))).trimEnd().split('\n').length
      if (listed !== documents) throw new Error(`${listed} documents came`)
      return { statusMs, fullStatusMs, documents, ...synced }
    } finally {
      serving.kill('SIGINT')
      await once(serving, 'exit')
    }
  } finally {
    await dht.close()
  }
}

/** In a terminal, as long as it lasts. */
async function firstSync(
  main: string,
  env: Readonly<Record<string, string>>
): Promise<Omit<CommandFigures, 'statusMs' | 'fullStatusMs' | 'documents'>> {
  const begunMs = nowMs()
  const line = `echo $$; exec ${process.execPath} ${main} sync --once`
  const child = spawn('script', ['-qefc', `sh -c '${line}'`, '/dev/null'], {
    env: { ...process.env, ...env, TERM: 'xterm', CI: '' }
  })
  let shown = ''
  let firstProgressMs = Number.NaN
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text
    // Live lines name the space, and what is missing or came.
    if (Number.isNaN(firstProgressMs) && /Notes[^\n]*\d/.test(shown))
      firstProgressMs = nowMs() - begunMs
  })
  let peakBytes = 0
  const looking = setInterval(() => {
    const pid = /^\s*(\d+)/.exec(shown)?.[1]
    if (pid === undefined) return
    void readFile(`/proc/${pid}/status`, 'utf8').then(
      (status) => {
        const kilobytes = Number(/VmHWM:\s*(\d+)/.exec(status)?.[1] ?? 0)
        peakBytes = Math.max(peakBytes, 1_024 * kilobytes)
      },
      () => {} // It has just ended: the last look is what counts.
    )
  }, lookMs)
  const [code] = (await once(child, 'exit')) as [number | null]
  clearInterval(looking)
  if (code !== 0) throw new Error(`sync --once ended with ${code}:\n${shown}`)
  return { firstProgressMs, syncMs: nowMs() - begunMs, peakBytes }
}

async function fill(storage: string, documents: number): Promise<void> {
  await using skein = new Skein({ storage })
  await skein.ready()
  const space = skein.spaces()[0]!
  for (let i = 0; i < documents; i++) {
    const document = await space.open(`note ${i}`)
    document.doc.getText('body').insert(0, `Note ${i}: ${'a few words of text '.repeat(10)}`)
    await document.close()
  }
  await space.saved()
}

async function end(child: ChildProcess): Promise<string> {
  let text = ''
  child.stdout!.setEncoding('utf8').on('data', (part: string) => (text += part))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${child.spawnargs.join(' ')} ended with ${code}`)
  return text
}
