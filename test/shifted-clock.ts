/** `Date.now`, and how far it runs ahead. To be imported before whatever takes it as it is when it is loaded: lib0 does. */
const now = Date.now

export const clock = { aheadMs: 0 }

Date.now = () => now() + clock.aheadMs
