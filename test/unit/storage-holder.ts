/** Opens a storage and holds it until it is killed or its parent's channel ends. Tells how the opening went. */
import { platform } from '../../adapters/node/platform.ts'
import { SkeinError } from '../../lib/errors.ts'

process.on('disconnect', () => process.exit())
try {
  await platform.openStorage(process.argv[2]!)
  process.send!({ opened: true })
} catch (error) {
  const { code, message } = error as SkeinError
  process.send!({ opened: false, code, message })
}
