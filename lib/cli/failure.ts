/** What people are told when something fails: what happened, what to do next, and an exit code that scripts can read. */
import type { ErrorCode } from 'skein'
import { exitCodes, Failure } from './exit.ts'
import type { Output } from './output.ts'

interface Help {
  readonly exitCode?: number
  readonly advice: string
}

const onDisk: Help = {
  advice: 'Nothing that was saved is lost. Make room, or make the folder writable, and try again.'
}
const askAgain: Help = {
  exitCode: exitCodes.refused,
  advice: 'Ask for a new invite: `skein invite` on a device that is in the space.'
}
const damaged: Help = {
  advice:
    'Do not write with this home. `skein doctor` looks closer; what other devices hold comes back by joining anew into a new home.'
}

/** For every code that there is. */
const helpByCode: Record<ErrorCode, Help> = {
  CLOSED: { advice: 'It was being closed. Run the command again.' },
  PASSPHRASE_WRONG: {
    exitCode: exitCodes.refused,
    advice:
      'Give the passphrase that `skein init --passphrase` was told: when asked, in SKEIN_PASSPHRASE, or by --passphrase-file. There is no way around it; other devices still have what they have.'
  },
  BAD_ENCODING: damaged,
  BAD_SEAL: damaged,
  STORAGE_LOCKED: {
    exitCode: exitCodes.busy,
    advice: 'Wait for it to end, or use another home with --home.'
  },
  DISK_FULL: onDisk,
  DISK_READ_ONLY: onDisk,
  STORAGE_FAILED: {
    advice: '`skein doctor` looks at the storage; --debug shows what the system said.'
  },
  STORAGE_DAMAGED: damaged,
  LOG_FORKED: damaged,
  LOG_BEHIND: {
    advice:
      'Run `skein sync` until another device has brought back what is missing here, then try again.'
  },
  COPIED: {
    exitCode: exitCodes.refused,
    advice:
      'This home was copied, and its device runs elsewhere. Nothing that was typed here is lost: `skein renew` makes it a device of its own.'
  },
  SPACE_UNKNOWN: {
    exitCode: exitCodes.unknown,
    advice: '`skein spaces` lists the spaces of this device.'
  },
  DEVICE_UNKNOWN: {
    exitCode: exitCodes.unknown,
    advice: '`skein members` lists the devices of the space.'
  },
  NOT_ALLOWED: {
    exitCode: exitCodes.refused,
    advice: '`skein members` shows the roles; an owner or admin can give another one.'
  },
  INVITE_INVALID: {
    exitCode: exitCodes.usage,
    advice: 'Copy the whole line that `skein invite` printed, in quotes.'
  },
  INVITE_EXPIRED: askAgain,
  INVITE_USED_UP: askAgain,
  INVITE_REVOKED: askAgain,
  INVITE_REFUSED: askAgain,
  INVITE_UNANSWERED: {
    advice:
      'A device that may invite must be online to let this one in: run `skein sync` there, then join again here. `skein doctor` tells whether the network is the reason.'
  },
  ENTRY_UNKNOWN: {
    exitCode: exitCodes.unknown,
    advice: '`skein log` names them.'
  },
  BUNDLE_INVALID: {
    exitCode: exitCodes.incomplete,
    advice: 'Copy it anew from where it was made, and import it again.'
  },
  BUNDLE_FOR_OTHERS: {
    exitCode: exitCodes.refused,
    advice:
      'A member makes one for this device: `skein export FILE --for LINE`, with the line that `skein id` prints here.'
  },
  BUNDLE_GAP: {
    exitCode: exitCodes.incomplete,
    advice: 'Import the bundle before it first, or ask for a complete one.'
  },
  DOCUMENT_NOT_EMPTY: { advice: 'Close what has it open, and run the command again.' },
  DOCUMENT_OPEN: { advice: 'Close what has it open, and run the command again.' },
  IMPORT_INVALID: {
    advice: 'Only whole documents can be taken in: export it anew where it was made.'
  },
  EDIT_INVALID: {
    advice: 'What was typed is still where it was typed. Make the change in smaller pieces.'
  },
  ENTRY_TOO_LARGE: { advice: 'One edit may have 16 MiB. Split the text into several documents.' },
  PEER_BANNED: {
    advice: 'That device, or what it runs, does not keep to the protocol: look there.'
  },
  TRANSPORT_FAILED: { advice: '`skein doctor` says what of the network works from here.' },
  TIMEOUT: { exitCode: exitCodes.incomplete, advice: 'Try again with a longer time.' },
  ABORTED: { exitCode: exitCodes.interrupted, advice: '' }
}

interface CodedError extends Error {
  readonly code: ErrorCode
}

/** Not `instanceof`: the library is loaded only where it is needed. */
export function isSkeinError(error: unknown, code?: ErrorCode): error is CodedError {
  if (!(error instanceof Error) || error.name !== 'SkeinError' || !('code' in error)) return false
  return code === undefined || error.code === code
}

/** Says what went wrong on standard error, and returns the exit code. */
export function report(error: unknown, out: Output, debug: boolean): number {
  let exitCode: number = exitCodes.failed
  let code: string | undefined
  let advice: string | undefined
  if (error instanceof Failure) ({ exitCode, advice } = error)
  else if (isSkeinError(error)) {
    ;({ code } = error)
    const help = helpByCode[error.code]
    exitCode = help.exitCode ?? exitCodes.failed
    ;({ advice } = help)
  } else
    advice = debug
      ? undefined
      : 'This should not happen. The same command with --debug shows where it did.'
  const message = error instanceof Error ? error.message : String(error)
  if (out.isJson)
    out.error(JSON.stringify({ error: { code: code ?? null, message, advice, exitCode } }))
  else {
    const { noteStyle: style } = out
    const named = code === undefined ? '' : style.dim(` (${code})`)
    out.error(`${style.red('skein:')} ${message}${named}`)
    if (advice !== undefined && advice !== '') out.error(wrapped(advice, out.columns))
  }
  if (debug) out.error(trace(error))
  return exitCode
}

/** At most `columns` wide, indented below 'skein: '. */
function wrapped(text: string, columns: number): string {
  const indent = '       '
  const width = Math.max(30, Math.min(columns, 100) - indent.length)
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].map((part) => indent + part).join('\n')
}

function trace(error: unknown): string {
  const parts: string[] = []
  for (let at = error; at !== undefined && at !== null && parts.length < 10;) {
    parts.push(at instanceof Error ? (at.stack ?? String(at)) : String(at))
    at = at instanceof Error ? at.cause : undefined
  }
  return parts.join('\ncaused by ')
}
