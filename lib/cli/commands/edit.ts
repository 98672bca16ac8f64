/**
 * `skein edit`: opens a document in the user's editor, and writes back what they changed, and nothing else: what others
 * wrote meanwhile stays. The home is free while the editor is open.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineLocalCommand, Failure } from '../command.ts'
import type { Changed } from '../edits.ts'
import { examples, spaceHelp } from '../help.ts'
import { rootHelp } from '../text-help.ts'
import { counted } from '../words.ts'

export default defineLocalCommand({
  setUp: (command) =>
    command
      .argument('<document>', 'its name; it is made where there is none')
      .option('-s, --space <space>', spaceHelp)
      .option('--root <name>', rootHelp)
      .option('--editor <command>', 'the editor (default: VISUAL, EDITOR, or vi)')
      .addHelpText(
        'after',
        examples(
          ['skein edit ideas', 'in your editor; save and quit to write it'],
          ['EDITOR="code --wait" skein edit ideas', 'one that must be told to wait']
        )
      ),
  async run({ out, env, call, undisturbed }, [name], options) {
    const { space, root } = options
    const named = {
      ...(space === undefined ? {} : { space }),
      ...(root === undefined ? {} : { root })
    }
    const editor = options.editor ?? (env['VISUAL'] || env['EDITOR'] || defaultEditor)
    const before = (await call('text', [name], named)) as string
    const folder = await mkdtemp(join(tmpdir(), 'skein-edit-'))
    const file = join(folder, fileName(name))
    let isKept = false
    try {
      await writeFile(file, before, { mode: 0o600 })
      await undisturbed(() => edit(editor, file))
      const after = withEndAs(before, await readFile(file, 'utf8'))
      if (after === before) {
        out.emit({ document: name, inserted: 0, deleted: 0 }, () => '')
        out.note(`${name} is as it was`)
        return
      }
      isKept = true
      const changed = (await call('rewrite', [name, before, after], named)) as Changed
      isKept = false
      out.emit({ document: name, ...changed }, () => '')
      const removed = changed.deleted.toLocaleString('en')
      out.note(`Saved ${name}: ${counted(changed.inserted, 'character')} added, ${removed} removed`)
    } finally {
      // What the user wrote and could not be kept is theirs still.
      if (isKept) out.warn(`what you wrote is in ${file}`)
      else await rm(folder, { recursive: true, force: true })
    }
  }
})

const defaultEditor = process.platform === 'win32' ? 'notepad' : 'vi'

/** Editors tell what a text is from its name. */
function fileName(document: string): string {
  const plain = document.replaceAll(/[^\p{L}\p{N}._ -]+/gu, '-').slice(-80)
  return /\.[A-Za-z0-9]+$/.test(plain) ? plain : `${plain || 'document'}.md`
}

/** Editors end a last line that had no end, which is no change of the user's. */
function withEndAs(before: string, after: string): string {
  const hasGained = after.endsWith('\n') && !before.endsWith('\n') && after.slice(0, -1) === before
  return hasGained ? before : after
}

/** Fails with a `Failure` unless the editor ends well. */
function edit(editor: string, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const advice = 'Set EDITOR, or name one with --editor.'
    // Through the shell, since EDITOR may have arguments; the file is no part of what it reads.
    const child =
      process.platform === 'win32'
        ? spawn(`${editor} "${file}"`, { stdio: 'inherit', shell: true })
        : spawn('/bin/sh', ['-c', `${editor} "$1"`, 'sh', file], { stdio: 'inherit' })
    child.once('error', (cause) => {
      reject(new Failure(`The editor ${editor} cannot be started`, { advice, cause }))
    })
    child.once('exit', (code, signal) => {
      if (code === 0) resolve()
      else if (code === 127) reject(new Failure(`There is no editor ${editor}`, { advice }))
      else reject(new Failure(`The editor ended with ${signal ?? code}: nothing was written`))
    })
  })
}
