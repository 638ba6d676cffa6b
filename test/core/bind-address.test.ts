import assert from 'node:assert/strict'
import { test } from 'node:test'
import { joinBind, splitBind } from '../../src/core/bind-address.ts'

const ADDRESSES: Readonly<Record<string, readonly [host: string, port: number]>> = {
  '127.0.0.1:8080': ['127.0.0.1', 8080],
  'gateway.internal:0': ['gateway.internal', 0],
  '[::1]:9901': ['::1', 9901],
  '[::]:65535': ['::', 65535],
}

for (const [text, [host, port]] of Object.entries(ADDRESSES)) {
  test(`the address ${text} is taken apart and put together again`, () => {
    assert.deepEqual(splitBind(text), { host, port })
    assert.equal(joinBind({ host, port }), text)
  })
}
