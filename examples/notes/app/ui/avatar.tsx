import { userOf } from '../presence.ts'

export function Avatar({ name, isHere = true }: { name: string; isHere?: boolean }) {
  const initials = name
    .split(/\s+/)
    .map((word) => [...word][0] ?? '')
    .slice(0, 2)
    .join('')
  return (
    <span
      class={isHere ? 'avatar' : 'avatar away'}
      style={{ background: userOf(name).color }}
      title={name}
      aria-hidden="true"
    >
      {initials.toUpperCase()}
    </span>
  )
}
