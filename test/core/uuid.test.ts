import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { randomUuidV7 } from '../../src/core/uuid.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const MAX_MS = 2 ** 48 - 1

describe('an identifier', () => {
  it('is a UUID of version 7 that begins with its time', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: MAX_MS }), (nowMs) => {
        const id = randomUuidV7(nowMs)
        assert.match(id, UUID)
        assert.equal(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16), nowMs)
      }),
    )
  })

  it('is another one each time, also when the pool of random bytes is filled again', () => {
    const ids = Array.from({ length: 1000 }, () => randomUuidV7(1_700_000_000_000))
    assert.equal(new Set(ids).size, ids.length)
  })
})
