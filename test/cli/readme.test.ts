// The session in the README is one that happens: its commands are run, and print what it shows.
import { readFile } from 'node:fs/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { runDht } from '../../adapters/dht.ts'
import { Folder, type Running, type UserHome } from './skein.ts'

const test = suite('README session')
const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
const sessions = [...readme.matchAll(/^```console\n([^]*?)^```$/gm)].map(([, text]) => text!)

/** A command as it stands there: `laptop$ echo "hello" | skein write ideas &`. */
interface Step {
  readonly home: string
  readonly args: string[]
  readonly input: string
  readonly isLeftRunning: boolean
  readonly shown: string
}

function stepsOf(session: string): Step[] {
  const steps: Step[] = []
  for (const part of session.split(/^(?=\w+\$ )/m)) {
    const [line = '', ...output] = part.split('\n')
    const [, home, typed, background] = /^(\w+)\$ (.*?)( &)?$/.exec(line) ?? []
    if (home === undefined || typed === undefined) throw new SyntaxError(`No command: ${line}`)
    const [, echoed, command] = /^(?:echo (.*) \| )?skein (.*)$/.exec(typed) ?? []
    if (command === undefined) throw new SyntaxError(`Not run by this test: ${typed}`)
    const words = (text: string): string[] =>
      [...text.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? '')
    steps.push({
      home,
      args: words(command),
      input: echoed === undefined ? '' : `${words(echoed).join(' ')}\n`,
      isLeftRunning: background !== undefined,
      shown: output.join('\n')
    })
  }
  return steps
}

/** What differs each time, by a name: ids, times, links, sizes, places. */
function plain(text: string): string {
  return text
    .replaceAll(/skein:[\w-]{20,}|skein:…/g, 'LINK')
    .replaceAll(/\b\d\d:\d\d:\d\d\b/g, 'TIME')
    .replaceAll(/\b[0-9a-f]{8}\b/g, 'ID')
    .replaceAll(/[\d.]+ k?B\b/g, 'SIZE')
    .replaceAll(/met (just now|a moment ago|\d+ seconds ago)/g, 'met WHEN')
    .replaceAll(/(\/|~\/)\S*/g, 'PLACE')
    .replaceAll(/[ \t]+$/gm, '')
    .trim()
}

test('there is one', () => {
  assert.ok(sessions.length > 0)
})

sessions.forEach((session, number) => {
  test(`session ${number + 1} happens as it is shown`, async () => {
    await using folder = await Folder.make()
    const dht = await runDht()
    const env = { SKEIN_BOOTSTRAP: `${dht.host}:${dht.port}` }
    const homes = new Map<string, UserHome>()
    const left: Running[] = []
    let link = ''
    try {
      for (const { home: name, args, input, isLeftRunning, shown } of stepsOf(session)) {
        const home = homes.get(name) ?? folder.home(name, { env })
        homes.set(name, home)
        const given = args.map((word) => (word.startsWith('skein:') ? link : word))
        const running = home.start(given, input)
        if (isLeftRunning) {
          left.push(running)
          await running.says(shown.trim())
          continue
        }
        const { stdout, stderr } = await running.ended
        link = /skein:[\w-]{20,}/.exec(stdout)?.[0] ?? link
        const sorted = (text: string): string[] => plain(text).split('\n').sort()
        const what = `${name}$ ${args.join(' ')}`
        assert.equal(sorted(`${stdout}${stderr}`), sorted(shown), what)
      }
    } finally {
      for (const running of left) await running.interrupt()
      await dht.close()
    }
  })
})

test.run()
