/** What may be said in a room: y-webrtc's messages, checked for their form. Null for anything else. */

export type RoomMessage = Announce | Signal

interface Announce {
  readonly type: 'announce'
  readonly from: string
  readonly to?: string
}

export interface Signal {
  readonly type: 'signal'
  readonly from: string
  readonly to: string
  readonly token?: number
  readonly signal:
    | { readonly type: 'offer' | 'answer'; readonly sdp: string }
    | { readonly type: 'candidate'; readonly candidate: object }
}

const maxIdChars = 64
const maxSdpChars = 16 * 1024

type Fields = Readonly<Record<string, unknown>>

/** A message for the peer `me`, from another one. */
export function checkedMessage(value: unknown, me: string): RoomMessage | null {
  if (!isObject(value)) return null
  const { type, from, to, token, signal } = value
  if (!isText(from, maxIdChars) || from === '' || from === me) return null
  if (to !== undefined && to !== me) return null
  if (type === 'announce') return to === undefined ? { type, from } : { type, from, to: me }
  if (type !== 'signal' || to !== me) return null
  const checked = checkedSignal(signal)
  if (checked === null) return null
  const isNumber = typeof token === 'number' && Number.isFinite(token)
  return { type, from, to: me, signal: checked, ...(isNumber ? { token } : {}) }
}

function checkedSignal(value: unknown): Signal['signal'] | null {
  if (!isObject(value)) return null
  const { type, sdp, candidate } = value
  if (type === 'offer' || type === 'answer') {
    return isText(sdp, maxSdpChars) && sdp.startsWith('v=0') ? { type, sdp } : null
  }
  if (type !== 'candidate' || !isObject(candidate)) return null
  const { candidate: line, sdpMid, sdpMLineIndex, usernameFragment } = candidate
  if (!isText(line, 1024)) return null
  if (sdpMid !== null && sdpMid !== undefined && !isText(sdpMid, maxIdChars)) return null
  if (sdpMLineIndex !== null && sdpMLineIndex !== undefined && sdpMLineIndex !== 0) return null
  const fragment = isText(usernameFragment, 256) ? { usernameFragment } : {}
  return { type, candidate: { candidate: line, sdpMid, sdpMLineIndex, ...fragment } }
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isText(value: unknown, maxChars: number): value is string {
  return typeof value === 'string' && value.length <= maxChars
}
