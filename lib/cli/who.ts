/** Which device is meant by a name, an id or the beginning of one. */
import type { FormerMember, Space } from 'skein'
import { exitCodes, Failure } from './exit.ts'
import { shortId } from './words.ts'

const idPattern = /^[0-9a-f]{4,64}$/

/** A member, or one that was. Fails with a `Failure` where none or several are meant. */
export function deviceMeant(space: Space, wanted: string): FormerMember {
  const members = space.members()
  const meant = matching(members, wanted)
  if (meant.length === 1) return meant[0]!
  if (meant.length > 1) throw several(wanted, meant)
  const former = matching(space.formerMembers(), wanted)
  if (former.length === 1) return former[0]!
  if (former.length > 1) throw several(wanted, former)
  throw new Failure(`No device "${wanted}" in ${space.name}`, {
    exitCode: exitCodes.unknown,
    advice: '`skein members` lists them.'
  })
}

function matching(devices: readonly FormerMember[], wanted: string): FormerMember[] {
  const named = devices.filter(({ name }) => name === wanted)
  if (named.length > 0) return named
  const beginning = wanted.toLowerCase()
  return idPattern.test(beginning)
    ? devices.filter(({ device }) => device.startsWith(beginning))
    : []
}

function several(wanted: string, devices: readonly FormerMember[]): Failure {
  const listed = devices.map(({ device, name }) => `${shortId(device)} (${name})`).join(', ')
  return new Failure(`"${wanted}" may be any of ${listed}`, {
    exitCode: exitCodes.usage,
    advice: 'Give the beginning of its id.'
  })
}
