/**
 * Runs the test files, each in a process of its own, so that a crash or a leaked handle is pinned to its file.
 *
 *   npm test                     every test/{unit,cli,browser,examples,crash,fuzz,simulator}/**\/*.test.ts and test/bench/*.test.ts
 *   npm test -- outbox log/      those whose path contains one of the words
 *
 * Two files run at a time; a file named `*.alone.test.ts` runs after the others and with nothing beside it.
 * What fails a file besides a failing test: no test in it, or a suite that was never started; an end before its tests'
 * end (a crash, an unhandled rejection, `process.exit`); a handle or process left open after them; its deadline.
 * The last line is `N passed, N failed`.
 *
 * Environment: TEST_DEADLINE_MS a file's deadline (300,000) · TEST_GRACE_MS how long a process may outlive its tests
 * (5,000) · TEST_JOBS files at a time (2) · TEST_ROOT the folder that holds unit/ and so on (this one).
 */
import { fork } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Report } from './run-file.ts'

interface Outcome {
  passed: number
  failed: number
  skipped: number
  problems: string[]
  output: string
}

const here = fileURLToPath(new URL('.', import.meta.url))
const root = resolve(process.env['TEST_ROOT'] ?? here)
const deadlineMs = Number(process.env['TEST_DEADLINE_MS'] ?? 300_000)
const graceMs = Number(process.env['TEST_GRACE_MS'] ?? 5_000)
const jobs = Number(process.env['TEST_JOBS'] ?? 2)
const words = process.argv.slice(2)

/** Ends the process group of each file that is running: the file's process and those it started. */
const endings = new Set<() => void>()
process.on('exit', () => endings.forEach((end) => end()))
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => process.exit(130))
}

const startedMs = performance.now()
const totals = { files: 0, passed: 0, failed: 0 }

const all = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.test.ts') && !path.split(sep).includes('node_modules'))
  .map((path) => path.replaceAll(sep, '/'))
  .sort()
const isRun = (path: string): boolean =>
  /^(unit|cli|browser|examples|crash|fuzz|simulator)\//.test(path) || /^bench\/[^/]+$/.test(path)
for (const path of all) {
  if (!isRun(path)) fail(`${path} lies in no folder whose tests are run`)
}

const chosen = all.filter(
  (path) => isRun(path) && (words.length === 0 || words.some((word) => path.includes(word)))
)
if (chosen.length === 0) {
  fail(words.length === 0 ? `no test file in ${root}` : `no test file for ${words.join(' ')}`)
}
const isAlone = (path: string): boolean => path.endsWith('.alone.test.ts')
await runAll(
  chosen.filter((path) => !isAlone(path)),
  jobs
)
await runAll(chosen.filter(isAlone), 1)

console.log(`\n${totals.files} files in ${seconds(startedMs)}`)
console.log(`${totals.passed} passed, ${totals.failed} failed`)
process.exitCode = totals.failed === 0 ? 0 : 1

function fail(problem: string): void {
  totals.failed++
  console.log(`✗ ${problem}`)
}

async function runAll(paths: string[], atATime: number): Promise<void> {
  const queue = [...paths]
  const worker = async (): Promise<void> => {
    for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
      const fileStartedMs = performance.now()
      const outcome = await runFile(join(root, path))
      print(path, outcome, seconds(fileStartedMs))
      totals.files++
      totals.passed += outcome.passed
      totals.failed += outcome.failed
    }
  }
  await Promise.all(Array.from({ length: atATime }, worker))
}

async function runFile(file: string): Promise<Outcome> {
  const args = [file, String(Date.now() + deadlineMs), String(graceMs)]
  const child = fork(join(here, 'run-file.ts'), args, {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // A process group of its own, so that what a test started and left ends with it.
    detached: true
  })
  let hasEnded = false
  const end = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // Nothing of the group is left, which is what was wanted. (Windows has no groups.)
    }
    if (!hasEnded) child.kill('SIGKILL')
  }
  endings.add(end)
  // The process keeps its deadline itself, and can say what it waits for; unless a loop blocks it.
  const blocked = setTimeout(end, deadlineMs + graceMs)

  let output = ''
  let ran: Extract<Report, { kind: 'ran' }> | null = null
  let handles: string[] | null = null
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.on('message', (report: Report) => {
    if (report.kind === 'ran') ran = report
    else handles = report.handles
  })
  const closed = Promise.all([
    new Promise((done) => child.once('close', done)),
    new Promise((done) => child.once('disconnect', done))
  ])
  const how = await new Promise<string>((done) => {
    child.once('error', (error) => done(error.message))
    child.once('exit', (code, signal) => done(signal ?? `exit code ${code}`))
  })
  hasEnded = true
  clearTimeout(blocked)
  const hasClosed = await Promise.race([closed.then(() => true), after(1_000)])
  end()
  endings.delete(end)

  return { ...judge(ran, handles, how, hasClosed), output }
}

/** What a file's process reported, how it ended, and whether its output ended with it: does it pass? */
function judge(
  ran: Extract<Report, { kind: 'ran' }> | null,
  handles: string[] | null,
  how: string,
  hasClosed: boolean
): Omit<Outcome, 'output'> {
  const problems = [...(ran?.problems ?? [])]
  const open = `open: ${handles?.join(', ') || 'nothing that Node can name'}`
  if (ran === null && handles !== null) problems.push(`not done after ${deadlineMs} ms; ${open}`)
  else if (ran === null) problems.push(`its process ended before its tests did: ${how}`)
  else if (handles !== null) {
    problems.push(`left a handle open: alive ${graceMs} ms after its tests; ${open}`)
  } else if (how !== 'exit code 0') problems.push(`crashed after its tests: ${how}`)
  if (!hasClosed) problems.push('left a process running that holds its output')

  const { passed = 0, skipped = 0 } = ran ?? {}
  return { passed, skipped, failed: (ran?.failed ?? 0) + problems.length, problems }
}

function print(path: string, outcome: Outcome, time: string): void {
  const { passed, failed, skipped, problems, output } = outcome
  const counts = [`${passed} passed`]
  if (failed > 0) counts.push(`${failed} failed`)
  if (skipped > 0) counts.push(`${skipped} skipped`)
  console.log(`${failed === 0 ? '✓' : '✗'} ${path}  ${counts.join(', ')}  ${time}`)
  if (failed === 0) return
  for (const problem of problems) console.log(`  ${path}: ${problem}`)
  if (output.trim() !== '') console.log(output.trimEnd())
}

function after(ms: number): Promise<false> {
  return new Promise((done) => setTimeout(done, ms, false).unref())
}

function seconds(sinceMs: number): string {
  return `${((performance.now() - sinceMs) / 1_000).toFixed(1)} s`
}
