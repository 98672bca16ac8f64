/** `skein export`: a space as one encrypted file. */
import { createReadStream } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { InvalidArgumentError } from 'commander'
import { defineCommand } from '../command.ts'
import { examples, spaceHelp } from '../help.ts'
import { counted, size } from '../words.ts'

const roles = ['admin', 'writer', 'reader', 'mirror'] as const

export default defineCommand({
  setUp: (command) =>
    command
      .argument(
        '<file>',
        'where to write it; one that is there is replaced, once the new one is whole'
      )
      .option('-s, --space <space>', spaceHelp)
      .option('--since <file>', 'leave out what this bundle has')
      .option(
        '--contents',
        'only say what is here, for `--since` on the device that exports the rest'
      )
      .option('--for <introduction>', 'let this device in: the line that `skein id` prints there')
      .option('-r, --role <role>', `as what: ${roles.join(', ')} (default: writer)`, role)
      .addHelpText(
        'after',
        `
Members read a bundle with the keys they have, and nobody else does: it is encrypted, and says nothing of devices or
documents. Each block in it is verified where it is taken in.
${examples(
  ['skein export notes.skein', 'the whole space, for members'],
  ['skein export more.skein --since notes.skein', 'what has come since'],
  ["skein export new.skein --for 'skein-device:…'", 'for a device that never met anyone']
)}`
      ),
  async run({ home, out, path, signal }, [file], options) {
    const space = home.space(options.space)
    const target = path(file)
    const since =
      options.since === undefined
        ? undefined
        : await space.contentsOf(createReadStream(path(options.since)))
    const bundle = space.export({
      signal,
      contentsOnly: options.contents === true,
      ...(since === undefined ? {} : { since }),
      ...(options.for === undefined ? {} : { for: options.for }),
      ...(options.role === undefined ? {} : { role: options.role }),
      onProgress: ({ blocks, totalBlocks }) =>
        out.live(() => [`${blocks.toLocaleString('en')} of ${counted(totalBlocks, 'block')}`])
    })
    const bytes = await writeWhole(target, bundle).finally(() => out.live(null))
    out.emit({ file: target, space: space.id, bytes }, () => '')
    out.note(
      `${space.name} is in ${file} (${size(bytes)}). On the other device: skein import ${file}`
    )
  }
})

/** Writes beside the file, and puts it in its place once it is whole and durable. Returns its size. */
async function writeWhole(file: string, parts: AsyncIterable<Uint8Array>): Promise<number> {
  const draft = `${file}.tmp`
  const handle = await open(draft, 'w', 0o600)
  let bytes = 0
  try {
    for await (const part of parts) {
      await handle.writeFile(part)
      bytes += part.length
    }
    await handle.sync()
    await handle.close()
    await rename(draft, file)
  } catch (error) {
    await handle.close().catch(() => {}) // It may be closed; the error that says why is the one to tell.
    await rm(draft, { force: true })
    throw error
  }
  const folder = await open(dirname(file), 'r')
  try {
    // Windows has no such call for folders.
    if (process.platform !== 'win32') await folder.sync()
  } finally {
    await folder.close()
  }
  return bytes
}

function role(text: string): (typeof roles)[number] {
  const found = roles.find((name) => name === text)
  if (found === undefined) throw new InvalidArgumentError(`It is one of ${roles.join(', ')}.`)
  return found
}
