/**
 * A copied device, offline, that becomes a device of its own, and ends itself with SIGKILL at the n-th step of that: see
 * `fatal-steps.ts`. Before, it types a word, which is kept. Forked by `renewal.test.ts`, with the folder, the word and the
 * step as arguments; without a step it tells how many there are.
 */
import { Skein } from '../../lib/index.ts'
import { FatalSteps, tell } from './fatal-steps.ts'

const [, , folder = '', word = '', fatalStep] = process.argv
const steps = new FatalSteps(null)

const skein = new Skein({ storage: folder, name: 'bob', platform: steps.platform })
await skein.ready()
const note = await skein.spaces()[0]!.open('plans')
const body = note.doc.getText('body')
body.insert(body.length, word)
await note.close()
steps.begin(fatalStep === undefined ? null : Number(fatalStep))
await skein.becomeOwnDevice({ name: word })
tell(`steps ${steps.count}`)
