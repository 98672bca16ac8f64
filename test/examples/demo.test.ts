/**
 * The demonstration, as its reader runs it: with three devices, with a recorded history, and where something is wrong,
 * which it has to notice.
 *
 * Environment: DEMO_TRACE a history to replay instead of friendsforever.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { deadline } from '../events.ts'
import { generateHistory } from '../fixtures/concurrent-traces.ts'

const demo = suite('demo')
const main = fileURLToPath(new URL('../../examples/demo/main.ts', import.meta.url))
const friendsforever = fileURLToPath(new URL('../fixtures/friendsforever.json.gz', import.meta.url))
const waitMs = 100_000
const running = new Set<ChildProcess>()

demo.after(() => {
  for (const child of running) child.kill('SIGKILL')
})

/** A demonstration under way, without a terminal. */
class Run {
  output = ''
  readonly process: ChildProcess
  readonly #closed: Promise<[code: number | null]>

  constructor(args: string[], env: Record<string, string> = {}) {
    this.process = fork(main, args, {
      execArgv: process.execArgv,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc']
    })
    running.add(this.process)
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text))
    }
    this.#closed = once(this.process, 'close') as Promise<[number | null]>
  }

  /** Its exit code. Its output has ended then: nothing that it started holds it open. */
  async ended(): Promise<number | null> {
    const [code] = await deadline(this.#closed, waitMs, `the end of: ${this.output}`)
    running.delete(this.process)
    return code
  }

  async until(text: string): Promise<void> {
    const shown = new Promise<void>((resolve) => {
      const look = (): void => {
        if (this.output.includes(text)) resolve()
      }
      this.process.stdout?.on('data', look)
      look()
    })
    await deadline(shown, waitMs, text)
  }
}

demo(
  'three devices write, part, die and agree; if one ends in another text, it is told',
  async () => {
    const spoiled = new Run(['--fast'], { SKEIN_DEMO_SPOILER: 'carol' })
    const run = new Run(['--fast', '--keep'])
    const code = await run.ended()
    const folder = folderOf(run)
    try {
      assert.is(code, 0, run.output)
      assert.match(run.output, /bob +SIGKILL: (\d+) edits were acknowledged/)
      assert.match(run.output, /bob +is back as process \d+: (\d+) of those \1 are on his disk/)
      assert.match(run.output, /lost of those +0 /)
      assert.match(
        run.output,
        /\n✓ all three devices hold the same \d+ characters, and no edit was lost\n$/
      )
      // No colour, no cursor movement.
      assert.not.match(run.output, /[^\P{Cc}\n]/u)
      for (const name of ['alice', 'bob', 'carol']) assert.ok(existsSync(join(folder, name)))
    } finally {
      await rm(folder, { recursive: true })
    }

    assert.is(await spoiled.ended(), 1, spoiled.output)
    assert.match(spoiled.output, /✗ something went wrong\n/)
    assert.match(spoiled.output, /carol and alice differ at byte \d+ .*: " \(spoiled\)" and ""\n/)
    assert.match(spoiled.output, /bob’s device lacks 10 of \d+ edits acknowledged to carol\n/)
    assert.not(existsSync(folderOf(spoiled)))
  }
)

demo('a recorded history is replayed, though a process is killed in the middle', async () => {
  const run = new Run(['--trace', process.env['DEMO_TRACE'] ?? friendsforever, '--kill'])
  assert.is(await run.ended(), 0, run.output)
  assert.match(run.output, /author \d+ SIGKILL to process \d+, after [\d,]+ edits\n/)
  assert.match(run.output, /author \d+ is back as process \d+ and goes on from its folder\n/)
  assert.match(run.output, /\n✓ all \d+ devices end in the recorded text, byte for byte\n$/)
})

demo('a history of more authors than processes is replayed, each on a device', async () => {
  await withHistory({ kind: 'live', authors: 17, transactions: 40 }, async (folder) => {
    // npm changes to the project's folder, and tells where it was called.
    const run = new Run(['--trace', 'history.json'], { INIT_CWD: folder })
    assert.is(await run.ended(), 0, run.output)
    assert.match(run.output, /17 devices share \d processes/)
    assert.match(run.output, /\n✓ all 17 devices end in the recorded text, byte for byte\n$/)
  })
})

demo('a history of more authors than one machine bears is refused, with the reason', async () => {
  await withHistory({ kind: 'live', authors: 60, transactions: 200 }, async (folder) => {
    const run = new Run(['--trace', join(folder, 'history.json')])
    assert.is(await run.ended(), 1, run.output)
    assert.match(run.output, /✗ this history has \d+ authors, and one machine replays at most 40: /)
  })
})

demo('a history of one author has a reader, and a wrong end of it is noticed', async () => {
  await withHistory({ kind: 'live', authors: 1, transactions: 40 }, async (folder) => {
    const run = new Run(['--trace', join(folder, 'history.json')], { SKEIN_DEMO_SPOILER: 'yes' })
    assert.is(await run.ended(), 1, run.output)
    assert.match(run.output, /reader differs from the recorded end at byte 0 .*: "spoiled /)
  })
})

demo('what is no history is refused in one sentence', async () => {
  const run = new Run(['--trace', 'no-such-file.json'])
  assert.is(await run.ended(), 1)
  assert.match(run.output, /✗ ENOENT/)
  const other = new Run(['--what'])
  assert.is(await other.ended(), 2)
  assert.match(other.output, /npm run demo -- --trace FILE/)
})

demo('Ctrl-C ends every process and removes the folders', async () => {
  const run = new Run([])
  await run.until('2/7')
  const folder = folderOf(run)
  assert.ok(existsSync(folder))
  const pids = [...run.output.matchAll(/runs as process (\d+)/g)].map(([, pid]) => Number(pid))
  run.process.kill('SIGINT')
  assert.is(await run.ended(), 130)
  assert.is(pids.length, 3)
  assert.not(existsSync(folder))
  for (const pid of pids) assert.throws(() => process.kill(pid, 0), /ESRCH/)
})

function folderOf(run: Run): string {
  return /folders lie in (\S+)/.exec(run.output)?.[1] ?? ''
}

async function withHistory(
  shape: Parameters<typeof generateHistory>[1],
  use: (folder: string) => Promise<void>
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'skein-history-'))
  try {
    await writeFile(join(folder, 'history.json'), JSON.stringify(generateHistory(5, shape)))
    await use(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

demo.run()
