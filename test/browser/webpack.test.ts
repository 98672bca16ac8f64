/** The package as it is packed works in an app built by plain webpack: see `bundlers.test.ts`. */
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import webpack from 'webpack'
import { launch, type Profile } from './chromium.ts'
import { assertWorks, packedApp, type PackedApp } from './packed-app.ts'

const bundlers = suite('plain webpack')

let app: PackedApp
let profile: Profile
bundlers.before(async () => {
  app = await packedApp()
  profile = await launch()
})
bundlers.after(async () => {
  await profile[Symbol.asyncDispose]()
  await app[Symbol.asyncDispose]()
})

bundlers('an app built by plain webpack works', async () => {
  const out = join(app.path, 'out-webpack')
  const compiler = webpack({
    context: app.path,
    mode: 'production',
    entry: './main.js',
    output: { path: out, filename: 'main.js' },
    performance: { hints: false }
  })
  const problems = await new Promise<string[]>((resolve, reject) => {
    compiler.run((error, stats) => {
      if (error) reject(error)
      else resolve([...stats!.compilation.errors, ...stats!.compilation.warnings].map(String))
    })
  })
  await new Promise((resolve) => compiler.close(resolve))
  assert.equal(problems, [])
  await assertWorks(profile, app, out)
})

bundlers.run()
