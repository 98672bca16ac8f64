/** A page that plays one author of a recorded history. */
import { Skein } from 'skein'
import { webrtc } from 'skein/adapters/webrtc'
import { write } from '../../examples/demo/writer.ts'

export const tracePage = { Skein, webrtc, write }

Object.assign(globalThis, { tracePage })
