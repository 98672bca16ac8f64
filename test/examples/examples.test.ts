// Every example runs as its reader would run it, and prints what it says.
import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { promisify } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

const run = promisify(execFile)
const root = new URL('../..', import.meta.url)
const test = suite('examples')

const printed: Record<string, string> = {
  '01-sync-a-note.ts': 'bob reads: Hello\n',
  '03-presence.ts': 'alice sees Bob at character 12\nstates left: 1\n',
  '04-application-events.ts':
    'alice: expense {"cents":1250,"what":"groceries"}\n' +
    'bob: settled {"cents":1250,"what":"groceries"}\n',
  '05-custom-transport.ts': 'bob reads: over plain TCP\n'
}

async function outputOf(example: string): Promise<string> {
  const { stdout } = await run(process.execPath, [...process.execArgv, `examples/${example}`], {
    cwd: root,
    timeout: 60_000
  })
  return stdout
}

for (const [example, expected] of Object.entries(printed)) {
  test(`${example} runs and prints what it should`, async () => {
    assert.is(await outputOf(example), expected)
  })
}

test('02-offline-and-merge.ts keeps what both wrote, in one order', async () => {
  const lines = (await outputOf('02-offline-and-merge.ts')).trimEnd().split('\n')
  const texts = lines.map((line) => line.replace(/^\w+ reads: +/, ''))
  assert.is(texts.length, 2)
  assert.is(texts[0], texts[1])
  assert.ok(['bread, milk, eggs', 'bread, eggs, milk'].includes(texts[0]!), texts[0])
})

test('no example is left out of this test', async () => {
  const files = (await readdir(new URL('examples/', root))).filter((name) => name.endsWith('.ts'))
  const tested = [...Object.keys(printed), '02-offline-and-merge.ts']
  assert.equal(files.sort(), tested.sort())
})

test.run()
