import { Contrast, Moon, Sun } from 'lucide'
import { isOffline, setOffline } from '../device.ts'
import type { Notebook } from '../notebook.ts'
import { nextTheme, theme } from '../theme.ts'
import { Icon } from './icon.tsx'

/** Whether this device may use the network, whom it reaches, and the colours. */
export function NetworkBar({ notebook }: { notebook: Notebook }) {
  const isOn = !isOffline.value
  const { icon, name } = {
    system: { icon: Contrast, name: 'Colours: as the system' },
    light: { icon: Sun, name: 'Colours: light' },
    dark: { icon: Moon, name: 'Colours: dark' }
  }[theme.value]
  return (
    <footer class="network">
      <label class="switch">
        <input
          type="checkbox"
          role="switch"
          checked={isOn}
          onChange={({ currentTarget }) => void setOffline(!currentTarget.checked)}
        />
        <span class="track" aria-hidden="true" />
        Online
      </label>
      <span class="reach" role="status">
        {reachWords(isOn, notebook.peers.value)}
      </span>
      <button class="bare" aria-label={name} title={name} onClick={nextTheme}>
        <Icon node={icon} size={17} />
      </button>
    </footer>
  )
}

function reachWords(isOn: boolean, peers: number): string {
  if (!isOn) return 'Switched off: write on, it is sent later'
  if (peers === 0) return 'Nobody in reach'
  return peers === 1 ? '1 device in reach' : `${peers} devices in reach`
}
