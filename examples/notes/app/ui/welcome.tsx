import { useState } from 'preact/hooks'
import { createNotebook, failure, giveUpJoining, invite, join, open, phase } from '../state.ts'

export function Welcome() {
  return (
    <main class="welcome">
      <div class="welcome-card">
        <img src="/icon.svg" alt="" width="56" height="56" />
        <Step />
      </div>
    </main>
  )
}

function Step() {
  if (failure.value !== null) return <Failed text={failure.value} />
  if (phase.value === 'name') return <Name />
  if (phase.value === 'start') return <Start />
  const isJoining = phase.value === 'joining'
  return (
    <div role="status">
      <h1>{isJoining ? 'Joining the notebook …' : 'Opening …'}</h1>
      {isJoining && (
        <p>
          Looking for a device that lets you in. Whoever invited you has to be online for this,
          once.
        </p>
      )}
      <div class="progress" />
    </div>
  )
}

function Name() {
  const [name, setName] = useState('')
  const isInvited = invite.value !== null
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        if (name.trim() !== '') void open(name.trim())
      }}
    >
      <h1>{isInvited ? 'You are invited to a notebook' : 'Notes'}</h1>
      <p>
        It lives on this device and on those of the people you share it with, and nowhere else. It
        works without a network, and needs no account.
      </p>
      <label>
        Your name
        <input
          name="name"
          value={name}
          maxLength={40}
          required
          autofocus
          autocomplete="given-name"
          placeholder="as the others see it"
          onInput={({ currentTarget }) => setName(currentTarget.value)}
        />
      </label>
      <button class="primary" disabled={name.trim() === ''}>
        {isInvited ? 'Join' : 'Continue'}
      </button>
    </form>
  )
}

function Start() {
  const [link, setLink] = useState('')
  return (
    <div>
      <h1>Begin</h1>
      <button class="primary" onClick={() => void createNotebook('My notebook')}>
        Start a new notebook
      </button>
      <p class="or">or join one</p>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          invite.value = link
          void join(link)
        }}
      >
        <label>
          Invitation
          <input
            name="invite"
            value={link}
            required
            placeholder="paste the link here"
            onInput={({ currentTarget }) => setLink(currentTarget.value)}
          />
        </label>
        <button disabled={link === ''}>Join</button>
      </form>
    </div>
  )
}

function Failed({ text }: { text: string }) {
  const link = invite.value
  return (
    <div role="alert">
      <h1>That did not work</h1>
      <p>{text}</p>
      {link !== null && (
        <div class="row">
          <button class="primary" onClick={() => void join(link)}>
            Try again
          </button>
          <button onClick={giveUpJoining}>Not now</button>
        </div>
      )}
    </div>
  )
}
