/** `skein invite`: one line of text, or a QR code, that lets another device into a space. */
import { writeFile } from 'node:fs/promises'
import { InvalidArgumentError } from 'commander'
import { defineCommand } from '../command.ts'
import { examples, spaceHelp } from '../help.ts'
import { count, duration, span } from '../words.ts'

const roles = ['admin', 'writer', 'reader', 'mirror'] as const

export default defineCommand({
  setUp: (command) =>
    command
      .option('-s, --space <space>', spaceHelp)
      .option('-r, --role <role>', `what it may do: ${roles.join(', ')} (default: writer)`, role)
      .option(
        '-e, --expires <time>',
        'for how long it serves, as 7d (default: until it is used)',
        duration
      )
      .option('-u, --uses <number>', 'how many devices it lets in (default: 1)', count)
      .option('--qr', 'show it as a QR code')
      .option('--svg <file>', 'write the QR code as an SVG, for a page or to print')
      .addHelpText(
        'after',
        examples(
          ['skein invite', 'a link for one device that may write'],
          ['skein invite --role reader --expires 7d --uses 5', 'five that may read'],
          ['skein invite --qr', 'to be read by a camera'],
          ['skein invite --svg invite.svg', 'the same, as an image']
        )
      ),
  async run({ home, out, path }, _, options) {
    const space = home.space(options.space)
    const { role: wanted = 'writer', uses = 1, expires } = options
    const link = await space.invite({
      role: wanted,
      uses,
      ...(expires === undefined ? {} : { expiresInMs: expires })
    })
    out.emit(
      { invite: link, space: space.id, role: wanted, uses, expiresInMs: expires ?? null },
      () => link
    )
    if (options.qr === true && !out.isJson) {
      const { renderUnicodeCompact } = await import('uqr')
      out.print(renderUnicodeCompact(link, { border: 2 }))
    }
    if (options.svg !== undefined) {
      const { renderSVG } = await import('uqr')
      await writeFile(path(options.svg), `${renderSVG(link, { border: 2 })}\n`, { mode: 0o600 })
    }
    const until = expires === undefined ? '' : `, within ${span(expires)}`
    const devices = uses === 1 ? 'one device' : `${uses} devices`
    out.note(
      `It lets ${devices} into ${space.name} as ${wanted}${until}. On the other device: skein join 'LINK'`
    )
    if (!home.isOnline) out.note('This device must be online then: keep `skein sync` running.')
  }
})

function role(text: string): (typeof roles)[number] {
  const found = roles.find((name) => name === text)
  if (found === undefined) throw new InvalidArgumentError(`It is one of ${roles.join(', ')}.`)
  return found
}
