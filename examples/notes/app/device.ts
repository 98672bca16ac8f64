/** This browser as a device: its name, its transports, and whether it may use the network. */
import { signal } from '@preact/signals'
import { Skein } from 'skein'
import { webrtc } from 'skein/adapters/webrtc'
import { websocket } from 'skein/adapters/websocket'
import { NetworkSwitch } from './network-switch.ts'

const personKey = 'notes.person'
const offlineKey = 'notes.offline'

/** Who uses this browser; empty until asked. It is chosen once: the notebook's logs say it. */
export const person = signal(localStorage.getItem(personKey) ?? '')
/** Switched off by the user, for all tabs. */
export const isOffline = signal(localStorage.getItem(offlineKey) !== null)

const port = location.origin.replace(/^http/, 'ws')
const switches = [
  new NetworkSwitch('websocket', () => websocket({ urls: [port] }), { isOn: !isOffline.value }),
  new NetworkSwitch('webrtc', () => webrtc({ signalling: [port] }), { isOn: !isOffline.value })
]

// Any of the tabs may be the one that has the connections.
addEventListener('storage', ({ key }) => {
  if (key === offlineKey) void follow(localStorage.getItem(offlineKey) !== null)
})

export function setOffline(value: boolean): Promise<void> {
  if (value) localStorage.setItem(offlineKey, 'yes')
  else localStorage.removeItem(offlineKey)
  return follow(value)
}

async function follow(value: boolean): Promise<void> {
  isOffline.value = value
  await Promise.all(switches.map((one) => one.switch(!value)))
}

export async function openDevice(name: string): Promise<Skein> {
  localStorage.setItem(personKey, name)
  person.value = name
  const skein = new Skein({
    storage: 'notes',
    name: browserName(),
    person: name,
    transports: switches
  })
  await skein.ready()
  // Browsers may clear what was not asked to be kept; where they refuse, members have it too.
  void navigator.storage?.persist?.()
  return skein
}

function browserName(): string {
  const { userAgent } = navigator
  const found = (names: readonly [RegExp, string][], other: string): string =>
    names.find(([pattern]) => pattern.test(userAgent))?.[1] ?? other
  const browser = found(
    [
      [/Edg\//, 'Edge'],
      [/Firefox\//, 'Firefox'],
      [/Chrome\//, 'Chrome'],
      [/Safari\//, 'Safari']
    ],
    'Browser'
  )
  const system = found(
    [
      [/Android/, 'Android'],
      [/iPhone|iPad/, 'iPhone'],
      [/Mac OS/, 'Mac'],
      [/Windows/, 'Windows'],
      [/Linux|X11/, 'Linux']
    ],
    'a device'
  )
  return `${browser} on ${system}`
}
