#!/usr/bin/env node
/** The `skein` command: signals in, exit code out. What it does is in `program.ts` and `commands/`. */
import { runProgram } from './program.ts'

const interrupting = new AbortController()
let signalCode = 0
let undisturbed = 0

for (const [name, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129]
] as const) {
  process.on(name, () => {
    if (name === 'SIGINT' && undisturbed > 0) return
    // Twice: the user does not want to wait. What was acknowledged is on the disk.
    if (signalCode !== 0) process.exit(code)
    signalCode = code
    interrupting.abort()
    if (!process.stdin.destroyed) process.stdin.destroy()
  })
}
// Whoever read the output has gone: `skein log | head`.
process.stdout.on('error', () => {
  signalCode = 141
  interrupting.abort()
})

const { stdin, stdout, stderr, env } = process

/** Reads a line without showing it. */
async function askSecret(prompt: string): Promise<string | null> {
  if (!stdin.isTTY || !stderr.isTTY) return null
  const { createInterface } = await import('node:readline/promises')
  const { Writable } = await import('node:stream')
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: stdin, output: nowhere, terminal: true })
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  stderr.write(prompt)
  try {
    return await lines.question('', { signal: interrupting.signal })
  } finally {
    lines.close()
    stderr.write('\n')
  }
}

const user = {
  ...{ stdin, stdout, stderr, env },
  cwd: () => process.cwd(),
  askSecret,
  async undisturbed<T>(work: () => Promise<T>): Promise<T> {
    undisturbed++
    try {
      return await work()
    } finally {
      undisturbed--
    }
  }
}
const exitCode = await runProgram(process.argv.slice(2), user, interrupting.signal)
process.exit(signalCode === 0 ? exitCode : signalCode)
