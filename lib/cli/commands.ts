/**
 * Every command: what the overview says of it, and how to load it. A command's own file says the rest. The order here
 * is that of the overview.
 */
import type { CommandEntry, CommandModule } from './command.ts'

export const groups = {
  spaces: 'Spaces and devices:',
  documents: 'Documents:',
  replication: 'Replication:',
  inside: 'Looking inside:',
  more: 'More:'
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
  entry(
    groups.spaces,
    'invites',
    'list the open invites, or take one back',
    () => import('./commands/invites.ts')
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
    groups.spaces,
    'id',
    'print this device’s introduction, for a bundle',
    () => import('./commands/id.ts')
  ),
  entry(groups.spaces, 'grant', 'give a device another role', () => import('./commands/grant.ts')),
  entry(
    groups.spaces,
    'remove',
    'remove a device, or a person',
    () => import('./commands/remove.ts')
  ),
  entry(
    groups.spaces,
    'recover',
    'take a space back by its recovery key',
    () => import('./commands/recover.ts')
  ),
  entry(
    groups.spaces,
    'admit',
    'let a copied home in again, or list those that ask',
    () => import('./commands/admit.ts')
  ),
  entry(
    groups.spaces,
    'renew',
    'make a copied home a device of its own',
    () => import('./commands/renew.ts')
  ),
  entry(groups.spaces, 'leave', 'leave a space', () => import('./commands/leave.ts')),
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
    'append',
    'add standard input to a document',
    () => import('./commands/append.ts')
  ),
  entry(
    groups.documents,
    'edit',
    'open a document in your editor',
    () => import('./commands/edit.ts')
  ),
  entry(
    groups.documents,
    'watch',
    'print changes as they come',
    () => import('./commands/watch.ts')
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
  entry(groups.replication, 'status', 'show who has what', () => import('./commands/status.ts')),
  entry(
    groups.replication,
    'mirror',
    'keep spaces available unread, or ask a mirror to',
    () => import('./commands/mirror.ts')
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
  entry(
    groups.more,
    'doctor',
    'find out what does not work, and why',
    () => import('./commands/doctor.ts')
  ),
  entry(
    groups.more,
    'completion',
    'print a completion script for a shell',
    () => import('./commands/completion.ts')
  ),
  // Called by others alone.
  entry('', 'verify-open', '', () => import('./commands/verify-open.ts')),
  entry('', 'serve-home', '', () => import('./commands/serve-home.ts')),
  entry('', 'device', '', () => import('./commands/device.ts')),
  entry('', 'text', '', () => import('./commands/text.ts')),
  entry('', 'rewrite', '', () => import('./commands/rewrite.ts')),
  entry('', 'health', '', () => import('./commands/health.ts')),
  entry('', 'names', '', () => import('./commands/names.ts')),
  entry('', 'complete', '', () => import('./commands/complete.ts'))
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
