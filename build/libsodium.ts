/**
 * Cuts libsodium's official WebAssembly build down to the functions that `adapters/browser/sodium.ts` calls, and writes
 * it to `adapters/browser/libsodium-wasm.ts`. Its output is committed, so that neither a build nor a user needs the
 * tools; to make it again (the result is the same bytes):
 *
 *   npm install --no-save binaryen@132.0.0 libsodium-sumo@0.8.4 && npx tsx build/libsodium.ts
 *
 * `wasm-metadce` removes the exports that are not wanted and all that only they reach, `wasm-opt` makes the rest small.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const wanted = `
  sodium_init malloc free
  crypto_generichash crypto_generichash_init crypto_generichash_update crypto_generichash_final crypto_hash_sha512
  crypto_sign_keypair crypto_sign_seed_keypair crypto_sign_detached crypto_sign_verify_detached
  crypto_box_keypair crypto_box_seed_keypair crypto_box_seal crypto_box_seal_open
  crypto_kx_keypair crypto_kx_seed_keypair
  crypto_scalarmult crypto_scalarmult_base crypto_scalarmult_ed25519_noclamp
  crypto_secretbox_easy crypto_secretbox_open_easy crypto_stream_xor
  crypto_aead_chacha20poly1305_ietf_encrypt crypto_aead_chacha20poly1305_ietf_decrypt
  crypto_aead_xchacha20poly1305_ietf_encrypt crypto_aead_xchacha20poly1305_ietf_decrypt
  crypto_secretstream_xchacha20poly1305_init_push crypto_secretstream_xchacha20poly1305_init_pull
  crypto_secretstream_xchacha20poly1305_push crypto_secretstream_xchacha20poly1305_pull
  crypto_pwhash`
  .trim()
  .split(/\s+/)

// Named one by one: with all of them `wasm-opt` makes code that not every browser takes.
const features = [
  '--enable-bulk-memory',
  '--enable-sign-ext',
  '--enable-nontrapping-float-to-int',
  '--enable-mutable-globals'
]

const [highDigits, lowDigits] = [' !#$%&()*+,-./:;', 'abcdefghijklmnop'] as const
const project = fileURLToPath(new URL('..', import.meta.url))
const modules = join(project, 'node_modules')
const glue = readFileSync(
  join(modules, 'libsodium-sumo/dist/modules-sumo-esm/libsodium-sumo.mjs'),
  'utf8'
)
const encoded = /"(AGFzbQ[A-Za-z0-9+/=]+)"/.exec(glue)?.[1]
if (encoded === undefined) throw new Error('No WebAssembly in libsodium-sumo')
const whole = Buffer.from(encoded, 'base64')

// Emscripten shortens the exports' names; its glue says which is which.
const exportByName = new Map<string, string>()
for (const [, name, short] of glue.matchAll(/g\._([A-Za-z0-9_]+)=A\.([A-Za-z0-9_$]+)/g)) {
  exportByName.set(name!, short!)
}
const module = new WebAssembly.Module(whole)
const allExports = WebAssembly.Module.exports(module)
const memory = allExports.find(({ kind }) => kind === 'memory')!.name
const kept = wanted.map((name) => {
  const short = exportByName.get(name)
  if (short === undefined) throw new Error(`libsodium-sumo has no ${name}`)
  return { name, short }
})
const imports = WebAssembly.Module.imports(module)
const graph = [
  {
    name: 'root',
    root: true,
    reaches: [...kept.map(({ name }) => name), memory]
  },
  ...kept.map(({ name, short }) => ({ name, export: short })),
  { name: memory, export: memory },
  ...imports.map(({ module, name }) => ({ name: `import ${name}`, import: [module, name] }))
]

const folder = mkdtempSync(join(tmpdir(), 'skein-libsodium-'))
try {
  const path = (name: string): string => join(folder, name)
  const run = (tool: string, ...args: string[]): void => {
    const options = ['ignore', 'ignore', 'inherit'] as const
    execFileSync(join(modules, 'binaryen/bin', tool), [...features, ...args], {
      stdio: [...options]
    })
  }
  writeFileSync(path('whole.wasm'), whole)
  writeFileSync(path('graph.json'), JSON.stringify(graph))
  run(
    'wasm-metadce',
    '--graph-file',
    path('graph.json'),
    path('whole.wasm'),
    '-o',
    path('cut.wasm')
  )
  const strip = ['--strip-debug', '--strip-producers']
  run('wasm-opt', '-O3', ...strip, path('cut.wasm'), '-o', path('small.wasm'))
  const small = readFileSync(path('small.wasm'))
  const names = Object.fromEntries(kept.map(({ name, short }) => [name, short]))
  const text = `// Made by build/libsodium.ts from libsodium-sumo ${versionOf('libsodium-sumo')} (ISC licence, Frank Denis); do not edit.

/** The exports' names in the module, by libsodium's. */
export const exportNames: Readonly<Record<string, string>> = ${JSON.stringify(names)}

export const memoryName = ${JSON.stringify(memory)}

/**
 * The module in hex, whose first digits are other characters than the second ones: compressed for the way it takes less
 * than base64 or plain hex do, and no more than the bytes themselves.
 */
export const wasmText =
  '${[...small].map((byte) => highDigits[byte >> 4]! + lowDigits[byte & 15]!).join('')}'

export const [highDigits, lowDigits] = ['${highDigits}', '${lowDigits}'] as const
`
  writeFileSync(join(project, 'adapters/browser/libsodium-wasm.ts'), text)
  console.log(`${whole.length} bytes cut to ${small.length}; imports`, imports)
} finally {
  rmSync(folder, { recursive: true })
}

function versionOf(name: string): string {
  const text = readFileSync(join(modules, name, 'package.json'), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
