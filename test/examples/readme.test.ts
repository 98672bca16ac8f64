// The README is true: each of its TypeScript blocks runs, and each command in it is one that this package has.
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const readme = await readFile(join(root, 'README.md'), 'utf8')
const test = suite('README')

const blocks = [...readme.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language, code]) => ({
  language: language!,
  code: code!
}))
const programs = blocks.filter(({ language }) => language === 'ts')

/** What a program says it prints: its lines `// prints: …`. */
function printedBy(code: string): string[] {
  return [...code.matchAll(/\/\/ prints: (.*)$/gm)].map(([, line]) => line!)
}

test('it has programs, and commands', () => {
  assert.ok(programs.length >= 2)
  assert.ok(blocks.some(({ language }) => language === 'sh'))
})

programs.forEach(({ code }, index) => {
  test(`program ${index + 1} runs in an app that depends on the package`, async () => {
    const app = await mkdtemp(join(tmpdir(), 'skein-readme-'))
    try {
      await mkdir(join(app, 'node_modules'))
      await symlink(root, join(app, 'node_modules', 'skein'))
      await symlink(join(root, 'node_modules', 'yjs'), join(app, 'node_modules', 'yjs'))
      await writeFile(join(app, 'package.json'), '{ "type": "module" }')
      await writeFile(join(app, 'program.ts'), code)
      const { stdout } = await run(process.execPath, [...process.execArgv, 'program.ts'], {
        cwd: app,
        timeout: 60_000
      })
      for (const line of printedBy(code)) assert.ok(stdout.includes(line), `${line}\n≠\n${stdout}`)
    } finally {
      await rm(app, { recursive: true })
    }
  })
})

test('its commands are npm’s own or scripts of this package', async () => {
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  const commands = blocks
    .filter(({ language }) => language === 'sh')
    .flatMap(({ code }) => code.split('\n'))
    .flatMap((line) => line.replace(/#.*/, '').split('&&'))
    .map((command) => command.trim())
    .filter((command) => command !== '')
  for (const command of commands) {
    const [program, verb, name] = command.replace(/^\w+=\S+ /, '').split(' ')
    assert.is(program, 'npm', command)
    const script = verb === 'run' ? name! : verb!
    assert.ok(script === 'install' || scripts[script] !== undefined, command)
  }
})

test.run()
