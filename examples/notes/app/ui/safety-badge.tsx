import { CheckCheck, Check, CircleAlert, LoaderCircle } from 'lucide'
import type { Notebook, OpenNote } from '../notebook.ts'
import { safetyView, type SafetyView } from '../safety.ts'
import { Icon } from './icon.tsx'

const icons = { saving: LoaderCircle, here: Check, elsewhere: CheckCheck, failed: CircleAlert }

/** Where what was written here is safe: always in sight, the devices by name on request. */
export function SafetyBadge({ notebook, note }: { notebook: Notebook; note: OpenNote | null }) {
  const view = safetyView({
    safety: note?.safety.value ?? null,
    error: note?.problem.value ?? notebook.storageError.value,
    isReadOnly: notebook.isReadOnly.value,
    members: notebook.members.value,
    replicas: notebook.replicas.value,
    nowMs: Date.now()
  })
  return (
    <details
      class={`safety ${view.state}`}
      onKeyDown={({ key, currentTarget }) => {
        if (key === 'Escape') currentTarget.open = false
      }}
      onFocusOut={({ relatedTarget, currentTarget }) => {
        if (!currentTarget.contains(relatedTarget as Node | null)) currentTarget.open = false
      }}
    >
      <summary>
        <Icon node={icons[view.state]} size={16} />
        <span role="status">{view.text}</span>
      </summary>
      <Devices view={view} />
    </details>
  )
}

function Devices({ view }: { view: SafetyView }) {
  return (
    <div class="popover">
      <p>
        <strong>This device</strong>
        {view.state === 'saving' ? ' is writing it to its storage.' : ' has what you wrote.'}
      </p>
      {view.devices.length === 0 ? (
        <p class="hint">
          No other device has it yet. Share the notebook, and each of them keeps all of it.
        </p>
      ) : (
        <ul>
          {view.devices.map((device) => (
            <li key={device.device} class={device.isSafe ? 'safe' : ''}>
              <Icon node={device.isSafe ? Check : LoaderCircle} size={15} />
              <span>
                <strong>{device.name}</strong>
                <small>{device.text}</small>
              </span>
            </li>
          ))}
        </ul>
      )}
      {!('serviceWorker' in navigator) && (
        <p class="hint">
          Over plain http this page itself is not kept: it opens only while its server can be
          reached.
        </p>
      )}
    </div>
  )
}
