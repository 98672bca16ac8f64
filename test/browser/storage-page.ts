/** A page for the tests of storage and crypto: the parts beneath the public names. */
import { Rocks } from '../../adapters/browser/rocks.ts'
import * as sodium from '../../adapters/browser/sodium.ts'
import { scenarios } from './rocks-scenarios.ts'
import { runCases } from './sodium-cases.ts'

export const storagePage = {
  Rocks,
  run: (name: string) => scenarios[name]!((database) => new Rocks(`${name}/${database}`)),
  sodium: () => runCases(sodium)
}

Object.assign(globalThis, { storagePage })
