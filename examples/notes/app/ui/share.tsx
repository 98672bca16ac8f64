import { Copy, Share2 } from 'lucide'
import { SkeinError, type GrantedRole, type OpenInvite } from 'skein'
import { useEffect, useState } from 'preact/hooks'
import { renderSVG } from 'uqr'
import type { Notebook } from '../notebook.ts'
import { say } from '../state.ts'
import { Dialog } from './dialog.tsx'
import { Icon } from './icon.tsx'

const dayMs = 86_400_000
const choices: readonly (readonly [GrantedRole, string, string])[] = [
  ['writer', 'Write', 'reads and writes everything'],
  ['reader', 'Read', 'reads everything'],
  ['admin', 'Write and invite', 'and lets others in']
]

const roleWords: Readonly<Record<GrantedRole, string>> = {
  writer: 'To write',
  reader: 'To read',
  admin: 'To write and invite',
  mirror: 'To keep it unread'
}

export function Share({ notebook, onClose }: { notebook: Notebook; onClose: () => void }) {
  const [role, setRole] = useState<GrantedRole>('writer')
  const [uses, setUses] = useState(1)
  const [days, setDays] = useState(7)
  const [link, setLink] = useState<string | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const mine = notebook.space.role
  if (mine !== 'owner' && mine !== 'admin') {
    return (
      <Dialog title="Share this notebook" onClose={onClose}>
        <p>Your role in this notebook does not let you invite others. Ask one who may.</p>
      </Dialog>
    )
  }
  const make = (): void => {
    notebook.space.invite({ role, uses, expiresInMs: days * dayMs }).then(
      (invite) => setLink(`${location.origin}/#${invite}`),
      (error: Error) => setProblem(error.message)
    )
  }
  return (
    <Dialog title="Share this notebook" onClose={onClose}>
      {link === null ? (
        <form
          onSubmit={(event) => {
            event.preventDefault()
            make()
          }}
        >
          <fieldset class="choices">
            <legend>Whoever gets the link may</legend>
            {choices
              .filter(([one]) => one !== 'admin' || mine === 'owner')
              .map(([one, title, says]) => (
                <label key={one}>
                  <input
                    type="radio"
                    name="role"
                    checked={role === one}
                    onChange={() => setRole(one)}
                  />
                  <span>
                    <strong>{title}</strong>
                    <small>{says}</small>
                  </span>
                </label>
              ))}
          </fieldset>
          <div class="row">
            <label>
              For
              <select value={uses} onChange={({ currentTarget }) => setUses(+currentTarget.value)}>
                <option value={1}>one device</option>
                <option value={5}>up to 5 devices</option>
                <option value={25}>up to 25 devices</option>
              </select>
            </label>
            <label>
              Within
              <select value={days} onChange={({ currentTarget }) => setDays(+currentTarget.value)}>
                <option value={1}>a day</option>
                <option value={7}>a week</option>
                <option value={30}>a month</option>
              </select>
            </label>
          </div>
          {problem !== null && <p role="alert">{problem}</p>}
          <button class="primary">Make a link</button>
          <OpenInvites notebook={notebook} />
          <Mirror notebook={notebook} />
        </form>
      ) : (
        <Link link={link} />
      )}
    </Dialog>
  )
}

/** Links that still let someone in. */
function OpenInvites({ notebook }: { notebook: Notebook }) {
  const [invites, setInvites] = useState<readonly OpenInvite[]>([])
  const { space } = notebook
  const look = (): void => void space.invites().then(setInvites)
  useEffect(look, [space, notebook.members.value])
  if (invites.length === 0) return null
  return (
    <section class="extras" aria-label="Open links">
      <h3>Links that are open</h3>
      <ul>
        {invites.map(({ id, role, usesLeft, expiresAtMs }) => (
          <li key={id}>
            <span>
              {roleWords[role]}, for {usesLeft === 1 ? 'one device' : `${usesLeft} devices`}
              {expiresAtMs !== null && `, until ${new Date(expiresAtMs).toLocaleDateString()}`}
            </span>
            <button
              type="button"
              class="plain"
              onClick={() => {
                space.revokeInvite(id).then(look, (error: Error) => say(error.message))
              }}
            >
              Take back
            </button>
          </li>
        ))}
      </ul>
    </section>
  )
}

/** A device that is always on can keep the notebook available without reading it. */
function Mirror({ notebook }: { notebook: Notebook }) {
  const [address, setAddress] = useState('')
  const [isLooking, setLooking] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  const has = notebook.members.value.some(({ role }) => role === 'mirror')
  const add = (): void => {
    setLooking(true)
    setProblem(null)
    notebook.space
      .addMirror(address, { timeoutMs: 30_000 })
      .then(
        ({ name }) => {
          setAddress('')
          say(`${name} keeps this notebook from now on, and cannot read it`)
        },
        (error: unknown) => setProblem(mirrorWords(error))
      )
      .finally(() => setLooking(false))
  }
  return (
    <details
      class="extras"
      onToggle={({ currentTarget }) => currentTarget.scrollIntoView({ block: 'nearest' })}
    >
      <summary>{has ? 'Another mirror' : 'Keep it on a mirror'}</summary>
      <p class="hint">
        A device that is always on and holds everything, encrypted: yours meet by it when they are
        not online together. On it, run <code>skein mirror</code>, and paste what that prints. It
        must be within reach of this browser; else use <code>skein mirror ADDRESS</code> on a
        computer that is in the notebook.
      </p>
      <div class="row">
        <input
          aria-label="The mirror’s address"
          placeholder="skein-mirror:…"
          value={address}
          onInput={({ currentTarget }) => setAddress(currentTarget.value)}
        />
        <button type="button" disabled={address === '' || isLooking} onClick={add}>
          {isLooking ? 'Looking …' : 'Add'}
        </button>
      </div>
      {problem !== null && <p role="alert">{problem}</p>}
    </details>
  )
}

function mirrorWords(error: unknown): string {
  const code = error instanceof SkeinError ? error.code : ''
  if (code === 'INVITE_INVALID') return 'This is no mirror’s address, or a part of it is missing.'
  if (code === 'INVITE_UNANSWERED') return 'The mirror was not reached. Is it running?'
  return error instanceof Error ? error.message : String(error)
}

function Link({ link }: { link: string }) {
  const isLocal = ['localhost', '127.0.0.1'].includes(location.hostname)
  const share = navigator.share?.bind(navigator)
  return (
    <div class="link">
      <div
        class="qr"
        role="img"
        aria-label="The link as a QR code"
        dangerouslySetInnerHTML={{ __html: renderSVG(link, { ecc: 'L', border: 2 }) }}
      />
      <label>
        Link
        <input
          class="link-text"
          readOnly
          value={link}
          onFocus={({ currentTarget }) => currentTarget.select()}
        />
      </label>
      <div class="row">
        <button class="primary" onClick={() => void copy(link)}>
          <Icon node={Copy} size={16} /> Copy
        </button>
        {share !== undefined && (
          <button onClick={() => void share({ title: 'A notebook', url: link }).catch(() => {})}>
            <Icon node={Share2} size={16} /> Send
          </button>
        )}
      </div>
      <p class="hint">
        Whoever has this link can join: give it only to whom you mean. You, or another who may
        invite, must be online when it is opened.
        {isLocal && ' It leads to this computer, so it opens here only, in another browser.'}
      </p>
    </div>
  )
}

async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text)
    say('The link was copied')
  } catch {
    // Over plain http there is no clipboard for pages.
    document.querySelector<HTMLInputElement>('.link-text')?.select()
    say('Press Ctrl C to copy')
  }
}
