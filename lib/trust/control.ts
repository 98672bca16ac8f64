/**
 * The bodies of control entries, in Yjs's protocol notation:
 *
 *     device    := signKey(32) • boxKey(32) • salt(16) • varString(name) • varString(person)
 *     genesis   := varUint(rules: 1) • salt(16) • varString(space name) • varUint(n) • device*n     // owners, in order
 *     grant     := device • role(1) • varUint(control length) • varUint(content core) • varUint(content length)
 *                  • varUint8Array(invite public key or nothing) • varUint8Array(sealed keys)
 *     invite    := publicKey(32) • role(1) • varUint(uses) • varUint(expiresAtMs, 0 = never)
 *     inviteRevoke := publicKey(32)
 *     leave     := varUint(content core) • varUint(content length)
 *     role      := 1 mirror · 2 reader · 3 writer · 4 admin
 *
 * Cuts and lifts are in `cut.ts`, epochs and key shares in `epoch.ts`; roll and forkProof have their kinds reserved in
 * `log/entry.ts`.
 */
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { decodeAll, readBytes } from '../bytes.ts'
import { hash } from '../crypto.ts'

const rulesVersion = 1
export const maxOwners = 64
const maxNameChars = 256

/** What a device may do, from most to least. */
export type Role = 'owner' | 'admin' | 'writer' | 'reader' | 'mirror'
/** Roles that can be granted: owners are fixed when a space is made. */
export type GrantedRole = Exclude<Role, 'owner'>

const roleCodes: Record<GrantedRole, number> = { mirror: 1, reader: 2, writer: 3, admin: 4 }

/** How a device is named to a space. */
export interface DeviceRecord {
  readonly signKey: Uint8Array
  readonly boxKey: Uint8Array
  /** 16 bytes that go into the device's Yjs client ids. */
  readonly salt: Uint8Array
  readonly name: string
  readonly person: string
}

/** A position in a device's two logs. */
export interface LogPosition {
  readonly control: number
  readonly contentCore: number
  readonly content: number
}

export interface Genesis {
  readonly salt: Uint8Array
  readonly name: string
  readonly owners: readonly DeviceRecord[]
}

export interface Grant {
  readonly device: DeviceRecord
  readonly role: GrantedRole
  readonly from: LogPosition
  /** The invite that it answers, or empty. */
  readonly invite: Uint8Array
  /** The space key and all epoch keys, sealed to the device's box key (see `keys.ts`). */
  readonly sealedKeys: Uint8Array
}

export interface InviteEntry {
  readonly publicKey: Uint8Array
  readonly role: GrantedRole
  readonly uses: number
  /** 0 = never. */
  readonly expiresAtMs: number
}

export interface Leave {
  readonly contentCore: number
  readonly content: number
}

/** A space's id: the hash of its genesis. */
export function spaceIdOf(genesis: Uint8Array): Uint8Array {
  return hash('skein/space', genesis)
}

/** What a cold owner is called, and no device that stands first of several owners. */
export const coldOwnerName = 'recovery key'

/** Owner 1, if its keys are on no device. */
export function coldOwnerOf({ owners }: Genesis): DeviceRecord | null {
  const [first] = owners
  return owners.length > 1 && first?.name === coldOwnerName ? first : null
}

/** The device that made the space: the first owner that is not cold. */
export function founderOf(genesis: Genesis): DeviceRecord {
  return genesis.owners[coldOwnerOf(genesis) === null ? 0 : 1]!
}

export function encodeGenesis(genesis: Genesis): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, rulesVersion)
  encoding.writeUint8Array(encoder, genesis.salt)
  encoding.writeVarString(encoder, genesis.name)
  encoding.writeVarUint(encoder, genesis.owners.length)
  for (const owner of genesis.owners) writeDevice(encoder, owner)
  return encoding.toUint8Array(encoder)
}

/** Fails with `BAD_ENCODING`, also for rules that this version does not know. */
export function decodeGenesis(bytes: Uint8Array): Genesis {
  return decodeAll(bytes, 'genesis', (decoder) => {
    const rules = decoding.readVarUint(decoder)
    if (rules !== rulesVersion) throw new RangeError(`Rules of version ${rules} are not known here`)
    const salt = readBytes(decoder, 16)
    const name = readName(decoder)
    const count = decoding.readVarUint(decoder)
    if (count < 1 || count > maxOwners) throw new RangeError(`${count} owners`)
    const owners = Array.from({ length: count }, () => readDevice(decoder))
    return { salt, name, owners }
  })
}

export function encodeGrant(grant: Grant): Uint8Array {
  const encoder = encoding.createEncoder()
  writeDevice(encoder, grant.device)
  encoding.writeUint8(encoder, roleCodes[grant.role])
  encoding.writeVarUint(encoder, grant.from.control)
  encoding.writeVarUint(encoder, grant.from.contentCore)
  encoding.writeVarUint(encoder, grant.from.content)
  encoding.writeVarUint8Array(encoder, grant.invite)
  encoding.writeVarUint8Array(encoder, grant.sealedKeys)
  return encoding.toUint8Array(encoder)
}

export function decodeGrant(bytes: Uint8Array): Grant {
  return decodeAll(bytes, 'grant', (decoder) => ({
    device: readDevice(decoder),
    role: readRole(decoder),
    from: {
      control: decoding.readVarUint(decoder),
      contentCore: decoding.readVarUint(decoder),
      content: decoding.readVarUint(decoder)
    },
    invite: new Uint8Array(decoding.readVarUint8Array(decoder)),
    sealedKeys: new Uint8Array(decoding.readVarUint8Array(decoder))
  }))
}

export function encodeInviteEntry(invite: InviteEntry): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeUint8Array(encoder, invite.publicKey)
  encoding.writeUint8(encoder, roleCodes[invite.role])
  encoding.writeVarUint(encoder, invite.uses)
  encoding.writeVarUint(encoder, invite.expiresAtMs)
  return encoding.toUint8Array(encoder)
}

export function decodeInviteEntry(bytes: Uint8Array): InviteEntry {
  return decodeAll(bytes, 'invite entry', (decoder) => ({
    publicKey: readBytes(decoder, 32),
    role: readRole(decoder),
    uses: decoding.readVarUint(decoder),
    expiresAtMs: decoding.readVarUint(decoder)
  }))
}

export function encodeInviteRevoke(publicKey: Uint8Array): Uint8Array {
  return new Uint8Array(publicKey)
}

export function decodeInviteRevoke(bytes: Uint8Array): Uint8Array {
  return decodeAll(bytes, 'invite revocation', (decoder) => readBytes(decoder, 32))
}

export function encodeLeave(leave: Leave): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, leave.contentCore)
  encoding.writeVarUint(encoder, leave.content)
  return encoding.toUint8Array(encoder)
}

export function decodeLeave(bytes: Uint8Array): Leave {
  return decodeAll(bytes, 'leave', (decoder) => ({
    contentCore: decoding.readVarUint(decoder),
    content: decoding.readVarUint(decoder)
  }))
}

export function writeDevice(encoder: encoding.Encoder, device: DeviceRecord): void {
  encoding.writeUint8Array(encoder, device.signKey)
  encoding.writeUint8Array(encoder, device.boxKey)
  encoding.writeUint8Array(encoder, device.salt)
  encoding.writeVarString(encoder, device.name)
  encoding.writeVarString(encoder, device.person)
}

export function readDevice(decoder: decoding.Decoder): DeviceRecord {
  return {
    signKey: readBytes(decoder, 32),
    boxKey: readBytes(decoder, 32),
    salt: readBytes(decoder, 16),
    name: readName(decoder),
    person: readName(decoder)
  }
}

export function roleCodeOf(role: GrantedRole): number {
  return roleCodes[role]
}

export function readRole(decoder: decoding.Decoder): GrantedRole {
  const code = decoding.readUint8(decoder)
  for (const [role, known] of Object.entries(roleCodes))
    if (known === code) return role as GrantedRole
  throw new RangeError(`Unknown role ${code}`)
}

function readName(decoder: decoding.Decoder): string {
  const name = decoding.readVarString(decoder)
  if (name.length > maxNameChars) throw new RangeError(`A name of ${name.length} characters`)
  return name
}
