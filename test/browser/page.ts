/** The page that most browser tests open: the package's public names, at hand for `page.evaluate`. */
import { Skein, SkeinError } from 'skein'
import { memory, MemoryNetwork } from 'skein/adapters/memory'
import * as Y from 'yjs'

export const skeinPage = { Skein, SkeinError, memory, MemoryNetwork, Y }

Object.assign(globalThis, { skeinPage })
