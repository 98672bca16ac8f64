/** The imports of lib, adapters and examples run the way that the architecture has them. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { computed, cycles, readImports, wrongArrows, type ImportsByFile } from './arrows.ts'

const arrows = suite('arrows')
const project = fileURLToPath(new URL('../../', import.meta.url))

arrows('no import runs the wrong way', () => {
  assert.equal(wrongArrows(importsOfProject()), [])
})

arrows('no files import each other', () => {
  assert.equal(cycles(importsOfProject()), [])
})

arrows('every way to name a module is read', () => {
  const text = `
    import a, { b } from 'static'
    import type { c } from './type.ts'
    import 'effect'
    export { d } from './exported.ts'
    export * from './all.ts'
    export type { e } from './exported-type.ts'
    export const f = (): Promise<unknown> => import('dynamic')
    export const g = (name: string): Promise<unknown> => import(name)
    export let h: import('in-type').H
    // import 'commented'
    export const i = "import 'quoted'"`
  assert.equal(readImports('lib/a.ts', text).sort(), [
    computed,
    './all.ts',
    './exported-type.ts',
    './exported.ts',
    './type.ts',
    'dynamic',
    'effect',
    'in-type',
    'static'
  ])
  assert.throws(() => readImports('lib/a.ts', 'import from'), /lib\/a\.ts/)
})

const allowed: ImportsByFile = {
  'examples/1-note.ts': ['skein', 'skein/adapters/hyperswarm', 'yjs', 'node:fs', './2-chat.ts'],
  'examples/demo/main.ts': ['./parts/player.ts', 'skein'],
  'examples/demo/parts/player.ts': ['../main.ts'],
  'lib/cli/main.ts': ['skein', './options.ts', 'node:util'],
  'adapters/hyperswarm.ts': [
    '../lib/index.ts',
    'hyperswarm',
    'node:os',
    './hyperswarm/dialling.ts'
  ],
  'adapters/node/platform.ts': [
    '../../lib/platform.ts',
    '../../lib/errors.ts',
    './disk.ts',
    'node:fs'
  ],
  'adapters/browser/platform.ts': ['../../lib/platform.ts', './tabs.ts', 'libsodium-wrappers'],
  'lib/skein.ts': ['#platform', './space.ts', './log/store.ts', 'yjs'],
  'lib/secure-stream.ts': ['@hyperswarm/secret-stream'],
  'lib/log/store.ts': ['corestore', '../errors.ts'],
  'lib/lifecycle.ts': ['./errors.ts']
}

arrows('what is allowed passes', () => {
  assert.equal(wrongArrows(allowed), [])
})

const planted: [file: string, name: string][] = [
  ['examples/1-note.ts', '../lib/index.ts'],
  ['examples/1-note.ts', '../adapters/memory.ts'],
  ['examples/1-note.ts', '#platform'],
  ['examples/1-note.ts', 'skein/lib/space.ts'],
  ['examples/1-note.ts', './demo/player.ts'],
  ['examples/demo/main.ts', '../other/player.ts'],
  ['examples/demo/main.ts', '../1-note.ts'],
  ['lib/cli/main.ts', '../index.ts'],
  ['lib/cli/main.ts', '../errors.ts'],
  ['adapters/hyperswarm.ts', '../lib/space.ts'],
  ['adapters/hyperswarm.ts', '../lib/log/entry.ts'],
  ['adapters/hyperswarm.ts', './memory.ts'],
  ['adapters/hyperswarm.ts', './memory/wire.ts'],
  ['adapters/memory.ts', './memory.node/wire.ts'],
  ['adapters/hyperswarm.ts', 'skein'],
  ['adapters/node/platform.ts', '../../lib/index.ts'],
  ['adapters/node/platform.ts', '../../lib/transport.ts'],
  ['adapters/node/platform.ts', '../browser/tabs.ts'],
  ['adapters/browser/platform.ts', '../../lib/index.ts'],
  ['adapters/browser/platform.ts', 'node:fs'],
  ['lib/skein.ts', '../adapters/memory.ts'],
  ['lib/skein.ts', '../adapters/node/platform.ts'],
  ['lib/skein.ts', 'skein/adapters/memory'],
  ['lib/skein.ts', 'skein'],
  ['lib/skein.ts', '../test/fixtures/a.ts'],
  ['lib/skein.ts', './cli/main.ts'],
  ['lib/skein.ts', './index.ts'],
  ['lib/skein.ts', 'hyperswarm'],
  ['lib/skein.ts', 'hyperdht/lib/constants.js'],
  ['lib/skein.ts', '@hyperswarm/testnet'],
  ['lib/skein.ts', 'y-webrtc'],
  ['lib/skein.ts', 'ws'],
  ['lib/skein.ts', 'node:fs'],
  ['lib/skein.ts', 'fs/promises'],
  ['lib/skein.ts', computed],
  ['lib/skein.ts', 'corestore'],
  ['lib/log/feed.ts', 'corestore'],
  ['lib/errors.ts', './skein.ts'],
  ['lib/platform.ts', '#platform'],
  ['lib/events.ts', 'yjs'],
  ['lib/log/feed.ts', '../space.ts'],
  ['lib/trust/members.ts', '../skein.ts'],
  ['lib/views/view.ts', '../document.ts'],
  ['lib/sync/deep/peer.ts', '../../space.ts']
]

for (const [file, name] of planted) {
  arrows(`${file} may not import ${name}`, () => {
    const [sentence, ...others] = wrongArrows({ ...allowed, [file]: [name] })
    assert.match(sentence ?? '', `${file} imports ${name}: `)
    assert.is(others.length, 0)
  })
}

arrows('a cycle is found, also through #platform and public names', () => {
  const chain = { 'lib/a.ts': ['./b.ts', './c.ts'], 'lib/b.ts': ['./c.ts'], 'lib/c.ts': ['yjs'] }
  assert.equal(cycles(chain), [])
  assert.equal(cycles({ ...chain, 'lib/c.ts': ['./a.ts'] }), [
    'lib/a.ts → lib/b.ts → lib/c.ts → lib/a.ts'
  ])
  assert.equal(cycles({ 'lib/a.ts': ['./a.ts'] }), ['lib/a.ts → lib/a.ts'])
  assert.equal(
    cycles({ 'lib/a.ts': ['#platform'], 'adapters/node/platform.ts': ['../../lib/a.ts'] }),
    ['lib/a.ts → adapters/node/platform.ts → lib/a.ts']
  )
  assert.equal(
    cycles({ 'lib/index.ts': ['skein/adapters/memory'], 'adapters/memory.ts': ['skein'] }),
    ['lib/index.ts → adapters/memory.ts → lib/index.ts']
  )
})

arrows.run()

function importsOfProject(): ImportsByFile {
  const imports: Record<string, string[]> = {}
  for (const folder of ['lib', 'adapters', 'examples']) {
    for (const path of readdirSync(project + folder, { recursive: true, encoding: 'utf8' })) {
      const file = `${folder}/${path.replaceAll('\\', '/')}`
      // Declarations of foreign packages import nothing.
      if (!file.endsWith('.ts') || file.endsWith('.d.ts')) continue
      imports[file] = readImports(file, readFileSync(project + file, 'utf8'))
    }
  }
  assert.ok(Object.keys(imports).length > 0, 'no source file found')
  return imports
}
