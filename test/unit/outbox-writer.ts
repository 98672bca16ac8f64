/** Appends records to an outbox until it is killed, and tells of each that is acknowledged. Ends with its parent. */
import { nodeDisk } from '../../adapters/node/disk.ts'
import { FileOutbox } from '../../adapters/node/outbox.ts'
import { recordAt } from './outbox-records.ts'

process.on('disconnect', () => process.exit())
const outbox = await FileOutbox.open(nodeDisk, process.argv[2]!, 'own')
let next = Number(process.argv[3])
for (;;) {
  const group = Array.from({ length: 1 + (next % 3) }, (_, i) => recordAt(next + i))
  await outbox.append(group)
  next += group.length
  process.send!({ acknowledged: next })
  if (next % 50 === 0) {
    await outbox.trim([recordAt(next)])
    next++
    process.send!({ acknowledged: next, trimmed: true })
  }
}
