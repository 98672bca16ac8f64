/**
 * WebRTC's engine in Node, for tests. At a process's regular end it crashes now and then (0.10.0): Node frees its
 * connections when JavaScript is gone, and they let go of their channels through it. So once nothing is left to do, the
 * process exits, which frees nothing.
 */
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
// Its types want those of a page.
export const wrtc = require('@roamhq/wrtc') as object

process.once('beforeExit', () => process.exit())
