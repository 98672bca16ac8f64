/**
 * Who may import whom: the layers as rules over the imports of each file. Reading files is the test's; here are the
 * parser of one file and two pure functions. An `import type` is an import like any other.
 */
import { builtinModules } from 'node:module'
import { posix } from 'node:path'
import { parseSync, Visitor } from 'oxc-parser'

/** What each file imports, as written there; the paths are the project's, with `/`. */
export type ImportsByFile = Record<string, readonly string[]>

/** Computed at run time, and so out of the rules' sight. */
export const computed = '(computed)'

/** It loads the engine that the app names. */
const loadsEngine = 'adapters/webrtc/engine-process.ts'

const leaves = ['errors', 'events', 'lifecycle', 'platform', 'transport'].map((n) => `lib/${n}.ts`)
const parts = ['lib/log/', 'lib/trust/', 'lib/views/', 'lib/sync/']
const faces = ['lib/skein.ts', 'lib/space.ts', 'lib/document.ts']
// All that lib/ offers adapters should come through its index; these are tolerated until the index offers them.
const adaptersMayImport = ['index', 'transport', 'errors', 'secure-stream', 'events'].map(
  (name) => `lib/${name}.ts`
)
const platforms = ['adapters/node/', 'adapters/browser/']
const publicName = /^skein(\/adapters\/[a-z-]+)?$/
const transportLibrary =
  /^(hyperswarm|hyperdht|dht-rpc|udx-native|ws|isomorphic-ws|y-webrtc|y-websocket|simple-peer|werift|node-datachannel|@roamhq\/wrtc|@hyperswarm\/(?!secret-stream)[^/]+|socket\.io.*|trystero|libp2p|@libp2p\/[^/]+)(\/|$)/

/** The module specifiers that a TypeScript file names: of imports, exports, `import()` and types. */
export function readImports(path: string, text: string): string[] {
  const { program, module, errors } = parseSync(path, text)
  const [error] = errors
  if (error !== undefined) throw new SyntaxError(`${path}: ${error.message}`)
  const names = [
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest.value),
    ...module.staticExports.flatMap(({ entries }) =>
      entries.flatMap(({ moduleRequest }) => (moduleRequest === null ? [] : [moduleRequest.value]))
    )
  ]
  new Visitor({
    ImportExpression: ({ source }) => {
      const isText = source.type === 'Literal' && typeof source.value === 'string'
      names.push(isText ? String(source.value) : computed)
    },
    TSImportType: ({ source }) => {
      names.push(source.value)
    }
  }).visit(program)
  return [...new Set(names)]
}

/** A sentence for each import that runs the wrong way. */
export function wrongArrows(imports: ImportsByFile): string[] {
  return Object.entries(imports).flatMap(([file, names]) =>
    names.flatMap((name) => {
      const reason = whyWrong(file, name)
      return reason === null ? [] : [`${file} imports ${name}: ${reason}`]
    })
  )
}

/** Paths `a → b → a`, at least one for each group of files that import each other. */
export function cycles(imports: ImportsByFile): string[] {
  const found: string[] = []
  const done = new Set<string>()
  const visit = (file: string, path: string[]): void => {
    const at = path.indexOf(file)
    if (at !== -1) found.push([...path.slice(at), file].join(' → '))
    if (at !== -1 || done.has(file)) return
    for (const name of imports[file] ?? []) {
      for (const target of targets(file, name)) visit(target, [...path, file])
    }
    done.add(file)
  }
  for (const file of Object.keys(imports)) visit(file, [])
  return found
}

/** The project's files that an import means; none for a package. */
function targets(file: string, name: string): string[] {
  if (name === '#webrtc-child') return ['adapters/webrtc/child.ts']
  if (name === '#platform') return platforms.map((folder) => `${folder}platform.ts`)
  if (name === 'skein') return ['lib/index.ts']
  if (publicName.test(name)) return [`${name.slice('skein/'.length)}.ts`]
  return name.startsWith('.') ? [posix.join(posix.dirname(file), name)] : []
}

function whyWrong(file: string, name: string): string | null {
  if (name === computed) {
    return file === loadsEngine ? null : 'what is computed cannot be checked'
  }
  if (name === '#webrtc-child' && file === 'adapters/webrtc.ts') return null
  const isRelative = name.startsWith('.')
  const target = isRelative ? posix.join(posix.dirname(file), name) : name
  const isBuiltin = name.startsWith('node:') || builtinModules.includes(name)
  const isOfProject = isRelative || name.startsWith('#') || name.split('/')[0] === 'skein'

  if (file.startsWith('examples/') || file.startsWith('lib/cli/')) {
    if (publicName.test(name) || !isOfProject) return null
    if (isRelative && isBeside(file, target)) return null
    return 'a user of the library has only its public names'
  }

  const platform = platforms.find((folder) => file.startsWith(folder))
  if (platform !== undefined) {
    if (isBuiltin && platform === 'adapters/browser/') return 'a page has no Node'
    if (!isOfProject || target.startsWith(platform)) return null
    if (target === 'lib/platform.ts' || target === 'lib/errors.ts') return null
    return 'a platform lies beneath lib/ and knows only platform.ts and errors.ts'
  }

  if (file.startsWith('adapters/')) {
    if (!isOfProject || adaptersMayImport.includes(target)) return null
    // What an adapter is made of lies in the folder of its name.
    const folder = /^adapters\/[^/.]+/.exec(file)![0] + '/'
    if (isRelative && target.startsWith(folder)) return null
    return 'an adapter knows only lib/index.ts and the folder of its name'
  }

  if (isBuiltin) return 'lib/ runs in a page too'
  if (transportLibrary.test(name)) return 'transport libraries belong in adapters/'
  if (leaves.includes(file) && !leaves.includes(target)) return 'a leaf imports only leaves'
  if (name === 'corestore' && file !== 'lib/log/store.ts') {
    return 'only lib/log/store.ts knows corestore'
  }
  if (!isOfProject || name === '#platform') return null
  if (!target.startsWith('lib/')) return 'lib/ imports only lib/'
  if (target.startsWith('lib/cli/')) return 'the command line lies above lib/'
  if (target === 'lib/index.ts' && file !== 'lib/page.ts') {
    return 'the public face is for those outside'
  }
  if (target === 'lib/page.ts') return 'the public face is for those outside'
  if (faces.includes(target) && parts.some((part) => file.startsWith(part))) {
    return 'parts do not know the whole'
  }
  return null
}

/** Whether both lie in one example's folder (or lib/cli/): below examples/ that is the first folder down. */
function isBeside(file: string, target: string): boolean {
  const folder = /^(lib\/cli|examples\/[^/]+)\//.exec(file)?.[0]
  return folder === undefined
    ? posix.dirname(target) === posix.dirname(file)
    : target.startsWith(folder)
}
