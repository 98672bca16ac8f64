import type { GrantedRole, Member } from 'skein'
import { useState } from 'preact/hooks'
import type { Notebook } from '../notebook.ts'
import { leave, say } from '../state.ts'
import { Avatar } from './avatar.tsx'
import { Dialog } from './dialog.tsx'

const roles: readonly GrantedRole[] = ['admin', 'writer', 'reader', 'mirror']
const rank = ['mirror', 'reader', 'writer', 'admin', 'owner']
const roleWords: Readonly<Record<string, string>> = {
  owner: 'Owner',
  admin: 'May invite',
  writer: 'May write',
  reader: 'May read',
  mirror: 'Mirror'
}

/** Who is in the notebook, in a row; all of them with their roles on request. */
export function People({ notebook }: { notebook: Notebook }) {
  const [isOpen, setOpen] = useState(false)
  const members = notebook.members.value
  const persons = [...new Map(members.map((member) => [member.person, member])).values()]
  return (
    <>
      <button class="plain people" onClick={() => setOpen(true)}>
        <span class="faces">
          {persons.slice(0, 5).map(({ person }) => (
            <Avatar key={person} name={person} isHere={isHere(members, person)} />
          ))}
        </span>
        {members.length === 1 ? 'Only you' : `${members.length} devices`}
      </button>
      {isOpen && <PeopleDialog notebook={notebook} onClose={() => setOpen(false)} />}
    </>
  )
}

function isHere(members: readonly Member[], person: string): boolean {
  return members.some((one) => one.person === person && (one.isConnected || one.isThisDevice))
}

function PeopleDialog({ notebook, onClose }: { notebook: Notebook; onClose: () => void }) {
  return (
    <Dialog title="Who is in this notebook" onClose={onClose}>
      <ul class="members">
        {notebook.members.value.map((member) => (
          <MemberRow key={member.device} notebook={notebook} member={member} />
        ))}
      </ul>
      <p class="hint">
        Who is removed keeps what it could read until then, and gets nothing that is written later.
      </p>
      <button class="danger" onClick={() => void leave()}>
        Leave this notebook
      </button>
    </Dialog>
  )
}

function MemberRow({ notebook, member }: { notebook: Notebook; member: Member }) {
  const mine = notebook.members.value.find(({ isThisDevice }) => isThisDevice)
  const { device, name, person, role, isThisDevice, isConnected } = member
  const mayChange =
    rank.indexOf(mine?.role ?? '') >= rank.indexOf('admin') &&
    rank.indexOf(mine?.role ?? '') > rank.indexOf(role)
  const where = isThisDevice ? 'this device' : isConnected ? 'connected' : 'away'
  const change = (what: Promise<void>, done: string): void => {
    what.then(
      () => say(done),
      (error: Error) => say(error.message)
    )
  }
  return (
    <li>
      <Avatar name={person} isHere={isThisDevice || isConnected} />
      <span class="who">
        <strong>{person}</strong>
        <small>{name === person ? where : `${name}, ${where}`}</small>
      </span>
      {mayChange ? (
        <>
          <select
            aria-label={`What ${person} may do`}
            value={role}
            onChange={({ currentTarget }) => {
              const wanted = currentTarget.value as GrantedRole
              change(notebook.space.grant(device, wanted), `${person}: ${roleWords[wanted]}`)
            }}
          >
            {roles
              .filter((one) => rank.indexOf(one) < rank.indexOf(mine!.role))
              .map((one) => (
                <option key={one} value={one}>
                  {roleWords[one]}
                </option>
              ))}
          </select>
          <button
            class="plain danger"
            onClick={() => change(notebook.space.remove(device), `${person} was removed`)}
          >
            Remove
          </button>
        </>
      ) : (
        <span class="role">{roleWords[role]}</span>
      )}
    </li>
  )
}
