/**
 * A device that ends itself with SIGKILL at its n-th step: see `fatal-steps.ts`. It makes its folder, a space and a
 * document, writes, and leaves the space, and tells its parent each that is done. Forked by `creation.test.ts`, with the
 * folder and the step as arguments; without a step it tells how many there are.
 */
import { Skein } from '../../lib/index.ts'
import { FatalSteps, tell } from './fatal-steps.ts'

const [, , folder = '', fatalStep] = process.argv
const steps = new FatalSteps(fatalStep === undefined ? null : Number(fatalStep))

const skein = new Skein({ storage: folder, name: 'alice', platform: steps.platform })
await skein.ready()
tell(`open ${skein.id}`)
const space = await skein.createSpace({ name: 'Notes' })
tell(`created ${space.id}`)
const note = await space.open('ideas')
note.doc.getText().insert(0, 'kept')
await note.saved()
tell('saved')
await space.leave()
tell('left')
await skein.close()
tell(`steps ${steps.count}`)
