/** `skein admit`: lets in a copied home that has become a device of its own, or lists those that ask. */
import type { Asking, DeviceId, Space } from 'skein'
import { defineCommand, exitCodes, Failure } from '../command.ts'
import { examples, spaceHelp } from '../help.ts'
import { table } from '../output.ts'
import { duration, shortId } from '../words.ts'

export default defineCommand({
  setUp: (command) =>
    command
      .argument('[device]', 'which one, by its name or the beginning of its key')
      .option('-s, --space <space>', spaceHelp)
      .option('-r, --role <role>', 'admin, writer, reader or mirror (default: as its original has)')
      .option('-t, --timeout <time>', 'how long to wait for one that asks', duration, 20_000)
      .addHelpText(
        'after',
        examples(
          ['skein admit', 'waits until somebody asks, and says who'],
          ['skein admit 3fa91c', 'lets that device in']
        )
      ),
  async run({ home, out, signal }, [wanted], { space: named, role, timeout }) {
    const roles = ['admin', 'writer', 'reader', 'mirror'] as const
    const asRole = roles.find((one) => one === role)
    if (role !== undefined && asRole === undefined) {
      throw new Failure(`There is no role ${role} that can be given`, {
        exitCode: exitCodes.usage,
        advice: `Give one of ${roles.join(', ')}.`
      })
    }
    const { style } = out
    const space = home.space(named)
    await home.online()
    const isMeant = ({ device, name }: Asking): boolean =>
      wanted === undefined || name === wanted || device.startsWith(wanted.toLowerCase())
    const asking = await whenAsked(space, isMeant, timeout, signal)
    if (wanted === undefined) {
      out.emit(asking, () =>
        asking.length === 0
          ? `Nobody asks to be let into ${space.name}`
          : table(
              asking.map(({ device, name, person, formerly }) => [
                style.bold(shortId(device)),
                name,
                `of ${person}`,
                style.dim(`a copy of ${nameOf(space, formerly)}`)
              ])
            )
      )
      return
    }
    const [one, another] = asking
    if (one === undefined) {
      throw new Failure(`No device ${wanted} asks to be let into ${space.name}`, {
        exitCode: exitCodes.unknown,
        advice: 'It must be online, by `skein sync` there, after `skein renew`.'
      })
    }
    if (another !== undefined) {
      throw new Failure(`More than one device is meant by ${wanted}`, {
        exitCode: exitCodes.usage,
        advice: 'Name it by its key: `skein admit` lists them.'
      })
    }
    await space.letIn(one.device, asRole === undefined ? {} : { role: asRole })
    await space.saved()
    const given = space.members().find(({ device }) => device === one.device)?.role ?? null
    out.emit({ device: one.device, name: one.name, role: given }, () => {
      return `Let ${style.bold(one.name)} into ${style.bold(space.name)}, as ${given}`
    })
  }
})

function nameOf(space: Space, device: DeviceId): string {
  return space.members().find((member) => member.device === device)?.name ?? shortId(device)
}

/** Those that are meant, once there are any; none when the time is over. */
async function whenAsked(
  space: Space,
  isMeant: (asking: Asking) => boolean,
  timeoutMs: number,
  signal: AbortSignal
): Promise<Asking[]> {
  const now = async (): Promise<Asking[]> => (await space.asking()).filter(isMeant)
  const asking = await now()
  if (asking.length > 0) return asking
  await new Promise<void>((resolve, reject) => {
    const done = (): void => {
      clearTimeout(timer)
      stop()
      signal.removeEventListener('abort', abort)
    }
    const end = (): void => {
      done()
      resolve()
    }
    const abort = (): void => {
      done()
      reject(signal.reason as Error)
    }
    const timer = setTimeout(end, timeoutMs)
    const stop = space.on('asked', (one) => {
      if (isMeant(one)) end()
    })
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
  })
  return now()
}
