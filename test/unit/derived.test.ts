import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { toHex } from '../../lib/bytes.ts'
import { logIdOf, logKeyOf } from '../../lib/log/store.ts'
import {
  clientIdOf,
  documentIdOf,
  spaceChannelId,
  topicOf,
  topicSecretOf
} from '../../lib/trust/keys.ts'

// What is derived is part of the format: another value here is another log, topic or author on every device there is.
const test = suite('derived keys and ids')

const space = new Uint8Array(32).fill(1)
const device = new Uint8Array(32).fill(2)
const salt = new Uint8Array(16).fill(3)
const spaceKey = new Uint8Array(32).fill(7)

test('a log’s key follows from the space, the device and the log’s name', () => {
  const keys = (['control', 'content/0', 'content/1'] as const).map((core) =>
    toHex(logKeyOf({ space, device, core }))
  )
  assert.equal(keys, [
    'c80dd544002f5c670a15fdb2cb4d657ac696a5803eb838dfca098d8dd26c1cfd',
    '16a7f7a4c73894539c0c92ca8b4aba5846e3cbe24f790ec1e95eea4da6a7ee65',
    'd0c6b887a3eda033389c6aad9cd0d4b03bbf7ddc0ef1c2d8b1b6cdc472322fca'
  ])
  assert.is(logIdOf({ space, device, core: 'control' }), 'c80dd544002f5c67')
})

test('a client id follows from the space, the device, its salt and a counter', () => {
  assert.is(clientIdOf(space, device, salt, 0), 4020465991925964)
  assert.is(clientIdOf(space, device, salt, 300), 3397811321730784)
  for (let counter = 0; counter < 1000; counter++) {
    assert.ok(clientIdOf(space, device, salt, counter) < 2 ** 52)
  }
})

test('a document’s id follows from the space and its name', () => {
  assert.is(documentIdOf(space, 'ideas'), 'c36593f11b53e898')
})

test('topic secret, topic and channel follow from the space key, each under its own label', () => {
  const secret = topicSecretOf(spaceKey)
  assert.is(toHex(secret), '7ee2f64619bba44f55aca87158957cf5420d68ee65a5c6379fa3ef88024592b6')
  assert.is(
    toHex(topicOf(secret)),
    '33d3fee9ac6efe79f805a461f1d094118cab3b6d82f8cdeb7f3ce07ec3270eee'
  )
  assert.is(
    toHex(spaceChannelId(spaceKey, new Uint8Array(64).fill(4))),
    'e35296a986d50e1538604c98909b8d41387ebfbe32658c06b0bb1d1fa4aa2572'
  )
})

test.run()
