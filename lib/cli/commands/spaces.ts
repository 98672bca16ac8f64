/** `skein spaces`: the spaces of this device. */
import { defineCommand } from '../command.ts'
import { examples } from '../help.ts'
import { table } from '../output.ts'
import { counted, shortId, size } from '../words.ts'

export default defineCommand({
  setUp: (command) =>
    command.addHelpText('after', examples(['skein spaces', 'id, name, role, contents'])),
  run({ home, out }) {
    const { style } = out
    const spaces = home.skein.spaces().map((space) => ({
      id: space.id,
      name: space.name,
      role: space.role,
      members: space.members().length,
      documents: space.documents().length,
      entries: space.logLength,
      bytes: space.logBytes
    }))
    out.emit(spaces, () =>
      table(
        spaces.map((space) => [
          style.dim(shortId(space.id)),
          style.bold(space.name),
          space.role ?? 'waiting to be let in',
          counted(space.members, 'member'),
          counted(space.documents, 'document'),
          style.dim(size(space.bytes))
        ])
      )
    )
    if (spaces.length === 0) out.note('No spaces yet: `skein create NAME` or `skein join INVITE`.')
    return Promise.resolve()
  }
})
