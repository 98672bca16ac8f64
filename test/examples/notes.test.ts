/** `npm start` as it is called: what it says of itself, what it refuses, and that it still replays a recorded history. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

const notes = suite('npm start')
const run = promisify(execFile)
const main = fileURLToPath(new URL('../../examples/notes/main.ts', import.meta.url))

async function start(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    const options = { timeout: 60_000 }
    return {
      code: 0,
      ...(await run(process.execPath, [...process.execArgv, main, ...args], options))
    }
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string }
  }
}

notes('it says what it takes', async () => {
  const { code, stdout } = await start('--help')
  assert.is(code, 0)
  for (const option of ['--port', '--host', '--data', '--no-dht', '--trace']) {
    assert.ok(stdout.includes(option), option)
  }
})

notes('what it does not take is refused, with the help', async () => {
  for (const args of [['--what'], ['--port', 'many'], ['--port', '70000']]) {
    const { code, stderr } = await start(...args)
    assert.is(code, 2, stderr)
    assert.match(stderr, /npm start -- --trace FILE/)
  }
})

notes('with --trace it is the terminal demonstration, exit code included', async () => {
  const { code, stdout } = await start('--trace', 'no-such-file.json')
  assert.is(code, 1)
  assert.match(stdout, /✗ ENOENT/)
})

notes.run()
