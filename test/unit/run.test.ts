/** The runner, run on small test files in a folder of its own: each way to fail is seen, and counted once. */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

const runner = suite('runner')
const project = fileURLToPath(new URL('../..', import.meta.url))

const passing = `
  import { suite } from 'uvu'
  const passing = suite('passing')
  passing('holds', () => {})
  passing('holds again', () => {})
  passing.run()`

runner('counts what passes, and ends with the count', async () => {
  await using folder = await testFolder({
    'unit/one.test.ts': passing,
    'unit/deep/two.test.ts': passing,
    'unit/three.alone.test.ts': passing,
    'bench/smoke.test.ts': passing
  })
  const { code, lines } = await run(folder.path)
  assert.is(lines.at(-1), '8 passed, 0 failed')
  assert.is(code, 0)
  assert.match(lines.at(-4) ?? '', /^✓ unit\/three\.alone\.test\.ts {2}2 passed/)
})

runner('runs only the files that are asked for', async () => {
  await using folder = await testFolder({
    'unit/one.test.ts': passing,
    'unit/two.test.ts': 'throw new Error()'
  })
  const { code, lines } = await run(folder.path, ['one'])
  assert.is(lines.at(-1), '2 passed, 0 failed')
  assert.is(code, 0)
})

runner(
  'prints what lies beneath a failure: its cause, and what failed before a scope was left',
  async () => {
    await using folder = await testFolder({
      'unit/failing.test.ts': `
      import { suite } from 'uvu'
      const failing = suite('failing')
      failing('a cause', () => {
        throw new Error('it was late', { cause: new Error('no room', { cause: new Error('ENOSPC') }) })
      })
      failing('a scope', async () => {
        await using _ = { [Symbol.asyncDispose]: () => Promise.reject(new Error('not closed')) }
        throw new Error('not equal')
      })
      failing.run()`
    })
    const { code, lines } = await run(folder.path)
    assert.is(lines.at(-1), '0 passed, 2 failed')
    assert.is(code, 1)
    const output = lines.join('\n')
    for (const message of ['it was late', 'no room', 'ENOSPC', 'not closed', 'not equal'])
      assert.ok(output.includes(message), output)
  }
)

runner('fails where no test is found', async () => {
  await using folder = await testFolder({ 'unit/one.test.ts': passing })
  const { code, lines } = await run(folder.path, ['outbox'])
  assert.is(lines[0], '✗ no test file for outbox')
  assert.is(lines.at(-1), '0 passed, 1 failed')
  assert.is(code, 1)
})

runner('fails a test file that no folder covers', async () => {
  await using folder = await testFolder({
    'unit/one.test.ts': passing,
    'units/two.test.ts': passing
  })
  const { code, lines } = await run(folder.path)
  assert.is(lines[0], '✗ units/two.test.ts lies in no folder whose tests are run')
  assert.is(lines.at(-1), '2 passed, 1 failed')
  assert.is(code, 1)
})

/** A file's text, the count it should get, and what the runner should say about it. */
const failures: Record<string, { text: string; counts: string; says: RegExp }> = {
  'a failing test': {
    text: `
      import { suite } from 'uvu'
      import * as assert from 'uvu/assert'
      const failing = suite('failing')
      failing('adds up', () => assert.is(1 + 1, 3))
      failing('holds', () => {})
      failing.run()`,
    counts: '1 passed, 1 failed',
    says: /"adds up"[^]*Expected values to be strictly equal[^]*failing\.test\.ts/
  },
  'a before hook that throws': {
    text: `
      import { suite } from 'uvu'
      const failing = suite('failing')
      failing.before(() => { throw new Error() })
      failing('holds', () => {})
      failing.run()`,
    counts: '0 passed, 1 failed',
    says: /a before or after\.each hook threw/
  },
  'an after hook that throws': {
    text: `
      import { suite } from 'uvu'
      const failing = suite('failing')
      failing.after(() => { throw new Error('still locked') })
      failing('holds', () => {})
      failing.run()`,
    counts: '0 passed, 1 failed',
    says: /an after hook threw[^]*still locked/
  },
  'a file without a test': {
    text: `export {}`,
    counts: '0 passed, 1 failed',
    says: /no test ran/
  },
  'a suite without a test': {
    text: `
      import { suite } from 'uvu'
      suite('empty').run()`,
    counts: '0 passed, 1 failed',
    says: /no test ran/
  },
  'a suite that is never started': {
    text: `
      import { suite } from 'uvu'
      const forgotten = suite('forgotten')
      forgotten('holds', () => {})`,
    counts: '0 passed, 1 failed',
    says: /no test ran: does its suite end with \.run\(\)\?/
  },
  'a timer left running': {
    text: `${passing}
      setInterval(() => {}, 60_000)`,
    counts: '2 passed, 1 failed',
    says: /left a handle open: alive 500 ms after its tests; open: Timeout/
  },
  'a socket left open': {
    text: `${passing}
      import { createSocket } from 'node:dgram'
      createSocket('udp4').bind(0, '127.0.0.1')`,
    counts: '2 passed, 1 failed',
    says: /left a handle open: .*udp 127\.0\.0\.1:\d+/
  },
  'a process left running': {
    text: `${passing}
      import { spawn } from 'node:child_process'
      const node = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e5)'], { stdio: 'inherit' })
      node.unref()`,
    counts: '2 passed, 1 failed',
    says: /left a process running/
  },
  'a file that cannot be loaded': {
    text: `import './missing.ts'`,
    counts: '0 passed, 1 failed',
    says: /its process ended before its tests did: exit code 1[^]*ERR_MODULE_NOT_FOUND/
  },
  'a crash': {
    text: `
      import { suite } from 'uvu'
      const crashing = suite('crashing')
      crashing('aborts', () => process.abort())
      crashing.run()`,
    counts: '0 passed, 1 failed',
    says: /its process ended before its tests did: SIGABRT/
  },
  'an exit amid its tests': {
    text: `
      import { suite } from 'uvu'
      const leaving = suite('leaving')
      leaving('leaves', () => process.exit(0))
      leaving.run()`,
    counts: '0 passed, 1 failed',
    says: /its process ended before its tests did: exit code 0/
  },
  'an unhandled rejection': {
    text: `
      import { suite } from 'uvu'
      const rejecting = suite('rejecting')
      rejecting('rejects', async () => {
        void Promise.reject(new Error('nobody listens'))
        await new Promise((resolve) => setTimeout(resolve, 10))
      })
      rejecting.run()`,
    counts: '0 passed, 1 failed',
    says: /its process ended before[^]*unhandledRejection in [^]*nobody listens/
  },
  'an unhandled rejection after its tests': {
    text: `${passing}
      setTimeout(() => void Promise.reject(new Error('nobody listens')), 200)`,
    counts: '2 passed, 1 failed',
    says: /crashed after its tests: exit code 1[^]*nobody listens/
  }
}

for (const [what, { text, counts, says }] of Object.entries(failures)) {
  runner(`fails ${what}`, async () => {
    await using folder = await testFolder({ 'unit/failing.test.ts': text })
    const { code, lines } = await run(folder.path, [], { TEST_GRACE_MS: '500' })
    assert.is(lines.at(-1), counts)
    assert.match(lines.join('\n'), says)
    assert.is(code, 1)
  })
}

runner('fails a file at its deadline and names what it waits for', async () => {
  await using folder = await testFolder({
    'unit/waiting.test.ts': `
      import { suite } from 'uvu'
      const waiting = suite('waiting')
      waiting('waits', () => new Promise((resolve) => setTimeout(resolve, 60_000)))
      waiting.run()`,
    'unit/blocked.test.ts': `
      import { suite } from 'uvu'
      const blocked = suite('blocked')
      blocked('blocks', () => { for (;;) {} })
      blocked.run()`
  })
  const { code, lines } = await run(folder.path, [], {
    TEST_DEADLINE_MS: '3000',
    TEST_GRACE_MS: '3000'
  })
  assert.match(lines.join('\n'), /waiting\.test\.ts: not done after 3000 ms; open: Timeout/)
  assert.match(lines.join('\n'), /blocked\.test\.ts: its process ended before.*SIGKILL/)
  assert.is(lines.at(-1), '0 passed, 2 failed')
  assert.is(code, 1)
})

for (const signal of ['SIGINT', 'SIGKILL'] as const) {
  runner(`takes its test processes along when it ends by ${signal}`, async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    await using folder = await testFolder({
      'unit/waiting.test.ts': `
        import { connect } from 'node:net'
        import { suite } from 'uvu'
        const waiting = suite('waiting')
        waiting('waits', () => new Promise(() => connect(${port}, '127.0.0.1')))
        waiting.run()`
    })
    const child = start(folder.path, [], {})
    const [socket] = (await once(server, 'connection')) as [Socket]
    // A killed process may reset its connections; that they close is what counts.
    socket.on('error', () => {})
    const closed = once(socket.resume(), 'close')
    child.kill(signal)
    await closed
    server.close()
  })
}

runner.run()

interface Result {
  code: number | null
  lines: string[]
}

/** Runs the runner to its end on the folder. */
async function run(root: string, words: string[] = [], env = {}): Promise<Result> {
  const child = start(root, words, env)
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, lines: output.trimEnd().split('\n') }
}

function start(
  root: string,
  words: string[],
  env: object
): ChildProcessByStdio<null, Readable, null> {
  return spawn(process.execPath, [...process.execArgv, join(project, 'test/run.ts'), ...words], {
    env: { ...process.env, TEST_DEADLINE_MS: '60000', ...env, TEST_ROOT: root, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'inherit']
  })
}

/** A folder outside the project with these files, text by path, in which the project's packages are found. */
async function testFolder(
  files: Record<string, string>
): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'skein-run-'))
  await symlink(join(project, 'node_modules'), join(path, 'node_modules'))
  for (const [name, text] of Object.entries({ 'package.json': '{"type":"module"}', ...files })) {
    await mkdir(dirname(join(path, name)), { recursive: true })
    await writeFile(join(path, name), text)
  }
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) }
}
