/**
 * Runs one test file in this process and reports to `run.ts`, which forked it. Suites are run here, not by uvu, which
 * would miss a suite that was never started and a hook that threw. Printing and counting are the parent's.
 *
 * Arguments: the file, when it must be done (milliseconds since 1970), how many milliseconds it may outlive its tests.
 */
import { pathToFileURL } from 'node:url'
import { inspect } from 'node:util'

export type Report =
  | {
      kind: 'ran'
      passed: number
      failed: number
      skipped: number
      problems: string[]
    }
  /** The process is not done yet; what its event loop waits for. */
  | { kind: 'alive'; handles: string[] }

/** What uvu queues for each suite that calls `.run()`. `errors` is `true` when there are none. */
type SuiteRun = () => Promise<
  [errors: string | true, passed: number, skipped: number, total: number]
>

/** A handle in Node's diagnostic report: also those of native modules, which Node's own lists leave out. */
interface LoopHandle {
  type: string
  address: string
  is_active?: boolean
  is_referenced?: boolean
  pid?: number
  filename?: string
  localEndpoint?: { host?: string; port?: number } | null
}

const [file = '', deadlineAt, graceMs] = process.argv.slice(2)
if (process.channel === undefined) throw new TypeError('run-file.ts is forked by run.ts')

process.on('disconnect', () => process.exit(1))
// A test may wait for timers that do not keep a process alive: the channel does, until the tests have ended.
process.channel.ref()
const resourcesBefore = process.getActiveResourcesInfo()
const handlesBefore = new Set(loopHandles().map(({ address }) => address))

// Of an error uvu prints the message, the stack and `details`, which its own errors have: others tell there what lies beneath.
Object.defineProperty(Error.prototype, 'details', {
  configurable: true,
  get: beneath,
  set(value: unknown) {
    Object.defineProperty(this, 'details', { value, writable: true, configurable: true })
  }
})

process.on('uncaughtExceptionMonitor', (_error, origin) => console.error(`\n${origin} in ${file}:`))

const deadline = exitAfter(Number(deadlineAt) - Date.now())
const suites: SuiteRun[] = []
Object.assign(globalThis, { UVU_DEFER: 1, UVU_INDEX: 0, UVU_QUEUE: [suites] })
await import(pathToFileURL(file).href)

const report = { kind: 'ran' as const, passed: 0, failed: 0, skipped: 0, problems: [] as string[] }
for (const runSuite of suites) {
  try {
    const [errors, passed, skipped, total] = await runSuite()
    report.passed += passed
    report.failed += total - passed
    report.skipped += skipped
    if (errors !== true) process.stdout.write(errors)
    else if (passed < total) {
      // The error itself is lost: uvu's runner returns from a `finally`.
      console.log('a before or after.each hook threw, or a test threw what is no Error')
    }
  } catch (error) {
    console.error(error)
    report.problems.push('an after hook threw')
  }
}
if (report.passed + report.failed + report.problems.length === 0) {
  report.problems.push('no test ran: does its suite end with .run()?')
}
clearTimeout(deadline)
await send(report)
process.channel?.unref()
exitAfter(Number(graceMs))

/** Ends a process that is still alive after `ms`, telling why. The timer itself keeps nothing alive. */
function exitAfter(ms: number): NodeJS.Timeout {
  const timer = setTimeout(() => {
    void send({ kind: 'alive', handles: openHandles() }).finally(() => process.exit(1))
  }, ms)
  return timer.unref()
}

/** The cause of an error, and of one at the end of a scope what was thrown there and what in the scope. */
function beneath(this: unknown): string {
  if (!(this instanceof Error)) return ''
  const { cause, error, suppressed } = this as {
    cause?: unknown
    error?: unknown
    suppressed?: unknown
  }
  return Object.entries({ cause, suppressed, 'at disposal': error })
    .filter(([, value]) => value instanceof Error)
    .map(([what, value]) => `${what}: ${inspect(value)}`)
    .join('\n')
}

function send(message: Report): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined) return resolve()
    process.send(message, undefined, undefined, () => resolve())
  })
}

/** What keeps this process alive and was not there before the test file. */
function openHandles(): string[] {
  const resources = process.getActiveResourcesInfo()
  for (const name of resourcesBefore) {
    const index = resources.indexOf(name)
    if (index !== -1) resources.splice(index, 1)
  }
  const handles = loopHandles()
    .filter(({ address, type }) => type !== 'timer' && !handlesBefore.has(address))
    .map(({ type, pid, filename, localEndpoint }) => {
      if (pid !== undefined) return `${type} ${pid}`
      if (localEndpoint) return `${type} ${localEndpoint.host ?? ''}:${localEndpoint.port ?? ''}`
      return filename === undefined ? type : `${type} ${filename}`
    })
  return [...resources, ...handles]
}

function loopHandles(): LoopHandle[] {
  if (process.report === undefined) return []
  // Without this a report looks up the names of all addresses, which may take seconds.
  Object.assign(process.report, { excludeNetwork: true })
  const { libuv } = process.report.getReport() as { libuv: LoopHandle[] }
  return libuv.filter((handle) => handle.is_active === true && handle.is_referenced === true)
}
