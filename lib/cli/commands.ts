/**
 * Every command: what the overview says of it, and how to load it. A command's own file says the rest. The order here
 * is that of the overview.
 */
import type { CommandModule } from './command.ts'

interface CommandEntry {
  readonly name: string
  readonly group: string
  /** What it does, in one line of the overview; empty for one that only other commands call. */
  readonly summary: string
  readonly load: () => Promise<{ readonly default: CommandModule }>
}

const groups = {
  spaces: 'Spaces and devices:',
  documents: 'Documents:',
  replication: 'Replication:',
  inside: 'Looking inside:'
} as const

export const commands: readonly CommandEntry[] = [
  entry(groups.spaces, 'init', 'make a device here', () => import('./commands/init.ts')),
  entry(groups.spaces, 'create', 'make a space', () => import('./commands/create.ts')),
  entry(
    groups.spaces,
    'invite',
    'let another device into a space',
    () => import('./commands/invite.ts')
  ),
  entry(groups.spaces, 'join', 'join a space by an invite', () => import('./commands/join.ts')),
  entry(
    groups.spaces,
    'spaces',
    'list the spaces of this device',
    () => import('./commands/spaces.ts')
  ),
  entry(groups.spaces, 'members', 'list who is in a space', () => import('./commands/members.ts')),
  entry(
    groups.documents,
    'documents',
    'list the documents of a space',
    () => import('./commands/documents.ts')
  ),
  entry(groups.documents, 'cat', 'print a document', () => import('./commands/cat.ts')),
  entry(
    groups.documents,
    'write',
    'replace a document by standard input',
    () => import('./commands/write.ts')
  ),
  entry(
    groups.documents,
    'folder',
    'keep a folder of text files in step with a space',
    () => import('./commands/folder.ts')
  ),
  entry(
    groups.replication,
    'sync',
    'exchange with other devices',
    () => import('./commands/sync.ts')
  ),
  entry(
    groups.replication,
    'serve',
    'let browsers reach this device, and each other',
    () => import('./commands/serve.ts')
  ),
  entry(
    groups.replication,
    'dht',
    'run a node of a private DHT',
    () => import('./commands/dht.ts')
  ),
  entry(
    groups.spaces,
    'id',
    'print this device’s introduction, for a bundle',
    () => import('./commands/id.ts')
  ),
  entry(groups.inside, 'log', 'what happened, entry by entry', () => import('./commands/log.ts')),
  entry(groups.inside, 'show', 'one entry in full', () => import('./commands/show.ts')),
  entry(
    groups.inside,
    'verify',
    'check everything that is here',
    () => import('./commands/verify.ts')
  ),
  entry(
    groups.inside,
    'export',
    'write a space into one encrypted file',
    () => import('./commands/export.ts')
  ),
  entry(groups.inside, 'import', 'take such a file in', () => import('./commands/import.ts')),
  entry('', 'verify-open', '', () => import('./commands/verify-open.ts')),
  entry('', 'serve-home', '', () => import('./commands/serve-home.ts')),
  entry('', 'device', '', () => import('./commands/device.ts'))
]

/** Fails with a `TypeError` for a name that is none. */
export async function loadCommand(name: string): Promise<CommandModule> {
  const found = commands.find((command) => command.name === name)
  if (found === undefined) throw new TypeError(`There is no command ${name}`)
  return (await found.load()).default
}

function entry(
  group: string,
  name: string,
  summary: string,
  load: CommandEntry['load']
): CommandEntry {
  return { group, name, summary, load }
}
